//! The customer's policy, approvals and halt switch, kept to by the real program.

use std::process::Command;

use remit_proto::convert::Outcome;
use remit_seal::document::{Class, ComponentKind, Job};
use serde_json::Value;

use crate::bench::{Bench, read, wait};
use crate::product::{Made, pack, part, script};

const MODULE: &str = "resource \"terraform_data\" \"thing\" {\n  input = \"x\"\n}\n";

/// A bench whose runner keeps to this policy, with a customer's key.
pub(crate) fn bench(policy: &str) -> Bench {
    let mut bench = Bench::new();
    std::fs::write(bench.path("remit.cedar"), policy).unwrap();
    let key = bench.path("customer.key");
    let (exit, words) = run(&bench, &["customer-key", "--out", key.to_str().unwrap()]);
    assert_eq!(exit, 0, "{words}");
    bench.args.extend(["--customer-key".to_owned(), format!("{}.pub", key.display())]);
    bench
}

/// What the program says, on both of its outputs.
pub(crate) fn run(bench: &Bench, args: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_remit-runner"));
    let output = command.args(args).current_dir(bench.temp.path()).output().unwrap();
    let words = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(words).unwrap())
}

pub(crate) fn say(bench: &Bench, word: &str, subject: &str) {
    let data = bench.data.to_str().unwrap();
    let args = [word, subject, "--data-dir", data, "--key", "customer.key", "--by", "ann"];
    let (exit, words) = run(bench, &args);
    assert_eq!(exit, 0, "{words}");
}

/// A line of progress that the broker was told.
pub(crate) fn told(bench: &Bench, part: &str) -> String {
    wait(part, || bench.broker.shared.held().progress.iter().find(|line| line.contains(part)).cloned())
}

fn module(text: &str) -> Made {
    part("network", ComponentKind::Terraform, pack(&[("main.tf", text)]))
}

