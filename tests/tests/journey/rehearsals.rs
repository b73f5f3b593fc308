//! Sandbox installs that rehearse scenarios, through a real broker and a real runner: one for each class of
//! failure, a bad day with drift, and the way to a real install and to a copy.

use std::path::PathBuf;

use remit_tests::world::World;
use serde_json::Value;

use crate::vendor;

fn scenario(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    folder.join(format!("{name}.toml")).display().to_string()
}

/// A sandbox with this scenario, and its runner.
fn sandbox(world: &mut World, name: &str, scenario_name: &str) -> String {
    let directory = world.path(&format!("for-{name}"));
    std::fs::create_dir(&directory).unwrap();
    let file = scenario(scenario_name);
    let out_dir = directory.to_str().unwrap();
    world
        .remit(&["install", "create", name, "--sandbox", "--scenario", &file, "--out-dir", out_dir])
        .unwrap();
    let id = format!("ins_demo.shop.{name}");
    world.start_runner(&id).unwrap();
    id
}

fn timeline(world: &World, name: &str) -> String {
    world.remit(&["timeline", name, "-n", "1000"]).unwrap()
}

/// What fails for a person, with the code and the hint that the real runner's table gives it.
#[test]
fn what_somebody_must_end_is_held_with_the_words_that_help() {
    let mut world = vendor("shop");
    for (class, code, hint) in [
        ("permission", "tool.aws_access_denied", "`rds:CreateDBInstance`"),
        ("quota", "tool.aws_quota", "`VpcLimitExceeded`"),
        ("billing", "tool.aws_not_subscribed", "marketplace/pp?sku=abc123"),
        ("conflict", "tool.kubernetes_field_conflict", "`kubectl-client-side-apply` manages .spec.replicas"),
        ("bug", "tool.command_missing", "`psql`"),
    ] {
        let install = sandbox(&mut world, class, class);
        world.until_status(&install, "held").unwrap();
        let why = world.remit(&["why", class, "-o", "json"]).unwrap();
        assert!(why.contains(code) && why.contains(hint), "{class}: {why}");
        world.remit(&["signal", class, "retry"]).unwrap();
        world.until_status(&install, "active").unwrap();
        world.drain_runner(&install).unwrap();
    }
}

/// What passes by itself is tried again, and nobody has to do anything.
#[test]
fn what_passes_is_tried_again() {
    let mut world = vendor("shop");
    for (class, code) in [
        ("transient", "tool.aws_throttled"),
        ("timeout", "tool.helm_waited_too_long"),
        ("interference", "tool.terraform_plan_stale"),
    ] {
        let install = sandbox(&mut world, class, class);
        world.until_status(&install, "active").unwrap();
        let past = timeline(&world, class);
        assert!(past.contains(code), "{class}: {past}");
        world.drain_runner(&install).unwrap();
    }
}

fn changes(world: &World, install: &str, component: &str) -> String {
    let log = world.remit(&["logs", install, "--component", component]).unwrap();
    log.lines().filter(|line| line.contains("done:")).collect()
}

#[test]
fn a_bad_day_is_lived_through_and_its_drift_is_found_and_healed() {
    let mut world = vendor("shop");
    let install = sandbox(&mut world, "acme", "bad-day");
    world.until_status(&install, "active").unwrap();
    assert!(changes(&world, "acme", "network").contains("12 created"));
    assert!(timeline(&world, "acme").contains("runner.restarted"), "the runner was lost once");
    world
        .until(&install, "drift", |view| {
            if view["why"].as_array().is_some_and(|w| w.iter().any(|w| w["code"] == "attention.drift")) {
                return true;
            }
            world.remit(&["signal", "acme", "check_drift"]).is_err()
        })
        .unwrap();
    let why = world.remit(&["why", "acme"]).unwrap();
    assert!(why.contains("port 22 is open to the world"), "{why}");
    world.remit(&["install", "scenario", "acme", "--none"]).unwrap();
    world.remit(&["signal", "acme", "heal"]).unwrap();
    world.until_status(&install, "active").unwrap();
    world.drain_runner(&install).unwrap();
}

