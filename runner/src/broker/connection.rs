//! The way to the broker: one TLS 1.3 connection, every call bounded in time and size.
//!
//! The only module, with `wire`, that knows the generated messages. Whether a failed call
//! may be tried again is decided in one place: `Error::is_away`.

mod tls;
mod wire;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use remit_proto::convert::{self, WireError};
use remit_proto::v1::runner_service_client::RunnerServiceClient;
use remit_proto::{limit, v1};
use remit_seal::Digest;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::error::Coded;
use crate::outcome::{Attempt, Outcome};
use crate::proxy::Way;
use crate::storage::journal::Told;

pub use remit_proto::convert::{Identity, LeaseAnswer, RunnerInfo, Trust};
pub use tls::{Error as TlsError, Keys};

/// How long a call that does not wait may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

type Client = RunnerServiceClient<Channel>;

/// Whether to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Continue,
    /// Stop, and why.
    Stop(String),
}

/// How far this runner has got: what it tells with every poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// The greatest sequence number that it has accepted.
    pub seq_high: u64,
    /// The greatest fence.
    pub fence_high: u64,
    /// The version of the newest root that it trusts.
    pub root_version: u64,
    /// When the newest status that it has was signed.
    pub status_ms: i64,
}

/// What an enrolment gives.
#[derive(Clone, Debug)]
pub struct Enrolled {
    /// Who it is now.
    pub identity: Identity,
    /// The vendor's root, not verified yet.
    pub root: Vec<u8>,
    /// The account and region that the install is declared to be in.
    pub place: Option<(String, String)>,
}

/// Why a call did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The broker cannot be reached, is busy or restarting: try again.
    #[error("the broker cannot be reached: {0}")]
    Away(String),
    /// The broker does not accept this runner's identity.
    #[error("the broker does not accept this runner: {0}")]
    Denied(String),
    /// The broker will not do this, however often it is asked.
    #[error("the broker refused the call: {0}")]
    Refused(String),
    /// The broker answered with something that makes no sense.
    #[error("the broker's answer makes no sense: {0}")]
    Malformed(String),
}

impl Error {
    /// Whether the same call may work later without anybody doing anything.
    pub fn is_away(&self) -> bool {
        match self {
            Error::Away(_) => true,
            Error::Denied(_) | Error::Refused(_) | Error::Malformed(_) => false,
        }
    }
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::Away(_) => "runner.broker_away",
            Error::Denied(_) => "runner.broker_denied",
            Error::Refused(_) => "runner.broker_refused",
            Error::Malformed(_) => "runner.broker_malformed",
        }
    }

    fn hint(&self) -> String {
        match self {
            Error::Away(_) => "check the address, the network and the broker; the runner keeps trying",
            Error::Denied(_) => "a newer runner of this install may have enrolled, or it was revoked: ask the vendor, and enrol again with a new token",
            Error::Refused(_) | Error::Malformed(_) => "runner and broker may be of versions too far apart: compare them",
        }
        .to_owned()
    }
}

impl From<WireError> for Error {
    fn from(error: WireError) -> Self {
        Error::Malformed(error.to_string())
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let words = crate::outcome::cut(describe(&status), 512);
        match status.code() {
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Aborted
            | Code::ResourceExhausted
            | Code::Internal
            | Code::Unknown => Error::Away(words),
            Code::Unauthenticated | Code::PermissionDenied => Error::Denied(words),
            Code::Ok
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::DataLoss => Error::Refused(words),
        }
    }
}

