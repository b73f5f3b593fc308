//! Every call of the runners' protocol by everybody who must not make it. The calls are read from the
//! protocol itself, and each kind of stranger is a row: a call that is added is refused to all of them, or this
//! does not pass.

use remit_broker::api::wire::{ObjectView, RunnerToken, SignalAccepted};
use remit_proto::v1;
use remit_proto::v1::renew_lease_response::Verdict;
use remit_proto::v1::runner_service_client::RunnerServiceClient;
use remit_seal::Digest;
use serde_json::json;
use tonic::transport::{Channel, Identity};
use tonic::{Code, Status};

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
            let renewed = client.renew(v1::RenewRequest { csr: csr().1 }).await?.into_inner();
            format!("renewed {}", names(&renewed.identity.unwrap().certificate_chain[0]))
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
            let ask = v1::CompleteJobRequest { attempt, outcome, journal_head, ..Default::default() };
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

/// Whose certificate it is: the install's part of the name in it.
fn names(der: &[u8]) -> String {
    let text = String::from_utf8_lossy(der);
    let from = text.find("/org/").unwrap();
    text[from..].split("/epoch/").next().unwrap().to_owned()
}

fn word(answer: Result<String, Status>) -> String {
    match answer {
        Ok(answer) => answer,
        // Let in by nobody: the connection itself was refused.
        Err(status) if status.code() == Code::Unknown || status.metadata().get("remit-code").is_none() => {
            "no connection".to_owned()
        }
        Err(status) => status.message().split(':').next().unwrap().to_owned(),
    }
}

/// Somebody who must not get at demo's install `acme`.
struct Stranger {
    who: &'static str,
    client: Client,
    /// What they get, by call.
    expect: fn(&str) -> &'static str,
}

/// A runner of another install, enrolled rightly.
async fn enrolled(world: &World, token: &str, install: &str) -> Client {
    let path = format!("/v1/objects/{install}");
    let _: SignalAccepted = world.with(token).post(&format!("{path}/signals"), &json!({"create": {}})).await;
    let made: RunnerToken = world.with(token).post(&format!("{path}/runner-token"), &json!({})).await;
    let (key, csr) = csr();
    let (install, info) = (install.to_owned(), info("boot-1"));
    let ask =
        v1::EnrollRequest { install, token: made.token.clone().unwrap(), csr, info, ..Default::default() };
    let mut client = RunnerServiceClient::new(world.channel(None).await);
    let identity = client.enroll(ask).await.unwrap().into_inner().identity.unwrap();
    RunnerServiceClient::new(world.channel(Some(identity_of(&identity.certificate_chain, &key))).await)
}

/// A certificate with acme's name: of this broker's authority, but over; or of another authority.
async fn made_up(world: &World, is_ours: bool) -> Client {
    let file = |name: &str| std::fs::read_to_string(world.dir.path().join(name)).unwrap();
    let authority = if is_ours {
        rcgen::KeyPair::from_pem(&file("ca.key")).unwrap()
    } else {
        rcgen::KeyPair::generate().unwrap()
    };
    let issuer = rcgen::Issuer::from_ca_cert_pem(&file("ca.pem"), authority).unwrap();
    let name = "spiffe://remit/org/demo/app/shop/install/acme/epoch/1/gen/2";
    let mut params = rcgen::CertificateParams::default();
    params.subject_alt_names = vec![rcgen::SanType::URI(name.try_into().unwrap())];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(if is_ours { 2021 } else { 2100 }, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let identity = Identity::from_pem(certificate.pem(), key.serialize_pem());
    RunnerServiceClient::new(world.lazy_channel(Some(identity)))
}

async fn started(world: &World, runner: &mut FakeRunner) -> v1::AttemptRef {
    let attempt = runner.lease(20_000).await.unwrap().attempt.unwrap();
    runner.renew(&attempt, v1::LeasePhase::Start, 0).await;
    world.until("ins_demo.shop.acme", |_| true).await;
    attempt
}

async fn check(stranger: &mut Stranger, attempt: &v1::AttemptRef) {
    let Stranger { who, client, expect } = stranger;
    for rpc in calls() {
        assert_eq!(word(call(client, &rpc, attempt).await), expect(&rpc), "{rpc} by {who}");
    }
}

fn unknown(rpc: &str) -> &'static str {
    match rpc {
        // Which is good for nothing by itself.
        "BeginEnroll" => "a nonce",
        "Enroll" => "rpc.token_refused",
        _ => "rpc.certificate_missing",
    }
}

