//! Enrolment by AWS's word: what AWS is asked, and everybody who is not let in. The signatures here are nobody's:
//! what stands in AWS's place decides, and what the broker makes of its answer is what is shown.

use remit_broker::api::wire::SignalAccepted;
use remit_proto::v1;
use remit_proto::v1::runner_service_client::RunnerServiceClient;
use remit_seal::Digest;
use remit_seal::document::{Audience, Job};
use remit_seal::dsse::{Envelope, PayloadType};
use serde_json::{Value, json};
use tonic::Status;
use x509_parser::prelude::FromDer as _;

use crate::sts::{Answer, Sts, good, identity};
use crate::world::{FakeRunner, World, csr, identity_of, info, now_ms};

const INSTALL: &str = "ins_demo.shop.acme";
const RUNNER: &str = "run_demo.shop.acme";

/// A broker that asks another than AWS, with an install that is declared to be somewhere.
struct Scene {
    world: World,
    sts: Sts,
    token: String,
    root: Digest,
}

impl Scene {
    async fn start(place: Value) -> Self {
        let sts = Sts::start();
        let world = World::start_asking(&sts.url).await;
        let token = world.install(&["network"]).await;
        let root = Digest::from_hex(&world.runner_token(&token).await.root_sha256).unwrap();
        let scene = Self { world, sts, token, root };
        scene.declare(place).await;
        scene
    }

    async fn declare(&self, place: Value) {
        let signal = json!({"declare": {"place": place, "reason": "for a test"}});
        let path = format!("/v1/objects/{RUNNER}/signals");
        let _: SignalAccepted = self.world.with(&self.token).post(&path, &signal).await;
    }

    async fn begin(&self, install: &str) -> v1::BeginEnrollResponse {
        let mut client = RunnerServiceClient::new(self.world.channel(None).await);
        let ask = v1::BeginEnrollRequest { install: install.to_owned() };
        client.begin_enroll(ask).await.unwrap().into_inner()
    }

    /// A request that is right in all that a broker can see.
    async fn request(&self, csr: Vec<u8>) -> v1::EnrollRequest {
        let aws = v1::AwsProof {
            nonce: self.begin(INSTALL).await.nonce,
            region: "eu-central-1".to_owned(),
            access_key_id: "ASIAIOSFODNN7EXAMPLE".to_owned(),
            signed_s: now_ms() / 1_000,
            session_token: "a-session+token=".to_owned(),
            signature: vec![0xab; 32],
        };
        v1::EnrollRequest {
            install: INSTALL.to_owned(),
            token: String::new(),
            csr,
            info: info("boot-1"),
            root_sha256: self.root.as_bytes().to_vec(),
            aws: Some(aws),
        }
    }

    async fn enrol(&self, request: v1::EnrollRequest) -> Result<v1::EnrollResponse, Status> {
        let mut client = RunnerServiceClient::new(self.world.channel(None).await);
        client.enroll(request).await.map(tonic::Response::into_inner)
    }

    /// The code that a request is refused with, which is right but for this.
    async fn refused(&self, change: impl FnOnce(&mut v1::EnrollRequest)) -> String {
        let mut request = self.request(csr().1).await;
        change(&mut request);
        code(&self.enrol(request).await.expect_err("it was let in"))
    }
}

fn code(status: &Status) -> String {
    status.metadata().get("remit-code").unwrap().to_str().unwrap().to_owned()
}

fn place() -> Value {
    json!({"account": "123456789012", "region": "eu-central-1", "role": "remit-acme"})
}

