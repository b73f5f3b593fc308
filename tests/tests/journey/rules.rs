//! Rules at work on the product with bad luck: what fails is mended by them as far as their budget goes, and
//! held with a clear reason then.

use std::fs;

use remit_tests::world::World;

use crate::{customer, vendor_in};

/// The product with an action for billing that grants what is missing, and a rule that runs it.
fn with_rules(rules: &str, grants: bool) -> World {
    let world = World::start("misfortune").unwrap();
    let file = world.path("product/remit.toml");
    let text = fs::read_to_string(&file).unwrap();
    let action = "source = \"billing\"\nactions = { grant = [\"sh\", \"grant.sh\"] }";
    fs::write(&file, text.replace("source = \"billing\"", action) + rules).unwrap();
    let grant = if grants { "touch \"$REMIT_INPUT_SITE_DIR/billing.granted\"" } else { "true" };
    fs::write(world.path("product/billing/grant.sh"), format!("echo granting\n{grant}\n")).unwrap();
    vendor_in(world)
}

const GRANT: &str = r#"
[[rules]]
name = "grant-it"
on = { class = ["permission"], component = ["billing"], operation = ["deploy"] }
do = [{ notify = "billing asks for its role" }, { run = "grant" }, { retry = "1s" }]
budget = { times = 2, per = "1h" }
cool_down = "0s"
"#;

#[test]
fn a_rule_runs_a_declared_action_and_the_step_goes_on() {
    let mut world = with_rules(GRANT, true);
    let install = customer(&mut world, "acme", &["load_seconds=0"]);
    world.until_status(&install, "active").unwrap();
    assert!(world.site("report.txt").unwrap().contains("role/billing"), "nobody had to do anything");
    let timeline = world.remit(&["timeline", "acme", "-n", "200"]).unwrap();
    for words in ["rule grant-it acts on it", "billing asks for its role", "rule grant-it ran its command"] {
        assert!(timeline.contains(words), "{words}: {timeline}");
    }
    let shown = world.remit(&["install", "show", "acme"]).unwrap();
    assert!(
        shown.contains("grant-it") && shown.contains("1 of 2 left in 60 min; last on billing"),
        "{shown}"
    );
    let log = world.remit(&["logs", "acme", "--component", "billing"]).unwrap();
    assert!(log.contains("granting"), "{log}");
}

#[test]
fn a_rule_that_does_not_help_ends_with_its_budget() {
    let mut world = with_rules(GRANT, false);
    let install = customer(&mut world, "acme", &["load_seconds=0"]);
    world.until_status(&install, "held").unwrap();
    let why = world.remit(&["why", "acme"]).unwrap();
    assert!(why.contains("iam:CreateRole") && why.contains("rule grant-it has used its 2 times"), "{why}");
    // A person ends the wait as ever, and what is spent stays spent.
    fs::write(world.path("site/billing.granted"), "").unwrap();
    world.remit(&["signal", "acme", "retry"]).unwrap();
    world.until_status(&install, "active").unwrap();
}

#[test]
fn a_rule_that_would_try_for_ever_is_no_release() {
    let world = World::start("misfortune").unwrap();
    let file = world.path("product/remit.toml");
    let rule = "\n[[rules]]\nname = \"for-ever\"\ndo = [{ retry = \"30s\" }]\nbudget = { times = 3, per = \"1m\" }\n";
    fs::write(&file, fs::read_to_string(&file).unwrap() + rule).unwrap();
    let refused = world.try_remit(&["check"]).unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        !refused.status.success() && said.contains("config.rule_endless") && said.contains("for-ever"),
        "{said}"
    );
}
