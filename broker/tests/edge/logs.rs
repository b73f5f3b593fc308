//! Logs on their way from a runner to a person.

use remit_broker::api::LogIndex;
use remit_proto::v1;
use reqwest::Method;

use crate::world::World;

struct Answer {
    text: String,
    next: u64,
    is_final: bool,
}

async fn read(world: &World, token: &str, job: &str, query: &str) -> Answer {
    let path = format!("/v1/objects/ins_demo.shop.acme/logs/{job}/1?{query}");
    let response = world.with(token).request(Method::GET, &path).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    let next = header("remit-next-offset").parse().unwrap();
    let is_final = header("remit-log-final") == "true";
    Answer { text: response.text().await.unwrap(), next, is_final }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_followed_to_its_end() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let mut runner = world.enrol(&token).await;
    let attempt = runner.lease(20_000).await.unwrap().attempt.unwrap();
    runner.renew(&attempt, v1::LeasePhase::Start, 0).await;
    let job = attempt.job.clone();
    assert_eq!(runner.append(&attempt, 0, b"one\n", false).await.unwrap(), 4);
    assert_eq!(runner.append(&attempt, 0, b"one\n", false).await.unwrap(), 4, "twice is harmless");
    assert_eq!(runner.append(&attempt, 99, b"x", false).await.unwrap(), 4, "a gap is answered");
    let first = read(&world, &token, &job, "offset=0").await;
    assert_eq!((first.text.as_str(), first.next, first.is_final), ("one\n", 4, false));
    let follow = read(&world, &token, &job, "offset=4&wait_ms=20000");
    let append = async {
        runner.append(&attempt, 4, b"\x1b[31mtwo\x1b[0m\n", true).await.unwrap();
    };
    let (second, ()) = tokio::join!(follow, append);
    assert_eq!((second.text.as_str(), second.next, second.is_final), ("two\n", 17, true));
    let index: LogIndex = world.with(&token).get("/v1/objects/ins_demo.shop.acme/logs").await;
    let [log] = index.attempts.as_slice() else { panic!("{index:?}") };
    assert_eq!((log.component.as_str(), log.size, log.is_final), ("network", 17, true));
    let world = world.restart().await;
    let whole = read(&world, &token, &job, "").await;
    assert_eq!((whole.text.as_str(), whole.is_final), ("one\ntwo\n", true));
}
