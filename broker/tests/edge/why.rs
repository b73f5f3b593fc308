//! Why: of one, with its evidence, and of everything below an org.

use remit_broker::api::{SignalAccepted, Why, WhyPage};
use remit_loops::Urgency;
use reqwest::Method;
use serde_json::json;

use crate::world::{World, refused};

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_waits_is_listed_in_pages() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    for name in ["beta", "gamma"] {
        let path = format!("/v1/objects/ins_demo.shop.{name}/signals");
        let _: SignalAccepted = world.with(&token).post(&path, &json!({"create": {}})).await;
    }
    let pause = json!({"pause": {"reason": "audit"}});
    let _: SignalAccepted = world.with(&token).post("/v1/objects/ins_demo.shop.beta/signals", &pause).await;
    let all: WhyPage = world.with(&token).get("/v1/why").await;
    assert_eq!((all.looked_at, all.next), (5, None), "an org, an app, three installs");
    let names: Vec<&str> = all.items.iter().map(|item| item.object.name()).collect();
    assert_eq!(names.len(), 3, "{names:?}: org and app are well");
    assert!(all.items.is_sorted_by_key(|item| (item.urgency, item.since)));
    let beta = all.items.iter().find(|item| item.object.name() == "beta").unwrap();
    assert!(beta.sentence.contains("audit") && beta.urgency == Urgency::Waiting, "{beta:?}");
    let runner = beta.waiting.iter().filter(|r| r.waiting.code.starts_with("waiting.runner")).count();
    assert_eq!(runner, 1, "the missing runner is said once: {beta:?}");

    let (mut found, mut after) = (vec![], String::new());
    loop {
        let page: WhyPage = world.with(&token).get(&format!("/v1/why?limit=2{after}")).await;
        found.extend(page.items.into_iter().map(|item| item.object));
        match page.next {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    found.sort();
    let mut wanted: Vec<_> = all.items.into_iter().map(|item| item.object).collect();
    wanted.sort();
    assert_eq!(found, wanted, "pages together are the whole");

    let other = world.org("other").await;
    let theirs: WhyPage = world.with(&other).get("/v1/why").await;
    assert_eq!((theirs.items.len(), theirs.looked_at), (0, 1), "their own org alone");
    let foreign = refused(world.with(&other).request(Method::GET, "/v1/why?under=org_demo")).await;
    assert_eq!(foreign, (404, "api.not_found".to_owned()));
    let under: WhyPage = world.operator().get("/v1/why?under=ins_demo.shop.beta").await;
    assert_eq!(under.items.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_names_whose_it_is_and_its_event() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let pause = json!({"pause": {"reason": "audit"}});
    let sent: SignalAccepted =
        world.with(&token).post("/v1/objects/ins_demo.shop.acme/signals", &pause).await;
    let why: Why = world.with(&token).get("/v1/objects/ins_demo.shop.acme/why").await;
    let paused = why.waiting.iter().find(|r| r.waiting.code == "waiting.paused").unwrap();
    assert_eq!((paused.object.name(), paused.event), ("acme", Some(sent.seq)));
    let offered = why.waiting.iter().find(|r| r.waiting.code == "waiting.pick_up").unwrap();
    assert_eq!(offered.object.name(), "network");
    let attempt = offered.waiting.evidence.as_ref().unwrap().attempt.as_ref().unwrap();
    assert_eq!(attempt.job, "job_demo.shop.acme.network.e1.o1.deploy");
}