fn aws(request: &mut v1::EnrollRequest) -> &mut v1::AwsProof {
    request.aws.as_mut().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proven_role_is_let_in_and_its_jobs_name_the_place() {
    let scene = Scene::start(place()).await;
    let (key, csr) = csr();
    let request = scene.request(csr.clone()).await;
    let answer = scene.enrol(request.clone()).await.unwrap();
    assert_eq!((answer.account.as_str(), answer.region.as_str()), ("123456789012", "eu-central-1"));
    let identity = answer.identity.unwrap();
    assert_eq!(identity.generation, 1);
    assert_eq!(
        uri(&identity.certificate_chain[0]),
        "spiffe://remit/org/demo/app/shop/install/acme/epoch/1/gen/1"
    );
    // The same request once more, and the same key with a new nonce: an answer that was lost.
    assert_eq!(code(&scene.enrol(request).await.unwrap_err()), "rpc.nonce_refused");
    let again = scene.enrol(scene.request(csr).await).await.unwrap().identity.unwrap();
    assert_eq!(again.generation, 1);

    let channel = scene.world.channel(Some(identity_of(&identity.certificate_chain, &key))).await;
    let client = RunnerServiceClient::new(channel);
    let mut runner = FakeRunner { client, generation: 1, boot: "boot-1".to_owned() };
    let envelope = runner.lease(20_000).await.unwrap().envelope;
    let payload = Envelope::parse(&envelope, PayloadType::Job).unwrap().payload;
    let job: Job = remit_seal::strict::from_slice(&payload).unwrap();
    let mut expected = Audience::of_install(INSTALL, 1, 1).unwrap();
    expected.account = Some("123456789012".to_owned());
    expected.region = Some("eu-central-1".to_owned());
    assert_eq!(job.audience, expected);

    // Declared to be elsewhere, it is heard no more.
    scene.declare(json!({"account": "210987654321", "region": "eu-central-1"})).await;
    let poll =
        v1::LeaseJobRequest { install: INSTALL.to_owned(), info: info("boot-1"), ..Default::default() };
    assert_eq!(code(&runner.client.lease_job(poll).await.unwrap_err()), "rpc.generation_fenced");
}

fn uri(certificate: &[u8]) -> String {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).unwrap();
    let names = certificate.subject_alternative_name().unwrap().unwrap().value.general_names.clone();
    match &names[..] {
        [x509_parser::extensions::GeneralName::URI(uri)] => (*uri).to_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn aws_is_asked_with_a_request_of_the_brokers_own() {
    let scene = Scene::start(place()).await;
    let (_, csr) = csr();
    let request = scene.request(csr.clone()).await;
    let (nonce, signed_s) = (aws(&mut request.clone()).nonce.clone(), aws(&mut request.clone()).signed_s);
    scene.enrol(request).await.unwrap();
    let [asked] = &scene.sts.asked()[..] else { panic!("asked once: {:?}", scene.sts.asked()) };
    let (head, body) = asked.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "Action=GetCallerIdentity&Version=2011-06-15");
    assert!(head.starts_with("POST / HTTP/1.1\r\n"), "{head}");
    let header = |name: &str| {
        let of = |line: &str| {
            Some(line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name))?.1.to_owned())
        };
        head.lines().find_map(of).unwrap_or_else(|| panic!("{name} in {head}"))
    };
    assert_eq!(header("host"), "sts.eu-central-1.amazonaws.com");
    assert_eq!(header("accept"), "application/json");
    assert_eq!(header("x-amz-security-token"), "a-session+token=");
    let date = jiff::Timestamp::from_second(signed_s).unwrap().strftime("%Y%m%dT%H%M%SZ").to_string();
    assert_eq!(header("x-amz-date"), date);
    let spki = x509_parser::certification_request::X509CertificationRequest::from_der(&csr).unwrap().1;
    let spki = Digest::of(spki.certification_request_info.subject_pki.raw);
    let bound = [
        b"remit sts:GetCallerIdentity v1\0".as_slice(),
        scene.root.as_bytes(),
        &nonce,
        spki.as_bytes(),
        &18u32.to_be_bytes(),
        INSTALL.as_bytes(),
    ]
    .concat();
    assert_eq!(header("x-remit-binding"), Digest::of(&bound).hex());
    assert!(
        header("authorization").starts_with(&format!(
            "AWS4-HMAC-SHA256 Credential=ASIAIOSFODNN7EXAMPLE/{}/eu-central-1/sts/aws4_request, ",
            &date[..8]
        )),
        "{head}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_as_declared_is_refused() {
    let scene = Scene::start(place()).await;
    let role = |account: &str, role: &str| {
        identity(account, &format!("arn:aws:sts::{account}:assumed-role/{role}/i-0abc"))
    };
    for (answer, expected) in [
        (role("210987654321", "remit-acme"), "rpc.proof_account"),
        (role("123456789012", "admin"), "rpc.proof_role"),
        (identity("123456789012", "arn:aws:iam::123456789012:user/remit-acme"), "rpc.proof_role"),
        (identity("123456789012", "arn:aws:iam::123456789012:root"), "rpc.proof_role"),
        (identity("123456789012", "arn:aws:sts::210987654321:assumed-role/remit-acme/x"), "rpc.sts_strange"),
    ] {
        scene.sts.answer(answer.clone());
        assert_eq!(scene.refused(|_| {}).await, expected, "{answer:?}");
    }
    scene.sts.answer(good());
    assert_eq!(scene.refused(|r| aws(r).region = "eu-west-1".to_owned()).await, "rpc.proof_region");
    let rival = Digest::of(b"another vendor's root").as_bytes().to_vec();
    assert_eq!(scene.refused(|r| r.root_sha256 = rival).await, "rpc.proof_account");
    // No stranger learns whether there is such an install.
    scene.declare(Value::Null).await;
    let undeclared = scene.enrol(scene.request(csr().1).await).await.unwrap_err();
    let mut request = scene.request(csr().1).await;
    request.install = "ins_demo.shop.nobody".to_owned();
    aws(&mut request).nonce = scene.begin("ins_demo.shop.nobody").await.nonce;
    let unknown = scene.enrol(request).await.unwrap_err();
    assert_eq!((undeclared.code(), undeclared.message()), (unknown.code(), unknown.message()));
    assert_eq!(code(&unknown), "rpc.proof_account");
    let view = scene.world.until(RUNNER, |_| true).await.view;
    assert_eq!(view.status.word, "expected", "nobody was let in: {view:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn aws_is_not_asked_for_who_comes_with_a_bad_nonce_or_a_wrong_clock() {
    let scene = Scene::start(place()).await;
    let foreign = scene.begin("ins_demo.shop.other").await.nonce;
    let own = scene.begin(INSTALL).await;
    assert_eq!(own.nonce.len(), 32);
    assert!((now_ms() - own.now_ms).abs() < 60_000);
    assert_eq!(scene.refused(|r| aws(r).nonce = foreign).await, "rpc.nonce_refused");
    assert_eq!(scene.refused(|r| aws(r).nonce = vec![7; 32]).await, "rpc.nonce_refused");
    assert_eq!(
        scene.refused(|r| aws(r).nonce[0] ^= 1).await,
        "rpc.nonce_refused",
        "as if made at another time"
    );
    for (off_s, words) in
        [(-720, "12 minutes behind"), (720, "12 minutes ahead of"), (i64::MIN / 2, "behind")]
    {
        let mut request = scene.request(csr().1).await;
        aws(&mut request).signed_s = aws(&mut request).signed_s.saturating_add(off_s);
        let status = scene.enrol(request).await.unwrap_err();
        assert_eq!(code(&status), "rpc.clock_skew");
        assert!(status.message().contains(words), "{}", status.message());
    }
    assert_eq!(scene.sts.asked(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_awss_lets_nobody_in() {
    let scene = Scene::start(place()).await;
    let no = |code: &str| Answer::Says(403, format!(r#"{{"Error":{{"Code":"{code}","Message":"no"}}}}"#));
    let elsewhere = Sts::start();
    for (answer, expected) in [
        (no("SignatureDoesNotMatch"), "rpc.proof_refused"),
        (no("ExpiredToken"), "rpc.proof_refused"),
        (Answer::Redirect(elsewhere.url.clone()), "rpc.sts_strange"),
        (Answer::Endless, "rpc.sts_strange"),
        (Answer::Says(200, "<GetCallerIdentityResponse/>".to_owned()), "rpc.sts_strange"),
        (Answer::Says(200, "{}".to_owned()), "rpc.sts_strange"),
        (Answer::Says(503, String::new()), "rpc.sts_away"),
        (Answer::Silence, "rpc.sts_away"),
    ] {
        scene.sts.answer(answer.clone());
        let began = std::time::Instant::now();
        assert_eq!(scene.refused(|_| {}).await, expected, "{answer:?}");
        assert!(began.elapsed() < std::time::Duration::from_secs(15), "{answer:?}");
    }
    assert_eq!(elsewhere.asked(), Vec::<String>::new(), "no redirect is followed");
    scene.sts.answer(good());
    scene.enrol(scene.request(csr().1).await).await.expect("and then it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_a_role_wants_the_token_too() {
    let scene = Scene::start(json!({"account": "123456789012", "region": "eu-central-1"})).await;
    scene.sts.answer(identity("123456789012", "arn:aws:iam::123456789012:user/ann"));
    assert_eq!(scene.refused(|_| {}).await, "rpc.token_needed");
    assert_eq!(scene.refused(|r| r.token = "remit_acme_guessed".to_owned()).await, "rpc.token_refused");
    let token = scene.world.runner_token(&scene.token).await.token.unwrap();
    let bare = |token: &str| v1::EnrollRequest {
        install: INSTALL.to_owned(),
        token: token.to_owned(),
        csr: csr().1,
        info: info("boot-1"),
        ..Default::default()
    };
    assert_eq!(code(&scene.enrol(bare(&token)).await.unwrap_err()), "rpc.proof_missing");
    assert_eq!(code(&scene.enrol(bare("remit_acme_guessed")).await.unwrap_err()), "rpc.token_refused");
    let mut both = scene.request(csr().1).await;
    both.token = token;
    assert_eq!(scene.enrol(both).await.unwrap().identity.unwrap().generation, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_role_makes_the_token_needless_until_the_identity_is_taken_away() {
    let scene = Scene::start(place()).await;
    let made = scene.world.runner_token(&scene.token).await;
    assert_eq!((made.token, made.expires_ms), (None, None));
    assert_eq!(serde_json::to_value(made.place).unwrap(), place());
    scene.enrol(scene.request(csr().1).await).await.unwrap();
    let path = format!("/v1/objects/{RUNNER}/signals");
    let revoke = json!({"revoke": {"reason": "the role was stolen"}});
    let _: SignalAccepted = scene.world.with(&scene.token).post(&path, &revoke).await;
    assert_eq!(scene.refused(|_| {}).await, "rpc.token_needed");
    let token = scene.world.runner_token(&scene.token).await.token.unwrap();
    let mut both = scene.request(csr().1).await;
    both.token = token;
    assert_eq!(scene.enrol(both).await.unwrap().identity.unwrap().generation, 2);
}
