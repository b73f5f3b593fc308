//! Every message there and back, and every way in which one can break the protocol.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::path::Path;

use remit_proto::caller::Region;
use remit_proto::convert::{
    ArtifactChunk, ArtifactRequest, AttemptRef, Attribute, AwsProof, Beginning, Begun, ChangeAction,
    ChangeCounts, Completion, Difference, Differences, Enrolment, Failure, FailureClass, Identity, Lease,
    LeaseAnswer, LeasePhase, LeaseRequest, LogChunk, Outcome, Progress, RenewLease, Renewal, RunnerInfo,
    Stop, StopReason, Success, Token, Trust, TrustRequest, Verdict, WireError, cut,
};
use remit_proto::{limit, v1};
use remit_seal::Digest;
use remit_seal::document::Value;

fn attempt() -> AttemptRef {
    AttemptRef { job: "job_demo.shop.acme.network.e1.o7.deploy".to_owned(), attempt: 1, fence: 9 }
}

fn info() -> RunnerInfo {
    let executors = vec!["terraform".to_owned(), "script".to_owned()];
    let (version, boot, channel) = ("0.1.0+abc".to_owned(), "b00t".to_owned(), "stable".to_owned());
    RunnerInfo { version, boot, capacity: 2, executors, channel }
}

fn lease() -> Lease {
    Lease { attempt: attempt(), envelope: b"{}".to_vec(), lease_ms: 1, permits: vec![] }
}

fn lease_request() -> LeaseRequest {
    let install = "ins_demo.shop.acme".to_owned();
    LeaseRequest {
        install,
        wait_ms: limit::POLL_MAX_MS,
        info: info(),
        held: vec![attempt()],
        seq_high: 7,
        fence_high: 8,
        root_version: 2,
        status_ms: 5,
    }
}

fn enrolment() -> Enrolment {
    let token = Some(Token::new("remit_once_x".to_owned()));
    let root = Some(Digest::of(b"root"));
    let install = "ins_demo.shop.acme".to_owned();
    Enrolment { install, token, csr: vec![1], info: info(), root, aws: None }
}

fn proven() -> Enrolment {
    let aws = AwsProof {
        nonce: [1; 32],
        region: Region::new("eu-central-1").unwrap(),
        access_key_id: "ASIAIOSFODNN7EXAMPLE".to_owned(),
        signed_s: 1_790_000_000,
        session_token: Some(Token::new("remit_session_x".to_owned())),
        signature: [2; 32],
    };
    Enrolment { token: None, aws: Some(aws), ..enrolment() }
}

fn trust() -> Trust {
    Trust { roots: vec![vec![1], vec![2]], status: Some(vec![3]) }
}

fn identity() -> Identity {
    Identity { certificate_chain: vec![vec![1], vec![2]], generation: 3, epoch: 1, not_after_ms: 5 }
}

fn differences() -> Differences {
    let known = |path: &str| Attribute {
        path: path.to_owned(),
        found: Some("3".to_owned()),
        wanted: None,
        sensitive: false,
    };
    let secret = Attribute { found: None, sensitive: true, ..known("password") };
    let attributes = vec![known("size"), secret];
    let difference = Difference { address: "a.x".to_owned(), action: ChangeAction::Update, attributes };
    Differences { fingerprint: Some([7; 32]), list: vec![difference], more: 2 }
}

#[test]
fn a_sensitive_value_never_crosses_the_wire() {
    let mut said = success();
    let attribute = &mut said.differences.list[0].attributes[1];
    (attribute.found, attribute.wanted) = (Some("swordfish".to_owned()), Some("trout".to_owned()));
    let mut wire = v1::Succeeded::try_from(said).unwrap();
    assert!(!format!("{wire:?}").contains("swordfish") && !format!("{wire:?}").contains("trout"));
    wire.differences.as_mut().unwrap().list[0].attributes[1].found = Some("swordfish".to_owned());
    assert!(Success::try_from(wire).is_err(), "nor is one taken from a runner that sends it");
}

