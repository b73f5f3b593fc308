//! The program `remit` against a real broker: what it prints, what it refuses, how it ends.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use remit_broker::config::Config;
use remit_broker::{Listeners, Running, serve};

/// A folder for one test, and the environment that a person would export.
struct Desk {
    dir: tempfile::TempDir,
    env: Vec<(&'static str, String)>,
}

/// How a command ended.
#[derive(Debug)]
struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl Desk {
    fn at(running: &Running) -> Self {
        let env = vec![
            ("REMIT_BROKER", format!("https://{}", running.api_addr)),
            ("REMIT_CA_FILE", running.ca_file.display().to_string()),
            ("REMIT_TOKEN_FILE", running.operator_token_file.display().to_string()),
        ];
        Self { dir: tempfile::tempdir().unwrap(), env }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// Runs `remit` in the product's folder (or the desk's own, before there is one).
    async fn run(&self, line: &str) -> Ended {
        let product = self.path("shop");
        let cwd = if product.is_dir() { product } else { self.dir.path().to_owned() };
        run(line, &cwd, &self.env).await
    }

    /// Runs it and expects this exit code and these words (of either output).
    async fn check(&self, line: &str, code: i32, words: &[&str]) -> Ended {
        let ended = self.run(line).await;
        assert_eq!(ended.code, code, "remit {line}: {ended:?}");
        for word in words {
            let said = ended.out.contains(word) || ended.err.contains(word);
            assert!(said, "remit {line}: no `{word}` in {ended:?}");
        }
        ended
    }
}

async fn run(line: &str, cwd: &Path, env: &[(&'static str, String)]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_remit"));
    command.args(line.split_whitespace()).current_dir(cwd).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).envs(env.iter().cloned());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ended { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
}

async fn broker(dir: &Path) -> Running {
    let config = Config::local(dir.join("broker"));
    serve(&config, Listeners::bind(&config).await.unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_goes_from_an_empty_folder_to_an_install() {
    let data = tempfile::tempdir().unwrap();
    let running = broker(data.path()).await;
    let desk = Desk::at(&running);
    desk.check("ready", 0, &["is ready"]).await;
    desk.check("release list", 2, &["cli.usage", "which app?"]).await;
    desk.check("init shop", 0, &["16 files are in shop"]).await;
    desk.check("init .", 3, &["cli.product_exists"]).await;
    desk.check("check", 0, &["7 components"]).await;
    desk.check("release create", 4, &["cli.keys_missing", "remit keys init"]).await;
    let made = desk.check("keys init", 0, &["release"]).await;
    assert!(!made.out.contains("PRIVATE"), "keys are never printed");
    desk.check("keys init", 3, &["cli.keys_exist"]).await;
    desk.check("release create", 3, &["cli.root_missing"]).await;
    desk.check("org create", 0, &["org_demo is made", "root sha256"]).await;
    desk.check("org create", 0, &["already"]).await;
    desk.check("org create other", 3, &["cli.root_foreign"]).await;
    desk.check("release create --dry-run", 0, &["nothing was published"]).await;
    desk.check("release list", 0, &["no releases yet"]).await;
    desk.check("release create --version 1.0", 0, &["1.0", "counter 1", "sha256:"]).await;
    desk.check("release create --version 1.0", 3, &["cli.version_taken"]).await;
    desk.check("release create --counter 1", 3, &["cli.counter_not_newer", "take 2"]).await;
    desk.check("release create", 0, &["0.2.0", "counter 2"]).await;
    desk.check("app list", 0, &["shop", "0.2.0"]).await;
    let made = desk.check("install create acme", 0, &["remit-runner run", "--root-sha256", "site_dir"]).await;
    let token = std::fs::read_to_string(desk.path("shop/acme.token")).unwrap();
    assert!(!made.out.contains(token.trim()) && !made.err.contains(token.trim()), "tokens are never printed");
    let mode = std::fs::metadata(desk.path("shop/acme.token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    desk.check("install create acme", 3, &["loop.exists"]).await;
    desk.check("install list", 0, &["acme", "provisioning", "expected"]).await;
    desk.check("why acme", 0, &["waiting.runner"]).await;
    desk.check("queue acme", 0, &["operation 1 deploy of release 0.2.0", "network"]).await;
    desk.check("timeline acme -n 10", 0, &["made by operator"]).await;
    desk.check("signal acme pause --reason lunch", 0, &["accepted"]).await;
    desk.check("why acme", 0, &["lunch"]).await;
    desk.check("logs acme", 0, &["no logs yet"]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_gets_a_template_and_a_link_without_a_secret() {
    let data = tempfile::tempdir().unwrap();
    let running = broker(data.path()).await;
    let desk = Desk::at(&running);
    for line in ["init shop", "keys init", "org create", "release create", "install create acme"] {
        desk.check(line, 0, &[]).await;
    }
    let first = std::fs::read_to_string(desk.path("shop/acme.token")).unwrap();
    let runner = "--runner-url https://example.com/remit-runner --runner-sha256";
    let sha = "ab".repeat(32);
    let url = "https://bucket.s3.eu-central-1.amazonaws.com/acme.json";
    let line = format!("install link acme --region eu-central-1 --template-url {url} {runner} {sha}");
    let made = desk.check(&line, 0, &["quickcreate", "acme.template.json"]).await;
    let token = std::fs::read_to_string(desk.path("shop/acme.token")).unwrap();
    assert_ne!(token, first, "a newer token takes the place of the older");
    let template = std::fs::read_to_string(desk.path("shop/acme.template.json")).unwrap();
    assert!(template.contains(&sha) && !template.contains(token.trim()) && !made.out.contains(token.trim()));
    desk.check("install link acme --region eu-central-1", 2, &["--runner-url"]).await;
    desk.check(&line.replace("--region eu-central-1", "--region nowhere"), 2, &["installer."]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_read_json_and_exit_codes() {
    let data = tempfile::tempdir().unwrap();
    let running = broker(data.path()).await;
    let desk = Desk::at(&running);
    desk.check("init shop", 0, &[]).await;
    desk.check("keys init", 0, &[]).await;
    desk.check("org create", 0, &[]).await;
    let json = |ended: &Ended| serde_json::from_str::<serde_json::Value>(&ended.out).unwrap();
    let made = json(&desk.check("release create -o json", 0, &[]).await);
    assert_eq!(made["release"]["counter"], 1);
    let link = json(&desk.check("install create acme -o json", 0, &[]).await);
    assert_eq!(link["install"], "ins_demo.shop.acme");
    let view = json(&desk.check("install show acme -o json", 0, &[]).await);
    assert_eq!(view["view"]["status"]["word"], "provisioning");
    let failed = desk.check("install show nobody -o json", 4, &[]).await;
    let error: serde_json::Value = serde_json::from_str(&failed.err).unwrap();
    assert_eq!(error["error"]["code"], "api.not_found");
    std::fs::write(desk.path("shop/remit.toml"), "version = 1\nx = 2\n").unwrap();
    let failed = desk.check("check -o json", 2, &[]).await;
    let error: serde_json::Value = serde_json::from_str(&failed.err).unwrap();
    let problems = error["error"]["details"]["problems"].as_array().unwrap();
    assert!(problems.iter().any(|p| p["code"] == "config.unknown_field" && p["line"] == 2), "{error}");
    desk.check("check", 2, &["--> remit.toml:2:1", "config.unknown_field"]).await;
    desk.check("frobnicate", 2, &["unrecognized subcommand"]).await;
    desk.check("completion bash", 0, &["_remit"]).await;
    desk.check("--help", 0, &["Exit codes", "remit release create"]).await;
    desk.check("signal --help", 0, &["check_drift", "[install]"]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_certificates_are_checked() {
    let data = tempfile::tempdir().unwrap();
    let running = broker(data.path()).await;
    let mut desk = Desk::at(&running);
    desk.check("init shop", 0, &[]).await;
    desk.check("keys init", 0, &[]).await;
    desk.check("org create", 0, &[]).await;
    desk.check("token whoami", 0, &["operator"]).await;
    desk.check("token create ci --out ci.token", 0, &["ci.token"]).await;
    desk.check("token list", 0, &["ci"]).await;
    let operator = desk.env[2].clone();
    desk.env[2].1 = desk.path("shop/ci.token").display().to_string();
    desk.check("token whoami", 0, &["org demo"]).await;
    desk.check("release create", 0, &["is published"]).await;
    desk.check("why ins_other.shop.acme", 4, &["api.not_found"]).await;
    let own = std::mem::replace(&mut desk.env[2], operator);
    desk.check("token delete ci", 0, &["taken away"]).await;
    desk.env[2] = own;
    desk.check("token whoami", 3, &["api.unauthenticated"]).await;
    let other = tempfile::tempdir().unwrap();
    let stranger = broker(other.path()).await;
    desk.env[1].1 = stranger.ca_file.display().to_string();
    desk.check("token whoami", 3, &["cli.tls"]).await;
    desk.env[1].1 = desk.path("shop/remit.toml").display().to_string();
    desk.check("token whoami", 2, &["cli.ca"]).await;
    stranger.stop().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_is_waited_for() {
    let data = tempfile::tempdir().unwrap();
    let first = broker(data.path()).await;
    let desk = Desk::at(&first);
    let config = Config { api_listen: first.api_addr, ..Config::local(data.path().join("broker")) };
    first.stop().await;
    desk.check("ready --timeout 0", 5, &["cli.unreachable"]).await;
    let waiting = desk.run("ready --timeout 60");
    let starting = async { serve(&config, Listeners::bind(&config).await.unwrap()).await.unwrap() };
    let (ended, running) = tokio::join!(waiting, starting);
    assert_eq!(ended.code, 0, "{ended:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_three_people_make_a_root_rotate_it_and_take_a_key_away() {
    let data = tempfile::tempdir().unwrap();
    let running = broker(data.path()).await;
    let desk = Desk::at(&running);
    desk.check("init shop", 0, &[]).await;
    std::fs::write(desk.path("word"), "five words and more of it\n").unwrap();
    let word = "--key-passphrase-file ../word";
    for (person, options) in [("ann", ""), ("bea", word), ("cem", "--algorithm p256")] {
        let made = desk.check(&format!("--keys-dir ../{person} keys make {person} {options}"), 0, &[]).await;
        assert!(!made.out.contains("PRIVATE"), "keys are never printed");
    }
    let sealed = std::fs::read_to_string(desk.path("bea/bea.pem")).unwrap();
    assert!(sealed.contains("ENCRYPTED PRIVATE KEY"));
    for name in ["release", "second"] {
        desk.check(&format!("keys make {name}"), 0, &[]).await;
    }
    let new = "--keys-dir ../ann keys root new demo --add-root ../ann/ann.pub.json --add-root ../bea/bea.pub.json \
               --add-root ../cem/cem.pub.json --root-threshold 2 --add-release .remit/keys/release.pub.json \
               --add-release .remit/keys/second.pub.json --destroy-threshold 2";
    desk.check(new, 0, &["signed by 1 of 2", "could sign", "root.1.json"]).await;
    desk.check(new, 3, &["cli.root_exists"]).await;
    desk.check("keys root sign root.1.json", 3, &["cli.keys_foreign"]).await;
    desk.check("--keys-dir ../bea keys root sign root.1.json", 2, &["cli.keys_passphrase"]).await;
    desk.check(&format!("--keys-dir ../bea {word} keys root sign root.1.json"), 0, &["signed by 2 of 2"])
        .await;
    desk.check("org create --root root.1.json", 0, &["org_demo is made"]).await;
    desk.check("--keys-dir ../ann org create --root root.1.json", 0, &["it was there already"]).await;
    desk.check("release create --save release.json", 0, &["release.json, signed by you"]).await;
    desk.check("release publish release.json", 0, &["is published", "counter 1"]).await;
    desk.check("release sign release.json --key .remit/keys/second.pem", 0, &["signed by 2 keys"]).await;
    desk.check("release publish release.json", 0, &["it was there already"]).await;
    // The release key is lost; the people who have root keys name another.
    let id = std::fs::read(desk.path("shop/.remit/keys/release.pub.json")).unwrap();
    let id = serde_json::from_slice::<remit_seal::document::KeySpec>(&id).unwrap().id().unwrap();
    desk.check(
        &format!("keys revoke {id} --reason stolen"),
        0,
        &["revoked", "stolen", "drop it from the root"],
    )
    .await;
    desk.check("release create", 3, &["seal.key_revoked"]).await;
    desk.check("--keys-dir ../cem keys make next", 0, &[]).await;
    desk.check("--keys-dir ../cem keys root fetch", 4, &["cli.root_missing", "--pin"]).await;
    desk.check(&format!("--keys-dir ../cem keys root fetch --pin {}", "0".repeat(64)), 4, &["no root with"])
        .await;
    let shown = desk.check("keys show -o json", 0, &[]).await.out;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let pin = shown["root_sha256"].as_str().unwrap();
    desk.check(&format!("--keys-dir ../cem keys root fetch --pin {pin}"), 0, &["version 1"]).await;
    let rotate = format!("--keys-dir ../cem keys root rotate --add-release ../cem/next.pub.json --drop {id}");
    desk.check(&rotate, 0, &["root.2.json", "signed by 1 of 2 keys of root version 1"]).await;
    desk.check("keys root publish root.2.json", 3, &["cli.root_unsigned"]).await;
    desk.check("--keys-dir ../ann keys root sign root.2.json", 0, &["signed by 2 of 2"]).await;
    let dropped = format!("- release key {id}");
    desk.check("keys root inspect root.2.json", 0, &["next: remit keys root publish", &dropped]).await;
    desk.check("keys root publish root.2.json", 0, &["root version 2 of demo is published"]).await;
    desk.check("--keys-dir ../cem keys root fetch", 0, &["version 2"]).await;
    std::fs::copy(desk.path("cem/next.pem"), desk.path("shop/.remit/keys/release.pem")).unwrap();
    desk.check("release create", 0, &["counter 2"]).await;
    desk.check("keys floor 2", 0, &["shop/stable", "counter 2"]).await;
    desk.check("keys standing", 0, &["stolen", "shop/stable"]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dispatch_key_is_changed_step_by_step() {
    let data = tempfile::tempdir().unwrap();
    let running = broker(data.path()).await;
    let desk = Desk::at(&running);
    for line in ["init shop", "keys init", "org create"] {
        desk.check(line, 0, &[]).await;
    }
    desk.check("keys dispatch rotate", 0, &["current", "next", "both sign"]).await;
    desk.check("keys dispatch show -o json", 0, &["\"state\":\"next\""]).await;
    let keys = desk.check("keys dispatch show", 0, &[]).await.out;
    let old = keys
        .lines()
        .find(|line| line.contains("current"))
        .unwrap()
        .split_whitespace()
        .last()
        .unwrap()
        .to_owned();
    desk.check(&format!("keys dispatch retire {old}"), 3, &["api.dispatch_key_needed"]).await;
    desk.check("keys root rotate --dispatch-from-broker", 0, &["+ dispatch key", "publish"]).await;
    desk.check("keys root publish root.2.json", 0, &["version 2"]).await;
    desk.check(&format!("keys dispatch retire {old}"), 0, &["current"]).await;
    desk.check("keys root rotate --dispatch-from-broker", 0, &[&format!("- dispatch key {old}")]).await;
    running.stop().await;
}
