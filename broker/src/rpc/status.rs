//! Refusals of the runners' door: a gRPC status whose message begins with a stable code, which
//! stands in the metadata `remit-code` too.

use remit_loops::RejectedCode;
use remit_proto::convert::WireError;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

use crate::dispatch;
use crate::engine::SubmitError;
use crate::store::StoreError;

/// A refusal with its code and its sentence.
pub(super) fn refuse(status: Code, code: &'static str, message: impl std::fmt::Display) -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert("remit-code", MetadataValue::from_static(code));
    Status::with_metadata(status, format!("{code}: {message}"), metadata)
}

/// Something of ours failed; what exactly stands in the log.
pub(super) fn internal(error: impl std::fmt::Display) -> Status {
    tracing::error!(%error, "a runner's call failed");
    refuse(Code::Internal, "rpc.internal", "the broker could not do it; try again in a moment")
}

/// Something could not be signed; where that passes, the runner asks again.
pub(super) fn unsigned(error: &dispatch::Error) -> Status {
    match error.pause() {
        Some(_) => refuse(Code::Unavailable, "rpc.unsigned", "the broker cannot sign now; try again"),
        None => internal(error),
    }
}

/// The store failed.
pub(super) fn store(error: &StoreError) -> Status {
    internal(error)
}

/// A message that is not of the protocol.
pub(super) fn wire(error: &WireError) -> Status {
    refuse(Code::InvalidArgument, error.code(), error)
}

/// A report that the runner's loop, or the engine, did not take.
pub(super) fn submit(error: &SubmitError) -> Status {
    let code = error.code();
    match error {
        SubmitError::Rejected(rejected) => {
            let status = match rejected.code {
                RejectedCode::NotFound => Code::NotFound,
                RejectedCode::QueueFull => Code::ResourceExhausted,
                RejectedCode::Invalid
                | RejectedCode::WrongKind
                | RejectedCode::WindowInvalid
                | RejectedCode::ZoneUnknown
                | RejectedCode::RolloutInvalid
                | RejectedCode::FreezeInvalid => Code::InvalidArgument,
                RejectedCode::Exists
                | RejectedCode::Deleting
                | RejectedCode::Conflict
                | RejectedCode::Stale
                | RejectedCode::PlanStale
                | RejectedCode::NotApprover
                | RejectedCode::BreakGlassInvalid
                | RejectedCode::ProofMissing
                | RejectedCode::RunnerMissing
                | RejectedCode::FreezeOverlaps
                | RejectedCode::BelowFloor => Code::FailedPrecondition,
            };
            refuse(status, code, error)
        }
        SubmitError::Busy { .. } | SubmitError::Stopping | SubmitError::Unavailable(_) => {
            refuse(Code::Unavailable, code, error)
        }
        SubmitError::Store(_) => internal(error),
    }
}
