//! Plans that are kept until they are carried out: their digests, and whether one is still what was approved.
//!
//! A digest is of the saved plan and of all that goes into it, with a secret of this data directory: who
//! sees the digest cannot try out which inputs it is of.

use std::io;

use remit_seal::Digest;

use super::plan_answers::{OF_FILE, Of};
use crate::executor::{PLAN_FILE, Stage, Work};
use crate::outcome::Undone;
use crate::outcome::{Failure, Plan, Planned};
use crate::policy::approval::waiting::Waiting;
use crate::storage::data_dir::{make_dir, read_left, remove_dir, write_atomic};

/// What is hashed first: another way of hashing gets another line.
const SCHEME: &str = "remit plan digest 1";
/// The largest saved plan.
const PLAN_LEN_MAX: u64 = 256 << 20;
/// The name of the note of what was kept: the plan's digest.
pub(super) const NOTE_FILE: &str = "digest";

/// Makes the place of the plan ready: empty for one who plans, with the approved plan for one who carries it out.
pub(super) fn prepare(work: &Work, secret: &str) -> Result<(), Undone> {
    let place = &work.places.plan;
    match work.stage {
        Stage::Whole | Stage::Plan => {
            remove_dir(place).and_then(|()| make_dir(place)).map_err(|e| Undone::Failed(Failure::disk(&e)))
        }
        Stage::Apply(approved) => check(work, secret, approved),
    }
}

fn check(work: &Work, secret: &str, approved: Digest) -> Result<(), Undone> {
    let io = |e: io::Error| Undone::Failed(Failure::disk(&e));
    let note = read_left(&work.places.plan.join(NOTE_FILE), 128).map_err(io)?;
    let Some(note) = note else {
        let message = "the plan that was approved is not kept here: it was carried out, replaced by another, \
                       or made by another runner";
        return Err(Undone::Refused { code: "runner.plan_missing", message: message.to_owned() });
    };
    let now = digest(work, secret).map_err(io)?;
    if now == approved && note == approved.to_string().as_bytes() {
        return Ok(());
    }
    let message = format!(
        "{approved} was approved; what would be carried out now is {now}: its inputs or the saved plan changed, or a newer plan took its place"
    );
    Err(Undone::Refused { code: "runner.plan_changed", message })
}

/// The plan with its digest, once it is made or carried out. Kept for later if it was only made.
pub(super) fn seal(
    work: &Work,
    secret: &str,
    planned: Planned,
    wants_customer: bool,
) -> Result<Plan, Undone> {
    let io = |e: io::Error| Undone::Failed(Failure::disk(&e));
    let digest = match work.stage {
        Stage::Apply(approved) => approved,
        Stage::Whole | Stage::Plan => digest(work, secret).map_err(io)?,
    };
    if work.stage == Stage::Plan {
        let note = work.places.plan.join(NOTE_FILE);
        let (asked, release) = work.gate.to_apply(digest);
        let job = &work.supervisor.attempt.job;
        let wanted = wants_customer.then(|| Waiting::content(&asked, job, &release, None));
        wanted.iter().for_each(|wanted| work.gate.tell_customer(wanted));
        let of = Of { about: asked.about(), wanted };
        let of = serde_json::to_vec(&of).expect("texts and whole numbers are always JSON");
        write_atomic(&work.places.plan.join(OF_FILE), &of).map_err(io)?;
        write_atomic(&note, digest.to_string().as_bytes()).map_err(io)?;
    } else {
        remove_dir(&work.places.plan).map_err(io)?;
    }
    Ok(Plan { digest, planned, customer_approval_needed: wants_customer })
}

fn digest(work: &Work, secret: &str) -> io::Result<Digest> {
    let inputs = serde_json::to_vec(&work.inputs).expect("inputs are values without floats");
    let saved = read_left(&work.places.plan.join(PLAN_FILE), PLAN_LEN_MAX)?;
    let saved = saved.map(|bytes| Digest::of(&bytes).to_string()).unwrap_or_default();
    let fields: [&[u8]; 8] = [
        SCHEME.as_bytes(),
        secret.as_bytes(),
        work.install.as_bytes(),
        work.component.name.as_bytes(),
        work.action.as_str().as_bytes(),
        work.release.as_bytes(),
        &inputs,
        saved.as_bytes(),
    ];
    let mut all = Vec::new();
    for field in fields {
        all.extend_from_slice(&(field.len() as u64).to_be_bytes());
        all.extend_from_slice(field);
    }
    Ok(Digest::of(&all))
}
