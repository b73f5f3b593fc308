//! Somebody changes things by hand: it is found by a schedule, shown, accepted, brought back, and mended.

use std::fs;

use remit_tests::world::World;
use serde_json::Value;

use crate::{customer, vendor_in};

fn component<'a>(view: &'a Value, name: &str) -> &'a Value {
    let all = view["detail"]["install"]["components"].as_array().unwrap();
    all.iter().find(|c| c["name"] == name).unwrap()
}

fn differs(view: &Value, name: &str) -> bool {
    component(view, name)["state"] == "drifted"
}

/// A shop whose file says that drift is looked for each minute.
fn shop() -> World {
    let world = World::start("shop").unwrap();
    let file = world.path("product/remit.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("[tools]", "[drift]\nevery = \"1m\"\n\n[tools]")).unwrap();
    vendor_in(world)
}

#[test]
fn what_people_change_by_hand_is_found_accepted_brought_back_and_mended() {
    let mut world = shop();
    let install = customer(&mut world, "acme", &["size=2"]);
    world.until_status(&install, "active").unwrap();
    found_by_the_schedule(&world, &install);
    accepted(&world, &install);
    brought_back(&world, &install);
    mended_by_the_schedule(&world, &install);
}

fn found_by_the_schedule(world: &World, install: &str) {
    fs::write(world.path("site/network.conf"), "somebody was here\n").unwrap();
    world.until(install, "the drift is found", |view| differs(view, "network")).unwrap();
    let shown = world.remit(&["drift", "show", "acme"]).unwrap();
    assert!(
        shown.contains("terraform_data.file") && shown.contains("- triggers_replace[2] = intact"),
        "{shown}"
    );
    assert!(shown.contains("every 0h01m, then report, as its release says"), "{shown}");
    assert_eq!(world.site("network.conf").unwrap(), "somebody was here\n", "it is only looked at");
    // From here on looks come when they are asked for: nothing happens in between.
    world.remit(&["drift", "schedule", "acme", "--never"]).unwrap();
    world.until(install, "nothing is looked at", |view| view["reading"].is_null()).unwrap();
}

fn accepted(world: &World, install: &str) {
    let reason = ["--reason", "the customer wants it so"];
    world.remit(&[&["drift", "adopt", "acme", "--component", "network"], &reason[..]].concat()).unwrap();
    let is_accepted = |view: &Value| !component(view, "network")["facts"]["accepted"].is_null();
    world.until(install, "it is accepted", |view| is_accepted(view) && view["operation"].is_null()).unwrap();
    let shown = world.remit(&["drift", "show", "acme"]).unwrap();
    assert!(
        shown.contains("the customer wants it so") && shown.contains("the code says otherwise"),
        "{shown}"
    );
    fs::write(world.path("site/queue.conf"), "somebody else was here\n").unwrap();
    world.remit(&["drift", "check", "acme"]).unwrap();
    let view = world.until(install, "the queue's is found", |view| differs(view, "queue")).unwrap();
    assert!(is_accepted(&view) && !differs(&view, "network"), "{view:#}");
    let refused =
        world.try_remit(&[&["drift", "adopt", "acme", "--component", "network"], &reason[..]].concat());
    let refused = String::from_utf8(refused.unwrap().stderr).unwrap();
    assert!(refused.contains("loop.conflict") && refused.contains("drifted: queue"), "{refused}");
}

fn brought_back(world: &World, install: &str) {
    world.remit(&["drift", "revert", "acme", "--component", "queue", "--reason", "not so"]).unwrap();
    let rests = |view: &Value| view["status"]["word"] == "active" && view["operation"].is_null();
    world.until(install, "the queue is as it was", |view| !differs(view, "queue") && rests(view)).unwrap();
    assert!(world.site("queue.conf").unwrap().contains("worker"));
    assert_eq!(world.site("network.conf").unwrap(), "somebody was here\n", "what was accepted stays");
    let timeline = world.remit(&["timeline", "acme", "-n", "200"]).unwrap();
    for words in ["is not as it was deployed", "accepts how network is", "wants queue brought back: not so"] {
        assert!(timeline.contains(words), "{words}: {timeline}");
    }
}

fn mended_by_the_schedule(world: &World, install: &str) {
    world.remit(&["drift", "schedule", "acme", "--every", "1m", "--then", "heal"]).unwrap();
    fs::write(world.path("site/queue.conf"), "and again\n").unwrap();
    let is_mended = |_: &Value| world.site("queue.conf").is_some_and(|text| text.contains("worker"));
    world.until(install, "it is mended by itself", is_mended).unwrap();
    let timeline = world.remit(&["timeline", "acme", "-n", "200"]).unwrap();
    assert!(timeline.contains("it is mended by the schedule"), "{timeline}");
}
