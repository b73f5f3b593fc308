//! Real terraform, where it is on the PATH: deploy, drift, heal, destroy, failures, a hang.

use remit_proto::convert::{FailureClass, Outcome, Success};
use remit_seal::document::{ComponentKind, Source, ValueType};

use crate::bench::{Bench, alive, wait};
use crate::product::{Made, literal, pack, part};

const MODULE: &str = r#"
terraform {
  required_version = ">= 1.5"
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
    let mut bench = Bench::new();
    let file = bench.site("made.txt");
    let network = module(MODULE)
        .declares("local-exec")
        .input("size", Source::Input("size".to_owned()))
        .input("key", Source::Input("secret".to_owned()))
        .input("file", literal(&file.display().to_string()))
        .output("size", ValueType::String, false)
        .output("key", ValueType::String, true);
    let (release, digest) = bench.broker.publish(&[&network]);
    let _runner = bench.runner();
    let mut logs = String::new();
    let state = bench.data.join("state/network");
    let kept = bench.data.join("terraform/network.tfstate");
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
    assert!(kept.exists(), "the state is the runner's own, not the module's backend");
    assert_eq!(run("destroy").changes.delete, 1);
    assert!(!state.exists());
    assert!(logs.contains("Apply complete") || logs.contains("Creation complete"), "{logs}");
    assert!(!logs.contains("swordfish"), "{logs}");
    assert!(!bench.data.join("work/network").exists(), "nothing of the attempt's files is left");
    // Only the newest word is told, so which ones are depends on the pace.
    let progress = bench.broker.shared.held().progress.join("\n");
    assert!(["preparing", "planning", "appl"].iter().any(|w| progress.contains(w)), "{progress}");
}

/// A module whose provisioner says this and fails: the words are a real tool's.
fn says(name: &str, words: &str) -> Made {
    let command = format!("echo '{words}' >&2; exit 1");
    let text = format!(
        "resource \"terraform_data\" \"x\" {{\n provisioner \"local-exec\" {{\n command = {command:?}\n }}\n}}"
    );
    rename(module(&text), name).declares("local-exec")
}

fn failure(
    bench: &mut Bench,
    release: &remit_seal::document::Release,
    digest: remit_seal::Digest,
    name: &str,
) -> remit_proto::convert::Failure {
    let job = bench.broker.job(release, digest, name, "deploy");
    let job = bench.broker.offer(&job);
    match bench.outcome(&job) {
        Outcome::Failed(failure) => failure,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn failures_have_terraforms_own_words_a_class_and_a_hint_that_names_what_is_missing() {
    let mut bench = Bench::new();
    let of = |name: &str, text: &str| rename(module(text), name);
    let cases = [
        (
            of("broken", "output \"x\" { value = nothing.at.all }"),
            FailureClass::Bug,
            "tool.terraform_config",
            "the module",
        ),
        (
            says(
                "denied",
                "api error AccessDenied: User: arn:aws:iam::1:role/remit is not authorized to perform: ec2:CreateVpc on resource: arn:aws:ec2:eu-central-1:1:vpc/*",
            ),
            FailureClass::Permission,
            "tool.aws_access_denied",
            "`ec2:CreateVpc` on arn:aws:ec2:eu-central-1:1:vpc/* to arn:aws:iam::1:role/remit",
        ),
        (
            says("full", "api error VpcLimitExceeded: The maximum number of VPCs has been reached."),
            FailureClass::Quota,
            "tool.aws_quota",
            "`VpcLimitExceeded`",
        ),
        (
            of("version", "terraform {\n required_version = \">= 99\"\n}"),
            FailureClass::Bug,
            "tool.terraform_version",
            "terraform",
        ),
        (
            of(
                "variable",
                "variable \"size\" {\n default = 1\n validation {\n condition = var.size > 1\n error_message = \"too small\"\n }\n}",
            ),
            FailureClass::Bug,
            "tool.terraform_variable",
            "remit.toml",
        ),
        (
            of("lacking", "output \"other\" { value = 1 }").output("wanted", ValueType::String, false),
            FailureClass::Bug,
            "executor.output_missing",
            "vendor",
        ),
    ];
    let (release, digest) = bench.broker.publish(&cases.iter().map(|(made, ..)| made).collect::<Vec<_>>());
    let _runner = bench.runner();
    for (made, class, code, hint) in &cases {
        let failure = failure(&mut bench, &release, digest, &made.component.name);
        assert_eq!((failure.class, failure.code.as_str()), (*class, *code), "{failure:?}");
        assert!(failure.hint.contains(hint), "{failure:?}");
    }
}

fn rename(mut made: Made, name: &str) -> Made {
    name.clone_into(&mut made.component.name);
    made
}

#[test]
fn a_hanging_apply_is_cancelled_whole_and_goes_on_in_the_next_attempt() {
    let mut bench = Bench::new();
    let gate = bench.site("go");
    let text = format!(
        "resource \"terraform_data\" \"x\" {{\n provisioner \"local-exec\" {{\n command = \"test -e {0} || sleep 86407\"\n }}\n}}",
        gate.display()
    );
    let (release, digest) = bench.broker.publish(&[&module(&text).declares("local-exec")]);
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
