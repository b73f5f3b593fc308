//! A runner with a right identity that behaves as badly as it can: it is bounded, and nobody else notices.

use std::time::{Duration, Instant};

use remit_broker::api::RunnerToken;
use remit_broker::api::wire::SignalAccepted;
use remit_proto::v1;
use remit_proto::v1::runner_service_client::RunnerServiceClient;
use remit_seal::Digest;
use serde_json::json;
use tonic::transport::Channel;

use crate::world::{World, csr, identity_of, info, success};

type Client = RunnerServiceClient<Channel>;

/// How long a neighbour's call may take meanwhile.
const NEIGHBOUR_WITHIN: Duration = Duration::from_secs(5);

/// The runner of another customer.
async fn neighbour(world: &World, token: &str) -> Client {
    let path = "/v1/objects/ins_demo.shop.other";
    let _: SignalAccepted = world.with(token).post(&format!("{path}/signals"), &json!({"create": {}})).await;
    let made: RunnerToken = world.with(token).post(&format!("{path}/runner-token"), &json!({})).await;
    let (key, csr) = csr();
    let (install, info) = ("ins_demo.shop.other".to_owned(), info("boot-1"));
    let ask = v1::EnrollRequest { install, token: made.token.unwrap(), csr, info, ..Default::default() };
    let mut client = RunnerServiceClient::new(world.channel(None).await);
    let identity = client.enroll(ask).await.unwrap().into_inner().identity.unwrap();
    RunnerServiceClient::new(world.channel(Some(identity_of(&identity.certificate_chain, &key))).await)
}

fn poll(install: &str) -> v1::LeaseJobRequest {
    let install = install.to_owned();
    v1::LeaseJobRequest { install, info: info("boot-1"), root_version: 1, ..Default::default() }
}

async fn is_served(client: &mut Client) {
    let asked = client.lease_job(poll("ins_demo.shop.other"));
    tokio::time::timeout(NEIGHBOUR_WITHIN, asked).await.expect("a neighbour waits").unwrap();
}

fn code(status: &tonic::Status) -> &str {
    status.message().split(':').next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_calls_are_cut_off_and_the_neighbour_is_served() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let runner = world.enrol(&token).await;
    let mut other = neighbour(&world, &token).await;
    let began = Instant::now();
    let floods = (0..8).map(|_| {
        let mut client = runner.client.clone();
        tokio::spawn(async move {
            let (mut served, mut refused) = (0, 0);
            for _ in 0..400 {
                match client.lease_job(poll("ins_demo.shop.acme")).await {
                    Ok(_) => served += 1,
                    Err(status) => {
                        assert_eq!(code(&status), "rpc.too_many_calls", "{status:?}");
                        refused += 1;
                    }
                }
            }
            (served, refused)
        })
    });
    let floods: Vec<_> = floods.collect();
    is_served(&mut other).await;
    let (mut served, mut refused) = (0, 0);
    for flood in floods {
        let (some, others) = flood.await.unwrap();
        (served, refused) = (served + some, refused + others);
    }
    let allowed = 400.0 + 100.0 * began.elapsed().as_secs_f64() + 1.0;
    assert!(f64::from(served) <= allowed, "{served} of {allowed}");
    assert!(
        refused > 0 || began.elapsed() > Duration::from_secs(20),
        "{served} were served and none refused"
    );
    is_served(&mut other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_of_others_is_refused() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let mut runner = world.enrol(&token).await;
    let attempt = runner.lease(20_000).await.unwrap().attempt.unwrap();
    runner.renew(&attempt, v1::LeasePhase::Start, 0).await;
    let client = &mut runner.client;
    let long = "x".repeat(300 << 10);

    let mut wide = poll("ins_demo.shop.acme");
    wide.held =
        (0..5_000).map(|n| v1::AttemptRef { job: format!("job_{n}"), attempt: 1, fence: 1 }).collect();
    assert!(code(&client.lease_job(wide).await.unwrap_err()).starts_with("wire."));
    let message = long.clone();
    let progress = v1::ReportProgressRequest { attempt: Some(attempt.clone()), message, done: 0, total: 0 };
    assert_eq!(code(&client.report_progress(progress).await.unwrap_err()), "rpc.message_too_large");
    let outputs = (0..40).map(|n| (format!("o{n}"), format!("\"{}\"", "y".repeat(8 << 10)))).collect();
    let v1::complete_job_request::Outcome::Succeeded(good) = success() else { panic!("it is a success") };
    let outcome = v1::complete_job_request::Outcome::Succeeded(v1::Succeeded { outputs, ..good });
    let word = |outcome| v1::CompleteJobRequest {
        attempt: Some(attempt.clone()),
        outcome: Some(outcome),
        journal_head: vec![7; 32],
        ..Default::default()
    };
    assert_eq!(code(&client.complete_job(word(outcome)).await.unwrap_err()), "rpc.message_too_large");
    let data = vec![b'x'; 2 << 20];
    let logs = v1::AppendLogsRequest { attempt: Some(attempt.clone()), offset: 0, data, r#final: false };
    client.append_logs(logs).await.unwrap_err();
    let far = v1::AppendLogsRequest {
        attempt: Some(attempt.clone()),
        offset: u64::MAX - 1,
        data: vec![1],
        r#final: false,
    };
    assert!(code(&client.append_logs(far).await.unwrap_err()).starts_with("wire."));

    for n in 0..50 {
        let of =
            v1::AttemptRef { job: format!("job_demo.shop.other.network.e1.o{n}"), attempt: 1, fence: n + 1 };
        let mut word = word(success());
        word.attempt = Some(of.clone());
        assert!(!client.complete_job(word).await.unwrap().into_inner().accepted);
        let logs = v1::AppendLogsRequest { attempt: Some(of), offset: 0, data: vec![1], r#final: true };
        assert_eq!(code(&client.append_logs(logs).await.unwrap_err()), "rpc.attempt_unknown");
    }
    assert!(runner.complete(&attempt, success()).await.unwrap(), "its own word still counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_log_is_slowed_down_and_a_slow_reader_stops_nobody() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let mut runner = world.enrol(&token).await;
    let attempt = runner.lease(20_000).await.unwrap().attempt.unwrap();
    runner.renew(&attempt, v1::LeasePhase::Start, 0).await;
    let mut other = neighbour(&world, &token).await;
    let (piece, began) = (vec![b'l'; 512 << 10], Instant::now());
    let mut at = 0;
    while at < 12 << 20 {
        at = runner.append(&attempt, at, &piece, false).await.unwrap();
    }
    assert!(began.elapsed() > Duration::from_millis(700), "12 MiB in {:?}", began.elapsed());
    is_served(&mut other).await;

    let digest = Digest::of(b"network").to_string();
    let mut unread = vec![];
    for _ in 0..8 {
        let ask = v1::FetchArtifactRequest { digest: digest.clone(), offset: 0 };
        unread.push(runner.client.fetch_artifact(ask).await.unwrap());
    }
    is_served(&mut other).await;
    drop(unread);
    assert!(runner.complete(&attempt, success()).await.unwrap());
}
