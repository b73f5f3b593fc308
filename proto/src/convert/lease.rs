//! Leases: which attempt, for how long, and whether it must stop.

use super::{
    RunnerInfo, WireError, at_most, bounded, bounded_bytes, cut, install_id, positive, required, within,
};
use crate::{limit, v1};

/// Names one attempt; every word about an attempt carries it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptRef {
    /// The job's id.
    pub job: String,
    /// The try, from 1.
    pub attempt: u32,
    /// Makes every older holder's words void; from 1.
    pub fence: u64,
}

impl TryFrom<v1::AttemptRef> for AttemptRef {
    type Error = WireError;

    fn try_from(wire: v1::AttemptRef) -> Result<Self, WireError> {
        let job = bounded("attempt.job", wire.job, limit::ID_LEN_MAX)?;
        if !remit_seal::verify::is_job_id(&job) {
            return Err(WireError::Malformed {
                field: "attempt.job", expected: "the id of a job, `job_…`"
            });
        }
        Ok(Self {
            job,
            attempt: within("attempt.attempt", wire.attempt, 1, u32::MAX)?,
            fence: positive("attempt.fence", wire.fence)?,
        })
    }
}

impl From<AttemptRef> for v1::AttemptRef {
    fn from(AttemptRef { job, attempt, fence }: AttemptRef) -> Self {
        Self { job, attempt, fence }
    }
}

pub(super) fn attempt_ref(wire: Option<v1::AttemptRef>) -> Result<AttemptRef, WireError> {
    required("attempt", wire)?.try_into()
}

/// A runner asks for work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRequest {
    /// The install's id; the certificate must say the same.
    pub install: String,
    /// How long to wait for work, at most `limit::POLL_MAX_MS`.
    pub wait_ms: u32,
    /// What the runner says of itself.
    pub info: RunnerInfo,
    /// Attempts that it holds.
    pub held: Vec<AttemptRef>,
    /// The greatest sequence number that it has accepted.
    pub seq_high: u64,
    /// The greatest fence that it has seen.
    pub fence_high: u64,
    /// The version of the newest root that it trusts; 0 when it takes no newer ones.
    pub root_version: u64,
    /// When the newest status that it has was signed; 0 when it has none.
    pub status_ms: i64,
}

impl TryFrom<v1::LeaseJobRequest> for LeaseRequest {
    type Error = WireError;

    fn try_from(wire: v1::LeaseJobRequest) -> Result<Self, WireError> {
        at_most("held", wire.held.len(), limit::HELD_MAX)?;
        Ok(Self {
            install: install_id("install", wire.install)?,
            wait_ms: within("wait_ms", wire.wait_ms, 0, limit::POLL_MAX_MS)?,
            info: required("info", wire.info)?.try_into()?,
            held: wire.held.into_iter().map(AttemptRef::try_from).collect::<Result<_, _>>()?,
            seq_high: within("seq_high", wire.seq_high, 0, limit::MARK_MAX)?,
            fence_high: within("fence_high", wire.fence_high, 0, limit::MARK_MAX)?,
            root_version: within("root_version", wire.root_version, 0, limit::MARK_MAX)?,
            status_ms: wire.status_ms,
        })
    }
}

impl From<LeaseRequest> for v1::LeaseJobRequest {
    fn from(ask: LeaseRequest) -> Self {
        let LeaseRequest { install, wait_ms, info, held, seq_high, fence_high, root_version, status_ms } =
            ask;
        let (held, info) = (held.into_iter().map(Into::into).collect(), Some(info.into()));
        Self { install, wait_ms, info, held, seq_high, fence_high, root_version, status_ms }
    }
}

/// The time-limited right to run an attempt, with the envelope that says what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The attempt.
    pub attempt: AttemptRef,
    /// The envelope's exact bytes; nothing in them is verified here.
    pub envelope: Vec<u8>,
    /// How long it lasts without being renewed.
    pub lease_ms: u32,
    /// Rollback permits that may allow its release; nothing in them is verified here.
    pub permits: Vec<Vec<u8>>,
}

impl TryFrom<v1::Lease> for Lease {
    type Error = WireError;

    fn try_from(wire: v1::Lease) -> Result<Self, WireError> {
        at_most("permits", wire.permits.len(), limit::PERMITS_MAX)?;
        let permit = |bytes| bounded_bytes("permits", bytes, limit::PERMIT_SIZE_MAX);
        Ok(Self {
            attempt: attempt_ref(wire.attempt)?,
            envelope: bounded_bytes("envelope", wire.envelope, limit::ENVELOPE_SIZE_MAX)?,
            lease_ms: within("lease_ms", wire.lease_ms, 1, limit::LEASE_MAX_MS)?,
            permits: wire.permits.into_iter().map(permit).collect::<Result<_, _>>()?,
        })
    }
}

impl From<Lease> for v1::Lease {
    fn from(Lease { attempt, envelope, lease_ms, permits }: Lease) -> Self {
        Self { attempt: Some(attempt.into()), envelope, lease_ms, permits }
    }
}

/// The answer to a poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseAnswer {
    /// Work, if there was any.
    pub lease: Option<Lease>,
    /// There is a newer root, or a status to be had.
    pub trust_news: bool,
}

