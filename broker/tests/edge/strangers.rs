//! Every call of the runners' protocol by everybody who must not make it. The calls are read from the
//! protocol itself: one that is added is refused to strangers, or this does not pass.

use remit_broker::api::wire::{ObjectView, RunnerToken, SignalAccepted};
use remit_proto::v1;
use remit_proto::v1::renew_lease_response::Verdict;
use remit_proto::v1::runner_service_client::RunnerServiceClient;
use remit_seal::Digest;
use serde_json::json;
use tonic::Status;
use tonic::transport::Channel;

use crate::world::{FakeRunner, World, csr, identity_of, info, success};

type Client = RunnerServiceClient<Channel>;

fn calls() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto/remit/runner/v1/runner.proto");
    let proto = std::fs::read_to_string(path).unwrap();
    let name = |line: &str| Some(line.trim().strip_prefix("rpc ")?.split('(').next()?.to_owned());
    proto.lines().filter_map(name).collect()
}

/// What a stranger would say to get at the running attempt of demo's install; the answer in a word.
async fn call(client: &mut Client, rpc: &str, of: &v1::AttemptRef) -> Result<String, Status> {
    let (install, attempt) = ("ins_demo.shop.acme".to_owned(), Some(of.clone()));
    let info = info("boot-9");
    let answer = match rpc {
        "BeginEnroll" => {
            client.begin_enroll(v1::BeginEnrollRequest { install }).await?;
            "a nonce".to_owned()
        }
        "Enroll" => {
            let (token, csr) = ("remit_acme_guessed".to_owned(), csr().1);
            let ask = v1::EnrollRequest { install, token, csr, info, ..Default::default() };
            client.enroll(ask).await.map(|_| "enrolled".to_owned())?
        }
        "Renew" => {
            client.renew(v1::RenewRequest { csr: csr().1 }).await?;
            "renewed".to_owned()
        }
        "LeaseJob" => {
            let ask = v1::LeaseJobRequest { install, info, root_version: 1, ..Default::default() };
            client.lease_job(ask).await.map(|_| "leased".to_owned())?
        }
        "RenewLease" => {
            let phase = v1::LeasePhase::Start.into();
            let ask = v1::RenewLeaseRequest { attempt, phase, wait_ms: 0 };
            match client.renew_lease(ask).await?.into_inner().verdict {
                Some(Verdict::Stop(stop)) => format!("stop {}", stop.reason().as_str_name()),
                other => format!("{other:?}"),
            }
        }
        "ReportProgress" => {
            let message = "all is lost".to_owned();
            let ask = v1::ReportProgressRequest { attempt, message, done: 0, total: 1 };
            client.report_progress(ask).await.map(|_| "reported".to_owned())?
        }
        "AppendLogs" => {
            let ask = v1::AppendLogsRequest { attempt, offset: 0, data: b"lies".to_vec(), r#final: true };
            client.append_logs(ask).await.map(|_| "appended".to_owned())?
        }
        "CompleteJob" => {
            let (outcome, journal_head) = (Some(success()), vec![7; 32]);
            let ask = v1::CompleteJobRequest { attempt, outcome, journal_head, journal_records: 0 };
            format!("accepted {}", client.complete_job(ask).await?.into_inner().accepted)
        }
        "FetchArtifact" => {
            let digest = Digest::of(b"network").to_string();
            let ask = v1::FetchArtifactRequest { digest, offset: 0 };
            client.fetch_artifact(ask).await.map(|_| "fetched".to_owned())?
        }
        "FetchTrust" => {
            let answer = client.fetch_trust(v1::FetchTrustRequest { root_version: 1 }).await?.into_inner();
            let status =
                remit_seal::dsse::Envelope::parse(&answer.status, remit_seal::dsse::PayloadType::Status);
            let status: remit_seal::document::Status =
                remit_seal::strict::from_slice(&status.unwrap().payload).unwrap();
            format!("status of {}", status.vendor)
        }
        "AnswerPlan" => {
            let approved = v1::PlanApproved { by: "nobody".to_owned(), until_ms: i64::from(i32::MAX) };
            let answer = Some(v1::answer_plan_request::Answer::Approved(approved));
            let digest = Digest::of(b"network").as_bytes().to_vec();
            let ask = v1::AnswerPlanRequest { component: "network".to_owned(), digest, answer };
            format!("accepted {}", client.answer_plan(ask).await?.into_inner().accepted)
        }
        new => panic!("`{new}` is new: say here how a stranger would call it, and below what they get"),
    };
    Ok(answer)
}

fn word(answer: Result<String, Status>) -> String {
    answer.unwrap_or_else(|status| status.message().split(':').next().unwrap().to_owned())
}

/// A runner of another org, enrolled rightly; it has an install of the same name.
async fn rival(world: &World) -> Client {
    let token = world.org("rival").await;
    world.publish(&token, "rival", 1, &["other"]).await;
    let path = "/v1/objects/ins_rival.shop.acme";
    let _: SignalAccepted = world.with(&token).post(&format!("{path}/signals"), &json!({"create": {}})).await;
    let made: RunnerToken = world.with(&token).post(&format!("{path}/runner-token"), &json!({})).await;
    let (key, csr) = csr();
    let (install, info) = ("ins_rival.shop.acme".to_owned(), info("boot-1"));
    let ask =
        v1::EnrollRequest { install, token: made.token.clone().unwrap(), csr, info, ..Default::default() };
    let mut client = RunnerServiceClient::new(world.channel(None).await);
    let identity = client.enroll(ask).await.unwrap().into_inner().identity.unwrap();
    RunnerServiceClient::new(world.channel(Some(identity_of(&identity.certificate_chain, &key))).await)
}

async fn started(world: &World, runner: &mut FakeRunner) -> v1::AttemptRef {
    let attempt = runner.lease(20_000).await.unwrap().attempt.unwrap();
    runner.renew(&attempt, v1::LeasePhase::Start, 0).await;
    world.until("ins_demo.shop.acme", |_| true).await;
    attempt
}

async fn check(client: &mut Client, attempt: &v1::AttemptRef, expect: impl Fn(&str) -> &'static str) {
    for rpc in calls() {
        assert_eq!(word(call(client, &rpc, attempt).await), expect(&rpc), "{rpc}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_is_answered_to_a_stranger() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let mut former = world.enrol(&token).await;
    let mut runner = world.enrol(&token).await;
    let attempt = started(&world, &mut runner).await;
    let (mut nobody, mut rival) = (RunnerServiceClient::new(world.channel(None).await), rival(&world).await);
    let before: ObjectView = world.with(&token).get("/v1/objects/ins_demo.shop.acme").await;
    assert!(calls().len() >= 9, "{:?}", calls());
    check(&mut nobody, &attempt, |rpc| match rpc {
        // Which is good for nothing by itself.
        "BeginEnroll" => "a nonce",
        "Enroll" => "rpc.token_refused",
        _ => "rpc.certificate_missing",
    })
    .await;
    check(&mut former.client, &attempt, |rpc| match rpc {
        "BeginEnroll" => "a nonce",
        "Enroll" => "rpc.token_refused",
        _ => "rpc.generation_fenced",
    })
    .await;
    check(&mut rival, &attempt, |rpc| match rpc {
        "BeginEnroll" => "a nonce",
        "Enroll" => "rpc.token_refused",
        // Its own affairs, and nobody else's.
        "Renew" => "renewed",
        "FetchTrust" => "status of rival",
        // Of its own install, which has no such plan.
        "AnswerPlan" => "accepted false",
        "LeaseJob" => "rpc.install_mismatch",
        "RenewLease" => "stop STOP_REASON_FENCED",
        "FetchArtifact" => "artifact.not_found",
        "CompleteJob" => "accepted false",
        _ => "rpc.attempt_unknown",
    })
    .await;
    let after: ObjectView = world.with(&token).get("/v1/objects/ins_demo.shop.acme").await;
    assert_eq!(before, after, "nothing changed");
    let verdict = runner.renew(&attempt, v1::LeasePhase::Running, 0).await;
    assert!(matches!(verdict, Verdict::Continue(_)), "{verdict:?}");
    assert_eq!(runner.append(&attempt, 0, b"true", true).await.unwrap(), 4, "no lies before it");
}
