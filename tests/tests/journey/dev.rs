//! `remit dev --once`, which is all that `cargo demo --once` adds a build to: with terraform and without.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use remit_tests::world::{alive_with, programs};

/// Its output; it must end well and leave nothing running.
fn dev(path: &std::ffi::OsStr) -> String {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(programs::path("remit").unwrap());
    // The programs are built by the call above; only then is the path another one.
    command.args(["dev", "--once"]).current_dir(directory.path()).env("PATH", path).env("NO_COLOR", "1");
    let out = command.output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{}\n{text}", out.status);
    assert_eq!(alive_with(directory.path().to_str().unwrap()), Vec::<u32>::new(), "left running: {text}");
    text
}

#[test]
fn the_demo_goes_through_the_whole_journey() {
    let text = dev(&remit_tofu::path());
    assert!(text.contains("The whole journey went as it must"), "{text}");
}

/// It says so, and how to get it, and rehearses what needs it.
#[test]
fn the_demo_does_without_terraform() {
    let all = std::env::var_os("PATH").unwrap();
    let has_one = |directory: &Path| ["terraform", "tofu"].iter().any(|name| directory.join(name).exists());
    let without = std::env::split_paths(&all).filter(|directory| !has_one(directory));
    let text = dev(&std::env::join_paths(without).unwrap());
    assert!(text.contains("terraform is not on the PATH"), "{text}");
    assert!(text.contains("The rehearsal of the journey went as it must"), "{text}");
}
