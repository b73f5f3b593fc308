//! What the objects of the simulated world are called.

use remit_loops::ObjectId;
use remit_loops::job::AttemptId;

pub(crate) fn install_id(install: usize) -> ObjectId {
    format!("ins_demo.shop.c{install}").parse().expect("made of allowed letters")
}

pub(crate) fn runner_id(install: usize) -> ObjectId {
    install_id(install).runner().expect("an install has a runner")
}

/// The install that an object is of or in.
pub(crate) fn install_of(id: &ObjectId) -> Option<usize> {
    id.path().split('.').nth(2)?.strip_prefix('c')?.parse().ok()
}

pub(crate) fn app_id() -> ObjectId {
    "app_demo.shop".parse().expect("made of allowed letters")
}

pub(crate) fn org_id() -> ObjectId {
    "org_demo".parse().expect("made of allowed letters")
}

/// The operation that an attempt belongs to: its job's epoch and operation, without component and action.
pub(crate) fn operation_of(id: &AttemptId) -> String {
    let parts: Vec<&str> = id.job.split('.').collect();
    let len = parts.len();
    parts[len.saturating_sub(3)..len.saturating_sub(1)].join(".")
}
