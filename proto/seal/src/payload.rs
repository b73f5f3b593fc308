//! What a signed container can hold: its media type, its greatest size, its name for people.

use std::fmt;

/// The types of payload, matched exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadType {
    /// A trust root.
    Root,
    /// A release.
    Release,
    /// A job.
    Job,
    /// A status.
    Status,
    /// A place in a runner's chain of receipts.
    Checkpoint,
    /// The customer's own word.
    Approval,
    /// A place in a broker's audit log.
    Audit,
    /// What a broker has seen of a runner's receipts.
    Seen,
    /// Leave to go back to an older release.
    Permit,
}

impl PayloadType {
    /// The media type that stands in the container.
    pub fn as_str(self) -> &'static str {
        match self {
            PayloadType::Root => "application/vnd.remit.root.v1+json",
            PayloadType::Release => "application/vnd.remit.release.v1+json",
            PayloadType::Job => "application/vnd.remit.job.v1+json",
            PayloadType::Status => "application/vnd.remit.status.v1+json",
            PayloadType::Checkpoint => "application/vnd.remit.checkpoint.v1+json",
            PayloadType::Approval => "application/vnd.remit.approval.v1+json",
            PayloadType::Audit => "application/vnd.remit.audit.v1+json",
            PayloadType::Seen => "application/vnd.remit.seen.v1+json",
            PayloadType::Permit => "application/vnd.remit.permit.v1+json",
        }
    }

    /// The most bytes of a container of this type.
    pub fn size_max(self) -> usize {
        match self {
            PayloadType::Root | PayloadType::Job | PayloadType::Status => 64 << 10,
            PayloadType::Release => 256 << 10,
            PayloadType::Checkpoint
            | PayloadType::Approval
            | PayloadType::Audit
            | PayloadType::Seen
            | PayloadType::Permit => 4 << 10,
        }
    }
}

impl fmt::Display for PayloadType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PayloadType::Root => "trust root",
            PayloadType::Release => "release",
            PayloadType::Job => "job",
            PayloadType::Status => "status",
            PayloadType::Checkpoint => "checkpoint",
            PayloadType::Approval => "approval",
            PayloadType::Audit => "audit checkpoint",
            PayloadType::Seen => "receipt for receipts",
            PayloadType::Permit => "rollback permit",
        })
    }
}
