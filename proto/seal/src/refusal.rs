//! Why something was not believed: one stable code each.
//!
//! Every text that comes from the document itself is clipped and escaped before it gets here
//! (`clip`), so that a hostile document cannot write into a log or onto a screen.

mod clip;
mod code;
mod fault;

use crate::Digest;
use crate::payload::PayloadType;

pub(crate) use clip::clip;
pub use fault::Fault;

/// A refusal. `code()` is stable and has a heading in `docs/errors/seal.md`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// More bytes than a container of this type may have.
    #[error("the {kind} has {size} bytes; at most {max} are allowed: make it smaller")]
    TooLarge {
        /// What it was taken for.
        kind: PayloadType,
        /// Its size.
        size: usize,
        /// The cap.
        max: usize,
    },
    /// Not the strict JSON that is signed here.
    #[error("not strict JSON: {0}")]
    Json(Fault),
    /// Strict JSON, but no DSSE container.
    #[error("not a DSSE container: {detail}")]
    ContainerInvalid {
        /// What is wrong.
        detail: String,
    },
    /// No signature, or more than may be.
    #[error("{count} signatures; there must be 1 to {max}")]
    SignatureCount {
        /// How many there are.
        count: usize,
        /// The cap.
        max: usize,
    },
    /// Another type of document than was asked for.
    #[error("the payload is of type `{found}`, not `{expected}`: was the wrong file given?")]
    PayloadType {
        /// The type that was asked for.
        expected: &'static str,
        /// The type it claims.
        found: String,
    },
    /// A signature by a key of the role is false, and the others do not suffice.
    #[error(
        "a signature of the {role} role is false: the document was changed after it was signed, or was never signed by that key"
    )]
    SignatureInvalid {
        /// The role.
        role: &'static str,
    },
    /// Too few different keys of the role signed.
    #[error(
        "signed by {have} of the {need} keys that the {role} role needs: sign with a key that the trust root names for it"
    )]
    Threshold {
        /// The role.
        role: &'static str,
        /// How many signed.
        have: usize,
        /// How many must.
        need: u32,
    },
    /// Signed by a key that counts no more.
    #[error("signed by a key that the {role} role has no more: it was revoked; sign with another")]
    KeyRevoked {
        /// The role.
        role: &'static str,
    },
    /// A status whose times make no sense.
    #[error("the status is not sound: {detail}")]
    StatusInvalid {
        /// What is wrong.
        detail: &'static str,
    },
    /// A status of a root that is not the one trusted.
    #[error(
        "the status is of root version {found}, but version {trusted} is trusted: take the roots between"
    )]
    StatusRoot {
        /// The version trusted now.
        trusted: u64,
        /// The status's.
        found: u64,
    },
    /// A status from before the one that is known.
    #[error("the status is {behind_ms} ms older than one that was seen before")]
    StatusOld {
        /// By how much.
        behind_ms: i64,
    },
    /// A status whose time is over.
    #[error("the status expired {late_ms} ms ago: check the clocks of this machine and of the broker")]
    StatusExpired {
        /// How late.
        late_ms: i64,
    },
    /// Signed, but not of the shape of its type.
    #[error("the document does not have the shape of its type: {detail}")]
    DocumentInvalid {
        /// What is wrong.
        detail: String,
    },
    /// Not `sha256:` and 64 lower-case hexadecimal digits.
    #[error("not a digest: write `sha256:` and 64 lower-case hexadecimal digits")]
    DigestInvalid,
    /// A key that cannot be read or must not be used.
    #[error("not a usable key: {detail}")]
    KeyInvalid {
        /// What is wrong.
        detail: &'static str,
    },
    /// A key that stands under another id than its own.
    #[error("the key under id `{found}` has the id `{expected}`")]
    KeyId {
        /// Its own id.
        expected: String,
        /// Where it stands.
        found: String,
    },
    /// Another root than the one pinned.
    #[error("the trust root is {found}, but {pinned} was pinned: compare with what the vendor published")]
    RootPin {
        /// The pinned digest.
        pinned: Digest,
        /// Its digest.
        found: Digest,
    },
    /// A root that contradicts itself.
    #[error("the trust root is not sound: {detail}")]
    RootInvalid {
        /// What is wrong.
        detail: String,
    },
    /// Not the next root.
    #[error("root version {found} does not follow version {trusted}: apply every version between, in order")]
    RootVersion {
        /// The version trusted now.
        trusted: u64,
        /// Its version.
        found: u64,
    },
    /// The root's time is over.
    #[error("the trust root expired at {expires_ms} ms: the vendor must sign a new one")]
    RootExpired {
        /// When.
        expires_ms: i64,
    },
    /// A document of another vendor than the root's.
    #[error("it is by vendor `{found}`, but the trust root is of `{expected}`")]
    Vendor {
        /// The root's.
        expected: String,
        /// The document's.
        found: String,
    },
    /// The release's time is over.
    #[error("the release expired at {expires_ms} ms: cut and publish a new one")]
    ReleaseExpired {
        /// When.
        expires_ms: i64,
    },
    /// Version, counters or times of the release contradict each other.
    #[error("the release is not sound: {detail}")]
    ReleaseInvalid {
        /// What is wrong.
        detail: &'static str,
    },
    /// More of something than a release may have.
    #[error("{what} is over its limit of {max}")]
    ReleaseLimit {
        /// Of what.
        what: String,
        /// The limit.
        max: u64,
    },
    /// A name of the wrong form.
    #[error(
        "`{name}` is no name for {what}: use 1 to {max} of a-z, 0-9 and {extra}, beginning with a letter"
    )]
    Name {
        /// For what.
        what: &'static str,
        /// The name.
        name: String,
        /// The longest allowed.
        max: usize,
        /// What it may hold beside letters and digits.
        extra: char,
    },
    /// Too few release keys allow that something is destroyed.
    #[error("`{operation}` destroys: {need} release keys must have signed the release, and {have} did")]
    DestroyThreshold {
        /// The operation.
        operation: String,
        /// How many signed.
        have: usize,
        /// How many must.
        need: u32,
    },
    /// Two of one name.
    #[error("the name `{name}` is given twice")]
    NameDuplicate {
        /// The name.
        name: String,
    },
    /// A component after one that is not there, or after itself.
    #[error("component `{component}` needs `{needs}`, which is no other component of the release")]
    NeedsUnknown {
        /// The one that needs.
        component: String,
        /// The one needed.
        needs: String,
    },
    /// Components that wait for each other.
    #[error("component `{component}` waits for itself through its needs: break the cycle")]
    NeedsCycle {
        /// One of the cycle.
        component: String,
    },
    /// A component's input comes from nowhere.
    #[error(
        "input `{input}` of component `{component}` refers to `{refers}`, which the release does not have"
    )]
    SourceUnknown {
        /// The component.
        component: String,
        /// Its input.
        input: String,
        /// What it refers to.
        refers: String,
    },
    /// A component uses an output of one that it does not wait for.
    #[error("input `{input}` of component `{component}` uses an output of `{other}`, which it does not need")]
    SourceOrder {
        /// The component.
        component: String,
        /// Its input.
        input: String,
        /// The one whose output it uses.
        other: String,
    },
    /// An input of the product that contradicts itself.
    #[error("input `{input}` is not sound: {detail}")]
    InputSpec {
        /// The input.
        input: String,
        /// What is wrong.
        detail: &'static str,
    },
    /// Commands that the component's kind or the release's operations do not allow.
    #[error("commands of component `{component}`: {detail}")]
    Commands {
        /// The component.
        component: String,
        /// What is wrong.
        detail: &'static str,
    },
    /// Escape hatches that cannot be declared so.
    #[error("escape hatches of component `{component}`: {detail}")]
    Escapes {
        /// The component.
        component: String,
        /// What is wrong.
        detail: &'static str,
    },
    /// For another install.
    #[error("the job is for another {part} than this runner's")]
    Audience {
        /// `org`, `app`, `install`, `channel`, `account` or `region`.
        part: &'static str,
    },
    /// For an earlier or later install of this name.
    #[error("the job is for epoch {found} of the install; this is epoch {expected}")]
    Epoch {
        /// The runner's.
        expected: u64,
        /// The job's.
        found: u64,
    },
    /// For an earlier or later runner of this install.
    #[error("the job is for generation {found} of the runner; this is generation {expected}")]
    Generation {
        /// The runner's.
        expected: u64,
        /// The job's.
        found: u64,
    },
    /// A window to start in that is empty or too long.
    #[error("the window to start in is empty or longer than {max_ms} ms")]
    Window {
        /// The longest allowed.
        max_ms: i64,
    },
    /// Signed in the future.
    #[error("signed {ahead_ms} ms in the future: check the clocks of this machine and of the broker")]
    IssuedInFuture {
        /// How far.
        ahead_ms: i64,
    },
    /// Not to be started yet.
    #[error("not to be started for another {wait_ms} ms: check this machine's clock")]
    NotYet {
        /// How long.
        wait_ms: i64,
    },
    /// Not to be started any more.
    #[error(
        "expired {late_ms} ms ago: the broker must sign it anew; if this repeats, check this machine's clock"
    )]
    Expired {
        /// How late.
        late_ms: i64,
    },
    /// A sequence number that was passed already.
    #[error("sequence number {seq} is not above {seq_high}, which was accepted before")]
    Replayed {
        /// The job's.
        seq: u64,
        /// The greatest accepted.
        seq_high: u64,
    },
    /// A sequence number or a fence far beyond the ones before it: which, it, and the greatest that may come.
    #[error("{0} {1} leaps beyond {2}, the greatest that may come now")]
    MarkLeap(&'static str, u64, u64),
    /// A word of the customer's that contradicts itself: how.
    #[error("the customer's word is not sound: {0}")]
    CustomerWordInvalid(&'static str),
    /// Ids or numbers of the job are not of the right form.
    #[error("the job is not sound: {detail}")]
    JobInvalid {
        /// What is wrong.
        detail: &'static str,
    },
    /// Another release than the job names.
    #[error("the job names release {expected}, not {found}")]
    ReleaseMismatch {
        /// The job's.
        expected: Digest,
        /// The release's.
        found: Digest,
    },
    /// A release of another app.
    #[error("the release is of another {part} than the job's audience")]
    ReleaseAudience {
        /// `org`, `app` or `channel`.
        part: &'static str,
    },
    /// Another counter than the release has.
    #[error("the job says counter {job}, the release {release}")]
    CounterMismatch {
        /// The job's.
        job: u64,
        /// The release's.
        release: u64,
    },
    /// Older than this install may go back to.
    #[error(
        "release counter {counter} is below {floor}, the lowest that may run here now: going back needs a rollback permit that the vendor signs"
    )]
    Rollback {
        /// The release's.
        counter: u64,
        /// The lowest allowed.
        floor: u64,
    },
    /// A rollback permit that contradicts itself.
    #[error("the rollback permit is not sound: {detail}")]
    PermitInvalid {
        /// What is wrong.
        detail: &'static str,
    },
    /// A rollback permit that counts no more.
    #[error("the rollback permit ended {late_ms} ms ago: the vendor must sign another")]
    PermitOver {
        /// By so much.
        late_ms: i64,
    },
    /// No such component in the release.
    #[error("the release has no component `{component}`")]
    ComponentUnknown {
        /// The component.
        component: String,
    },
    /// No such operation in the release.
    #[error("the release does not allow the operation `{operation}`")]
    OperationUnknown {
        /// The operation.
        operation: String,
    },
    /// Another class than the release gives the operation.
    #[error("operation `{operation}` has another class in the release than in the job")]
    ClassMismatch {
        /// The operation.
        operation: String,
    },
    /// An operation that somebody must approve first.
    #[error("operation `{operation}` needs an approval that the job does not carry")]
    ApprovalMissing {
        /// The operation.
        operation: String,
    },
    /// An approval that counts no more.
    #[error("the approval by {by} ended {late_ms} ms ago: plan and approve again")]
    ApprovalExpired {
        /// Whose.
        by: String,
        /// By so much.
        late_ms: i64,
    },
    /// A job that passes the vendor's rules by a broken glass that is whole again.
    #[error(
        "the glass that was broken for this job is whole again since {late_ms} ms: break it again, or wait for the rules"
    )]
    BreakGlassOver {
        /// Since when.
        late_ms: i64,
    },
    /// Longer than the component may run.
    #[error("the job may run {job_ms} ms, its component only {max_ms} ms")]
    LongestRun {
        /// The job's.
        job_ms: i64,
        /// The component's.
        max_ms: i64,
    },
    /// A component that may only be rehearsed.
    #[error("component `{component}` may only be rehearsed: the install must be a sandbox")]
    SandboxRequired {
        /// The component.
        component: String,
    },
    /// A job that is meant for the real world and says what to pretend.
    #[error("the job says what to pretend, and is no rehearsal: only sandbox jobs may")]
    RehearsalForReal,
    /// An input that the release does not have.
    #[error("the release has no input `{input}`")]
    InputUnknown {
        /// The input.
        input: String,
    },
    /// An input that the broker may not set.
    #[error("input `{input}` is not the broker's to set")]
    InputAuthority {
        /// The input.
        input: String,
    },
    /// A value of another type.
    #[error("input `{input}` must be {expected}")]
    InputType {
        /// The input.
        input: String,
        /// The type, in words.
        expected: &'static str,
    },
    /// A value too long or too great.
    #[error("input `{input}` is over its limit of {max}")]
    InputBounds {
        /// The input.
        input: String,
        /// The limit.
        max: u64,
    },
    /// A value that is none of the choices.
    #[error("input `{input}` must be one of the values that the release lists")]
    InputChoice {
        /// The input.
        input: String,
    },
    /// A text with characters that its authority may not use.
    #[error("input `{input}` holds characters that are not allowed: {allowed}")]
    InputText {
        /// The input.
        input: String,
        /// Which are.
        allowed: &'static str,
    },
    /// An input without a default that nobody set.
    #[error("input `{input}` is not set and has no default")]
    InputMissing {
        /// The input.
        input: String,
    },
}
