//! What goes well: scripts, outputs that flow, rehearsal, logs, status, renewal.

use remit_proto::convert::Outcome;
use remit_seal::document::{ComponentKind, Part, Source, Value, ValueType};

use crate::bench::{Bench, wait};
use crate::broker::Broker;
use crate::product::{literal, output_ref, pack, part, script};

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

#[test]
fn outputs_flow_from_one_script_to_the_next_and_secrets_stay() {
    let mut bench = Bench::new();
    let first = script(
        "first",
        r#"echo "size is $REMIT_INPUT_SIZE"; echo "log of $REMIT_INPUT_KEY, as $(printf %s "$REMIT_INPUT_KEY" | base64)"
        printf '{"host":"db.example","password":"hunter2hunter2"}' > "$REMIT_OUTPUTS_FILE""#,
    )
    .input("size", Source::Input("size".to_owned()))
    .input("key", Source::Input("secret".to_owned()))
    .output("host", ValueType::String, false)
    .output("password", ValueType::String, true);
    let second = script(
        "second",
        r#"set -eu; test "$REMIT_INPUT_URL" = "db://db.example/x"; test "$REMIT_INPUT_PW" = hunter2hunter2
        echo "password is $REMIT_INPUT_PW"; grep -q '"pw":"hunter2hunter2"' "$REMIT_INPUTS_FILE"
        printf '{"leak":"x-%s"}' "$REMIT_INPUT_PW" > "$REMIT_OUTPUTS_FILE""#,
    )
    .input(
        "url",
        Source::Text(vec![
            Part::Literal("db://".to_owned()),
            Part::Output(output_ref("first", "host")),
            Part::Literal("/x".to_owned()),
        ]),
    )
    .input("pw", Source::Output(output_ref("first", "password")))
    .output("leak", ValueType::String, false);
    let (release, digest) = bench.broker.publish(&[&first, &second]);
    let mut one = bench.broker.job(&release, digest, "first", "deploy");
    one.inputs.insert("size".to_owned(), text("large"));
    let two = bench.broker.job(&release, digest, "second", "deploy");
    let runner = bench.runner();
    let one = bench.broker.offer(&one);
    match bench.outcome(&one) {
        Outcome::Succeeded(success) => {
            assert_eq!(
                success.outputs.into_iter().collect::<Vec<_>>(),
                [("host".to_owned(), text("db.example"))]
            );
        }
        other => panic!("{other:?}"),
    }
    let log = bench.broker.log(&one);
    assert!(log.contains("size is large") && log.contains("log of [redacted]"), "{log}");
    let two = bench.broker.offer(&two);
    match bench.outcome(&two) {
        Outcome::Succeeded(success) => assert_eq!(success.outputs["leak"], text("x-[redacted]")),
        other => panic!("{other:?}"),
    }
    let all = format!("{log}{}{}", bench.broker.log(&two), bench.journal());
    for secret in ["swordfish", "c3dvcmRmaXNo", "hunter2"] {
        assert!(!all.contains(secret), "{secret} left the account:\n{all}");
    }
    assert!(bench.verify());
    let receipts = runner.get("/v1/receipts?after=0&limit=3");
    assert_eq!(receipts["receipts"].as_array().unwrap().len(), 3);
    wait("the report on record", || {
        let last = runner.get("/v1/receipts?limit=1");
        last["receipts"][0]["entry"].get("reported").map(|_| ())
    });
}

