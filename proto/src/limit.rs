//! The bounds of what crosses the wire, kept by both sides. Sizes are bytes, times milliseconds.

/// The longest that a poll may ask to wait.
pub const POLL_MAX_MS: u32 = 50_000;
/// The largest message but for logs.
pub const CONTROL_SIZE_MAX: usize = 256 << 10;
/// The largest `AppendLogs` message.
pub const LOG_MESSAGE_SIZE_MAX: usize = 1 << 20;
/// The most log bytes of one `AppendLogs`: what leaves room for the message around them.
pub const LOG_DATA_SIZE_MAX: usize = LOG_MESSAGE_SIZE_MAX - (4 << 10);
/// The log bytes that a runner sends at once.
pub const LOG_CHUNK_SIZE: usize = 256 << 10;
/// The most log bytes of one attempt.
pub const LOG_SIZE_MAX: u64 = 256 << 20;
/// The most artifact bytes of one `FetchArtifact` message; leaves room in `CONTROL_SIZE_MAX`.
pub const ARTIFACT_CHUNK_SIZE_MAX: usize = CONTROL_SIZE_MAX - (4 << 10);
/// The largest artifact.
pub const ARTIFACT_SIZE_MAX: u64 = remit_seal::verify::ARTIFACT_SIZE_MAX;
/// The most streams of one connection.
pub const STREAMS_MAX: u32 = 8;
/// The most bytes of headers of one call.
pub const HEADERS_SIZE_MAX: u32 = 16 << 10;

/// The longest id.
pub const ID_LEN_MAX: usize = 256;
/// The longest one-time token.
pub const TOKEN_LEN_MAX: usize = 256;
/// The longest that a nonce may be good.
pub const NONCE_MAX_MS: u32 = 60_000;
/// The longest id of an AWS access key.
pub const ACCESS_KEY_ID_LEN_MAX: usize = 128;
/// The longest token of an AWS session.
pub const SESSION_TOKEN_LEN_MAX: usize = 8 << 10;
/// The largest certificate signing request.
pub const CSR_SIZE_MAX: usize = 8 << 10;
/// The largest certificate.
pub const CERTIFICATE_SIZE_MAX: usize = 16 << 10;
/// The most certificates of a chain.
pub const CERTIFICATES_MAX: usize = 4;
/// The largest envelope in a lease.
pub const ENVELOPE_SIZE_MAX: usize = 64 << 10;
/// The most rollback permits in a lease.
pub const PERMITS_MAX: usize = 4;
/// The largest rollback permit.
pub const PERMIT_SIZE_MAX: usize = 4 << 10;
/// The most roots of one `FetchTrust`: what leaves room for a status in `CONTROL_SIZE_MAX`.
pub const ROOTS_MAX: usize = 2;
/// The largest root or status.
pub const ROOT_SIZE_MAX: usize = 64 << 10;
/// The longest lease.
pub const LEASE_MAX_MS: u32 = 10 * 60 * 1_000;
/// The most attempts that a runner holds at once.
pub const HELD_MAX: usize = 256;
/// The greatest sequence number and fence: the greatest whole number that a signed document may hold, so that there
/// is none that a runner can have accepted and cannot tell.
pub const MARK_MAX: u64 = (1 << 53) - 1;
/// The most attempts that a runner may offer to run at once.
pub const CAPACITY_MAX: u32 = 64;
/// The most kinds of executors that a runner names.
pub const EXECUTORS_MAX: usize = 16;
/// The longest version, boot or executor.
pub const WORD_LEN_MAX: usize = 64;
/// The longest stable code.
pub const CODE_LEN_MAX: usize = 64;
/// The longest line for people: a progress message, a summary.
pub const LINE_LEN_MAX: usize = 512;
/// The longest text for people: a failure's message or hint.
pub const MESSAGE_LEN_MAX: usize = 4 << 10;
/// The most outputs of one attempt.
pub const OUTPUTS_MAX: usize = 256;
/// The most bytes of all outputs of one attempt, as JSON with their names.
pub const OUTPUTS_SIZE_MAX: usize = 192 << 10;
/// The most changes of a plan that are listed.
pub const PLAN_LIST_MAX: usize = 100;
/// The longest address of a planned change.
pub const ADDRESS_LEN_MAX: usize = 256;
/// The most things that differ that are listed.
pub const DIFFERENCES_MAX: usize = 20;
/// The most attributes of one of them that are listed.
pub const ATTRIBUTES_MAX: usize = 10;
/// The longest path of an attribute.
pub const ATTRIBUTE_PATH_LEN_MAX: usize = 128;
/// The longest value of an attribute.
pub const ATTRIBUTE_VALUE_LEN_MAX: usize = 160;
/// The longest name of an approver.
pub const APPROVER_LEN_MAX: usize = remit_seal::verify::APPROVER_LEN_MAX;