fn detail(world: &World, id: &str) -> Value {
    world.operator().unwrap().view(id).unwrap()["detail"]["install"].clone()
}

/// The same install, by name and history: rehearsed first, then real; and a copy that rehearses what comes.
#[test]
fn a_sandbox_is_promoted_and_copied() {
    let mut world = vendor("shop");
    let install = sandbox(&mut world, "acme", "transient");
    world.until_status(&install, "active").unwrap();
    assert!(world.site("network.conf").is_none(), "nothing real was touched");
    let rehearsed = detail(&world, &install);
    world.remit(&["install", "promote", "acme"]).unwrap();
    world.until(&install, "real and active", |view| view["status"]["word"] == "active").unwrap();
    let real = detail(&world, &install);
    assert_eq!((rehearsed["mode"].as_str(), real["mode"].as_str()), (Some("sandbox"), Some("real")));
    assert!(world.site("network.conf").is_some(), "now it is there");
    let output = |detail: &Value, of: &str| {
        let all = detail["components"].as_array().unwrap();
        all.iter().find(|c| c["name"] == of).unwrap()["facts"]["outputs"].clone()
    };
    assert_ne!(
        output(&rehearsed, "network"),
        output(&real, "network"),
        "made-up outputs are not taken for real"
    );
    let past = timeline(&world, "acme");
    assert!(
        past.contains("promoted by") && past.contains("RequestLimitExceeded"),
        "its history stays: {past}"
    );
    // Twice is refused, and so is a scenario for what is real.
    for refused in [&["install", "promote", "acme"][..], &["install", "scenario", "acme", &scenario("bug")]] {
        let out = world.try_remit(refused).unwrap();
        assert!(String::from_utf8_lossy(&out.stderr).contains("loop.conflict"), "{out:?}");
    }
    let directory = world.path("for-trial");
    std::fs::create_dir(&directory).unwrap();
    let out_dir = directory.to_str().unwrap();
    world.remit(&["install", "copy", "acme", "trial", "--out-dir", out_dir]).unwrap();
    let copy = "ins_demo.shop.trial".to_owned();
    world.start_runner(&copy).unwrap();
    world.until_status(&copy, "active").unwrap();
    let shown = world.remit(&["install", "show", "trial"]).unwrap();
    assert!(shown.contains("sandbox") && shown.contains("ins_demo.shop.acme"), "{shown}");
    world.remit(&["install", "delete", "acme", "--yes", "--watch"]).unwrap();
    assert!(world.site("network.conf").is_none(), "what was made in earnest is removed in earnest");
    world.drain_runner(&install).unwrap();
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_made() {
    let world = vendor("shop");
    std::fs::write(
        world.path("lost.toml"),
        "version = 1\n[[step]]\ncomponent = \"netwrk\"\nfails = \"bug\"\n",
    )
    .unwrap();
    std::fs::write(
        world.path("form.toml"),
        "version = 1\n[[step]]\naction = \"provision\"\nfails = \"bug\"\n",
    )
    .unwrap();
    for (file, code) in [("lost.toml", "scenario.unknown_component"), ("form.toml", "scenario.form")] {
        let path = world.path(file);
        let path = path.to_str().unwrap();
        for command in [
            &["scenario", "check", path][..],
            &["install", "create", "x", "--sandbox", "--scenario", path, "--out-dir", "."],
        ] {
            let out = world.try_remit(command).unwrap();
            let errors = String::from_utf8_lossy(&out.stderr).into_owned();
            assert!(!out.status.success() && errors.contains(code), "{command:?}: {errors}");
        }
    }
    assert!(world.remit(&["install", "list"]).unwrap().contains("no installs yet"));
    // A sandbox that no runner ever came for cannot become real; one in a sandbox app is one by birth.
    world.remit(&["signal", "@app", "set_sandbox", "--on", "true"]).unwrap();
    assert!(world.remit(&["app", "show"]).unwrap().contains("sandbox"));
    world
        .remit(&["install", "create", "born", "--out-dir", world.path("product").to_str().unwrap()])
        .unwrap();
    world.until("ins_demo.shop.born", "a sandbox", |v| v["detail"]["install"]["mode"] == "sandbox").unwrap();
}
