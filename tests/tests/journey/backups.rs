//! A broker is set back to a backup that is older than what its runner has done: nothing is repeated.

use std::fs;
use std::process::Command;

use remit_tests::world::{World, programs, wait_for};

use crate::{customer, vendor};

fn broker(world: &World, args: &[&str]) -> String {
    let mut command = Command::new(programs::path("remit-broker").unwrap());
    let out = command.args(args).current_dir(world.path("")).output().unwrap();
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "remit-broker {args:?}: {errors}");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Everything is done once more.
fn reprovision(world: &World, install: &str) {
    let ends = || world.site("warehouse.log").unwrap_or_default().matches("end").count();
    let before = ends();
    world.remit(&["signal", "acme", "reprovision"]).unwrap();
    wait_for("another load of the warehouse", || Ok((ends() > before).then_some(()))).unwrap();
    world.until_status(install, "active").unwrap();
}

#[test]
fn a_restored_broker_does_not_make_a_runner_repeat_work() {
    let mut world = vendor("misfortune");
    fs::write(world.path("site/billing.granted"), "").unwrap();
    let install = customer(&mut world, "acme", &["load_seconds=4"]);
    wait_for("the warehouse's loading", || {
        Ok(world.site("warehouse.log").filter(|log| log.contains("begin")))
    })
    .unwrap();
    let said = broker(&world, &["backup", "--data-dir", "broker", "--to", "backup"]);
    assert!(said.contains("backed up to backup"), "{said}");
    assert!(broker(&world, &["check", "backup"]).contains("whole"));
    // What follows is not in the backup: the rest of this deploy, and all of the next.
    world.until_status(&install, "active").unwrap();
    reprovision(&world, &install);
    let before = world.site("warehouse.log").unwrap();
    let kept = keep_what_the_broker_signed(&world, &install);
    world.remit(&["audit", "verify", "--checkpoint", &kept]).unwrap();
    world.kill_broker().unwrap();
    fs::rename(world.path("broker"), world.path("lost")).unwrap();
    broker(&world, &["restore", "--from", "backup", "--data-dir", "broker"]);
    world.start_broker().unwrap();
    world.until_status(&install, "active").unwrap();
    assert_eq!(world.site("warehouse.log").unwrap(), before, "the runner repeated work");
    // Numbers go on above those that the runner has seen: new work is taken.
    reprovision(&world, &install);
    let after = world.site("warehouse.log").unwrap();
    assert!(after.len() > before.len() && !after.contains("overlap"), "{after}");
    the_restored_broker_cannot_deny(&world, &kept);
    world.remit(&["install", "delete", "acme", "--yes", "--watch"]).unwrap();
    world.until_status(&install, "deleted").unwrap();
}

/// The broker's signed word on the runner's receipts, which the runner proves its journal by; in a file elsewhere.
fn keep_what_the_broker_signed(world: &World, install: &str) -> String {
    let data = world.runner_dir(install);
    let mut verify = Command::new(programs::path("remit-runner").unwrap());
    let proved = verify.args(["verify", "--json", "--data-dir"]).arg(&data).output().unwrap();
    assert!(proved.status.success(), "{}", String::from_utf8_lossy(&proved.stderr));
    let proved: serde_json::Value = serde_json::from_slice(&proved.stdout).unwrap();
    assert!(proved["acknowledged"]["records"].as_u64() > Some(0), "{proved}");
    let kept = world.path("seen.json");
    fs::copy(data.join("journal/seen.json"), &kept).unwrap();
    kept.display().to_string()
}

/// Its audit log did not pass through what it signed before: a third person sees that from two files.
fn the_restored_broker_cannot_deny(world: &World, kept: &str) {
    let evidence = world.path("evidence.json").display().to_string();
    let denied =
        world.try_remit(&["audit", "verify", "--checkpoint", kept, "--evidence", &evidence]).unwrap();
    assert_eq!(denied.status.code(), Some(6), "{}", String::from_utf8_lossy(&denied.stdout));
    assert!(String::from_utf8_lossy(&denied.stderr).contains("audit.forked"));
    assert!(world.remit(&["audit", "judge", &evidence]).unwrap().contains("proved"));
    world.remit(&["audit", "verify"]).unwrap();
    let shown = world.remit(&["audit", "show", "-n", "1000"]).unwrap();
    assert!(shown.contains("log.restored"), "{shown}");
}
