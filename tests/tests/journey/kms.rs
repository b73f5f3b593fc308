//! Keys that are in AWS KMS: an org that has no others, one that changes to them under a running runner, and
//! a KMS that falls silent in the middle.

use remit_tests::world::World;
use remit_tests::world::aws::{Aws, Manner, REGION};
use serde_json::{Value, json};

use crate::vendor_in;

const INSTALL: &str = "ins_demo.shop.acme";

fn aws() -> Aws {
    Aws::start(&Manner::default()).unwrap()
}

/// An install that rehearses everything, with its runner.
fn sandbox(world: &mut World) {
    let directory = world.path("for-acme");
    std::fs::create_dir(&directory).unwrap();
    let out = directory.to_str().unwrap().to_owned();
    world.remit(&["install", "create", "acme", "--sandbox", "--out-dir", &out]).unwrap();
    world.start_runner(INSTALL).unwrap();
    is_on(world, "0.1.0");
}

fn is_on(world: &World, version: &str) {
    let there = |view: &Value| {
        view["status"]["word"] == "active" && view["detail"]["install"]["release"]["version"] == version
    };
    world.until(INSTALL, &format!("it is on {version}"), there).unwrap();
}

/// A release of its own version, with another text in the product.
fn release(world: &World, version: &str) {
    let file = world.path("product/remit.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let at = text.find("Welcome").unwrap();
    let end = at + text[at..].find('"').unwrap();
    std::fs::write(&file, format!("{}Welcome to {version}{}", &text[..at], &text[end..])).unwrap();
    world.remit(&["release", "create", "--version", version]).unwrap();
}

/// The algorithms of a role in the root beside the vendor's keys.
fn algorithms(world: &World, role: &str) -> Vec<String> {
    let told: Value = json(world, &["keys", "root", "inspect"]);
    let root = &told["root"];
    let ids = root[role]["keys"].as_array().unwrap();
    ids.iter()
        .map(|id| root["keys"][id.as_str().unwrap()]["algorithm"].as_str().unwrap().to_owned())
        .collect()
}

fn json(world: &World, args: &[&str]) -> Value {
    let told = world.remit(&[args, &["-o", "json"]].concat()).unwrap();
    serde_json::from_str(&told).unwrap()
}

fn figure(world: &World, name: &str) -> f64 {
    let text = world.operator().unwrap().get("/metrics").unwrap();
    let text = String::from_utf8(text.bytes).unwrap();
    let line = text.lines().find(|line| line.starts_with(&format!("remit_broker_{name}")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).rsplit(' ').next().unwrap().parse().unwrap()
}

fn rotate_root(world: &World, version: u64, wish: &[&str]) {
    let file = format!("root.{version}.json");
    world.remit(&[&["keys", "root", "rotate"], wish].concat()).unwrap();
    world.remit(&["keys", "root", "publish", &file]).unwrap();
}

#[test]
fn an_org_whose_keys_are_all_in_kms_deploys() {
    let aws = aws();
    let (releases, dispatch) = (aws.signing_key("release").unwrap(), aws.signing_key("dispatch").unwrap());
    let mut settings = aws.env_of_anybody();
    settings.push(("REMIT_DISPATCH_KMS".to_owned(), dispatch));
    let mut world = World::start_with("shop", settings).unwrap();
    world.tell_remit(aws.env_of_anybody());
    let kept = std::fs::read_to_string(world.broker_dir().join("dispatch.key")).unwrap();
    assert!(kept.contains("awskms:///") && !kept.contains("PRIVATE") && !kept.contains("alias"), "{kept}");
    world.remit(&["keys", "init", "--release-kms", &releases]).unwrap();
    let shown = world.remit(&["keys", "list"]).unwrap();
    assert!(shown.contains("awskms:///") && shown.contains("root.pem"), "{shown}");
    world.remit(&["org", "create"]).unwrap();
    for role in ["release", "dispatch"] {
        assert_eq!(algorithms(&world, role), ["ecdsa-p256-sha256"], "{role}");
    }
    world.remit(&["release", "create"]).unwrap();
    sandbox(&mut world);
    let signed = figure(&world, "dispatch_kms_calls_total{outcome=\"ok\"}");
    let envelopes = figure(&world, "envelopes_total");
    // One for each envelope and one for each ending that is acknowledged, the trial at the start, a status.
    assert!(
        envelopes >= 7.0 && signed <= 2.0 * envelopes + 2.0,
        "{signed} signatures for {envelopes} envelopes"
    );
    let dispatch = json(&world, &["keys", "dispatch", "show"]);
    assert_eq!((&dispatch["keys"][0]["place"], &dispatch["trouble"]), (&json!("kms"), &Value::Null));
}

#[test]
fn keys_move_from_files_to_kms_under_a_running_runner() {
    let aws = aws();
    let mut world = vendor_in(World::start("shop").unwrap());
    sandbox(&mut world);
    world.tell_remit(aws.env_of_anybody());
    let before = json(&world, &["keys", "show"]);
    let of_file = before["keys"].as_array().unwrap().iter().find(|key| key["name"] == "release").unwrap();
    let old_release = of_file["id"].as_str().unwrap();
    let old_dispatch =
        json(&world, &["keys", "dispatch", "show"])["keys"][0]["id"].as_str().unwrap().to_owned();

    let uri = aws.signing_key("dispatch").unwrap();
    for (name, value) in aws.env_of_anybody() {
        world.brokers().set(name, value);
    }
    world.brokers().set("REMIT_DISPATCH_KMS", uri);
    world.kill_broker().unwrap();
    world.start_broker().unwrap();
    let rotated = world.remit(&["keys", "dispatch", "rotate"]).unwrap();
    assert!(rotated.contains("awskms:///") && rotated.contains("both sign"), "{rotated}");
    let refused = world.try_remit(&["keys", "dispatch", "retire", &old_dispatch]).unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("api.dispatch_key_needed"));

    let uri = aws.signing_key("release").unwrap();
    let noted = world.remit(&["keys", "make", "ci", "--kms", &uri]).unwrap();
    assert!(noted.contains("no secret") && noted.contains("ci.pub.json"), "{noted}");
    let wish = ["--add-release", ".remit/keys/ci.pub.json", "--drop", old_release, "--dispatch-from-broker"];
    rotate_root(&world, 2, &wish);
    assert_eq!(algorithms(&world, "dispatch"), ["ed25519", "ecdsa-p256-sha256"]);
    release(&world, "2.0.0");
    is_on(&world, "2.0.0");

    world.remit(&["keys", "dispatch", "retire", &old_dispatch]).unwrap();
    rotate_root(&world, 3, &["--dispatch-from-broker"]);
    assert_eq!((algorithms(&world, "release"), algorithms(&world, "dispatch")).0, ["ecdsa-p256-sha256"]);
    assert_eq!(algorithms(&world, "dispatch"), ["ecdsa-p256-sha256"]);
    release(&world, "3.0.0");
    is_on(&world, "3.0.0");
    let again = world.try_remit(&["keys", "dispatch", "rotate"]).unwrap();
    assert!(String::from_utf8_lossy(&again.stderr).contains("kms.same_key"), "{again:?}");
    // The alias is let mean a new key; the current one is the one that it was.
    aws.kms("DeleteAlias", &json!({ "AliasName": "alias/dispatch" })).unwrap();
    aws.signing_key("dispatch").unwrap();
    let rotated = json(&world, &["keys", "dispatch", "rotate"]);
    assert_ne!(rotated["keys"][0]["id"], rotated["keys"][1]["id"]);
    assert_eq!(rotated["keys"][1]["place"], "kms");
}

#[test]
fn while_kms_is_silent_jobs_wait_and_none_is_lost() {
    let aws = aws();
    let mut settings = aws.env_of_anybody();
    settings.push(("REMIT_DISPATCH_KMS".to_owned(), aws.signing_key("dispatch").unwrap()));
    let mut world = vendor_in(World::start_with("shop", settings).unwrap());
    sandbox(&mut world);
    aws.signal("STOP").unwrap();
    release(&world, "2.0.0");
    let why = remit_tests::world::wait_for("the reason", || {
        let why = world.remit(&["why", "acme"])?;
        Ok(why.contains("waiting.signature").then_some(why))
    });
    let why = why.unwrap();
    assert!(why.contains("does not sign the next job") && !why.contains("awskms"), "{why}");
    let all = world.remit(&["why", "--all"]).unwrap();
    assert!(all.contains("does not sign the next job"), "{all}");
    let shown = world.remit(&["keys", "dispatch", "show"]).unwrap();
    assert!(shown.contains("nothing is signed since") && shown.contains("kms.unreachable"), "{shown}");
    assert!(figure(&world, "dispatch_unsigned ") == 1.0);
    aws.signal("CONT").unwrap();
    is_on(&world, "2.0.0");
    assert!(figure(&world, "dispatch_unsigned ") == 0.0);
    let entries =
        world.operator().unwrap().get(&format!("/v1/objects/{INSTALL}/timeline?limit=1000")).unwrap();
    let entries = entries.body["entries"].as_array().unwrap().clone();
    let code = |code: &str| entries.iter().filter(|entry| entry["code"] == code).count();
    assert_eq!(code("step.failed") + code("step.retried"), 0, "{entries:#?}");
}

#[test]
fn without_kms_sign_nothing_is_taken_into_use() {
    let aws = aws();
    let uri = aws.signing_key("dispatch").unwrap();
    let (key, secret) = aws.user("reader", &["kms:GetPublicKey"]).unwrap();
    let (stranger, stranger_secret) = aws.user("stranger", &["s3:ListAllMyBuckets"]).unwrap();
    aws.check_permissions().unwrap();
    let mut world = vendor_in(World::start("shop").unwrap());
    for (name, value) in aws.env(&key, &secret) {
        world.brokers().set(name, value);
    }
    world.brokers().set("REMIT_DISPATCH_KMS", uri.clone());
    world.kill_broker().unwrap();
    world.start_broker().unwrap();
    let refused = world.try_remit(&["keys", "dispatch", "rotate"]).unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("kms.denied") && said.contains("allow kms:Sign"), "{said}");
    assert_eq!(json(&world, &["keys", "dispatch", "show"])["keys"].as_array().unwrap().len(), 1);
    // The public half is all that it takes to take note of a key.
    world.tell_remit(aws.env(&key, &secret));
    world.remit(&["keys", "make", "ci", "--kms", &uri]).unwrap();
    rotate_root(&world, 2, &["--add-release", ".remit/keys/ci.pub.json"]);
    let refused = world.try_remit(&["release", "create", "--key", "ci"]).unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(3) && said.contains("allow kms:Sign"), "{said}");
    world.tell_remit(aws.env(&stranger, &stranger_secret));
    let refused = world.try_remit(&["keys", "make", "other", "--kms", &uri]).unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("kms.denied") && said.contains("allow kms:GetPublicKey"), "{said}");
    let elsewhere = uri.replace(REGION, "us-east-1");
    world.tell_remit(aws.env(&key, &secret));
    let refused = world.try_remit(&["keys", "make", "other", "--kms", &elsewhere]).unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(4) && said.contains("kms.key_missing"), "{said}");
}