fn describe(status: &Status) -> String {
    use std::error::Error as _;
    let mut words = status.message().to_owned();
    if let Some(source) = status.source() {
        words.push_str(": ");
        words.push_str(&crate::error::chain(source));
    }
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The connections; made when they are first needed, made again when they break.
///
/// A broker allows few streams on one, and a poll holds its stream for long: polls go by
/// connections of their own, so that no report ever waits behind them.
#[derive(Debug)]
pub struct Link {
    broker: http::Uri,
    way: Way,
    ca_pem: Vec<u8>,
    channels: RwLock<Vec<Channel>>,
    turn: AtomicUsize,
}

/// How many polls share a connection, of the `limit::STREAMS_MAX` that it has.
const POLLS_PER_CONNECTION: usize = 6;

impl Link {
    /// Prepares connections with these keys, or without any, to enrol.
    pub fn new(
        broker: http::Uri,
        way: Way,
        ca_pem: &[u8],
        keys: Option<&Keys>,
        capacity: usize,
    ) -> Result<Self, TlsError> {
        let polls = 1 + capacity / POLLS_PER_CONNECTION;
        let channels = open(&broker, &way, ca_pem, keys, 1 + polls)?;
        let ca_pem = ca_pem.to_vec();
        Ok(Self { broker, way, ca_pem, channels: RwLock::new(channels), turn: AtomicUsize::new(0) })
    }

    /// Uses these keys from the next call on; calls in flight end on the old connections.
    pub fn rekey(&self, keys: &Keys) -> Result<(), TlsError> {
        let count = self.channels.read().unwrap_or_else(PoisonError::into_inner).len();
        let fresh = open(&self.broker, &self.way, &self.ca_pem, Some(keys), count)?;
        *self.channels.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// The way that its connections take.
    pub fn way(&self) -> &Way {
        &self.way
    }

    /// For calls that answer at once.
    fn client(&self) -> Client {
        client(self.channels.read().unwrap_or_else(PoisonError::into_inner)[0].clone())
    }

    /// For calls that wait.
    fn poller(&self) -> Client {
        let channels = self.channels.read().unwrap_or_else(PoisonError::into_inner);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        client(channels[1 + turn % (channels.len() - 1)].clone())
    }

    /// A one-time token and a request in, an identity and the vendor's root out.
    pub async fn enroll(&self, enrolment: convert::Enrolment) -> Result<Enrolled, Error> {
        let request = v1::EnrollRequest::from(enrolment);
        let v1::EnrollResponse { identity: granted, root, account, region } =
            bounded(CALL_TIMEOUT, self.client().enroll(request)).await?;
        let place =
            Some((account, region)).filter(|(account, region)| !(account.is_empty() && region.is_empty()));
        Ok(Enrolled { identity: identity(granted)?, root, place })
    }

    /// A nonce for a proof, and the broker's time.
    pub async fn begin_enroll(&self, install: String) -> Result<convert::Begun, Error> {
        let request = v1::BeginEnrollRequest::from(convert::Beginning { install });
        Ok(bounded(CALL_TIMEOUT, self.client().begin_enroll(request)).await?.try_into()?)
    }

    /// A new key's request in, a new certificate of the same generation out.
    pub async fn renew(&self, csr: Vec<u8>) -> Result<Identity, Error> {
        let request = v1::RenewRequest { csr };
        let answer = bounded(CALL_TIMEOUT, self.client().renew(request)).await?;
        identity(answer.identity)
    }

    /// Waits for work, at most `limit::POLL_MAX_MS`; says how far the journal has got.
    pub async fn lease(
        &self,
        install: &str,
        info: &RunnerInfo,
        held: &[Attempt],
        marks: Marks,
        wait_ms: u32,
    ) -> Result<LeaseAnswer, Error> {
        let request = v1::LeaseJobRequest::from(convert::LeaseRequest {
            install: install.to_owned(),
            wait_ms,
            info: info.clone(),
            held: held.iter().take(limit::HELD_MAX).map(wire::attempt_ref).collect(),
            seq_high: marks.seq_high,
            fence_high: marks.fence_high,
            root_version: marks.root_version,
            status_ms: marks.status_ms,
        });
        let wait = Duration::from_millis(u64::from(wait_ms)) + CALL_TIMEOUT;
        let answer = bounded(wait, self.poller().lease_job(request)).await?;
        Ok(LeaseAnswer::try_from(answer)?)
    }

    /// What follows the root of this version.
    pub async fn trust(&self, root_version: u64) -> Result<Trust, Error> {
        let request = v1::FetchTrustRequest::from(convert::TrustRequest { root_version });
        let answer = bounded(CALL_TIMEOUT, self.client().fetch_trust(request)).await?;
        Ok(Trust::try_from(answer)?)
    }

    /// May this attempt start? Answers at once.
    pub async fn confirm_start(&self, attempt: &Attempt) -> Result<Verdict, Error> {
        let client = self.client();
        renew_lease(client, attempt, convert::LeasePhase::Start, Duration::ZERO).await
    }

    /// Keeps the lease and waits up to `wait` for a reason to stop.
    pub async fn keep_lease(&self, attempt: &Attempt, wait: Duration) -> Result<Verdict, Error> {
        renew_lease(self.poller(), attempt, convert::LeasePhase::Running, wait).await
    }

    /// What an attempt is doing now, for people.
    pub async fn report_progress(
        &self,
        attempt: &Attempt,
        message: String,
        done: u32,
        total: u32,
    ) -> Result<(), Error> {
        let attempt = wire::attempt_ref(attempt);
        let progress = convert::Progress { attempt, message, done, total };
        let request = v1::ReportProgressRequest::from(progress);
        bounded(CALL_TIMEOUT, self.client().report_progress(request)).await.map(|_| ())
    }

    /// Sends log bytes; answers where the broker's copy ends.
    pub async fn append_logs(
        &self,
        attempt: &Attempt,
        offset: u64,
        data: Vec<u8>,
        is_final: bool,
    ) -> Result<u64, Error> {
        let attempt = wire::attempt_ref(attempt);
        let request = v1::AppendLogsRequest::from(convert::LogChunk { attempt, offset, data, is_final });
        Ok(bounded(CALL_TIMEOUT, self.client().append_logs(request)).await?.next_offset)
    }

    /// The terminal word, with what the journal has come to; answers whether it was the first, and what the
    /// broker signed of the journal: nothing, where it had the word already.
    pub async fn complete(
        &self,
        attempt: &Attempt,
        outcome: &Outcome,
        told: &Told,
    ) -> Result<(bool, Vec<u8>), Error> {
        let key = serde_json::to_vec(&told.key).expect("a public key is two texts");
        let completion = convert::Completion {
            attempt: wire::attempt_ref(attempt),
            outcome: wire::outcome(outcome),
            journal_head: *told.head.as_bytes(),
            journal_records: told.records,
            signed: Some(convert::SignedPlace { checkpoint: told.checkpoint.clone(), key }),
        };
        let request = v1::CompleteJobRequest::try_from(completion)?;
        let answer = bounded(CALL_TIMEOUT, self.client().complete_job(request)).await?;
        Ok((answer.accepted, answer.seen))
    }

    /// What the customer says of a plan; answers whether it waits for that.
    pub async fn answer_plan(&self, answer: convert::PlanAnswer) -> Result<bool, Error> {
        let request = v1::AnswerPlanRequest::from(answer);
        Ok(bounded(CALL_TIMEOUT, self.client().answer_plan(request)).await?.accepted)
    }

    /// Bytes by digest from an offset on, handed to `each`; `false` from it ends the call.
    pub async fn fetch(
        &self,
        digest: &Digest,
        offset: u64,
        mut each: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), Error> {
        let request = convert::ArtifactRequest { digest: *digest, offset };
        let request = v1::FetchArtifactRequest::from(request);
        let mut stream = bounded(CALL_TIMEOUT, self.client().fetch_artifact(request)).await?;
        while let Some(part) = next_part(&mut stream).await? {
            if !each(&part.chunk) {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn client(channel: Channel) -> Client {
    RunnerServiceClient::new(channel)
        .max_decoding_message_size(limit::CONTROL_SIZE_MAX)
        .max_encoding_message_size(limit::LOG_MESSAGE_SIZE_MAX)
}

fn identity(identity: Option<v1::Identity>) -> Result<Identity, Error> {
    let identity = identity.ok_or_else(|| Error::Malformed("there is no identity in it".to_owned()))?;
    Ok(Identity::try_from(identity)?)
}

async fn renew_lease(
    mut client: Client,
    attempt: &Attempt,
    phase: convert::LeasePhase,
    wait: Duration,
) -> Result<Verdict, Error> {
    let wait_ms = u32::try_from(wait.as_millis()).unwrap_or(limit::POLL_MAX_MS);
    let request = convert::RenewLease { attempt: wire::attempt_ref(attempt), phase, wait_ms };
    let request = v1::RenewLeaseRequest::from(request);
    let answer = bounded(wait + CALL_TIMEOUT, client.renew_lease(request)).await?;
    Ok(match convert::Verdict::try_from(answer)? {
        convert::Verdict::Continue { .. } => Verdict::Continue,
        convert::Verdict::Stop(stop) => Verdict::Stop(wire::stop(&stop)),
    })
}

async fn next_part(
    stream: &mut tonic::Streaming<v1::FetchArtifactResponse>,
) -> Result<Option<v1::FetchArtifactResponse>, Error> {
    match tokio::time::timeout(CALL_TIMEOUT, stream.message()).await {
        Ok(part) => Ok(part?),
        Err(_) => Err(Error::Away("it stopped sending".to_owned())),
    }
}

async fn bounded<T>(
    limit: Duration,
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, Error> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_) => Err(Error::Away(format!("no answer in {} s", limit.as_secs()))),
    }
}

fn open(
    broker: &http::Uri,
    way: &Way,
    ca_pem: &[u8],
    keys: Option<&Keys>,
    count: usize,
) -> Result<Vec<Channel>, TlsError> {
    let connector = tls::connector(broker, way.clone(), ca_pem, keys)?;
    // The connector speaks TLS itself; tonic must not add its own.
    let plain = http::Uri::builder()
        .scheme("http")
        .authority(broker.authority().map_or("localhost", http::uri::Authority::as_str))
        .path_and_query("/")
        .build()
        .expect("an authority that was parsed makes a URL again");
    let endpoint = Endpoint::from(plain)
        .connect_timeout(Duration::from_secs(10))
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true)
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1 << 20)
        .http2_max_header_list_size(limit::HEADERS_SIZE_MAX);
    Ok((0..count).map(|_| endpoint.connect_with_connector_lazy(connector.clone())).collect())
}
