//! Secrets by reference: fetched where they are kept, handed to the tool, and nowhere else.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use remit_proto::convert::{FailureClass, Outcome};
use remit_seal::document::{Authority, Input, Source, Value, ValueType};
use serde_json::json;

use crate::aws::{self, Aws};
use crate::bench::Bench;
use crate::broker::TOKEN;
use crate::product::{Made, release, script};

const PARAMETER: &str = "/shop/db";
const IN_STORE: &str = "kept & <stored> 'well'";
const IN_FILE: &str = "filed-away-4711";

pub(crate) fn customers(value_type: ValueType, sensitive: bool) -> Input {
    Input {
        value_type,
        authority: Authority::Customer,
        default: None,
        max: 4096,
        choices: Vec::new(),
        sensitive,
        description: String::new(),
    }
}

/// Deploys a component of a release that has these inputs beside; how it ended, and its log.
pub(crate) fn run(bench: &mut Bench, part: &Made, inputs: &[(&str, Input)]) -> (Outcome, String) {
    let mut release = release(&[part]);
    release.inputs.extend(inputs.iter().map(|(name, input)| ((*name).to_owned(), input.clone())));
    let digest = bench.broker.publish_release(&release, &[part]);
    let job = bench.broker.job(&release, digest, &part.component.name, "deploy");
    let job = bench.broker.offer(&job);
    (bench.outcome(&job), bench.broker.log(&job))
}

/// Every file below that holds one of these.
pub(crate) fn holding(dir: &Path, needles: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path, needles));
        } else {
            let bytes = std::fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            found.extend(needles.iter().any(|n| text.contains(n)).then(|| path.display().to_string()));
        }
    }
    found
}

#[test]
fn a_secret_reaches_the_tool_and_nobody_else() {
    let aws = Aws::start();
    aws.put(PARAMETER, "SecureString", IN_STORE);
    let mut bench = Bench::new();
    let file = bench.path("key");
    std::fs::write(&file, format!("{IN_FILE}\n")).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    bench.env = aws.env("test", "test");
    bench
        .args
        .extend([format!("--secret=db=ssm:{PARAMETER}"), format!("--secret=key=file:{}", file.display())]);
    let part = script(
        "secretive",
        r#"echo "store $REMIT_INPUT_DB and file $REMIT_INPUT_URL"
        cat "$REMIT_INPUTS_FILE"; echo; stat -c '%a' "$REMIT_INPUTS_FILE"
        test "$REMIT_INPUT_DB" = "kept & <stored> 'well'" && test "$REMIT_INPUT_URL" = x-filed-away-4711 || exit 1
        printf '{"leak":"%s"}' "$REMIT_INPUT_URL" > "$REMIT_OUTPUTS_FILE""#,
    )
    .input("db", Source::Input("db".to_owned()))
    .input(
        "url",
        Source::Text(vec![
            remit_seal::document::Part::Literal("x-".to_owned()),
            remit_seal::document::Part::Input("key".to_owned()),
        ]),
    )
    .output("leak", ValueType::String, false);
    let _runner = bench.runner();
    let inputs = [("db", customers(ValueType::String, true)), ("key", customers(ValueType::String, true))];
    let (outcome, log) = run(&mut bench, &part, &inputs);
    match outcome {
        Outcome::Succeeded(success) => {
            assert_eq!(success.outputs["leak"], Value::String("x-[redacted]".to_owned()));
        }
        other => panic!("{other:?}\n{log}"),
    }
    assert!(log.contains("store [redacted] and file x-[redacted]") && log.contains("\n600\n"), "{log}");
    let mut left = holding(&bench.data, &[IN_STORE, IN_FILE]);
    // What a component gives is kept for those that need it, sensitive or not.
    left.retain(|path| !path.ends_with("outputs/secretive.json"));
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn a_secret_that_cannot_be_had_is_a_failure_that_names_what_is_missing() {
    let aws = Aws::start_with(4);
    aws.put(PARAMETER, "SecureString", IN_STORE);
    aws.put("/shop/open", "String", "everybody knows");
    let (key, secret) = aws.nobody();
    let believed = Aws::start();
    believed.put("/shop/open", "String", "everybody knows");
    let cases = [
        (aws.env(&key, &secret), PARAMETER, true, "runner.secret_denied", "kms:Decrypt"),
        (believed.env("test", "test"), PARAMETER, true, "runner.secret_missing", "put-parameter"),
        (believed.env("test", "test"), "/shop/open", true, "runner.secret_open", "SecureString"),
        (aws::busy(), PARAMETER, true, "runner.secret_throttled", "by itself"),
        (believed.env("test", "test"), PARAMETER, false, "runner.input_open", "sensitive"),
    ];
    for (env, name, sensitive, wanted, words) in cases {
        let mut bench = Bench::new();
        bench.env = env;
        bench.args.push(format!("--secret=db=ssm:{name}"));
        let part = script("secretive", "echo it ran").input("db", Source::Input("db".to_owned()));
        let runner = bench.runner();
        let (outcome, log) = run(&mut bench, &part, &[("db", customers(ValueType::String, sensitive))]);
        let Outcome::Failed(failure) = outcome else { panic!("{wanted}: {outcome:?}") };
        assert_eq!(failure.code, wanted, "{failure:?}");
        assert!(failure.hint.contains(words), "{failure:?}");
        let transient = wanted == "runner.secret_throttled";
        assert_eq!(failure.class == FailureClass::Transient, transient, "{failure:?}");
        assert!(!log.contains("it ran") && !log.contains("everybody knows"), "{log}");
        drop(runner);
    }
}

#[test]
fn the_token_is_taken_from_the_store_and_deleted_once_it_is_used() {
    let aws = Aws::start();
    aws.put("/remit/token", "SecureString", TOKEN);
    let mut bench = Bench::new();
    bench.env = aws.env("test", "test");
    bench.token = vec!["--token-from=ssm:/remit/token".to_owned(), "--consume-token".to_owned()];
    let runner = bench.runner();
    assert_eq!(runner.get("/v1/status")["generation"], 1);
    let (status, answer) = aws.ssm("GetParameter", &json!({"Name": "/remit/token"}));
    assert!(status == 400 && answer.contains("ParameterNotFound"), "{status}: {answer}");
    runner.kill();
    // It is not asked for again.
    bench.runner();
}
