//! The journey of the README: release, install, runner, active, drift, heal, update, teardown.

use std::fs;
use std::path::Path;

use remit_tests::world::{World, alive_with};
use serde_json::Value;

use crate::{customer, vendor};

#[test]
fn from_an_empty_broker_to_a_running_product_and_away_again() {
    let mut world = vendor("shop");
    let install = customer(&mut world, "acme", &["size=3"]);
    let view = world.until_status(&install, "active").unwrap();
    provisioned_in_order(&world, &view);
    secrets_stay_with_the_customer(&world, "acme");
    drift_is_found_and_healed(&world, &install);
    a_second_release_arrives(&world, &install);
    a_started_runner_may_have_other_values(&mut world, &install);
    teardown_leaves_nothing(&mut world, &install);
}

fn provisioned_in_order(world: &World, view: &Value) {
    let components = view["detail"]["install"]["components"].as_array().unwrap();
    assert_eq!(components.len(), 7);
    assert!(components.iter().all(|c| c["state"] == "deployed"), "{components:#?}");
    assert!(world.site("network.conf").unwrap().contains("subnet 10.0.2.0/24"), "size is 3");
    let queue = world.site("queue.conf").unwrap();
    assert!(queue.contains("worker 2 10.0.2.0/24"), "the network's outputs are the queue's inputs: {queue}");
    let catalogue = world.site("catalogue.txt").unwrap();
    assert!(catalogue.contains("# database postgres://shop@10.0.0.10:5432/shop"), "{catalogue}");
    assert!(catalogue.starts_with("# Welcome to the shop"), "{catalogue}");

    let outputs = world.remit(&["install", "outputs", "acme"]).unwrap();
    assert!(outputs.contains("10.0.0.0/24") && outputs.contains("amqp://"), "{outputs}");
    let log = world.remit(&["logs", "acme", "--component", "seed"]).unwrap();
    assert!(log.contains("seeded 3 products"), "{log}");
    let timeline = world.remit(&["timeline", "acme", "-n", "1000"]).unwrap();
    assert!(timeline.contains("network"), "{timeline}");
}

/// The password of the database is in terraform's state, nowhere else: not in outputs, logs or the broker.
fn secrets_stay_with_the_customer(world: &World, name: &str) {
    let install = format!("ins_demo.shop.{name}");
    let password = password(&world.runner_dir(&install)).expect("terraform's state holds the password");
    let mut told = world.remit(&["install", "outputs", name, "-o", "json"]).unwrap();
    told += &world.remit(&["logs", name]).unwrap();
    told += &world.remit(&["install", "show", name, "-o", "json"]).unwrap();
    told += &world.remit(&["timeline", name, "-n", "1000", "-o", "json"]).unwrap();
    assert!(!told.contains(&password), "the vendor can read a customer's secret");
    assert!(!holds(&world.broker_dir(), password.as_bytes()), "the broker keeps a customer's secret");
    for log in ["broker".to_owned(), install] {
        let text = fs::read(world.path(&format!("{log}.log"))).unwrap();
        assert!(!contains(&text, password.as_bytes()), "{log}.log tells a secret");
    }
}

fn drift_is_found_and_healed(world: &World, install: &str) {
    let before = world.site("network.conf").unwrap();
    fs::write(world.path("site/network.conf"), "somebody was here\n").unwrap();
    world.remit(&["signal", "acme", "check_drift"]).unwrap();
    let drifted = |view: &Value| {
        let components = view["detail"]["install"]["components"].as_array();
        components.is_some_and(|all| all.iter().any(|c| c["name"] == "network" && c["state"] == "drifted"))
    };
    world.until(install, "the drift is found", drifted).unwrap();
    world.remit(&["signal", "acme", "heal"]).unwrap();
    world
        .until(install, "the drift is healed", |view| view["status"]["word"] == "active" && !drifted(view))
        .unwrap();
    assert_eq!(world.site("network.conf").unwrap(), before);
}