#[test]
fn a_component_is_deployed_checked_and_destroyed_and_its_state_forgotten() {
    let mut bench = Bench::new();
    let mut thing =
        script("thing", r#"date +%s%N > "$REMIT_STATE_DIR/thing"; echo '{"a":1}' > "$REMIT_OUTPUTS_FILE""#)
            .output("a", ValueType::Integer, false);
    thing.command("destroy", &["sh", "-c", "rm \"$REMIT_STATE_DIR/thing\""]);
    thing.command(
        "drift",
        &["sh", "-c", "test -e \"$REMIT_STATE_DIR/thing\" || { echo it is gone; exit 2; }"],
    );
    let (release, digest) = bench.broker.publish(&[&thing]);
    let _runner = bench.runner();
    let (kept, outputs) = (bench.data.join("state/thing"), bench.data.join("outputs/thing.json"));
    let mut run = |operation: &str| {
        let job = bench.broker.job(&release, digest, "thing", operation);
        let job = bench.broker.offer(&job);
        match bench.outcome(&job) {
            Outcome::Succeeded(success) => (success.drifted, success.summary),
            other => panic!("{operation}: {other:?}"),
        }
    };
    assert_eq!(run("destroy").1, "nothing is deployed");
    run("deploy");
    assert_eq!(run("drift"), (false, "as deployed".to_owned()));
    std::fs::remove_file(kept.join("thing")).unwrap();
    assert_eq!(run("drift"), (true, "it is gone".to_owned()));
    run("deploy");
    assert!(outputs.exists());
    run("destroy");
    assert!(!kept.exists() && !outputs.exists(), "nothing is kept of what was destroyed");
}

#[test]
fn a_destroy_ends_well_only_when_the_sweep_finds_nothing() {
    let mut bench = Bench::new();
    let mut thing = script("thing", "touch \"$REMIT_STATE_DIR/one\" \"$REMIT_STATE_DIR/two\"");
    thing.command("destroy", &["sh", "-c", "rm -f \"$REMIT_STATE_DIR/one\""]);
    thing.command("sweep", &["sh", "-c", "echo looking >&2; cd \"$REMIT_STATE_DIR\" && find . -type f"]);
    let (release, digest) = bench.broker.publish(&[&thing]);
    let _runner = bench.runner();
    let two = bench.data.join("state/thing/two");
    let mut run = |operation: &str| {
        let job = bench.broker.job(&release, digest, "thing", operation);
        let job = bench.broker.offer(&job);
        bench.outcome(&job)
    };
    assert!(matches!(run("deploy"), Outcome::Succeeded(_)));
    match run("destroy") {
        Outcome::Failed(failure) => {
            assert_eq!(failure.code, "executor.destroy_incomplete");
            assert_eq!(failure.message, "still there after destroying: ./two");
        }
        other => panic!("{other:?}"),
    }
    assert!(two.exists(), "what is known of it is kept");
    std::fs::remove_file(two).unwrap();
    match run("destroy") {
        Outcome::Succeeded(success) => assert_eq!(success.swept, "sh looked and found nothing"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_kind_can_be_rehearsed_and_says_the_same_each_time() {
    let mut bench = Bench::new();
    bench.args.push("--sandbox".to_owned());
    let web = part("web", ComponentKind::Helm, pack(&[("Chart.yaml", "name: web")]))
        .input("image", literal("x:1"))
        .output("service", ValueType::String, false)
        .output("ports", ValueType::StringList, false)
        .output("key", ValueType::String, true);
    let (release, digest) = bench.broker.publish(&[&web]);
    let _runner = bench.runner();
    let mut seen = Vec::new();
    for operation in ["deploy", "deploy", "destroy", "deploy"] {
        let job = bench.broker.job(&release, digest, "web", operation);
        let job = bench.broker.offer(&job);
        match bench.outcome(&job) {
            Outcome::Succeeded(success) => seen.push(success),
            other => panic!("{other:?}"),
        }
    }
    assert!(seen[0].changes.create > 0);
    assert_eq!(seen[1].changes.create, 0, "the same again changes nothing");
    assert_eq!(seen[2].changes.delete, seen[0].changes.create);
    assert_eq!(seen[3].outputs, seen[0].outputs);
    assert_eq!(seen[0].outputs.keys().collect::<Vec<_>>(), ["ports", "service"]);
    assert!(!bench.data.join("outputs/web.json").exists(), "a rehearsal is not real");
}

#[test]
fn the_status_api_tells_and_pauses() {
    let mut bench = Bench::new();
    let slow = script("slow", "echo begun; while [ ! -e \"$REMIT_STATE_DIR/go\" ]; do sleep 0.05; done");
    let (release, digest) = bench.broker.publish(&[&slow]);
    let runner = bench.runner();
    wait("readiness", || (runner.ask("GET", "/readyz").0 == 200).then_some(()));
    assert_eq!(runner.ask("GET", "/livez"), (200, "alive\n".to_owned()));
    assert_eq!(runner.ask("GET", "/nothing").0, 404);
    let job = bench.broker.job(&release, digest, "slow", "deploy");
    let id = bench.broker.offer(&job);
    wait("the job to run", || bench.broker.log(&id).contains("begun").then_some(()));
    let jobs = runner.get("/v1/jobs");
    assert_eq!(
        (&jobs["jobs"][0]["component"], &jobs["jobs"][0]["phase"]),
        (&"slow".into(), &"running".into())
    );
    assert_eq!(runner.ask("POST", "/v1/pause").0, 200);
    assert_eq!(runner.get("/v1/status")["mode"], "paused");
    let second = bench.broker.job(&release, digest, "slow", "destroy");
    let second = bench.broker.offer(&second);
    std::fs::write(bench.data.join("state/slow/go"), "").unwrap();
    assert!(matches!(bench.outcome(&id), Outcome::Succeeded(_)), "what was begun is finished");
    assert!(!bench.broker.is_started(&second));
    assert_eq!(runner.ask("GET", "/readyz").0, 503);
    assert_eq!(runner.ask("POST", "/v1/resume").0, 200);
    bench.outcome(&second);
    let (_, metrics) = runner.ask("GET", "/metrics");
    assert!(
        metrics.contains(r#"remit_runner_attempts_ended_total{operation="deploy",outcome="succeeded"} 1"#),
        "{metrics}"
    );
}

#[test]
fn the_identity_is_private_kept_and_renewed() {
    use std::os::unix::fs::PermissionsExt;
    let mut bench = Bench::with(Broker::start_with(4_000));
    bench.args.push("--consume-token".to_owned());
    let runner = bench.runner();
    wait("a renewal", || (bench.broker.shared.held().renewals >= 1).then_some(()));
    let identity = bench.data.join("identity.json");
    assert_eq!(identity.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!bench.path("token").exists(), "the token was to be consumed");
    runner.kill();
    let polls = bench.broker.shared.held().polls;
    let _again = bench.runner();
    wait("a poll with the kept identity", || (bench.broker.shared.held().polls > polls).then_some(()));
}
