//! A runner's life at its door: enrolment, work, stops, the last word; and who is not let in.

use remit_broker::api::{SignalAccepted, View, wire};
use remit_proto::v1;
use remit_proto::v1::renew_lease_response::Verdict;
use remit_proto::v1::runner_service_client::RunnerServiceClient;
use remit_seal::Digest;
use remit_seal::document::Audience;
use remit_seal::verify::{self, Context};
use serde_json::json;
use tonic::Code;

use crate::world::{World, csr, identity_of, info, now_ms, success};

fn code(status: &tonic::Status) -> (Code, &str) {
    (status.code(), status.metadata().get("remit-code").unwrap().to_str().unwrap())
}

fn is_active(view: &View) -> bool {
    view.status.word == "active"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_takes_work_and_the_install_becomes_active() {
    let world = World::start().await;
    let token = world.install(&["network", "web"]).await;
    let mut runner = world.enrol(&token).await;
    assert_eq!(runner.generation, 1);
    for _ in 0..2 {
        let lease = runner.lease(20_000).await.unwrap();
        let attempt = lease.attempt.unwrap();
        check_envelope(&world, &token, &lease.envelope, &attempt).await;
        let go = runner.renew(&attempt, v1::LeasePhase::Start, 0).await;
        assert!(matches!(go, Verdict::Continue(_)), "{go:?}");
        let again = runner.renew(&attempt, v1::LeasePhase::Start, 0).await;
        assert!(matches!(again, Verdict::Continue(_)), "a start is confirmed again after a lost answer");
        assert_eq!(runner.append(&attempt, 0, b"hello\n", true).await.unwrap(), 6);
        assert!(runner.complete(&attempt, success()).await.unwrap());
        assert!(runner.complete(&attempt, success()).await.unwrap(), "the same word again");
        let another = v1::complete_job_request::Outcome::Cancelled(v1::Cancelled { message: "no".into() });
        assert!(!runner.complete(&attempt, another).await.unwrap(), "another word comes too late");
        let late = runner.renew(&attempt, v1::LeasePhase::Running, 0).await;
        assert!(matches!(late, Verdict::Stop(stop) if stop.reason() == v1::StopReason::Fenced));
    }
    let view = world.until("ins_demo.shop.acme", |o| is_active(&o.view)).await;
    assert!(runner.lease(0).await.is_none(), "no work is left: {view:?}");
}

async fn check_envelope(world: &World, token: &str, envelope: &[u8], attempt: &v1::AttemptRef) {
    // Made anew, with the keys of the one in use.
    let root = verify::root(world.root("demo").await.as_bytes(), None, now_ms()).unwrap();
    let audience = Audience::of_install("ins_demo.shop.acme", 1, 1).unwrap();
    let context = Context {
        audience: &audience,
        now_ms: now_ms(),
        seq_high: 0,
        fence_high: 0,
        counter_floor: 1,
        made_by: None,
        is_fresh: false,
    };
    let job = verify::job(&root, envelope, &context).unwrap();
    assert_eq!((job.get().fence, &job.get().job), (attempt.fence, &attempt.job));
    let path = format!("/v1/orgs/demo/releases/{}", job.get().release);
    let release = world.with(token).request(reqwest::Method::GET, &path).send().await.unwrap();
    let release = verify::release(&root, &release.bytes().await.unwrap(), now_ms()).unwrap();
    verify::bind(&root, job, &release, &context).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_ends_the_moment_work_comes_and_a_lease_the_moment_it_must_stop() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let mut runner = world.enrol(&token).await;
    let lease = runner.lease(20_000).await.unwrap();
    let attempt = lease.attempt.unwrap();
    let mut progress = follow_progress(&world, &token).await;
    runner.renew(&attempt, v1::LeasePhase::Start, 0).await;
    let report = v1::ReportProgressRequest {
        attempt: Some(attempt.clone()),
        message: "applying 1 of 2\u{1b}[31m".to_owned(),
        done: 1,
        total: 2,
    };
    runner.client.report_progress(report).await.unwrap();
    let line = progress.next().await;
    assert_eq!(
        (line.message.as_str(), line.component.as_str(), line.total),
        ("applying 1 of 2", "network", 2)
    );
    let began = std::time::Instant::now();
    let cancel = async {
        let signal = json!({"cancel": {"reason": "changed my mind"}});
        let path = "/v1/objects/ins_demo.shop.acme/signals";
        let _: SignalAccepted = world.with(&token).post(path, &signal).await;
    };
    let (verdict, ()) = tokio::join!(runner.renew(&attempt, v1::LeasePhase::Running, 40_000), cancel);
    let Verdict::Stop(stop) = verdict else { panic!("{verdict:?}") };
    assert_eq!(stop.reason(), v1::StopReason::Cancelled);
    assert!(stop.message.contains("changed my mind"), "{}", stop.message);
    assert!(began.elapsed().as_secs() < 20, "it did not wait for the end of the poll");
}

struct ProgressEvents {
    response: reqwest::Response,
    text: String,
}

impl ProgressEvents {
    async fn next(&mut self) -> wire::Progress {
        loop {
            let lines = self.text.split("\n\n").find(|e| e.contains("event: progress"));
            if let Some(data) = lines.and_then(|e| e.lines().find_map(|l| l.strip_prefix("data: "))) {
                return serde_json::from_str(data).unwrap();
            }
            let bytes = self.response.chunk().await.unwrap().unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }
}

async fn follow_progress(world: &World, token: &str) -> ProgressEvents {
    let request = world.with(token).request(reqwest::Method::GET, "/v1/objects/ins_demo.shop.acme/events");
    let mut response = request.send().await.unwrap();
    // The first view is sent after the follower has subscribed.
    let first = response.chunk().await.unwrap().unwrap();
    ProgressEvents { response, text: String::from_utf8(first.to_vec()).unwrap() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lets_one_runner_in_once() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let (_, request) = csr();
    let wrong = world.enrol_with("remit_acme_wrong", request.clone()).await.unwrap_err();
    assert_eq!(code(&wrong), (Code::Unauthenticated, "rpc.token_refused"));
    let first = world.runner_token(&token).await;
    let second = world.runner_token(&token).await;
    let void = world.enrol_with(first.token.as_deref().unwrap(), request.clone()).await.unwrap_err();
    assert_eq!(code(&void), (Code::Unauthenticated, "rpc.token_refused"));
    let enrolled =
        world.enrol_with(second.token.as_deref().unwrap(), request.clone()).await.unwrap().identity.unwrap();
    let repeated =
        world.enrol_with(second.token.as_deref().unwrap(), request).await.unwrap().identity.unwrap();
    assert_eq!(enrolled.generation, repeated.generation, "the same key after a lost answer");
    let (_, other) = csr();
    let used = world.enrol_with(second.token.as_deref().unwrap(), other).await.unwrap_err();
    assert_eq!(code(&used), (Code::Unauthenticated, "rpc.token_refused"));
    let third = world.runner_token(&token).await;
    let broken = world.enrol_with(third.token.as_deref().unwrap(), vec![0x30, 0x00]).await.unwrap_err();
    assert_eq!(code(&broken), (Code::InvalidArgument, "rpc.csr_invalid"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_former_generation_reaches_nothing() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let mut old = world.enrol(&token).await;
    let attempt = old.lease(20_000).await.unwrap().attempt.unwrap();
    old.renew(&attempt, v1::LeasePhase::Start, 0).await;
    let new = world.enrol(&token).await;
    assert_eq!(new.generation, 2);
    let fenced = (Code::PermissionDenied, "rpc.generation_fenced");
    let install = "ins_demo.shop.acme".to_owned();
    let lease =
        v1::LeaseJobRequest { install, wait_ms: 0, info: info("boot-1"), held: vec![], ..Default::default() };
    assert_eq!(code(&old.client.lease_job(lease).await.unwrap_err()), fenced);
    assert_eq!(code(&old.append(&attempt, 0, b"x", false).await.unwrap_err()), fenced);
    assert_eq!(code(&old.complete(&attempt, success()).await.unwrap_err()), fenced);
    let (_, request) = csr();
    assert_eq!(code(&old.client.renew(v1::RenewRequest { csr: request }).await.unwrap_err()), fenced);
    let digest = Digest::of(b"network").to_string();
    let fetch = v1::FetchArtifactRequest { digest, offset: 0 };
    assert_eq!(code(&old.client.fetch_artifact(fetch).await.unwrap_err()), fenced);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_certificates_of_this_broker_are_let_in() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let mut nobody = RunnerServiceClient::new(world.channel(None).await);
    let install = "ins_demo.shop.acme".to_owned();
    let lease =
        v1::LeaseJobRequest { install, wait_ms: 0, info: info("boot-1"), held: vec![], ..Default::default() };
    let refused = nobody.lease_job(lease.clone()).await.unwrap_err();
    assert_eq!(code(&refused), (Code::Unauthenticated, "rpc.certificate_missing"));
    // A runner of another broker: well-formed, and of a foreign authority.
    let other = World::start().await;
    let other_token = other.install(&["network"]).await;
    let made = other.runner_token(&other_token).await;
    let (key, request) = csr();
    let identity = other.enrol_with(made.token.as_deref().unwrap(), request).await.unwrap().identity.unwrap();
    let foreign = identity_of(&identity.certificate_chain, &key);
    let tls = tonic::transport::ClientTlsConfig::new()
        .ca_certificate(tonic::transport::Certificate::from_pem(&world.ca_pem))
        .domain_name("localhost")
        .identity(foreign);
    let endpoint = tonic::transport::Channel::from_shared(format!("https://{}", world.running.rpc_addr));
    let called = match endpoint.unwrap().tls_config(tls).unwrap().connect().await {
        Ok(channel) => RunnerServiceClient::new(channel).lease_job(lease.clone()).await.map(|_| ()),
        Err(error) => Err(tonic::Status::unavailable(error.to_string())),
    };
    assert!(called.is_err(), "TLS ends it");
    // A runner speaks for its own install only.
    let mut runner = world.enrol(&token).await;
    let install = "ins_demo.shop.other".to_owned();
    let mismatch = runner.client.lease_job(v1::LeaseJobRequest { install, ..lease }).await.unwrap_err();
    assert_eq!(code(&mismatch), (Code::PermissionDenied, "rpc.install_mismatch"));
    let foreign =
        v1::AttemptRef { job: "job_rival.shop.acme.network.e1.o1".to_owned(), attempt: 1, fence: 1 };
    let refused = runner.append(&foreign, 0, b"x", false).await.unwrap_err();
    assert_eq!(code(&refused), (Code::PermissionDenied, "rpc.attempt_unknown"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_fetches_what_is_of_its_own_org() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let rival = world.org("rival").await;
    let large: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
    assert!(world.put_artifact(&token, "demo", &large).await.is_success());
    assert!(world.put_artifact(&rival, "rival", b"not yours").await.is_success());
    let mut runner = world.enrol(&token).await;
    let offset = 123_456;
    let request = v1::FetchArtifactRequest { digest: Digest::of(&large).to_string(), offset };
    let mut stream = runner.client.fetch_artifact(request).await.unwrap().into_inner();
    let mut got = vec![];
    while let Some(message) = stream.message().await.unwrap() {
        assert_eq!(message.total_size, 1_000_000);
        got.extend(message.chunk);
    }
    assert_eq!(got, large[123_456..]);
    let request = v1::FetchArtifactRequest { digest: Digest::of(b"not yours").to_string(), offset: 0 };
    let refused = runner.client.fetch_artifact(request).await.unwrap_err();
    assert_eq!(code(&refused), (Code::NotFound, "artifact.not_found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_is_renewed_and_outlives_the_broker() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let mut runner = world.enrol(&token).await;
    let (key, request) = csr();
    let renewed = runner.client.renew(v1::RenewRequest { csr: request }).await.unwrap().into_inner();
    let identity = renewed.identity.unwrap();
    assert_eq!(identity.generation, 1);
    assert!(identity.not_after_ms > now_ms() + 23 * 3_600_000);
    let before = runner.lease(20_000).await.unwrap();
    let world = world.restart().await;
    let channel = world.channel(Some(identity_of(&identity.certificate_chain, &key))).await;
    let mut client = RunnerServiceClient::new(channel);
    let install = "ins_demo.shop.acme".to_owned();
    let request = v1::LeaseJobRequest {
        install,
        wait_ms: 20_000,
        info: info("boot-2"),
        held: vec![],
        ..Default::default()
    };
    let after = client.lease_job(request.clone()).await.unwrap().into_inner().lease.unwrap();
    assert_eq!(after.attempt, before.attempt, "the same attempt with the same fence");
    let held = v1::LeaseJobRequest { held: vec![after.attempt.unwrap()], wait_ms: 50, ..request };
    assert!(client.lease_job(held).await.unwrap().into_inner().lease.is_none(), "it has that one");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_not_of_the_protocol_is_refused() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let mut runner = world.enrol(&token).await;
    let attempt = runner.lease(20_000).await.unwrap().attempt.unwrap();
    let report = |message: String, attempt: Option<v1::AttemptRef>| v1::ReportProgressRequest {
        attempt,
        message,
        done: 0,
        total: 0,
    };
    for (request, want) in [
        (
            report("x".repeat(300 << 10), Some(attempt.clone())),
            (Code::ResourceExhausted, "rpc.message_too_large"),
        ),
        (report("x".repeat(600), Some(attempt.clone())), (Code::InvalidArgument, "wire.too_long")),
        (report("x".to_owned(), None), (Code::InvalidArgument, "wire.missing")),
    ] {
        let refused = runner.client.report_progress(request).await.unwrap_err();
        assert_eq!(code(&refused), want);
    }
    let flood = runner.append(&attempt, 0, &vec![b'x'; 2 << 20], false).await.unwrap_err();
    assert_eq!(flood.code(), Code::OutOfRange, "{flood}");
    let stale = v1::AttemptRef { fence: attempt.fence + 1, ..attempt.clone() };
    let refused = runner.append(&stale, 0, b"x", false).await.unwrap_err();
    assert_eq!(code(&refused), (Code::PermissionDenied, "rpc.attempt_unknown"));
    let verdict = runner.renew(&stale, v1::LeasePhase::Start, 0).await;
    assert!(matches!(verdict, Verdict::Stop(stop) if stop.reason() == v1::StopReason::Fenced));
    assert!(!runner.complete(&stale, success()).await.unwrap(), "a stale fence changes nothing");
    assert_eq!(runner.append(&attempt, 0, b"x", false).await.unwrap(), 1, "the runner goes on");
}
