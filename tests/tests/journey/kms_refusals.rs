//! What `remit` says when a key of AWS KMS is not to be had, or what answers is not KMS.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remit_seal::key::SigningKey;
use remit_tests::world::aws::{Aws, Hostile, Manner, REGION, Word};
use remit_tests::world::programs;
use serde_json::{Value, json};

/// A person at a desk with `remit`, no broker.
struct Desk {
    dir: tempfile::TempDir,
    env: Vec<(String, String)>,
}

struct Ended {
    code: Option<i32>,
    error: Value,
    took: Duration,
}

impl Desk {
    fn new(env: Vec<(String, String)>) -> Desk {
        Desk { dir: tempfile::tempdir().unwrap(), env }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn remit(&self, args: &[&str]) -> Ended {
        let began = Instant::now();
        let mut command = Command::new(programs::path("remit").unwrap());
        command.args(["--keys-dir", "keys", "-o", "json"]).args(args).current_dir(self.dir.path());
        command.env_clear().envs(self.env.iter().cloned());
        let output = command.output().unwrap();
        let said = if output.status.success() { output.stdout } else { output.stderr };
        let error = serde_json::from_slice(&said).unwrap_or(Value::Null);
        Ended { code: output.status.code(), error, took: began.elapsed() }
    }

    /// It ends with this code for this reason.
    fn refuses(&self, what: &str, args: &[&str], exit: i32, code: &str, word: &str) -> Ended {
        let ended = self.remit(args);
        let error = &ended.error["error"];
        assert_eq!((ended.code, error["code"].as_str()), (Some(exit), Some(code)), "{what}: {error}");
        assert!(error.to_string().contains(word), "{what}: no `{word}` in {error}");
        ended
    }
}

/// The public half of a key as KMS answers it.
fn public_key(usage: &str, spki: &str) -> Word {
    let body =
        json!({ "KeyId": ARN, "KeyUsage": usage, "PublicKey": spki, "SigningAlgorithms": ["ECDSA_SHA_256"] });
    Word::Says(200, body.to_string())
}

fn fault(status: u16, kind: &str) -> Word {
    Word::Says(status, json!({ "__type": kind, "message": format!("{kind} it says") }).to_string())
}

fn signature(der: &[u8]) -> Word {
    Word::Says(200, json!({ "KeyId": ARN, "Signature": STANDARD.encode(der) }).to_string())
}

const ARN: &str = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const URI: &str = "awskms:///alias/root?region=eu-central-1";

#[test]
fn a_key_that_is_none_to_sign_with_is_not_taken_note_of() {
    let hostile = Hostile::start().unwrap();
    let desk = Desk::new(hostile.env());
    let good = SigningKey::p256_from_seed(&[2; 32]).unwrap().public().spki;
    let other = SigningKey::ed25519_from_seed(&[2; 32]).public().spki;
    let rows = [
        (public_key("ENCRYPT_DECRYPT", &good), 3, "kms.key_unsuitable", "SIGN_VERIFY"),
        (public_key("SIGN_VERIFY", &other), 3, "kms.key_unsuitable", "ECC_NIST_P256"),
        (public_key("SIGN_VERIFY", "AAAA"), 3, "kms.key_unsuitable", "create-key"),
        (Word::Says(200, "{}".to_owned()), 3, "kms.key_unsuitable", "SIGN_VERIFY"),
        (fault(400, "UnsupportedOperationException"), 3, "kms.key_unsuitable", "it says"),
        (fault(400, "NotFoundException"), 4, "kms.key_missing", "region"),
        (fault(400, "DisabledException"), 3, "kms.key_disabled", "enable it"),
        (fault(400, "AccessDeniedException"), 3, "kms.denied", "kms:GetPublicKey"),
        (fault(400, "ExpiredTokenException"), 1, "kms.credentials", "log in"),
        (fault(400, "InvalidSignatureException"), 1, "kms.credentials", "log in"),
        (fault(400, "ThrottlingException"), 5, "kms.throttled", "quota"),
        (fault(500, "KMSInternalException"), 5, "kms.unreachable", "network"),
        (Word::Says(200, "<html>".to_owned()), 5, "kms.unreachable", "proxy"),
        (Word::Says(302, String::new()), 5, "kms.unreachable", "proxy"),
        (Word::HangsUp, 5, "kms.unreachable", "AWS_ENDPOINT_URL"),
    ];
    for (word, exit, code, words) in rows {
        hostile.tell("GetPublicKey", word.clone());
        desk.refuses(&format!("{word:?}"), &["keys", "make", "ci", "--kms", URI], exit, code, words);
        assert!(!desk.path("keys/ci.kms.json").exists(), "nothing was begun");
    }
    hostile.tell("GetPublicKey", public_key("SIGN_VERIFY", &good));
    let made = desk.remit(&["keys", "make", "ci", "--kms", URI]);
    assert_eq!((made.code, made.error["kms"].as_str()), (Some(0), Some(format!("awskms:///{ARN}").as_str())));
}

/// A root that is signed in KMS needs no broker: the shortest way to a signature.
fn ceremony(desk: &Desk, hostile: &Hostile) -> [&'static str; 9] {
    let key = SigningKey::p256_from_seed(&[2; 32]).unwrap().public();
    hostile.tell("GetPublicKey", public_key("SIGN_VERIFY", &key.spki));
    for args in [&["keys", "make", "root", "--kms", URI][..], &["keys", "make", "release"]] {
        assert_eq!(desk.remit(args).code, Some(0));
    }
    dispatch(&desk.path("dispatch.json"));
    NEW_ROOT
}

const NEW_ROOT: [&str; 9] = [
    "keys",
    "root",
    "new",
    "demo",
    "--add-root=keys/root.pub.json",
    "--add-release=keys/release.pub.json",
    "--dispatch=dispatch.json",
    "--days=20",
    "--out=root.1.json",
];

fn dispatch(file: &Path) {
    let spki = SigningKey::ed25519_from_seed(&[7; 32]).public().spki;
    let key = json!({ "id": "x", "state": "current", "key": { "algorithm": "ed25519", "spki": spki } });
    std::fs::write(file, json!({ "keys": [key] }).to_string()).unwrap();
}

#[test]
fn what_is_no_signature_by_the_key_is_thrown_away() {
    let hostile = Hostile::start().unwrap();
    let desk = Desk::new(hostile.env());
    let new_root = ceremony(&desk, &hostile);
    let rows = [
        (Word::Says(200, "{}".to_owned()), 3, "kms.signature", "without a signature"),
        (signature(b"not DER"), 3, "kms.signature", "no signature of P-256"),
        // r = s = 1: well formed, and nobody's.
        (signature(&[0x30, 6, 2, 1, 1, 2, 1, 1]), 3, "kms.signature", "by the key"),
        (fault(400, "AccessDeniedException"), 3, "kms.denied", "kms:Sign"),
        (fault(400, "InvalidKeyUsageException"), 3, "kms.key_unsuitable", "SIGN_VERIFY"),
        (fault(400, "KMSInvalidStateException"), 3, "kms.key_disabled", "enable"),
        (fault(400, "ThrottlingException"), 5, "kms.throttled", "quota"),
    ];
    for (word, exit, code, words) in rows {
        hostile.tell("Sign", word.clone());
        desk.refuses(&format!("{word:?}"), &new_root, exit, code, words);
        assert!(!desk.path("root.1.json").exists(), "nothing was written");
    }
    hostile.tell("Sign", Word::Nothing);
    let ended = desk.refuses("silence", &new_root, 5, "kms.unreachable", "AWS_ENDPOINT_URL");
    assert!(ended.took < Duration::from_secs(30), "{:?}", ended.took);
}

/// moto as it comes hashes the digest once more. Were it KMS, every runner would refuse what it signs.
#[test]
fn a_kms_that_signs_something_else_is_found_out() {
    let aws = Aws::start(&Manner { untaught: true, ..Manner::default() }).unwrap();
    let uri = aws.signing_key("root").unwrap();
    let desk = Desk::new(aws.env_of_anybody());
    for args in [&["keys", "make", "root", "--kms", &uri][..], &["keys", "make", "release"]] {
        assert_eq!(desk.remit(args).code, Some(0));
    }
    dispatch(&desk.path("dispatch.json"));
    desk.refuses("untaught", &NEW_ROOT, 3, "kms.signature", "by the key");
}

#[test]
fn settings_that_lead_nowhere_are_named() {
    let aws = Aws::start(&Manner::default()).unwrap();
    let uri = aws.signing_key("root").unwrap();
    let mut desk = Desk::new(aws.env_of_anybody());
    let make = |uri: &str| ["keys", "make", "x", "--kms", uri].map(str::to_owned);
    let refuses = |desk: &Desk, uri: &str, exit: i32, code: &str, word: &str| {
        let args = make(uri);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        desk.refuses(uri, &args, exit, code, word);
    };
    refuses(&desk, "alias/root", 2, "cli.usage", "awskms:///alias/");
    refuses(&desk, "awskms://localhost:4566/alias/root", 2, "cli.usage", "AWS_ENDPOINT_URL_KMS");
    refuses(&desk, "awskms:///alias/root", 1, "kms.settings", "?region=NAME");
    for (content, word) in [(None, "No such file"), (Some("nothing"), "no certificate")] {
        let file = desk.path("bundle.pem");
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        desk.env.push(("AWS_CA_BUNDLE".to_owned(), file.display().to_string()));
        refuses(&desk, &uri, 1, "kms.settings", word);
        desk.env.pop();
    }
    desk.env.retain(|(name, _)| !name.starts_with("AWS_ACCESS") && !name.starts_with("AWS_SECRET"));
    refuses(&desk, &uri, 1, "kms.credentials", "AWS_PROFILE");
}

/// The endpoint has a certificate of a private authority, as behind a proxy that opens TLS.
#[test]
fn a_private_authority_is_believed_when_it_is_named() {
    let mut desk = Desk::new(vec![]);
    let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (desk.path("cert.pem"), desk.path("key.pem"));
    std::fs::write(&certificate, signed.cert.pem()).unwrap();
    std::fs::write(&key, signed.signing_key.serialize_pem()).unwrap();
    let aws = Aws::start(&Manner { tls: Some((certificate.clone(), key)), ..Manner::default() }).unwrap();
    desk.env = aws.env_of_anybody();
    let uri = format!("awskms:///alias/root?region={REGION}");
    let make = ["keys", "make", "root", "--kms", &uri];
    desk.refuses("an unknown authority", &make, 5, "kms.unreachable", "certificate");
    desk.env.push(("AWS_CA_BUNDLE".to_owned(), certificate.display().to_string()));
    // Known now; the key was never made there, and that is what it says.
    desk.refuses("a known authority", &make, 4, "kms.key_missing", "alias/root");
}

#[test]
fn a_root_that_runs_out_is_warned_of_where_it_is_seen() {
    let desk = Desk::new(vec![("NO_COLOR".to_owned(), "1".to_owned())]);
    for name in ["root", "release"] {
        assert_eq!(desk.remit(&["keys", "make", name]).code, Some(0));
    }
    dispatch(&desk.path("dispatch.json"));
    assert_eq!(desk.remit(&NEW_ROOT).code, Some(0));
    for args in [["keys", "root", "inspect"].as_slice(), &["keys", "show"]] {
        let mut command = Command::new(programs::path("remit").unwrap());
        command.args(["--keys-dir", "keys"]).args(args).current_dir(desk.dir.path()).env("NO_COLOR", "1");
        let told = String::from_utf8(command.output().unwrap().stdout).unwrap();
        assert!(told.contains("runs out in 19 days") && told.contains("keys root rotate"), "{told}");
    }
}