#[test]
fn what_needs_approval_waits_for_the_customers_own_key() {
    let mut bench = bench(remit_runner::policy::DEFAULT);
    let witness = script("witness", &format!("touch {}", bench.site("ran").display()));
    let (release, published) = bench.broker.publish(&[&witness]);
    let runner = bench.runner();
    let job = bench.broker.job(&release, published, "witness", "deploy");
    let job = bench.broker.offer(&job);
    let words = told(&bench, "program-needs-approval");
    assert!(words.contains("deploy of `witness` (script) by release"), "{words}");
    let digest = shown(&words);
    assert!(!bench.site("ran").exists() && !bench.broker.is_started(&job));
    let status = runner.get("/v1/status");
    assert_eq!(status["waiting"]["job"], Value::from(job.clone()), "{status}");
    assert_eq!(status["policy"]["version"], 3);
    let wanted = &status["approvals_wanted"][0];
    assert!(wanted["digest"].as_str().unwrap().starts_with(&digest), "{wanted}");

    // Another key's word is nobody's word.
    let (_, words) = run(&bench, &["customer-key", "--out", "thief.key"]);
    assert!(words.contains("thief.key.pub"), "{words}");
    let data = bench.data.to_str().unwrap();
    let (exit, _) = run(&bench, &["approve", &digest, "--data-dir", data, "--key", "thief.key"]);
    assert_eq!(exit, 0, "it is signed, and not believed");
    let polls = bench.broker.shared.held().polls;
    wait("two more looks", || (bench.broker.shared.held().polls > polls + 1).then_some(()));
    assert!(!bench.broker.is_started(&job));

    say(&bench, "approve", &digest);
    assert!(matches!(bench.outcome(&job), Outcome::Succeeded(_)));
    assert!(bench.site("ran").exists() && bench.verify());
    let journal = bench.journal();
    assert_eq!(journal.matches("\"held\"").count(), 1, "a wait is on record once");
    assert!(journal.contains("policy.approval_needed") && journal.contains("\"policy\":3"));

    // What ended with its success is asked for again; the customer says no this time.
    let job = bench.broker.job(&release, published, "witness", "deploy");
    let job = bench.broker.offer(&job);
    wait("it to wait again", || (bench.journal().matches("\"held\"").count() == 2).then_some(()));
    say(&bench, "deny", &digest);
    match bench.outcome(&job) {
        Outcome::Refused { code, message } => {
            assert!(code == "policy.denied" && message.contains("ann"), "{code}: {message}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn escape_hatches_are_refused_before_they_run() {
    let mut bench = bench(remit_runner::policy::DEFAULT);
    let ran = bench.site("ran");
    let text = format!("data \"external\" \"x\" {{\n  program = [\"touch\", \"{}\"]\n}}\n", ran.display());
    let hatch = module(&text).declares("external");
    let (release, digest) = bench.broker.publish(&[&hatch]);
    let _runner = bench.runner();
    let job = bench.broker.job(&release, digest, "network", "deploy");
    let job = bench.broker.offer(&job);
    match bench.outcome(&job) {
        Outcome::Failed(failure) => {
            assert_eq!(failure.code, "policy.forbidden", "{failure:?}");
            assert!(failure.message.contains("escape-hatches"), "{failure:?}");
        }
        other => panic!("{other:?}"),
    }
    assert!(!ran.exists());
    let questions = bench.data.join("questions");
    let (exit, words) = {
        let mut files: Vec<_> = std::fs::read_dir(&questions).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        run(&bench, &["policy", "explain", files.last().unwrap().to_str().unwrap()])
    };
    assert!(exit == 1 && words.contains("rule escape-hatches forbids"), "{words}");
    assert!(words.contains("declared by the release: external"), "{words}");
    assert!(words.contains("escape hatches: external"), "{words}");
    let data = bench.data.to_str().unwrap();
    std::fs::write(bench.path("demo.cedar"), remit_runner::policy::DEMO).unwrap();
    let (exit, words) = run(&bench, &["policy", "shadow", "--data-dir", data, "--policy", "demo.cedar"]);
    assert!(exit == 1 && words.contains("1 of 2 past questions"), "{words}");
}

#[test]
fn what_the_release_does_not_declare_is_refused_whatever_the_policy_permits() {
    let mut bench = bench(remit_runner::policy::DEMO);
    let ran = bench.site("ran");
    let text = format!("data \"external\" \"x\" {{\n  program = [\"touch\", \"{}\"]\n}}\n", ran.display());
    let (release, digest) = bench.broker.publish(&[&module(&text).declares("local-exec")]);
    let _runner = bench.runner();
    let job = bench.broker.job(&release, digest, "network", "deploy");
    let job = bench.broker.offer(&job);
    match bench.outcome(&job) {
        Outcome::Failed(failure) => {
            assert_eq!(failure.code, "policy.undeclared", "{failure:?}");
            assert!(failure.message.contains("does: external") && failure.hint.contains("remit.toml"));
        }
        other => panic!("{other:?}"),
    }
    assert!(!ran.exists());
    let mut files: Vec<_> =
        std::fs::read_dir(bench.data.join("questions")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let (exit, words) = run(&bench, &["policy", "explain", files.last().unwrap().to_str().unwrap()]);
    assert!(exit == 1 && words.contains("rule undeclared forbids"), "{words}");
    assert!(words.contains("rule escape-hatches forbids"), "the default forbids it too: {words}");
    assert!(words.contains("declared by the release: local-exec"), "{words}");
}

/// The digest in the command that lets it go on, as the vendor is told.
pub(crate) fn shown(words: &str) -> String {
    let (_, after) = words.split_once("`remit-runner approve ").unwrap();
    after.split('`').next().unwrap().to_owned()
}

/// A policy with one more rule: of what a plan makes the customer is asked.
fn asks_of_plans() -> String {
    let gate = "@id(\"gate\") @effect(\"approve\") @says(\"plans need approval\")\nforbid (principal, action, resource) when { context has plan && context.plan.create > 0 && !context.approved };\n";
    format!("{}{gate}", remit_runner::policy::DEFAULT)
}

#[test]
fn a_plan_that_the_vendor_approved_waits_for_the_customers_policy_too() {
    let mut bench = bench(&asks_of_plans());
    let made = module(MODULE);
    let (release, digest) = bench.broker.publish(&[&made]);
    let _runner = bench.runner();
    let plans = bench.broker.job(&release, digest, "network", "deploy");
    let plans = bench.broker.offer(&Job { class: Class::Plan, ..plans });
    let plan = match bench.outcome(&plans) {
        Outcome::Succeeded(success) => success.plan.unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(plan.changes.create, 1, "{plan:?}");
    assert!(!bench.journal().contains("\"held\""), "who only plans waits for nobody");

    let applies = bench.broker.job(&release, digest, "network", "deploy");
    let applies = bench.broker.offer(&Job { plan: Some(plan.digest), ..applies });
    let words = told(&bench, "plans need approval");
    assert!(words.contains(&format!("its plan {}", &plan.digest.hex()[..16])), "{words}");
    let state = bench.data.join("terraform/network.tfstate");
    assert!(!read(&state).contains("terraform_data"));
    say(&bench, "approve", &shown(&words));
    assert!(matches!(bench.outcome(&applies), Outcome::Succeeded(_)));
    assert!(read(&state).contains("terraform_data") && bench.verify());

    let again = bench.broker.job(&release, digest, "network", "deploy");
    let again = bench.broker.offer(&Job { plan: Some(plan.digest), ..again });
    match bench.outcome(&again) {
        Outcome::Refused { code, .. } => assert_eq!(code, "runner.plan_missing"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_plan_is_applied_only_when_that_very_plan_is_approved() {
    let mut bench = bench(&asks_of_plans());
    let made = module(MODULE);
    let (release, digest) = bench.broker.publish(&[&made]);
    let _runner = bench.runner();
    let job = bench.broker.job(&release, digest, "network", "deploy");
    let job = bench.broker.offer(&job);
    let words = told(&bench, "plans need approval");
    let plan = shown(&words);
    assert!(words.contains("1 made, 0 changed, 0 removed"), "{words}");
    let state = bench.data.join("terraform/network.tfstate");
    assert!(!read(&state).contains("terraform_data"));
    // Another plan's approval does not let this one through.
    say(&bench, "approve", &"ab".repeat(32));
    say(&bench, "approve", &plan);
    assert!(matches!(bench.outcome(&job), Outcome::Succeeded(_)));
    assert!(read(&state).contains("terraform_data"));
    let journal = bench.journal();
    assert!(journal.contains(&format!("\"content\":\"{plan}")) && bench.verify(), "{journal}");
}

#[test]
fn the_halt_switch_works_without_the_broker_and_ends_what_runs() {
    let mut bench = bench(remit_runner::policy::DEMO);
    let forever = script("forever", "touch started; exec sleep 600");
    let witness = script("witness", &format!("touch {}", bench.site("ran").display()));
    let (release, digest) = bench.broker.publish(&[&forever, &witness]);
    let runner = bench.runner();
    let job = bench.broker.job(&release, digest, "forever", "deploy");
    let running = bench.broker.offer(&job);
    let data = bench.data.to_str().unwrap().to_owned();
    let started = bench.data.join("work/forever/source/started");
    wait("the script to run", || started.exists().then_some(()));
    bench.broker.down();
    let (exit, words) = run(&bench, &["halt", "--now", "--data-dir", &data]);
    assert_eq!(exit, 0, "{words}");
    wait("the runner to see it", || {
        let status = runner.get("/v1/status");
        (status["mode"] == "halted" && status["journal"]["unreported"] == 1).then_some(())
    });
    wait("the script's end on record", || bench.journal().contains("the customer halted").then_some(()));
    bench.broker.up();
    assert!(matches!(bench.outcome(&running), Outcome::Cancelled { .. }));

    let job = bench.broker.job(&release, digest, "witness", "deploy");
    let waiting = bench.broker.offer(&job);
    assert!(!bench.site("ran").exists() && !bench.broker.is_started(&waiting));
    let (exit, words) = run(&bench, &["resume", "--data-dir", &data]);
    assert_eq!(exit, 0, "{words}");
    assert!(matches!(bench.outcome(&waiting), Outcome::Succeeded(_)));
    assert!(bench.site("ran").exists());
}

#[test]
fn a_policy_that_cannot_be_kept_to_stops_the_start() {
    let bench =
        bench("// version: 2\npermit (principal, action, resource) when { context.klass == \"x\" };\n");
    let (exit, words) = bench.complaint();
    assert!(exit == 1 && words.contains("error[policy.invalid]") && words.contains("hint:"), "{words}");
    assert!(!bench.data.join("identity.json").exists(), "nothing was begun");
    let permit = "permit (principal, action, resource);";
    std::fs::write(bench.path("remit.cedar"), format!("// version: 2\n{permit}")).unwrap();
    bench.runner().kill();
    std::fs::write(bench.path("remit.cedar"), format!("// version: 2\n{permit} // changed")).unwrap();
    let (_, words) = bench.complaint();
    assert!(words.contains("error[policy.version_old]") && words.contains("to 3 or more"), "{words}");
}