impl TryFrom<v1::LeaseJobResponse> for LeaseAnswer {
    type Error = WireError;

    fn try_from(wire: v1::LeaseJobResponse) -> Result<Self, WireError> {
        Ok(Self { lease: wire.lease.map(Lease::try_from).transpose()?, trust_news: wire.trust_news })
    }
}

/// How far an attempt is when its lease is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeasePhase {
    /// Verified, locked and journalled: may it start?
    Start,
    /// It runs.
    Running,
}

impl LeasePhase {
    fn read(value: i32) -> Result<Self, WireError> {
        let field = "phase";
        match v1::LeasePhase::try_from(value) {
            Ok(v1::LeasePhase::Start) => Ok(LeasePhase::Start),
            Ok(v1::LeasePhase::Running) => Ok(LeasePhase::Running),
            Ok(v1::LeasePhase::Unspecified) => Err(WireError::Unspecified { field }),
            Err(_) => Err(WireError::UnknownValue { field, value }),
        }
    }

    fn wire(self) -> v1::LeasePhase {
        match self {
            LeasePhase::Start => v1::LeasePhase::Start,
            LeasePhase::Running => v1::LeasePhase::Running,
        }
    }
}

/// A runner confirms a start or keeps a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewLease {
    /// The attempt.
    pub attempt: AttemptRef,
    /// How far it is.
    pub phase: LeasePhase,
    /// How long to wait for a reason to stop, at most `limit::POLL_MAX_MS`.
    pub wait_ms: u32,
}

impl TryFrom<v1::RenewLeaseRequest> for RenewLease {
    type Error = WireError;

    fn try_from(wire: v1::RenewLeaseRequest) -> Result<Self, WireError> {
        Ok(Self {
            attempt: attempt_ref(wire.attempt)?,
            phase: LeasePhase::read(wire.phase)?,
            wait_ms: within("wait_ms", wire.wait_ms, 0, limit::POLL_MAX_MS)?,
        })
    }
}

impl From<RenewLease> for v1::RenewLeaseRequest {
    fn from(RenewLease { attempt, phase, wait_ms }: RenewLease) -> Self {
        Self { attempt: Some(attempt.into()), phase: phase.wire() as i32, wait_ms }
    }
}

/// The answer to a renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on; the lease now lasts so long.
    Continue {
        /// From now.
        lease_ms: u32,
    },
    /// Stop.
    Stop(Stop),
}

impl TryFrom<v1::RenewLeaseResponse> for Verdict {
    type Error = WireError;

    fn try_from(wire: v1::RenewLeaseResponse) -> Result<Self, WireError> {
        use v1::renew_lease_response::Verdict as Wire;
        match required("verdict", wire.verdict)? {
            Wire::Continue(go) => {
                Ok(Verdict::Continue { lease_ms: within("lease_ms", go.lease_ms, 1, limit::LEASE_MAX_MS)? })
            }
            Wire::Stop(stop) => Ok(Verdict::Stop(stop.try_into()?)),
        }
    }
}

impl From<Verdict> for v1::RenewLeaseResponse {
    fn from(verdict: Verdict) -> Self {
        use v1::renew_lease_response::{Continue, Verdict as Wire};
        let verdict = match verdict {
            Verdict::Continue { lease_ms } => Wire::Continue(Continue { lease_ms }),
            Verdict::Stop(stop) => Wire::Stop(stop.into()),
        };
        Self { verdict: Some(verdict) }
    }
}

/// Why an attempt must stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The reason.
    pub reason: StopReason,
    /// For people.
    pub message: String,
}

/// Reasons to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// Somebody asked for it.
    Cancelled,
    /// Something newer takes its place.
    Superseded,
    /// The runner is no longer the one whose words count.
    Fenced,
}

impl StopReason {
    fn read(value: i32) -> Result<Self, WireError> {
        let field = "stop.reason";
        match v1::StopReason::try_from(value) {
            Ok(v1::StopReason::Cancelled) => Ok(StopReason::Cancelled),
            Ok(v1::StopReason::Superseded) => Ok(StopReason::Superseded),
            Ok(v1::StopReason::Fenced) => Ok(StopReason::Fenced),
            Ok(v1::StopReason::Unspecified) => Err(WireError::Unspecified { field }),
            Err(_) => Err(WireError::UnknownValue { field, value }),
        }
    }

    fn wire(self) -> v1::StopReason {
        match self {
            StopReason::Cancelled => v1::StopReason::Cancelled,
            StopReason::Superseded => v1::StopReason::Superseded,
            StopReason::Fenced => v1::StopReason::Fenced,
        }
    }
}

impl TryFrom<v1::Stop> for Stop {
    type Error = WireError;

    fn try_from(wire: v1::Stop) -> Result<Self, WireError> {
        Ok(Self {
            reason: StopReason::read(wire.reason)?,
            message: bounded("stop.message", wire.message, limit::MESSAGE_LEN_MAX)?,
        })
    }
}

impl From<Stop> for v1::Stop {
    fn from(Stop { reason, message }: Stop) -> Self {
        Self { reason: reason.wire() as i32, message: cut(&message, limit::MESSAGE_LEN_MAX) }
    }
}
