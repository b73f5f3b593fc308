//! Precedence, bounds and refusals of settings.

use clap::Parser;

use super::*;
use crate::config::cli::{Cli, Command};

fn args(line: &str) -> RunArgs {
    let words = ["remit-runner", "run"].into_iter().chain(line.split_whitespace());
    match Cli::try_parse_from(words).unwrap().command {
        Command::Run(args) => *args,
        other => panic!("{other:?}"),
    }
}

const FULL: &str = "--broker https://b:7451 --install ins_demo.shop.acme --ca-file ca --data-dir d";

fn check(line: &str, file: &str) -> Result<Config, Error> {
    let file = parse_file(Path::new("runner.toml"), file)?;
    resolve(merge(args(line), file), false, |path| {
        Ok(if path == Path::new("in.json") { r#"{"a":1,"b":["x"]}"# } else { "pem" }.to_owned())
    })
}

fn code(line: &str, file: &str) -> &'static str {
    check(line, file).unwrap_err().code()
}

#[test]
fn a_flag_goes_before_the_file() {
    let config = check(&format!("{FULL} --capacity 2"), "capacity = 7\nsandbox = true").unwrap();
    assert_eq!((config.capacity, config.sandbox), (2, true));
    let config = check(FULL, "capacity = 7").unwrap();
    assert_eq!(config.capacity, 7);
    assert_eq!(config.status_listen.to_string(), "127.0.0.1:7460");
    assert_eq!(config.install.audience(2, 3).app, "shop");
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    assert_eq!(code("--install ins_a.b.c --ca-file x --data-dir d", ""), "runner.config_missing");
    assert_eq!(code(FULL, "unknown = 1"), "runner.config_invalid");
    assert_eq!(code(&format!("{FULL} --capacity 0"), ""), "runner.config_invalid");
    assert_eq!(code(&format!("{FULL} --root-sha256 abc"), ""), "runner.config_invalid");
    assert_eq!(code(&FULL.replace("https", "http"), ""), "runner.config_invalid");
    assert_eq!(code(&FULL.replace("ins_demo.shop.acme", "ins_demo.acme"), ""), "runner.config_invalid");
    assert_eq!(code(&format!("{FULL} --input size"), ""), "runner.config_invalid");
    let open = format!("{FULL} --status-listen 0.0.0.0:1");
    assert_eq!(code(&open, ""), "runner.status_not_loopback");
    check(&format!("{open} --status-allow-remote"), "").unwrap();
}

#[test]
fn an_account_and_its_region_are_given_together() {
    let config =
        check(&format!("{FULL} --aws-account 123456789012"), "aws_region = \"eu-central-1\"").unwrap();
    let aws = config.aws.unwrap();
    assert_eq!((aws.account.as_str(), aws.region.as_str()), ("123456789012", "eu-central-1"));
    assert_eq!(check(FULL, "").unwrap().aws, None);
    for (line, expected) in [
        ("--aws-account 123456789012", "runner.config_missing"),
        ("--aws-region eu-central-1", "runner.config_missing"),
        ("--aws-account 1234 --aws-region eu-central-1", "runner.config_invalid"),
        ("--aws-account 123456789012 --aws-region mars-1", "runner.config_invalid"),
    ] {
        assert_eq!(code(&format!("{FULL} {line}"), ""), expected, "{line}");
    }
}

#[test]
fn locks_can_be_in_a_cluster_and_states_cannot() {
    let config =
        check(&format!("{FULL} --lock kubernetes://remit/shop"), "state = \"s3://acme/shop\"").unwrap();
    assert!(
        matches!(config.lock, lock::backend::At::Kubernetes(_))
            && matches!(config.state, object_store::At::S3(_))
    );
    let config = check(FULL, "lock = \"s3://acme/shop\"").unwrap();
    assert!(
        matches!(config.lock, lock::backend::At::Cells(object_store::At::S3(_)))
            && config.state == object_store::At::File
    );
    for wrong in
        ["--lock k8s://remit/shop", "--lock kubernetes://remit", "--lock s3://a", "--state kubernetes://a/b"]
    {
        assert_eq!(code(&format!("{FULL} {wrong}"), ""), "runner.config_invalid", "{wrong}");
    }
    let words = check(&format!("{FULL} --lock nowhere"), "").unwrap_err().to_string();
    assert!(words.contains("kubernetes://namespace/name") && words.contains("s3://"), "{words}");
}

#[test]
fn inputs_come_from_flags_and_files() {
    let config =
        check(&format!("{FULL} --input size=3 --inputs-file in.json"), "inputs = { c = true }").unwrap();
    assert_eq!(config.inputs["size"], "3");
    assert_eq!(config.inputs_file["a"], Value::Integer(1));
    assert_eq!(config.inputs_file["c"], Value::Boolean(true));
}

#[test]
fn a_bad_inputs_file_is_not_quoted() {
    let error = parse_inputs(Path::new("in.toml"), "ok = 1\npassword = hunter2\n").unwrap_err();
    let text = error.to_string();
    assert!(text.contains("line 2") && !text.contains("hunter2"), "{text}");
}

#[test]
fn an_oversized_file_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("runner.toml");
    std::fs::write(&path, vec![b'#'; FILE_LEN_MAX as usize + 1]).unwrap();
    let mut args = args(FULL);
    args.config = Some(path);
    assert_eq!(load(args, false).unwrap_err().code(), "runner.config_unreadable");
}

#[test]
fn the_token_is_never_a_flag() {
    let line = format!("{FULL} --token abc");
    let words = ["remit-runner", "run"].into_iter().chain(line.split_whitespace());
    assert!(Cli::try_parse_from(words).is_err());
}

#[test]
fn secrets_are_named_by_where_they_are_and_never_by_their_value() {
    let file = "[secrets]\ndb = \"ssm:/shop/db\"\nkey = \"file:/run/key\"";
    let config = check(&format!("{FULL} --secret db=file:/run/db"), file).unwrap();
    let shown: Vec<String> = config.secrets.iter().map(|(name, at)| format!("{name}={at}")).collect();
    assert_eq!(shown, ["db=file:/run/db", "key=file:/run/key"], "a flag goes before the file");
    let error = check(&format!("{FULL} --secret db=hunter2hunter2"), "").unwrap_err();
    assert!(error.code() == "runner.config_invalid" && !error.to_string().contains("hunter2"), "{error}");
    let twice = format!("{FULL} --secret a=ssm:/a --inputs-file in.json");
    assert_eq!(code(&twice, ""), "runner.config_invalid");
    let config = check(&format!("{FULL} --token-from ssm:/token"), "").unwrap();
    assert_eq!(config.token, Some(TokenSource::Secret(Reference::Ssm("/token".to_owned()))));
    assert_eq!(code(&format!("{FULL} --token-from ssm:/token --token-file t"), ""), "runner.config_invalid");
}

#[test]
fn what_jobs_may_reach_is_said_by_whole_paths() {
    assert_eq!(code(&format!("{FULL} --allow-read here"), ""), "runner.config_invalid");
    let open = format!("{FULL} --allow-read /srv --secret key=file:/srv/key");
    assert_eq!(code(&open, ""), "runner.config_invalid");
    let file = "allow_write = [\"/srv\"]\nconfinement = \"best\"\njob_file_mib = 3";
    let jobs = check(&format!("{FULL} --allow-write /opt/x --allow-metadata"), file).unwrap().jobs;
    assert_eq!(jobs.write, [PathBuf::from("/opt/x"), PathBuf::from("/srv")]);
    assert_eq!((jobs.strictness, jobs.metadata, jobs.limits.file), (Strictness::Best, true, 3 << 20));
}
