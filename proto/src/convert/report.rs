//! Reports: what an attempt is doing, its log, and its terminal word.

use std::collections::{BTreeMap, HashMap};

use remit_seal::document::{FailureClass, Value};
use remit_seal::strict;
use remit_seal::verify::is_field;

use super::differences::Differences;
use super::lease::{AttemptRef, attempt_ref};
use super::plan::{ChangeCounts, Plan};
use super::{WireError, at_most, bounded, code, cut, required};
use crate::{limit, v1};

/// What a running attempt is doing now, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The attempt.
    pub attempt: AttemptRef,
    /// One line.
    pub message: String,
    /// How much is done.
    pub done: u32,
    /// Of how much; 0 when that is not known.
    pub total: u32,
}

impl TryFrom<v1::ReportProgressRequest> for Progress {
    type Error = WireError;

    fn try_from(wire: v1::ReportProgressRequest) -> Result<Self, WireError> {
        Ok(Self {
            attempt: attempt_ref(wire.attempt)?,
            message: bounded("message", wire.message, limit::LINE_LEN_MAX)?,
            done: wire.done,
            total: wire.total,
        })
    }
}

impl From<Progress> for v1::ReportProgressRequest {
    fn from(Progress { attempt, message, done, total }: Progress) -> Self {
        Self { attempt: Some(attempt.into()), message: cut(&message, limit::LINE_LEN_MAX), done, total }
    }
}

/// Bytes of an attempt's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogChunk {
    /// The attempt.
    pub attempt: AttemptRef,
    /// Where they begin.
    pub offset: u64,
    /// The bytes; empty only with the last.
    pub data: Vec<u8>,
    /// True with the last bytes of the attempt.
    pub is_final: bool,
}

impl TryFrom<v1::AppendLogsRequest> for LogChunk {
    type Error = WireError;

    fn try_from(wire: v1::AppendLogsRequest) -> Result<Self, WireError> {
        let size = wire.data.len();
        if size > limit::LOG_DATA_SIZE_MAX {
            return Err(WireError::TooLong { field: "data", max: limit::LOG_DATA_SIZE_MAX });
        }
        if wire.offset.saturating_add(size as u64) > limit::LOG_SIZE_MAX {
            return Err(WireError::OutOfRange { field: "offset", min: 0, max: limit::LOG_SIZE_MAX });
        }
        let attempt = attempt_ref(wire.attempt)?;
        Ok(Self { attempt, offset: wire.offset, data: wire.data, is_final: wire.r#final })
    }
}

impl From<LogChunk> for v1::AppendLogsRequest {
    fn from(LogChunk { attempt, offset, data, is_final }: LogChunk) -> Self {
        Self { attempt: Some(attempt.into()), offset, data, r#final: is_final }
    }
}

/// The terminal word of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The attempt.
    pub attempt: AttemptRef,
    /// How it ended.
    pub outcome: Outcome,
    /// The head of the runner's journal after it, a sha256.
    pub journal_head: [u8; 32],
    /// How many records the journal had then; 0 where the runner does not say.
    pub journal_records: u64,
    /// That place, signed by the runner, with the key that verifies it; `None` from one that does not sign.
    pub signed: Option<SignedPlace>,
}

/// A runner's own word on its journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedPlace {
    /// The checkpoint, a DSSE envelope in JSON.
    pub checkpoint: Vec<u8>,
    /// The public key, as one stands in a root: JSON.
    pub key: Vec<u8>,
}

/// The longest checkpoint, and the longest key.
const SIGNED_LEN_MAX: usize = 4 << 10;

fn signed_place(checkpoint: Vec<u8>, key: Vec<u8>) -> Result<Option<SignedPlace>, WireError> {
    for (field, bytes) in [("checkpoint", &checkpoint), ("journal_key", &key)] {
        if bytes.len() > SIGNED_LEN_MAX {
            return Err(WireError::TooLong { field, max: SIGNED_LEN_MAX });
        }
    }
    Ok((!checkpoint.is_empty()).then_some(SignedPlace { checkpoint, key }))
}

impl TryFrom<v1::CompleteJobRequest> for Completion {
    type Error = WireError;