fn fenced(rpc: &str) -> &'static str {
    match rpc {
        "BeginEnroll" => "a nonce",
        "Enroll" => "rpc.token_refused",
        _ => "rpc.generation_fenced",
    }
}

/// Its own affairs, and nobody else's.
fn others(rpc: &str) -> &'static str {
    match rpc {
        "BeginEnroll" => "a nonce",
        "Enroll" => "rpc.token_refused",
        // Of its own install, which has no such plan.
        "AnswerPlan" | "CompleteJob" => "accepted false",
        "LeaseJob" => "rpc.install_mismatch",
        "RenewLease" => "stop STOP_REASON_FENCED",
        _ => "rpc.attempt_unknown",
    }
}

fn rivals(rpc: &str) -> &'static str {
    match rpc {
        "Renew" => "renewed /org/rival/app/shop/install/acme",
        "FetchTrust" => "status of rival",
        "FetchArtifact" => "artifact.not_found",
        rpc => others(rpc),
    }
}

fn sisters(rpc: &str) -> &'static str {
    match rpc {
        "Renew" => "renewed /org/demo/app/shop/install/other",
        "FetchTrust" => "status of demo",
        // An org's artefacts are all its runners'.
        "FetchArtifact" => "fetched",
        rpc => others(rpc),
    }
}

fn cousins(rpc: &str) -> &'static str {
    match rpc {
        "Renew" => "renewed /org/demo/app/till/install/acme",
        rpc => sisters(rpc),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_is_answered_to_a_stranger() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let former = world.enrol(&token).await;
    let mut runner = world.enrol(&token).await;
    let attempt = started(&world, &mut runner).await;
    let rival = world.org("rival").await;
    world.publish(&rival, "rival", 1, &["other"]).await;
    let _: SignalAccepted =
        world.with(&token).post("/v1/objects/app_demo.till/signals", &json!({"create": {}})).await;
    let nobody = RunnerServiceClient::new(world.channel(None).await);
    let none = |_: &str| "no connection";
    let row = |who, client, expect| Stranger { who, client, expect };
    let mut strangers = vec![
        row("nobody", nobody, unknown as fn(&str) -> &'static str),
        row("an older generation", former.client, fenced),
        row("another org's", enrolled(&world, &rival, "ins_rival.shop.acme").await, rivals),
        row("another install's", enrolled(&world, &token, "ins_demo.shop.other").await, sisters),
        row("another app's", enrolled(&world, &token, "ins_demo.till.acme").await, cousins),
        row("a certificate that is over", made_up(&world, true).await, none),
        row("another authority's", made_up(&world, false).await, none),
    ];
    let before: ObjectView = world.with(&token).get("/v1/objects/ins_demo.shop.acme").await;
    assert!(calls().len() >= 10, "{:?}", calls());
    for stranger in &mut strangers {
        check(stranger, &attempt).await;
    }
    let after: ObjectView = world.with(&token).get("/v1/objects/ins_demo.shop.acme").await;
    assert_eq!(before, after, "nothing changed");
    let verdict = runner.renew(&attempt, v1::LeasePhase::Running, 0).await;
    assert!(matches!(verdict, Verdict::Continue(_)), "{verdict:?}");
    assert_eq!(runner.append(&attempt, 0, b"true", true).await.unwrap(), 4, "no lies before it");

    let revoke = json!({"revoke": {"reason": "stolen"}});
    let _: SignalAccepted = world.with(&token).post("/v1/objects/run_demo.shop.acme/signals", &revoke).await;
    check(&mut row("a revoked one", runner.client, fenced), &attempt).await;
    println!("{} calls x {} strangers refused", calls().len(), strangers.len() + 1);
}
