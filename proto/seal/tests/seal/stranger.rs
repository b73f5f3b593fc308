//! A stranger's verifier, in another language and without a library, written from docs/keys.md: it believes what
//! this crate believes of the kept vectors, and nothing that was changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

fn tests(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}

fn pin() -> String {
    let index: Value = serde_json::from_slice(&fs::read(tests("vectors/index.json")).unwrap()).unwrap();
    index[0]["pin"].as_str().unwrap().to_owned()
}

/// Whether it believes these: the pin, the root, and a document by a role.
fn believes(pin: &str, root: &Path, document: Option<(&str, &Path)>) -> bool {
    let mut command = Command::new("python3");
    command.arg(tests("stranger.py")).arg(pin).arg(root);
    if let Some((role, file)) = document {
        command.arg(role).arg(file);
    }
    let output = command.output().expect("python3 is one of the tools that the checks need");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || said.contains("Error"), "{said}");
    output.status.success()
}

#[test]
fn a_verifier_made_from_the_page_believes_real_documents() {
    let lines = fs::read_to_string(tests("stranger.py")).unwrap().lines().count();
    assert!(lines <= 60, "the page is good enough for 60 lines, and these are {lines}");
    let root = tests("vectors/root.good.json");
    assert!(believes(&pin(), &root, None));
    for (role, file) in [("release", "vectors/release.good.json"), ("dispatch", "vectors/job.good.json")] {
        assert!(believes(&pin(), &root, Some((role, &tests(file)))), "{file}");
    }
    // The same two algorithms the other way round: the good root signs releases by P-256 and jobs by Ed25519.
    let keys = fs::read_to_string(&root).unwrap();
    let keys: Value = serde_json::from_str(&keys).unwrap();
    let keys = STANDARD.decode(keys["payload"].as_str().unwrap()).unwrap();
    let keys = String::from_utf8(keys).unwrap();
    assert!(keys.contains("ed25519") && keys.contains("ecdsa-p256-sha256"), "both algorithms are tried");
}

#[test]
fn a_verifier_made_from_the_page_refuses_what_was_changed() {
    let folder = tempfile::tempdir().unwrap();
    let root = tests("vectors/root.good.json");
    for (role, file) in [("release", "vectors/release.good.json"), ("dispatch", "vectors/job.good.json")] {
        let good: Value = serde_json::from_slice(&fs::read(tests(file)).unwrap()).unwrap();
        let flip = |text: &Value, at: usize| {
            let mut bytes = STANDARD.decode(text.as_str().unwrap()).unwrap();
            bytes[at] ^= 1;
            json!(STANDARD.encode(bytes))
        };
        let changed: [&dyn Fn(&mut Value); 5] = [
            &|d| d["payload"] = flip(&d["payload"], 20),
            &|d| d["signatures"][0]["sig"] = flip(&d["signatures"][0]["sig"], 40),
            &|d| d["payloadType"] = json!("application/vnd.remit.root.v1+json"),
            &|d| d["signatures"][0]["keyid"] = json!("00".repeat(32)),
            &|d| d["signatures"] = json!([]),
        ];
        for (n, change) in changed.iter().enumerate() {
            let mut document = good.clone();
            change(&mut document);
            let path = folder.path().join("changed.json");
            fs::write(&path, document.to_string()).unwrap();
            assert!(!believes(&pin(), &root, Some((role, &path))), "{file}, change {n}");
        }
    }
    assert!(!believes(&"00".repeat(32), &root, None), "another root than the pinned one");
    let (release, job) = (tests("vectors/release.good.json"), tests("vectors/job.good.json"));
    assert!(!believes(&pin(), &root, Some(("release", &job))), "a job is no release");
    assert!(!believes(&pin(), &root, Some(("dispatch", &release))), "a release is no job");
}