    fn try_from(wire: v1::CompleteJobRequest) -> Result<Self, WireError> {
        let malformed = |_| WireError::Malformed { field: "journal_head", expected: "a sha256 of 32 bytes" };
        Ok(Self {
            attempt: attempt_ref(wire.attempt)?,
            outcome: required("outcome", wire.outcome)?.try_into()?,
            journal_head: wire.journal_head.try_into().map_err(malformed)?,
            journal_records: wire.journal_records,
            signed: signed_place(wire.checkpoint, wire.journal_key)?,
        })
    }
}

/// Fails only where the outputs are over their limits: those are data, and are not cut.
impl TryFrom<Completion> for v1::CompleteJobRequest {
    type Error = WireError;

    fn try_from(completion: Completion) -> Result<Self, WireError> {
        let Completion { attempt, outcome, journal_head, journal_records, signed } = completion;
        let outcome = Some(outcome.try_into()?);
        let journal_head = journal_head.to_vec();
        let (checkpoint, journal_key) = signed.map(|place| (place.checkpoint, place.key)).unwrap_or_default();
        let attempt = Some(attempt.into());
        Ok(Self { attempt, outcome, journal_head, journal_records, checkpoint, journal_key })
    }
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it was asked.
    Succeeded(Success),
    /// It tried and could not.
    Failed(Failure),
    /// It was stopped.
    Cancelled {
        /// By whom or why.
        message: String,
    },
    /// The runner would not begin it.
    Refused {
        /// The code of the check that refused it.
        code: String,
        /// Why.
        message: String,
    },
}

use v1::complete_job_request::Outcome as WireOutcome;

impl TryFrom<WireOutcome> for Outcome {
    type Error = WireError;

    fn try_from(wire: WireOutcome) -> Result<Self, WireError> {
        let message = |text| bounded("outcome.message", text, limit::MESSAGE_LEN_MAX);
        Ok(match wire {
            WireOutcome::Succeeded(success) => Outcome::Succeeded(success.try_into()?),
            WireOutcome::Failed(failure) => Outcome::Failed(failure.try_into()?),
            WireOutcome::Cancelled(wire) => Outcome::Cancelled { message: message(wire.message)? },
            WireOutcome::Refused(wire) => {
                Outcome::Refused { code: code("outcome.code", wire.code)?, message: message(wire.message)? }
            }
        })
    }
}

impl TryFrom<Outcome> for WireOutcome {
    type Error = WireError;

    fn try_from(outcome: Outcome) -> Result<Self, WireError> {
        let message = |text: String| cut(&text, limit::MESSAGE_LEN_MAX);
        Ok(match outcome {
            Outcome::Succeeded(success) => WireOutcome::Succeeded(success.try_into()?),
            Outcome::Failed(failure) => WireOutcome::Failed(failure.into()),
            Outcome::Cancelled { message: text } => {
                WireOutcome::Cancelled(v1::Cancelled { message: message(text) })
            }
            Outcome::Refused { code, message: text } => {
                WireOutcome::Refused(v1::Refused { code, message: message(text) })
            }
        })
    }
}

/// What came of a success; nothing here is sensitive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Success {
    /// Outputs that may leave the account.
    pub outputs: BTreeMap<String, Value>,
    /// How many things were changed.
    pub changes: ChangeCounts,
    /// For a drift check: the world differs from what was deployed.
    pub drifted: bool,
    /// One line for people.
    pub summary: String,
    /// What was planned, or done by a plan.
    pub plan: Option<Plan>,
    /// For a destroy: how it was made sure that nothing is left; empty where nobody could look.
    pub swept: String,
    /// What differs from what was deployed.
    pub differences: Differences,
}

impl Success {
    /// The outputs as JSON texts, by name.
    pub fn outputs_json(&self) -> BTreeMap<String, String> {
        self.outputs.iter().map(|(name, value)| (name.clone(), json(value))).collect()
    }
}

impl TryFrom<v1::Succeeded> for Success {
    type Error = WireError;

    fn try_from(wire: v1::Succeeded) -> Result<Self, WireError> {
        check_outputs(wire.outputs.iter())?;
        Ok(Self {
            outputs: wire.outputs.into_iter().map(read_output).collect::<Result<_, _>>()?,
            changes: required("outcome.changes", wire.changes)?.into(),
            drifted: wire.drifted,
            summary: bounded("outcome.summary", wire.summary, limit::LINE_LEN_MAX)?,
            plan: wire.plan.map(Plan::try_from).transpose()?,
            swept: bounded("outcome.swept", wire.swept, limit::LINE_LEN_MAX)?,
            differences: wire.differences.map(Differences::try_from).transpose()?.unwrap_or_default(),
        })
    }
}

