//! Health probes and broken glass with real scripts: a deploy that waits for its probe, a component that stops
//! working, a rule that mends it, and an emergency that passes a freeze, for the customer to see.

use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use remit_tests::world::{World, programs};
use serde_json::Value;

use crate::{customer, vendor_in};

const WAREHOUSE: &str = r#"
[components.warehouse]
kind = "script"
source = "warehouse"
longest_run = "1m"
commands = { deploy = ["sh", "deploy.sh"], destroy = ["sh", "destroy.sh"] }
actions = { open = ["sh", "open.sh"] }
inputs = { site_dir = "{{ inputs.site_dir }}", load_seconds = "{{ inputs.load_seconds }}" }
outputs = { rows = "integer" }
health = { command = ["sh", "health.sh"], within = "40s", timeout = "30s", failures = 1 }
"#;
const PROBE: &str =
    "test -e \"$REMIT_INPUT_SITE_DIR/open\" && exit 0\necho 'the warehouse is closed'\nexit 1\n";

/// A product of one script, which does its work while a file is there; with these rules.
fn warehouse(rules: &str) -> World {
    let world = World::start("misfortune").unwrap();
    let file = world.path("product/remit.toml");
    let text = fs::read_to_string(&file).unwrap();
    let (head, _) = text.split_once("[components.bucket]").unwrap();
    let head = head.replace("terraform = \">= 1.5\"", "");
    fs::write(&file, head + WAREHOUSE + rules).unwrap();
    fs::write(world.path("product/warehouse/health.sh"), PROBE).unwrap();
    fs::write(world.path("product/warehouse/open.sh"), "touch \"$REMIT_INPUT_SITE_DIR/open\"\n").unwrap();
    vendor_in(world)
}

fn why(world: &World) -> String {
    world.remit(&["why", "acme"]).unwrap()
}

#[test]
fn a_deploy_waits_for_its_probe_and_what_stops_working_is_seen() {
    let mut world = warehouse("");
    let install = customer(&mut world, "acme", &["load_seconds=0"]);
    world.until_status(&install, "held").unwrap();
    let said = why(&world);
    assert!(said.contains("executor.unhealthy") && said.contains("the warehouse is closed"), "{said}");
    fs::write(world.path("site/open"), "").unwrap();
    world.remit(&["signal", "acme", "retry"]).unwrap();
    world.until_status(&install, "active").unwrap();
    fs::remove_file(world.path("site/open")).unwrap();
    world.remit(&["signal", "acme", "check_health"]).unwrap();
    world.until_status(&install, "degraded").unwrap();
    let (said, shown) = (why(&world), world.remit(&["install", "show", "acme"]).unwrap());
    assert!(said.contains("does not do its work") && shown.contains("unwell"), "{said} {shown}");
    fs::write(world.path("site/open"), "").unwrap();
    world.remit(&["signal", "acme", "check_health"]).unwrap();
    world.until_status(&install, "active").unwrap();
    let timeline = world.remit(&["timeline", "acme", "-n", "200"]).unwrap();
    for words in ["it is done when its probe passes", "it does not do its work", "it does its work again"] {
        assert!(timeline.contains(words), "{words}: {timeline}");
    }
}

const OPEN_IT: &str = r#"
[[rules]]
name = "open-it"
on = { operation = ["health"] }
do = [{ run = "open" }, "re_apply"]
budget = { times = 2, per = "1h" }
cool_down = "0s"
"#;

#[test]
fn a_rule_for_health_mends_a_deploy_that_does_not_work() {
    let mut world = warehouse(OPEN_IT);
    let install = customer(&mut world, "acme", &["load_seconds=0"]);
    world.until_status(&install, "active").unwrap();
    let timeline = world.remit(&["timeline", "acme", "-n", "200"]).unwrap();
    assert!(timeline.contains("rule open-it ran its command"), "{timeline}");
}

/// What the customer's own runner says: its status, and its receipts.
fn runner_says(world: &World, install: &str) -> Value {
    let data = world.runner_dir(install);
    let out = Command::new(programs::path("remit-runner").unwrap())
        .args(["status", "--json", "--data-dir", data.to_str().unwrap()])
        .output()
        .unwrap();
    serde_json::from_slice(&out.stdout).unwrap()
}

fn tomorrow() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 86_400;
    jiff::Timestamp::from_second(i64::try_from(seconds).unwrap()).unwrap().to_string()
}

#[test]
fn a_broken_glass_passes_a_freeze_and_the_customer_sees_it() {
    let mut world = warehouse("");
    fs::create_dir_all(world.path("site")).unwrap();
    fs::write(world.path("site/open"), "").unwrap();
    let install = customer(&mut world, "acme", &["load_seconds=0"]);
    world.until_status(&install, "active").unwrap();
    let until = tomorrow();
    world.remit(&["freeze", "add", "fair", "--on", "acme", "--until", &until, "--reason", "a fair"]).unwrap();
    world.remit(&["signal", "acme", "reprovision"]).unwrap();
    assert!(why(&world).contains("freeze fair"), "{}", why(&world));
    let glass = ["break-glass", "acme", "--for", "1h", "--reason", "the shop is down"];
    let tried = world.remit(&[&glass[..], &["--dry-run"]].concat()).unwrap();
    assert!(tried.contains("glass.broken") && tried.contains("operation.started"), "{tried}");
    assert!(why(&world).contains("freeze fair"), "a dry run changes nothing");
    world.remit(&glass).unwrap();
    let is_done = |view: &Value| view["queue"] == Value::Array(vec![]) && view["operation"].is_null();
    world.until(&install, "everything is deployed again", is_done).unwrap();
    assert!(why(&world).contains("broke its glass"), "{}", why(&world));
    let glass = runner_says(&world, &install)["status"]["break_glass"].clone();
    assert_eq!(glass["reason"], "the shop is down", "{glass}");
    world.remit(&["break-glass", "acme", "--end"]).unwrap();
    assert!(!why(&world).contains("broke its glass"), "{}", why(&world));
    let again = world.try_remit(&["break-glass", "acme", "--for", "9h", "--reason", "x"]).unwrap();
    assert!(String::from_utf8_lossy(&again.stderr).contains("loop.break_glass_invalid"), "{again:?}");
}

const UNWELL: &str = r#"
version = 1
seed = 1
description = "The first deploy is made, and does not do its work."
[[step]]
component = "warehouse"
action = "health"
attempts = [2]                # the deploy was the first
fails = { class = "timeout", message = "no answer from port 5439" }
"#;

#[test]
fn an_unhealthy_component_is_rehearsed() {
    let mut world = warehouse("");
    let (file, out_dir) = (world.path("unwell.toml"), world.path("for-acme"));
    fs::write(&file, UNWELL).unwrap();
    fs::create_dir(&out_dir).unwrap();
    let paths = [file, out_dir].map(|path| path.display().to_string());
    let create = ["install", "create", "acme", "--sandbox", "--scenario", &paths[0], "--out-dir", &paths[1]];
    world.remit(&create).unwrap();
    let install = "ins_demo.misfortune.acme";
    world.start_runner(install).unwrap();
    world.until_status(install, "held").unwrap();
    let said = why(&world);
    assert!(said.contains("executor.unhealthy") && said.contains("port 5439"), "{said}");
    world.remit(&["signal", "acme", "retry"]).unwrap();
    world.until_status(install, "active").unwrap();
}
