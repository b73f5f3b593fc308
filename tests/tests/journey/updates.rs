//! When installs are changed, with real processes: a window, an inbox, a freeze, a rollout and its rollback.

use std::time::{SystemTime, UNIX_EPOCH};

use remit_tests::world::World;
use serde_json::Value;

use crate::vendor;

const INSTALLS: [&str; 3] = ["acme", "beta", "gamma"];
const DAYS: [&str; 7] = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"];

fn id(name: &str) -> String {
    format!("ins_demo.shop.{name}")
}

/// Installs that rehearse everything, each with its runner.
fn sandboxes(world: &mut World) {
    for (name, env) in INSTALLS.into_iter().zip(["staging", "prod", "prod"]) {
        let directory = world.path(&format!("for-{name}"));
        std::fs::create_dir(&directory).unwrap();
        let (directory, label) = (directory.to_str().unwrap(), format!("env={env}"));
        let create = ["install", "create", name, "--sandbox", "--label", &label, "--out-dir", directory];
        world.remit(&create).unwrap();
        world.start_runner(&id(name)).unwrap();
    }
    for name in INSTALLS {
        world.until_status(&id(name), "active").unwrap();
    }
}

fn is_on(world: &World, name: &str, version: &str) {
    let there = |view: &Value| {
        view["status"]["word"] == "active" && view["detail"]["install"]["release"]["version"] == version
    };
    world.until(&id(name), &format!("{name} is on {version}"), there).unwrap();
}

fn version(world: &World, name: &str) -> String {
    let view = world.operator().unwrap().view(&id(name)).unwrap();
    view["detail"]["install"]["release"]["version"].as_str().unwrap().to_owned()
}

/// A window that opens on the day after tomorrow and so is closed for as long as any test runs.
fn closed_window(world: &World, name: &str) {
    let days = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 86_400;
    let day = DAYS[usize::try_from((days + 2) % 7).unwrap()];
    let window = ["--zone", "UTC", "--days", day, "--start", "12:00", "--length", "1h"];
    world.remit(&[&["install", "policy", name, "window"], &window[..]].concat()).unwrap();
}

/// A release that changes the seed.
fn release(world: &World, version: &str, more: &[&str]) {
    let file = world.path("product/remit.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let at = text.find("Welcome").unwrap();
    let end = at + text[at..].find('"').unwrap();
    std::fs::write(&file, format!("{}Welcome to {version}{}", &text[..at], &text[end..])).unwrap();
    world.remit(&[&["release", "create", "--version", version], more].concat()).unwrap();
}

#[test]
fn each_install_takes_a_release_when_and_how_it_wants_it() {
    let mut world = vendor("shop");
    sandboxes(&mut world);
    a_release_waits_for_windows_and_for_people(&world);
    a_freeze_holds_it(&world);
    a_rollout_goes_in_waves_and_back(&world);
    one_thing_is_done_with_many(&world);
}

fn a_release_waits_for_windows_and_for_people(world: &World) {
    closed_window(world, "beta");
    world.remit(&["install", "policy", "gamma", "manual"]).unwrap();
    let bad = world.try_remit(&[
        "install",
        "policy",
        "beta",
        "window",
        "--zone",
        "Mars/Base",
        "--days",
        "mon",
        "--start",
        "1:00",
        "--length",
        "1h",
    ]);
    let bad = bad.unwrap();
    assert_eq!(bad.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&bad.stderr).contains("loop.window_invalid"));
    assert_eq!(
        world.remit(&["install", "windows", "beta", "-o", "json"]).unwrap().matches("opens").count(),
        5
    );

    let notes = world.path("notes.md");
    std::fs::write(&notes, "Orders are twice as fast.\n").unwrap();
    release(world, "2.0.0", &["--hold", "--notes", notes.to_str().unwrap()]);
    let preview = world.remit(&["release", "preview", "2.0.0"]).unwrap();
    assert!(preview.contains("1 at once, 1 later, 1 when somebody says so"), "{preview}");
    assert!(preview.contains("~seed"), "what would change: {preview}");
    assert_eq!(version(world, "acme"), version(world, "beta"), "it is held back");
    world.remit(&["release", "promote", "2.0.0"]).unwrap();
    is_on(world, "acme", "2.0.0");

    let why = world.remit(&["why", "beta"]).unwrap();
    assert!(why.contains("waiting.window") && why.contains("proceed"), "{why}");
    let updates = world.remit(&["updates", "gamma"]).unwrap();
    assert!(updates.contains("Orders are twice as fast.") && updates.contains("changed   seed"), "{updates}");
    world.remit(&["deploy", "beta", "--now", "--reason", "they asked for it"]).unwrap();
    is_on(world, "beta", "2.0.0");
    let told = world.remit(&["timeline", "beta"]).unwrap();
    assert!(told.contains("they asked for it"), "{told}");
    world.remit(&["opt-in", "gamma"]).unwrap();
    is_on(world, "gamma", "2.0.0");
}

