//! `remit-broker` as a program: what it prints, how it starts, stops and refuses.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn broker() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_remit-broker"));
    command.env_remove("REMIT_DATA_DIR").env_remove("REMIT_CONFIG").env("REMIT_LOG", "warn");
    command
}

fn refused(args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = broker().args(args).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn bad_usage_ends_before_anything_starts() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let file = dir.path().join("broker.toml");
    std::fs::write(&file, "api_lisen = 'x'\n").unwrap();
    let (data_arg, file_arg) = (data.to_str().unwrap(), file.to_str().unwrap());
    for (args, word) in [
        (vec!["serve"], "--data-dir"),
        (vec!["serve", "--data-dir", data_arg, "--api-listen", "nowhere"], "api-listen"),
        (vec!["serve", "--data-dir", data_arg, "--config", file_arg], "api_lisen"),
        (vec!["serve", "--data-dir", data_arg, "--config", "/does/not/exist"], "/does/not/exist"),
        (vec!["serve", "--data-dir", data_arg, "--log", "a=b=c"], "log filter"),
        (vec!["serve", "--fly"], "--fly"),
    ] {
        let (code, stderr) = refused(&args);
        assert_eq!(code, Some(64), "{args:?}: {stderr}");
        assert!(stderr.contains(word), "{args:?}: {stderr}");
    }
    assert!(!data.exists());
}

#[test]
fn it_prints_its_api_and_completions() {
    let document = broker().arg("openapi").output().unwrap().stdout;
    let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
    assert!(document["paths"]["/v1/objects/{id}/signals"].is_object());
    let completion = broker().args(["completion", "bash"]).output().unwrap().stdout;
    assert!(String::from_utf8(completion).unwrap().contains("remit-broker"));
}

fn start(data: &std::path::Path) -> (Child, Vec<String>) {
    let listen = ["--api-listen", "127.0.0.1:0", "--rpc-listen", "127.0.0.1:0"];
    let mut command = broker();
    command.arg("serve").arg("--data-dir").arg(data).args(listen);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines().take(4).map(Result::unwrap).collect();
    (child, lines)
}

#[test]
fn it_says_what_to_export_and_ends_on_sigterm() {
    let dir = tempfile::tempdir().unwrap();
    let (mut child, lines) = start(dir.path());
    for (line, name) in lines[1..].iter().zip(["REMIT_BROKER", "REMIT_CA_FILE", "REMIT_TOKEN_FILE"]) {
        assert!(line.trim().starts_with(&format!("export {name}=")), "{lines:?}");
    }
    let secret = std::fs::read_to_string(dir.path().join("operator.token")).unwrap();
    assert!(!lines.concat().contains(secret.trim()), "the token itself is not printed");
    let began = Instant::now();
    let kill = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(kill.success());
    let status = child.wait().unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert!(status.success(), "{status} {stderr}");
    assert!(began.elapsed() < Duration::from_secs(10), "nothing was under way");
    let (mut again, _) = start(dir.path());
    again.kill().unwrap();
    again.wait().unwrap();
    assert_eq!(std::fs::read_to_string(dir.path().join("operator.token")).unwrap(), secret);
}