fn success() -> Success {
    let text = |text: &str| Value::String(text.to_owned());
    let outputs = BTreeMap::from([
        ("count".to_owned(), Value::Integer(3)),
        ("on".to_owned(), Value::Boolean(true)),
        ("subnet".to_owned(), text("a \"quoted\" one")),
        ("zones".to_owned(), Value::List(vec![text("a"), text("b")])),
    ]);
    let changes = ChangeCounts {
        create: 1,
        update: 2,
        delete: 3,
        replace: 4,
        import: 5,
        forget: 6,
        moved: 7,
        other: 8,
        outputs: 9,
    };
    let (summary, swept) = ("3 made".to_owned(), "looked".to_owned());
    Success { outputs, changes, drifted: true, summary, plan: None, swept, differences: differences() }
}

fn failure(class: FailureClass) -> Failure {
    let code = "executor.tool_missing".to_owned();
    Failure { class, code, message: "no terraform".to_owned(), hint: "install it".to_owned() }
}

fn completion(outcome: Outcome) -> Completion {
    Completion { attempt: attempt(), outcome, journal_head: [7; 32], journal_records: 9, signed: None }
}

fn back<T, W>(value: &T)
where
    T: Clone + PartialEq + Debug + TryInto<W> + TryFrom<W, Error = WireError>,
    <T as TryInto<W>>::Error: Debug,
{
    let wire: W = value.clone().try_into().unwrap();
    assert_eq!(T::try_from(wire).unwrap(), *value);
}

#[test]
fn every_message_reads_back_as_it_was_written() {
    back::<_, v1::AttemptRef>(&attempt());
    back::<_, v1::RunnerInfo>(&info());
    back::<_, v1::EnrollRequest>(&enrolment());
    back::<_, v1::EnrollRequest>(&proven());
    back::<_, v1::BeginEnrollRequest>(&Beginning { install: "ins_demo.shop.acme".to_owned() });
    back::<_, v1::BeginEnrollResponse>(&Begun { nonce: [3; 32], valid_ms: 60_000, now_ms: 1 });
    back::<_, v1::RenewRequest>(&Renewal { csr: vec![1, 2] });
    back::<_, v1::Identity>(&identity());
    back::<_, v1::LeaseJobRequest>(&lease_request());
    back::<_, v1::Lease>(&Lease { permits: vec![b"{}".to_vec(); 4], ..lease() });
    for phase in [LeasePhase::Start, LeasePhase::Running] {
        back::<_, v1::RenewLeaseRequest>(&RenewLease { attempt: attempt(), phase, wait_ms: 0 });
    }
    back::<_, v1::RenewLeaseResponse>(&Verdict::Continue { lease_ms: 1 });
    for reason in [StopReason::Cancelled, StopReason::Superseded, StopReason::Fenced] {
        back::<_, v1::RenewLeaseResponse>(&Verdict::Stop(Stop { reason, message: "by ann".to_owned() }));
    }
    back::<_, v1::ReportProgressRequest>(&Progress {
        attempt: attempt(),
        message: "applying".to_owned(),
        done: 2,
        total: 0,
    });
    back::<_, v1::AppendLogsRequest>(&LogChunk {
        attempt: attempt(),
        offset: 5,
        data: b"x\xff".to_vec(),
        is_final: true,
    });
    back::<_, v1::EnrollRequest>(&Enrolment { root: None, ..enrolment() });
    back::<_, v1::FetchTrustRequest>(&TrustRequest { root_version: 3 });
    back::<_, v1::FetchTrustResponse>(&trust());
    back::<_, v1::FetchTrustResponse>(&Trust { status: None, ..trust() });
    back::<_, v1::FetchArtifactRequest>(&ArtifactRequest { digest: Digest::of(b"x"), offset: 3 });
    back::<_, v1::FetchArtifactResponse>(&ArtifactChunk { total_size: 3, bytes: b"abc".to_vec() });
}