fn a_freeze_holds_it(world: &World) {
    world
        .remit(&["freeze", "add", "sales", "--on", "@org", "--until", "2099-01-01", "--reason", "x"])
        .unwrap_err();
    let until = ["freeze", "add", "sales", "--on", "@org", "--reason", "sales", "--until"];
    let tomorrow = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 86_400;
    let tomorrow = format!("{}", jiff::Timestamp::from_second(i64::try_from(tomorrow).unwrap()).unwrap());
    world.remit(&[&until[..], &[&tomorrow]].concat()).unwrap();
    let twice = world.try_remit(&[&until[..], &[&tomorrow]].concat()).unwrap();
    assert!(String::from_utf8_lossy(&twice.stderr).contains("loop.freeze_overlaps"));
    release(world, "2.1.0", &[]);
    let frozen = |view: &Value| view["why"].as_array().unwrap().iter().any(|w| w["code"] == "waiting.freeze");
    world.until(&id("acme"), "the freeze holds it", frozen).unwrap();
    assert_eq!(version(world, "acme"), "2.0.0");
    world.remit(&["freeze", "remove", "sales", "--on", "@org", "--reason", "over"]).unwrap();
    is_on(world, "acme", "2.1.0");
}

fn a_rollout_goes_in_waves_and_back(world: &World) {
    for name in ["beta", "gamma"] {
        world.remit(&["install", "policy", name, "latest"]).unwrap();
    }
    world.remit(&["opt-in", "gamma"]).ok();
    is_on(world, "beta", "2.1.0");
    is_on(world, "gamma", "2.1.0");
    release(world, "3.0.0", &["--hold"]);
    let create = ["rollout", "create", "3.0.0", "--canary", "1", "--wave", "env=prod", "--bake", "1s"];
    let planned = world.remit(&[&create[..], &["--dry-run"]].concat()).unwrap();
    assert!(planned.contains("canary") && planned.contains("env=prod"), "{planned}");
    let followed = world.remit(&[&create[..], &["--follow"]].concat()).unwrap();
    assert!(followed.contains("baking") && followed.contains("done: canary 1/1, env=prod 2/2"), "{followed}");
    for name in INSTALLS {
        is_on(world, name, "3.0.0");
    }
    // Going back needs the vendor's signed leave.
    let back = ["rollout", "rollback", "--to", "2.1.0", "--follow"];
    assert!(!world.try_remit(&back).unwrap().status.success(), "a rollback without a permit");
    world.remit(&["release", "permit-rollback", "2.1.0", "--reason", "3.0.0 loses orders"]).unwrap();
    world.remit(&back).unwrap();
    for name in INSTALLS {
        is_on(world, name, "2.1.0");
    }
}

fn one_thing_is_done_with_many(world: &World) {
    let bulk = ["bulk", "pause", "--selector", "env=prod", "--reason", "an audit"];
    let shown = world.remit(&[&bulk[..], &["--dry-run"]].concat()).unwrap();
    assert!(shown.contains("beta") && shown.contains("gamma") && !shown.contains("acme"), "{shown}");
    world.remit(&[&bulk[..], &["--yes"]].concat()).unwrap();
    world.until_status(&id("beta"), "paused").unwrap();
    let remark = world.remit(&["timeline", "@app"]).unwrap();
    assert!(remark.contains("pause of 2 installs with env=prod: an audit"), "{remark}");
    let listed = world.remit(&["install", "list", "--selector", "env!=prod"]).unwrap();
    assert!(listed.contains("acme") && !listed.contains("beta"), "{listed}");
}
