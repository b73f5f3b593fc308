//! Terraform that is missing, fails or hangs: a clear reason, nothing lost, nothing left running.

use std::fs;

use remit_tests::world::{World, alive_with, wait_for};
use serde_json::Value;

use crate::{customer, vendor};

/// A terraform that does this on apply and is the real one for everything else.
fn terraform_that(on_apply: &str) -> String {
    format!(
        "#!/bin/sh\nfor a in \"$@\"; do [ \"$a\" = apply ] && {{ {on_apply}; }}; done\nexec {} \"$@\"\n",
        remit_tofu::program().display()
    )
}

fn held(world: &World, install: &str) -> String {
    world.until_status(install, "held").unwrap();
    world.remit(&["why", "acme"]).unwrap()
}

#[test]
fn terraform_that_is_missing_is_said_to_be() {
    let mut world = vendor("misfortune");
    world.take_programs_from_runners().unwrap();
    let install = customer(&mut world, "acme", &[]);
    let why = held(&world, &install);
    assert!(why.contains("terraform"), "{why}");
}

#[test]
fn terraform_that_fails_is_quoted() {
    let mut world = vendor("misfortune");
    let script = terraform_that("echo 'Error: BucketAlreadyExists: the bucket is taken' >&2; exit 1");
    world.put_before_runners("terraform", &script).unwrap();
    let install = customer(&mut world, "acme", &["load_seconds=1"]);
    let why = held(&world, &install);
    assert!(why.contains("bucket"), "{why}");
    let log = world.remit(&["logs", "acme", "--component", "bucket"]).unwrap();
    assert!(log.contains("BucketAlreadyExists: the bucket is taken"), "{log}");
}

/// It ends within its longest run, and so does all that it started.
#[test]
fn terraform_that_hangs_is_killed_with_its_children() {
    let mut world = World::start("misfortune").unwrap();
    let file = world.path("product/remit.toml");
    let text = fs::read_to_string(&file).unwrap();
    let bucket = text.find("[components.bucket]").unwrap();
    let (before, after) = text.split_at(bucket);
    fs::write(&file, before.to_owned() + &after.replacen("\"5m\"", "\"5s\"", 1)).unwrap();
    for command in [&["keys", "init"][..], &["org", "create"], &["release", "create"]] {
        world.remit(command).unwrap();
    }
    let script = terraform_that("sh -c 'trap \"\" TERM INT; sleep 987654' & echo hanging; wait");
    world.put_before_runners("terraform", &script).unwrap();
    let install = customer(&mut world, "acme", &["load_seconds=1"]);
    wait_for("the hanging apply", || Ok(Some(()).filter(|()| !sleepers(&world).is_empty()))).unwrap();
    wait_for("the end of the hanging apply", || Ok(Some(()).filter(|()| sleepers(&world).is_empty())))
        .unwrap();
    let over = |view: &Value| {
        let steps = view["operation"]["steps"].as_array().cloned().unwrap_or_default();
        steps.iter().any(|step| {
            let again = step["attempt"].as_u64() > Some(1) || step["state"] != "running";
            step["component"] == "bucket" && again
        })
    };
    world.until(&install, "the attempt is over", over).unwrap();
    let log = world.remit(&["logs", "acme", "--component", "bucket"]).unwrap();
    assert!(log.contains("hanging"), "{log}");
    world.kill_runner(&install).unwrap();
}

/// Children of this world's terraform; another world's are not ours to count.
fn sleepers(world: &World) -> Vec<u32> {
    let mine = alive_with(world.path("bin").to_str().unwrap());
    mine.into_iter()
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default().starts_with(b"sleep\0987654")
        })
        .collect()
}