impl TryFrom<Success> for v1::Succeeded {
    type Error = WireError;

    fn try_from(success: Success) -> Result<Self, WireError> {
        let outputs: HashMap<String, String> = success.outputs_json().into_iter().collect();
        check_outputs(outputs.iter())?;
        Ok(Self {
            outputs,
            changes: Some(success.changes.into()),
            drifted: success.drifted,
            summary: cut(&success.summary, limit::LINE_LEN_MAX),
            plan: success.plan.map(Into::into),
            swept: cut(&success.swept, limit::LINE_LEN_MAX),
            differences: Some(success.differences).filter(|d| *d != Differences::default()).map(Into::into),
        })
    }
}

fn json(value: &Value) -> String {
    serde_json::to_string(value).expect("booleans, integers, texts and lists of them are always JSON")
}

fn check_outputs<'a>(
    outputs: impl ExactSizeIterator<Item = (&'a String, &'a String)>,
) -> Result<(), WireError> {
    at_most("outcome.outputs", outputs.len(), limit::OUTPUTS_MAX)?;
    let mut size = 0_usize;
    for (name, value) in outputs {
        if !is_field(name) {
            return Err(WireError::Malformed {
                field: "outcome.outputs",
                expected: "named by a-z, 0-9 and `_`",
            });
        }
        size = size.saturating_add(name.len()).saturating_add(value.len());
    }
    if size > limit::OUTPUTS_SIZE_MAX {
        return Err(WireError::TooLong { field: "outcome.outputs", max: limit::OUTPUTS_SIZE_MAX });
    }
    Ok(())
}

fn read_output((name, text): (String, String)) -> Result<(String, Value), WireError> {
    let expected = "a boolean, integer, text or list as JSON";
    let malformed = |_| WireError::Malformed { field: "outcome.outputs", expected };
    Ok((name, strict::from_slice(text.as_bytes()).map_err(malformed)?))
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What sort of failure it is.
    pub class: FailureClass,
    /// A stable code.
    pub code: String,
    /// The tool's own words, redacted.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl TryFrom<v1::Failed> for Failure {
    type Error = WireError;

    fn try_from(wire: v1::Failed) -> Result<Self, WireError> {
        Ok(Self {
            class: read_class(wire.class)?,
            code: code("outcome.code", wire.code)?,
            message: bounded("outcome.message", wire.message, limit::MESSAGE_LEN_MAX)?,
            hint: bounded("outcome.hint", wire.hint, limit::MESSAGE_LEN_MAX)?,
        })
    }
}

impl From<Failure> for v1::Failed {
    fn from(Failure { class, code, message, hint }: Failure) -> Self {
        let cut = |text: String| cut(&text, limit::MESSAGE_LEN_MAX);
        Self { class: wire_class(class) as i32, code, message: cut(message), hint: cut(hint) }
    }
}

fn read_class(value: i32) -> Result<FailureClass, WireError> {
    use v1::FailureClass as Wire;
    let field = "outcome.class";
    Ok(match Wire::try_from(value).map_err(|_| WireError::UnknownValue { field, value })? {
        Wire::Unspecified => return Err(WireError::Unspecified { field }),
        Wire::Permission => FailureClass::Permission,
        Wire::Quota => FailureClass::Quota,
        Wire::Billing => FailureClass::Billing,
        Wire::Conflict => FailureClass::Conflict,
        Wire::Interference => FailureClass::Interference,
        Wire::Transient => FailureClass::Transient,
        Wire::Timeout => FailureClass::Timeout,
        Wire::Bug => FailureClass::Bug,
    })
}

fn wire_class(class: FailureClass) -> v1::FailureClass {
    use v1::FailureClass as Wire;
    match class {
        FailureClass::Permission => Wire::Permission,
        FailureClass::Quota => Wire::Quota,
        FailureClass::Billing => Wire::Billing,
        FailureClass::Conflict => Wire::Conflict,
        FailureClass::Interference => Wire::Interference,
        FailureClass::Transient => Wire::Transient,
        FailureClass::Timeout => Wire::Timeout,
        FailureClass::Bug => Wire::Bug,
    }
}
