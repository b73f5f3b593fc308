//! The product with bad luck built in: what is transient is tried again, what is final is held with its
//! reason, what does not depend on it goes on, and a person can end the wait.

use std::fs;

use serde_json::Value;

use crate::{customer, vendor};

fn component<'a>(view: &'a Value, name: &str) -> &'a Value {
    let all = view["detail"]["install"]["components"].as_array().unwrap();
    all.iter().find(|c| c["name"] == name).unwrap()
}

#[test]
fn bad_luck_is_retried_held_and_ended_by_a_person() {
    let mut world = vendor("misfortune");
    let install = customer(&mut world, "acme", &["load_seconds=1"]);

    let held = world.until_status(&install, "held").unwrap();
    assert_eq!(world.site("mirror.txt").unwrap().trim(), "mirrored after 3 tries");
    assert_eq!(component(&held, "mirror")["state"], "deployed");
    assert_eq!(component(&held, "billing")["state"], "failed");
    assert!(world.site("report.txt").is_none(), "report must wait for billing");

    let why = world.remit(&["why", "acme"]).unwrap();
    assert!(why.contains("billing failed") && why.contains("iam:CreateRole"), "{why}");
    let log = world.remit(&["logs", "acme", "--component", "billing"]).unwrap();
    assert!(log.contains("AccessDenied") && log.contains("iam:CreateRole"), "{log}");

    fs::write(world.path("site/billing.granted"), "").unwrap();
    world.remit(&["signal", "acme", "retry"]).unwrap();
    world.until_status(&install, "active").unwrap();
    assert_eq!(
        world.site("report.txt").unwrap().trim(),
        "reported as arn:aws:iam::111122223333:role/billing"
    );
    let loads = world.site("warehouse.log").unwrap();
    assert_eq!(loads.matches("begin").count(), 1, "what was done is not done again: {loads}");

    world.remit(&["install", "delete", "acme", "--yes", "--watch"]).unwrap();
    world.until_status(&install, "deleted").unwrap();
    let left: Vec<_> = fs::read_dir(world.path("site")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["billing.granted"], "the customer's own file stays, nothing else does");
}
