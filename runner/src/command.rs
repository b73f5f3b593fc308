//! What a person asks for on the command line, beside running it.

pub mod approvals;
pub mod customer;
pub mod policy;
pub mod status;