#[test]
fn every_outcome_reads_back_as_it_was_written() {
    use FailureClass::{Billing, Bug, Conflict, Interference, Permission, Quota, Timeout, Transient};
    back::<_, v1::CompleteJobRequest>(&completion(Outcome::Succeeded(success())));
    back::<_, v1::CompleteJobRequest>(&completion(Outcome::Succeeded(Success::default())));
    for class in [Permission, Quota, Billing, Conflict, Interference, Transient, Timeout, Bug] {
        back::<_, v1::CompleteJobRequest>(&completion(Outcome::Failed(failure(class))));
    }
    back::<_, v1::CompleteJobRequest>(&completion(Outcome::Cancelled { message: "by ann".to_owned() }));
    let (code, message) = ("seal.expired".to_owned(), "late".to_owned());
    back::<_, v1::CompleteJobRequest>(&completion(Outcome::Refused { code, message }));
}

/// What is spoilt, how, and the code it is refused with.
type Row<W> = (&'static str, fn(&mut W), &'static str);

/// Spoils a good message and says how it is then answered.
fn check<T, W>(value: &T, rows: &[Row<W>])
where
    T: Clone + Debug + TryInto<W> + TryFrom<W, Error = WireError>,
    <T as TryInto<W>>::Error: Debug,
{
    for (name, spoil, code) in rows {
        let mut wire: W = value.clone().try_into().unwrap();
        spoil(&mut wire);
        match T::try_from(wire) {
            Ok(found) => panic!("{name}: believed {found:?}"),
            Err(error) => assert_eq!(error.code(), *code, "{name}: {error}"),
        }
    }
}

#[test]
fn a_lease_message_that_breaks_a_rule_is_refused() {
    check::<_, v1::AttemptRef>(
        &attempt(),
        &[
            ("no job", |w| w.job.clear(), "wire.malformed"),
            ("job that is a path", |w| w.job = "job_../x".to_owned(), "wire.malformed"),
            ("endless job", |w| w.job = format!("job_{}", "a".repeat(256)), "wire.too_long"),
            ("attempt 0", |w| w.attempt = 0, "wire.out_of_range"),
            ("fence 0", |w| w.fence = 0, "wire.out_of_range"),
        ],
    );
    check::<_, v1::LeaseJobRequest>(
        &lease_request(),
        &[
            ("no install", |w| w.install.clear(), "wire.missing"),
            ("other kind of id", |w| w.install = "run_demo.shop.acme".to_owned(), "wire.malformed"),
            ("endless install", |w| w.install = "i".repeat(257), "wire.too_long"),
            ("long poll", |w| w.wait_ms = limit::POLL_MAX_MS + 1, "wire.out_of_range"),
            ("no info", |w| w.info = None, "wire.missing"),
            ("no version", |w| w.info.as_mut().unwrap().version.clear(), "wire.missing"),
            ("version of lines", |w| w.info.as_mut().unwrap().version = "1\n2".to_owned(), "wire.malformed"),
            ("endless boot", |w| w.info.as_mut().unwrap().boot = "b".repeat(65), "wire.too_long"),
            ("capacity 0", |w| w.info.as_mut().unwrap().capacity = 0, "wire.out_of_range"),
            ("no channel", |w| w.info.as_mut().unwrap().channel.clear(), "wire.missing"),
            ("channel of a path", |w| w.info.as_mut().unwrap().channel = "../x".to_owned(), "wire.malformed"),
            ("capacity 65", |w| w.info.as_mut().unwrap().capacity = 65, "wire.out_of_range"),
            (
                "17 executors",
                |w| w.info.as_mut().unwrap().executors = vec!["x".to_owned(); 17],
                "wire.too_many",
            ),
            ("257 held", |w| w.held = vec![attempt().into(); 257], "wire.too_many"),
            ("a bad one held", |w| w.held[0].fence = 0, "wire.out_of_range"),
        ],
    );
    check::<_, v1::Lease>(
        &lease(),
        &[
            ("no attempt", |w| w.attempt = None, "wire.missing"),
            ("no envelope", |w| w.envelope.clear(), "wire.missing"),
            ("huge envelope", |w| w.envelope = vec![0; limit::ENVELOPE_SIZE_MAX + 1], "wire.too_long"),
            ("no time", |w| w.lease_ms = 0, "wire.out_of_range"),
            ("for ever", |w| w.lease_ms = u32::MAX, "wire.out_of_range"),
            ("5 permits", |w| w.permits = vec![vec![1]; 5], "wire.too_many"),
            ("an empty permit", |w| w.permits = vec![vec![]], "wire.missing"),
            ("a huge permit", |w| w.permits = vec![vec![0; limit::PERMIT_SIZE_MAX + 1]], "wire.too_long"),
        ],
    );
    assert_eq!(
        LeaseAnswer::try_from(v1::LeaseJobResponse { lease: None, trust_news: true }).unwrap(),
        LeaseAnswer { lease: None, trust_news: true }
    );
}

