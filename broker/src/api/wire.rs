//! What crosses the HTTP API, both ways: the server answers with these and the command line reads them.
//!
//! Times are milliseconds since the Unix epoch, sizes and offsets bytes. New fields may be
//! added; readers ignore those they do not know.

mod audit;
mod trust;
pub mod updates;

mod webhooks;

use remit_loops::release::Release;
use remit_loops::timeline::Level;
use remit_loops::view::View;
use remit_loops::{Actor, ObjectId, Timestamp, Urgency, Waiting, runner};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use audit::{AuditBlocks, AuditEntry, AuditList};
pub use webhooks::{Deliveries, Delivery, NewWebhook, Replay, WebhookInfo, WebhookList, WebhookMade};

pub use trust::{
    DispatchKeyInfo, DispatchKeyList, NewRestriction, RootInfo, RootList, RootPublished, SigningTrouble,
    Standing,
};

/// The header that every POST and DELETE carries: sending one key twice does a thing once.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The longest idempotency key, in bytes; printable ASCII only.
pub const IDEMPOTENCY_KEY_LEN_MAX: usize = 128;
/// Of a log answer: the offset to go on from.
pub const LOG_NEXT_OFFSET: &str = "remit-next-offset";
/// Of a log answer: `true` when nothing comes after these bytes.
pub const LOG_FINAL: &str = "remit-log-final";
/// The most bytes of a body, but for artefacts.
pub const BODY_SIZE_MAX: usize = 1024 * 1024;
/// The most bytes of one artefact.
pub const UPLOAD_SIZE_MAX: u64 = 64 * 1024 * 1024;
/// The deepest nesting of a JSON body.
pub const JSON_DEPTH_MAX: usize = 32;
/// The most bytes that one log answer holds.
pub const LOG_READ_MAX: u64 = 1024 * 1024;
/// The most entries of a page of objects or of a timeline.
pub const PAGE_LEN_MAX: usize = 1000;
/// The SSE event that holds an [`ObjectView`]; the first comes at once, then one with every change.
pub const EVENT_VIEW: &str = "view";
/// The SSE event that holds a [`TimelineEntry`].
pub const EVENT_ENTRY: &str = "entry";
/// The SSE event that holds a [`Progress`].
pub const EVENT_PROGRESS: &str = "progress";

/// Whose token it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything: whoever runs the broker.
    Operator,
    /// One org, by name.
    Org(String),
}

/// `GET /v1/whoami`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WhoAmI {
    /// The token's name.
    pub name: String,
    /// What it may touch.
    pub scope: Scope,
}

/// `GET /v1/dispatch-key`: the public key of the broker's envelopes, as it stands in a root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DispatchKey {
    /// `ed25519` or `ecdsa-p256-sha256`.
    pub algorithm: String,
    /// SubjectPublicKeyInfo, DER, base64.
    pub spki: String,
}

/// `POST /v1/orgs` (operator).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrg {
    /// The org's name.
    pub name: String,
    /// Its trust root: a DSSE envelope, JSON, as text. Pinned from now on.
    pub root: String,
}

/// The answer to [`NewOrg`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrgCreated {
    /// The org's id.
    #[schema(value_type = String)]
    pub org: ObjectId,
    /// sha256 of the pinned root's payload, hexadecimal.
    pub root_sha256: String,
    /// It was there already, with this root.
    pub duplicate: bool,
}

/// `POST /v1/orgs/{org}/tokens`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// A name for it, unique in the org: 1 to 40 of a-z, 0-9 and -, beginning with a letter.
    pub name: String,
}

/// The answer to [`NewToken`]: the only time that the token is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenMade {
    /// Its name.
    pub name: String,
    /// The org's name.
    pub org: String,
    /// The token.
    pub token: String,
}

impl std::fmt::Debug for TokenMade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenMade").field("name", &self.name).field("org", &self.org).finish_non_exhaustive()
    }
}

/// `GET /v1/orgs/{org}/tokens`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenList {
    /// By name.
    pub tokens: Vec<TokenInfo>,
}

/// What is known of a token: never the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenInfo {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
}

/// `GET /v1/objects/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ObjectView {
    /// Grows by one with each event of the object.
    pub revision: u64,
    /// The object.
    pub view: View,
}

/// `GET /v1/objects`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ObjectList {
    /// By id.
    pub objects: Vec<ObjectView>,
    /// What to give as `after` for the next page, if there is one.
    #[schema(value_type = Option<String>)]
    pub next: Option<ObjectId>,
}

/// `GET /v1/objects/{id}/why`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Why {
    /// The whole of it in one sentence.
    pub sentence: String,
    /// The reasons, the first to act on first; empty when it rests.
    pub waiting: Vec<Reason>,
}

/// One reason why something is not done yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reason {
    /// Whose reason it is: the object that was asked about, a part of it, or what it belongs to.
    #[schema(value_type = String)]
    pub object: ObjectId,
    /// How much it matters.
    pub urgency: Urgency,
    /// The place in the log of the event since which it is so, where that is known.
    pub event: Option<u64>,
    /// The reason.
    #[serde(flatten)]
    pub waiting: Waiting,
}