fn a_second_release_arrives(world: &World, install: &str) {
    let newest = timeline(world, install).swap_remove(0);
    let (before, before_ms) = (newest["seq"].as_u64().unwrap(), newest["at"].as_i64().unwrap());
    let file = world.path("product/remit.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("Welcome to the shop", "Welcome back")).unwrap();
    world.remit(&["release", "create", "--version", "2.0.0"]).unwrap();
    world.remit(&["signal", "acme", "deploy"]).unwrap();
    let there = |view: &Value| {
        view["status"]["word"] == "active" && view["detail"]["install"]["release"]["version"] == "2.0.0"
    };
    world.until(install, "release 2.0.0 is there", there).unwrap();
    assert!(world.site("catalogue.txt").unwrap().starts_with("# Welcome back"));
    let then = world.remit(&["install", "show", "acme", "--at", &before_ms.to_string()]).unwrap();
    assert!(!then.contains("2.0.0") && then.contains("deployed"), "as it was before: {then}");
    let all = world.remit(&["why", "@app"]).unwrap();
    assert!(all.contains("all are done"), "{all}");
    let mut since = timeline(world, install);
    since.retain(|entry| entry["seq"].as_u64().unwrap() > before);
    only_what_changed_was_run(&since);
}

/// The newest first.
fn timeline(world: &World, install: &str) -> Vec<Value> {
    let answer =
        world.operator().unwrap().get(&format!("/v1/objects/{install}/timeline?limit=1000")).unwrap();
    answer.body["entries"].as_array().unwrap().clone()
}

/// The greeting goes into the seed alone; what comes after it in order takes nothing from it.
fn only_what_changed_was_run(entries: &[Value]) {
    let texts = |code: &str| -> Vec<&str> {
        entries.iter().filter(|e| e["code"] == code).map(|e| e["text"].as_str().unwrap()).collect()
    };
    let ran = texts("step.succeeded");
    assert!(ran.len() == 1 && ran[0].starts_with("seed: deploy done"), "{ran:#?}");
    let left_out = texts("step.unchanged");
    for name in ["network", "database", "queue", "image", "web", "routes"] {
        let of_it =
            left_out.iter().find(|text| text.starts_with(&format!("{name}: unchanged since release ")));
        assert!(of_it.is_some_and(|text| text.contains("(input digest ")), "{name}: {left_out:#?}");
    }
}

/// The customer's values are read when the runner starts: what takes one is run again after it, once.
fn a_started_runner_may_have_other_values(world: &mut World, install: &str) {
    let boots = |world: &World| {
        let log = timeline(world, install);
        log.iter().filter(|entry| entry["code"] == "runner.booted").count()
    };
    assert_eq!(boots(world), 0);
    world.drain_runner(install).unwrap();
    world.restart_runner(install).unwrap();
    world.until(install, "the runner's start is known", |_| boots(world) > 0).unwrap();
    let newest = timeline(world, install).swap_remove(0)["seq"].as_u64().unwrap();
    world.remit(&["signal", "acme", "deploy"]).unwrap();
    let over = |view: &Value| view["status"]["word"] == "active" && view["operation"].is_null();
    world.until(install, "it is deployed again", over).unwrap();
    let mut since = timeline(world, install);
    since.retain(|entry| entry["seq"].as_u64().unwrap() > newest);
    let names = |code: &str| {
        let of_code = since.iter().filter(|e| e["code"] == code);
        let mut names: Vec<&str> =
            of_code.map(|e| e["text"].as_str().unwrap().split(':').next().unwrap()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(names("step.succeeded"), ["database", "network", "queue", "seed"]);
    assert_eq!(names("step.unchanged"), ["image", "routes", "web"]);
}

fn teardown_leaves_nothing(world: &mut World, install: &str) {
    world.remit(&["install", "delete", "acme", "--yes", "--watch"]).unwrap();
    let view = world.until_status(install, "deleted").unwrap();
    let description = view["status"]["description"].as_str().unwrap();
    assert_eq!(description, "nothing is left of it; 7 components removed and looked for afterwards");
    let receipts = world.remit(&["install", "show", "acme"]).unwrap();
    assert!(receipts.contains("database by job_demo.shop.acme.database.e1."), "{receipts}");
    assert!(receipts.contains("attempt 1: terraform's state lists nothing"), "{receipts}");
    assert!(receipts.contains("attempt 1: sh looked and found nothing"), "{receipts}");
    let left: Vec<_> = fs::read_dir(world.path("site")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
    world.drain_runner(install).unwrap();
    let data = world.runner_dir(install);
    assert_eq!(alive_with(data.to_str().unwrap()), Vec::<u32>::new(), "something was left running");
}

/// The value of the resource `password` in any state below this directory.
fn password(directory: &Path) -> Option<String> {
    for entry in fs::read_dir(directory).ok()?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if let Some(found) = password(&path) {
                return Some(found);
            }
        } else if path.extension().is_some_and(|e| e == "tfstate") {
            let state: Value = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
            if let Some(found) = state["outputs"]["password"]["value"].as_str() {
                return Some(found.to_owned());
            }
        }
    }
    None
}

/// Whether any file below holds this, as it is or packed as the broker packs logs.
pub(crate) fn holds(directory: &Path, needle: &[u8]) -> bool {
    fs::read_dir(directory).unwrap().flatten().any(|entry| match entry.path() {
        path if path.is_dir() => holds(&path, needle),
        path => {
            let bytes = fs::read(path).unwrap_or_default();
            contains(&bytes, needle)
                || zstd::decode_all(&bytes[..]).is_ok_and(|plain| contains(&plain, needle))
        }
    })
}

pub(crate) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