#[test]
fn a_renewal_that_breaks_a_rule_is_refused() {
    check::<_, v1::RenewLeaseRequest>(
        &RenewLease { attempt: attempt(), phase: LeasePhase::Start, wait_ms: 1 },
        &[
            ("no attempt", |w| w.attempt = None, "wire.missing"),
            ("no phase", |w| w.phase = 0, "wire.unspecified"),
            ("unknown phase", |w| w.phase = 3, "wire.unknown_value"),
            ("negative phase", |w| w.phase = -1, "wire.unknown_value"),
            ("long poll", |w| w.wait_ms = limit::POLL_MAX_MS + 1, "wire.out_of_range"),
        ],
    );
    let stop = |w: &mut v1::RenewLeaseResponse, reason, message: &str| {
        let stop = v1::Stop { reason, message: message.to_owned() };
        w.verdict = Some(v1::renew_lease_response::Verdict::Stop(stop));
    };
    let long = "x".repeat(limit::MESSAGE_LEN_MAX + 1);
    let rows = [(0, "", "wire.unspecified"), (4, "", "wire.unknown_value"), (1, &*long, "wire.too_long")];
    for (reason, message, code) in rows {
        let mut wire = v1::RenewLeaseResponse::default();
        stop(&mut wire, reason, message);
        assert_eq!(Verdict::try_from(wire).unwrap_err().code(), code);
    }
    assert_eq!(Verdict::try_from(v1::RenewLeaseResponse::default()).unwrap_err().code(), "wire.missing");
    let wire = v1::RenewLeaseResponse::from(Verdict::Continue { lease_ms: 0 });
    assert_eq!(Verdict::try_from(wire).unwrap_err().code(), "wire.out_of_range");
}

fn succeeded(wire: &mut v1::CompleteJobRequest) -> &mut v1::Succeeded {
    match wire.outcome.as_mut().unwrap() {
        v1::complete_job_request::Outcome::Succeeded(success) => success,
        other => panic!("{other:?}"),
    }
}

