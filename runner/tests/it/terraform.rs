//! Real terraform, where it is on the PATH: deploy, drift, heal, destroy, failures, a hang.

use remit_proto::convert::{FailureClass, Outcome, Success};
use remit_seal::document::{ComponentKind, Source, ValueType};

use crate::bench::{Bench, alive, wait};
use crate::product::{Made, literal, pack, part};

const MODULE: &str = r#"
terraform {
  required_version = ">= 1.5"
  backend "s3" {}
}
variable "size" { type = string }
variable "key" {
  type      = string
  sensitive = true
}
variable "file" { type = string }
resource "terraform_data" "thing" {
  input            = var.size
  triggers_replace = [fileexists(var.file) ? "there" : timestamp()]
  provisioner "local-exec" {
    command = "echo made > '${var.file}'"
  }
}
output "size" { value = terraform_data.thing.output }
output "key" {
  value     = var.key
  sensitive = true
}
"#;

/// True, and said, when there is no terraform to test with.
fn missing() -> bool {
    let found = std::process::Command::new("terraform").arg("version").output().is_ok();
    if !found {
        println!("SKIPPED: terraform, not on PATH");
    }
    !found
}

fn module(text: &str) -> Made {
    part("network", ComponentKind::Terraform, pack(&[("main.tf", text)]))
}

fn success(outcome: Outcome) -> Success {
    match outcome {
        Outcome::Succeeded(success) => success,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_module_is_deployed_drifts_is_healed_and_destroyed() {
    if missing() {
        return;
    }
    let mut bench = Bench::new();
    let file = bench.path("made.txt");
    let network = module(MODULE)
        .input("size", Source::Input("size".to_owned()))
        .input("key", Source::Input("secret".to_owned()))
        .input("file", literal(&file.display().to_string()))
        .output("size", ValueType::String, false)
        .output("key", ValueType::String, true);
    let (release, digest) = bench.broker.publish(&[&network]);
    let _runner = bench.runner();
    let mut logs = String::new();
    let state = bench.data.join("state/network");
    let mut run = |operation: &str| {
        let job = bench.broker.job(&release, digest, "network", operation);
        let job = bench.broker.offer(&job);
        let outcome = bench.outcome(&job);
        logs.push_str(&bench.broker.log(&job));
        success(outcome)
    };
    let made = run("deploy");
    assert_eq!((made.changes.create, made.outputs.len()), (1, 1));
    assert!(file.exists());
    // Made once with the trigger of its absence; from here on it is there.
    let settled = run("deploy");
    assert_eq!(settled.changes.replace, 1);
    assert!(!run("drift").drifted);
    std::fs::remove_file(&file).unwrap();
    let drift = run("drift");
    assert!(drift.drifted && drift.summary.contains("terraform_data.thing"), "{}", drift.summary);
    assert!(!file.exists(), "a drift check changes nothing");
    assert_eq!(run("deploy").changes.replace, 1);
    assert!(
        state.join("terraform.tfstate").exists(),
        "the state is the runner's own, not the module's backend"
    );
    assert_eq!(run("destroy").changes.delete, 1);
    assert!(!state.exists());
    assert!(logs.contains("Apply complete") || logs.contains("Creation complete"), "{logs}");
    assert!(!logs.contains("swordfish"), "{logs}");
    assert!(!bench.data.join("work/network").exists(), "nothing of the attempt's files is left");
    // Only the newest word is told, so which ones are depends on the pace.
    let progress = bench.broker.shared.held().progress.join("\n");
    assert!(["preparing", "planning", "appl"].iter().any(|w| progress.contains(w)), "{progress}");
}

#[test]
fn failures_have_terraforms_own_words_and_a_class() {
    if missing() {
        return;
    }
    let mut bench = Bench::new();
    let broken = rename(module("output \"x\" { value = nothing.at.all }"), "broken");
    let denied = rename(
        module(
            "resource \"terraform_data\" \"x\" {\n provisioner \"local-exec\" {\n command = \"echo AccessDenied: not authorized to CreateVpc >&2; exit 1\"\n }\n}",
        ),
        "denied",
    );
    let lacking = rename(module("output \"other\" { value = 1 }"), "lacking").output(
        "wanted",
        ValueType::String,
        false,
    );
    let (release, digest) = bench.broker.publish(&[&broken, &denied, &lacking]);
    let _runner = bench.runner();
    for (name, class, code, words) in [
        ("broken", FailureClass::Bug, "executor.tool_failed", "nothing"),
        ("denied", FailureClass::Permission, "executor.tool_failed", "CreateVpc"),
        ("lacking", FailureClass::Bug, "executor.output_missing", "wanted"),
    ] {
        let job = bench.broker.job(&release, digest, name, "deploy");
        let job = bench.broker.offer(&job);
        match bench.outcome(&job) {
            Outcome::Failed(failure) => {
                assert_eq!((failure.class, failure.code.as_str()), (class, code), "{failure:?}");
                assert!(failure.message.contains(words), "{failure:?}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

fn rename(mut made: Made, name: &str) -> Made {
    name.clone_into(&mut made.component.name);
    made
}

#[test]
fn a_hanging_apply_is_cancelled_whole_and_goes_on_in_the_next_attempt() {
    if missing() {
        return;
    }
    let mut bench = Bench::new();
    let gate = bench.path("go");
    let text = format!(
        "resource \"terraform_data\" \"x\" {{\n provisioner \"local-exec\" {{\n command = \"test -e {0} || sleep 86407\"\n }}\n}}",
        gate.display()
    );
    let (release, digest) = bench.broker.publish(&[&module(&text)]);
    let _runner = bench.runner();
    let job = bench.broker.job(&release, digest, "network", "deploy");
    let id = bench.broker.offer(&job);
    wait("the provisioner to hang", || (!alive("sleep\086407").is_empty()).then_some(()));
    bench.broker.stop(&id, "stop it");
    let outcome = bench.outcome(&id);
    assert!(matches!(outcome, Outcome::Cancelled { .. }), "{outcome:?}");
    assert!(alive(&format!("REMIT_ATTEMPT={id}.1")).is_empty());
    std::fs::write(&gate, "").unwrap();
    let job = bench.broker.job(&release, digest, "network", "deploy");
    let id = bench.broker.offer(&job);
    success(bench.outcome(&id));
}

#[test]
fn a_terraform_that_is_missing_or_of_the_wrong_version_is_a_clear_failure() {
    let mut bench = Bench::new();
    let old = bench.path("terraform-old");
    std::fs::write(&old, "#!/bin/sh\necho '{\"terraform_version\":\"1.2.0\"}'\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&old, mode).unwrap();
    let (release, digest) = bench.broker.publish(&[&module("")]);
    for (program, code) in
        [("/no/such/terraform", "executor.tool_missing"), (old.to_str().unwrap(), "executor.tool_version")]
    {
        bench.args = vec!["--terraform".to_owned(), program.to_owned()];
        let _runner = bench.runner();
        let job = bench.broker.job(&release, digest, "network", "deploy");
        let job = bench.broker.offer(&job);
        match bench.outcome(&job) {
            Outcome::Failed(failure) => assert_eq!(failure.code, code, "{failure:?}"),
            other => panic!("{other:?}"),
        }
    }
}
