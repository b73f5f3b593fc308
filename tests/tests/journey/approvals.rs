//! A release that wants both sides' approval: terraform's plan waits, the vendor approves it in the command
//! line, the customer on the runner with their own key, and exactly that plan is applied.

use std::fs;
use std::process::Command;

use remit_tests::world::{World, programs};
use serde_json::Value;

use crate::vendor_in;

/// A product of one module, whose releases want both to approve a deploy.
fn with_approvals() -> World {
    let world = World::start("shop").unwrap();
    let file = world.path("product/remit.toml");
    let text = fs::read_to_string(&file).unwrap();
    let (head, _) = text.split_once("[components.database]").unwrap();
    fs::write(&file, head.to_owned() + "[operations.deploy]\napproval = \"both\"\n").unwrap();
    vendor_in(world)
}

fn runner_says(world: &World, args: &[&str]) -> String {
    let out = Command::new(programs::path("remit-runner").unwrap())
        .args(args)
        .current_dir(world.path("."))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{args:?}: {said}");
    said
}

/// Waits for a plan, another than this one; its digest.
fn plan(world: &World, install: &str, before: &str) -> String {
    let of =
        |view: &Value| view["operation"]["steps"][0]["asking"]["plan"]["digest"].as_str().map(str::to_owned);
    let is_new = |view: &Value| of(view).is_some_and(|digest| digest != before);
    of(&world.until(install, "a plan waits", is_new).unwrap()).unwrap()
}

fn approve(world: &World, install: &str, digest: &str) {
    let data = world.runner_dir(install);
    let args =
        ["approve", digest, "--data-dir", data.to_str().unwrap(), "--key", "customer.key", "--by", "eve"];
    runner_says(world, &args);
}

#[test]
fn both_sides_approve_a_plan_and_that_very_plan_is_applied() {
    let mut world = with_approvals();
    runner_says(&world, &["customer-key", "--out", "customer.key"]);
    let public = world.path("customer.key.pub").display().to_string();
    world.tell_runners(&["--customer-key".to_owned(), public]);
    let install = crate::customer(&mut world, "acme", &["size=2"]);
    let first = plan(&world, &install, "");
    assert!(world.site("network.conf").is_none(), "nothing is made before somebody says yes");
    let shown = world.remit(&["plan", "show", "acme"]).unwrap();
    assert!(shown.contains("1 to create") && shown.contains("people and the customer"), "{shown}");
    world.remit(&["approve", "acme", "--plan", &first]).unwrap();
    let why = world.remit(&["why", "acme"]).unwrap();
    assert!(why.contains("waits for the customer: the signed release wants it"), "{why}");
    approve(&world, &install, &first);
    world.until_status(&install, "active").unwrap();
    assert!(world.site("network.conf").unwrap().contains("10.0.1.0/24"));
    another_plan_needs_another_approval(&world, &install, &first);
}

fn another_plan_needs_another_approval(world: &World, install: &str, first: &str) {
    world.remit(&["signal", "acme", "set_inputs", "--inputs", "size=3"]).unwrap();
    world.remit(&["signal", "acme", "deploy"]).unwrap();
    let second = plan(world, install, first);
    // What was approved was another plan: both say yes to that once more, and nothing goes on.
    approve(world, install, first);
    let stale = world.try_remit(&["approve", "acme", "--plan", first]).unwrap();
    assert!(String::from_utf8_lossy(&stale.stderr).contains("loop.plan_stale"), "{stale:?}");
    world.remit(&["approve", "acme", "--plan", &second]).unwrap();
    let view = world.until_status(install, "approval").unwrap();
    assert_eq!(view["operation"]["steps"][0]["asking"]["plan"]["digest"], second.as_str());
    assert!(!world.site("network.conf").unwrap().contains("10.0.2.0/24"));
    approve(world, install, &second);
    let is_done = |view: &Value| view["status"]["word"] == "active" && view["operation"].is_null();
    world.until(install, "the second plan is applied", is_done).unwrap();
    assert!(world.site("network.conf").unwrap().contains("10.0.2.0/24"));
}