fn failed(wire: &mut v1::CompleteJobRequest) -> &mut v1::Failed {
    match wire.outcome.as_mut().unwrap() {
        v1::complete_job_request::Outcome::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

fn output(wire: &mut v1::CompleteJobRequest, name: &str, json: &str) {
    succeeded(wire).outputs.insert(name.to_owned(), json.to_owned());
}

#[test]
fn a_terminal_word_that_breaks_a_rule_is_refused() {
    check::<_, v1::CompleteJobRequest>(
        &completion(Outcome::Succeeded(success())),
        &[
            ("no attempt", |w| w.attempt = None, "wire.missing"),
            ("no outcome", |w| w.outcome = None, "wire.missing"),
            ("no journal head", |w| w.journal_head.clear(), "wire.malformed"),
            ("long journal head", |w| w.journal_head.push(0), "wire.malformed"),
            ("no changes", |w| succeeded(w).changes = None, "wire.missing"),
            ("long summary", |w| succeeded(w).summary = "x".repeat(513), "wire.too_long"),
            ("output named like a path", |w| output(w, "../x", "1"), "wire.malformed"),
            ("output that is no JSON", |w| output(w, "x", "{"), "wire.malformed"),
            ("output that is an object", |w| output(w, "x", "{}"), "wire.malformed"),
            ("output that is nothing", |w| output(w, "x", "null"), "wire.malformed"),
            ("output that is a fraction", |w| output(w, "x", "1.5"), "wire.malformed"),
            ("huge output", |w| output(w, "x", &format!("\"{}\"", "x".repeat(192 << 10))), "wire.too_long"),
            ("many outputs", |w| (0..257).for_each(|n| output(w, &format!("x{n}"), "1")), "wire.too_many"),
        ],
    );
    check::<_, v1::CompleteJobRequest>(
        &completion(Outcome::Failed(failure(FailureClass::Bug))),
        &[
            ("no class", |w| failed(w).class = 0, "wire.unspecified"),
            ("unknown class", |w| failed(w).class = 9, "wire.unknown_value"),
            ("no code", |w| failed(w).code.clear(), "wire.missing"),
            ("code without area", |w| failed(w).code = "oops".to_owned(), "wire.malformed"),
            ("code of words", |w| failed(w).code = "a.b c".to_owned(), "wire.malformed"),
            ("long code", |w| failed(w).code = format!("a.{}", "b".repeat(63)), "wire.too_long"),
            ("long message", |w| failed(w).message = "x".repeat(4_097), "wire.too_long"),
            ("long hint", |w| failed(w).hint = "x".repeat(4_097), "wire.too_long"),
        ],
    );
}

#[test]
fn proofs_that_break_a_rule_are_refused() {
    fn aws(w: &mut v1::EnrollRequest) -> &mut v1::AwsProof {
        w.aws.as_mut().unwrap()
    }
    check::<_, v1::EnrollRequest>(
        &proven(),
        &[
            ("no root", |w| w.root_sha256.clear(), "wire.missing"),
            ("no nonce", |w| aws(w).nonce.clear(), "wire.missing"),
            ("short nonce", |w| aws(w).nonce.truncate(31), "wire.malformed"),
            ("short signature", |w| aws(w).signature.truncate(16), "wire.malformed"),
            ("no region", |w| aws(w).region.clear(), "wire.malformed"),
            ("a host as region", |w| aws(w).region = "eu-west-1.evil.example".to_owned(), "wire.malformed"),
            (
                "a region that nobody reaches",
                |w| aws(w).region = "us-iso-east-1".to_owned(),
                "wire.malformed",
            ),
            ("no key", |w| aws(w).access_key_id.clear(), "wire.missing"),
            (
                "a header as key",
                |w| aws(w).access_key_id = "AKIAIOSFODNN7EXAM\r\nX".to_owned(),
                "wire.malformed",
            ),
            ("a path as key", |w| aws(w).access_key_id = "AKIAIOSFODNN/EXAMPLE".to_owned(), "wire.malformed"),
            ("endless key", |w| aws(w).access_key_id = "A".repeat(129), "wire.too_long"),
            ("a header as token", |w| aws(w).session_token = "a\r\nb: c".to_owned(), "wire.malformed"),
            ("endless token", |w| aws(w).session_token = "t".repeat((8 << 10) + 1), "wire.too_long"),
        ],
    );
    let begun = Begun { nonce: [3; 32], valid_ms: 60_000, now_ms: 1 };
    check::<_, v1::BeginEnrollResponse>(
        &begun,
        &[
            ("no nonce", |w| w.nonce.clear(), "wire.missing"),
            ("good for ever", |w| w.valid_ms = 60_001, "wire.out_of_range"),
            ("good for no time", |w| w.valid_ms = 0, "wire.out_of_range"),
        ],
    );
    let beginning = Beginning { install: "ins_demo.shop.acme".to_owned() };
    check::<_, v1::BeginEnrollRequest>(&beginning, &[("no install", |w| w.install.clear(), "wire.missing")]);
}

#[test]
fn other_messages_that_break_a_rule_are_refused() {
    check::<_, v1::EnrollRequest>(
        &enrolment(),
        &[
            ("no token", |w| w.token.clear(), "wire.missing"),
            ("endless token", |w| w.token = "t".repeat(257), "wire.too_long"),
            ("no csr", |w| w.csr.clear(), "wire.missing"),
            ("huge csr", |w| w.csr = vec![0; limit::CSR_SIZE_MAX + 1], "wire.too_long"),
            ("no info", |w| w.info = None, "wire.missing"),
            ("no install", |w| w.install.clear(), "wire.missing"),
        ],
    );
    check::<_, v1::RenewRequest>(&Renewal { csr: vec![1] }, &[("no csr", |w| w.csr.clear(), "wire.missing")]);
    check::<_, v1::Identity>(
        &identity(),
        &[
            ("no certificate", |w| w.certificate_chain.clear(), "wire.missing"),
            ("an empty certificate", |w| w.certificate_chain[1].clear(), "wire.missing"),
            ("a huge one", |w| w.certificate_chain[0] = vec![0; (16 << 10) + 1], "wire.too_long"),
            ("five certificates", |w| w.certificate_chain = vec![vec![1]; 5], "wire.too_many"),
            ("generation 0", |w| w.generation = 0, "wire.out_of_range"),
            ("epoch 0", |w| w.epoch = 0, "wire.out_of_range"),
        ],
    );
    check::<_, v1::AppendLogsRequest>(
        &LogChunk { attempt: attempt(), offset: 0, data: Vec::new(), is_final: true },
        &[
            ("no attempt", |w| w.attempt = None, "wire.missing"),
            ("huge", |w| w.data = vec![0; limit::LOG_DATA_SIZE_MAX + 1], "wire.too_long"),
            ("far", |w| w.offset = limit::LOG_SIZE_MAX + 1, "wire.out_of_range"),
            ("beyond all numbers", |w| (w.offset, w.data) = (u64::MAX, vec![0]), "wire.out_of_range"),
        ],
    );
    check::<_, v1::FetchArtifactRequest>(
        &ArtifactRequest { digest: Digest::of(b"x"), offset: 0 },
        &[
            ("no digest", |w| w.digest.clear(), "wire.malformed"),
            ("other digest", |w| w.digest = w.digest.replace("256", "512"), "wire.malformed"),
            ("long digest", |w| w.digest.push('0'), "wire.too_long"),
            ("far", |w| w.offset = limit::ARTIFACT_SIZE_MAX + 1, "wire.out_of_range"),
        ],
    );
    check::<_, v1::FetchArtifactResponse>(
        &ArtifactChunk { total_size: 1, bytes: vec![1] },
        &[
            ("huge whole", |w| w.total_size = limit::ARTIFACT_SIZE_MAX + 1, "wire.out_of_range"),
            ("huge chunk", |w| w.chunk = vec![0; limit::ARTIFACT_CHUNK_SIZE_MAX + 1], "wire.too_long"),
        ],
    );
}

#[test]
fn texts_for_people_are_cut_and_outputs_are_not() {
    let long = "ä".repeat(10_000);
    let mut failure = failure(FailureClass::Bug);
    (failure.message, failure.hint) = (long.clone(), long.clone());
    let wire = v1::CompleteJobRequest::try_from(completion(Outcome::Failed(failure))).unwrap();
    let Outcome::Failed(read) = Completion::try_from(wire).unwrap().outcome else { panic!() };
    assert!(read.message.ends_with('…') && read.message.len() > limit::MESSAGE_LEN_MAX - 8);
    let mut success = success();
    success.summary.clone_from(&long);
    let wire = v1::CompleteJobRequest::try_from(completion(Outcome::Succeeded(success.clone()))).unwrap();
    assert!(Completion::try_from(wire).is_ok());
    success.outputs.insert("big".to_owned(), Value::String("x".repeat(limit::OUTPUTS_SIZE_MAX)));
    let refused = v1::CompleteJobRequest::try_from(completion(Outcome::Succeeded(success)));
    assert_eq!(refused.unwrap_err().code(), "wire.too_long");
    for max in 0..40 {
        let text = cut("a€ä and more of the same text, longer than that", max);
        assert!(text.len() <= max.max(" …".len()), "{max} {text}");
    }
}

#[test]
fn a_token_is_never_shown() {
    assert!(!format!("{:?}", enrolment()).contains("remit_once_x"));
    assert!(!format!("{:?}", proven()).contains("remit_session_x"));
}

#[test]
fn every_code_has_a_heading_and_every_heading_a_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = fs::read_to_string(folder.join("src/convert.rs")).unwrap();
    let page = fs::read_to_string(folder.join("../docs/errors/wire.md")).unwrap();
    let quoted = source.split("=> \"wire.").skip(1);
    let given: BTreeSet<String> =
        quoted.map(|rest| format!("wire.{}", rest.split('"').next().unwrap())).collect();
    let headings = page.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned);
    assert_eq!(headings.collect::<BTreeSet<_>>(), given);
    assert_eq!(given.len(), 7);
}