/// `GET /v1/why`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WhyPage {
    /// What is not done, the most urgent first.
    pub items: Vec<WhyItem>,
    /// How many objects were looked at.
    pub looked_at: u64,
    /// What to give as `after` for the next page, if there is one.
    #[schema(value_type = Option<String>)]
    pub next: Option<ObjectId>,
}

/// An object that is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WhyItem {
    /// Which.
    #[schema(value_type = String)]
    pub object: ObjectId,
    /// Its status, in a word.
    pub status: String,
    /// How much its most urgent reason matters.
    pub urgency: Urgency,
    /// Since when that reason has held.
    pub since: Timestamp,
    /// The whole of it in one sentence.
    pub sentence: String,
    /// Its reasons, the most urgent first.
    pub waiting: Vec<Reason>,
    /// How many reasons more it has.
    pub more: u64,
}

/// `GET /v1/objects/{id}/timeline`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Timeline {
    /// The newest first. An install's holds its components' and its runner's too.
    pub entries: Vec<TimelineEntry>,
    /// What to give as `before` for older ones, if there are any.
    pub next: Option<u64>,
}

/// A line of a timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimelineEntry {
    /// Whose line it is.
    #[schema(value_type = String)]
    pub object: ObjectId,
    /// The place of its event in the log; several lines may share one.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// From whom.
    pub by: Actor,
    /// A stable word for programs.
    pub code: String,
    /// One sentence for people.
    pub text: String,
    /// Whether it is news, a worry or a failure.
    pub level: Level,
}

/// `POST /v1/objects/{id}/signals`; the body is the JSON of the kind's own `Signal`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignalAccepted {
    /// Its place in the log. It is stored for good.
    pub seq: u64,
    /// The idempotency key was seen before; nothing was done now.
    pub duplicate: bool,
    /// The object's revision.
    pub revision: u64,
    /// The object after it.
    pub view: View,
}

/// `POST /v1/objects/{install}/runner-token`: all that the customer needs to start a runner.
/// The only time that the token, if there is one, is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunnerToken {
    /// The install's id.
    #[schema(value_type = String)]
    pub install: ObjectId,
    /// The one-time token; none where the runner proves a role instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Until when a runner may enrol with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<i64>,
    /// Where the runner must prove to be, if that was declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<runner::Place>,
    /// sha256 of the root's payload, hexadecimal: what the runner pins.
    pub root_sha256: String,
    /// Where runners call, e.g. `https://127.0.0.1:7451`.
    pub broker: String,
    /// The certificate authority of that address, PEM.
    pub ca_pem: String,
}

impl std::fmt::Debug for RunnerToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunnerToken")
            .field("install", &self.install)
            .field("expires_ms", &self.expires_ms)
            .finish_non_exhaustive()
    }
}

/// `POST /v1/orgs/{org}/rollback-permits`; the body is the signed permit, DSSE in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PermitAccepted {
    /// The app that it is for.
    #[schema(value_type = String)]
    pub app: ObjectId,
    /// The release that installs may go back to.
    pub version: String,
    /// The one install that may, by its name; every one of the channel where none is named.
    pub install: Option<String>,
    /// The newest release that may be left, by its counter.
    pub from: u64,
    /// The counter of the release to go back to.
    pub to: u64,
    /// After this nothing begins by it.
    pub until: Timestamp,
    /// The sha256 of its payload, hexadecimal: what runners put on record.
    pub sha256: String,
}

/// `POST /v1/orgs/{org}/releases`; the body is the signed release, DSSE in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReleaseAccepted {
    /// The app that it was published to.
    #[schema(value_type = String)]
    pub app: ObjectId,
    /// The release, summed up.
    pub release: Release,
    /// It was published before; nothing was done now.
    pub duplicate: bool,
}

/// `GET /v1/objects/{install}/logs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogIndex {
    /// The oldest first.
    pub attempts: Vec<LogAttempt>,
}

/// The log of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogAttempt {
    /// The job.
    pub job: String,
    /// Which try.
    pub attempt: u32,
    /// The component, by name.
    pub component: String,
    /// When its first bytes came.
    pub began: Timestamp,
    /// How many bytes there are.
    pub size: u64,
    /// Nothing more comes.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// It was longer than what is kept.
    pub truncated: bool,
}

/// What a running attempt is doing now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// The component, by name.
    pub component: String,
    /// `deploy`, `destroy` or `drift`.
    pub action: String,
    /// The job.
    pub job: String,
    /// Which try.
    pub attempt: u32,
    /// One line.
    pub message: String,
    /// How much is done.
    pub done: u32,
    /// Of how much; 0 when the whole is not known.
    pub total: u32,
}

/// The body of every answer that is an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorDetail {
    /// A stable code with a section in `docs/errors/`.
    pub code: String,
    /// What is the matter.
    pub message: String,
    /// What to do next.
    pub hint: String,
}
