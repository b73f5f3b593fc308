//! The envelopes and statuses that the broker signs with its dispatch keys.
//!
//! An envelope is signed at the moment it is handed out, from what the runner's loop holds:
//! the same sequence number and fence each time, fresh times.

mod gate;
mod keys;
mod statuses;

use std::collections::BTreeMap;
use std::time::Duration;

use remit_loops::job::{Action, Mode};
use remit_loops::plan::Changes;
use remit_loops::plan::{self, Approval, Stage};
use remit_loops::runner::JobSpec;
use remit_loops::runner::{Offer, Place};
use remit_loops::scenario::{Act, Fails};
use remit_loops::{ObjectId, Timestamp};
use remit_seal::Digest;
use remit_seal::document::{
    Approved, Audience, AuditCheckpoint, BreakGlass, Class, FailureClass, Job, PretendedChanges,
    PretendedFailure, Rehearsal, Seen, Side, Status as SealedStatus, Value,
};
use remit_seal::dsse::PayloadType;
use remit_seal::verify::APPROVALS_MAX;

use crate::signer::kms;

pub(crate) use gate::Trouble;
pub(crate) use keys::{DispatchKey, DispatchKeys};
use statuses::Kept;

/// How long an envelope may wait to be started.
const START_WITHIN_MS: i64 = 15 * 60_000;

/// What can go wrong with the dispatch key or an envelope.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key's file could not be read or written.
    #[error("cannot use {file}: {source}")]
    File {
        /// Which.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The key's file holds no key.
    #[error("{file} holds no Ed25519 or P-256 key: {source}")]
    Key {
        /// Which.
        file: String,
        /// Why.
        source: remit_seal::Refusal,
    },
    /// The system has no randomness.
    #[error("cannot get randomness: {0}")]
    Randomness(getrandom::Error),
    /// The file says where a key is in KMS, and that cannot be read.
    #[error("{file} does not say which key of AWS KMS it is: {detail}")]
    Written {
        /// Which.
        file: String,
        /// Why.
        detail: String,
    },
    /// A key of KMS is not to be had.
    #[error(transparent)]
    Kms(#[from] kms::Error),
    /// The key that is to be the next one is in use.
    #[error(
        "{reference} is a dispatch key already: make another key in KMS and let the broker know it by --dispatch-kms"
    )]
    Same {
        /// Where it is.
        reference: String,
    },
    /// Nothing is signed now; it is worth asking again.
    #[error("AWS KMS does not sign now ({code}); it is asked again in {pause:?}")]
    Waits {
        /// When.
        pause: Duration,
        /// The stable code of what is the matter.
        code: &'static str,
    },
    /// A document that its own verifier would refuse.
    #[error(transparent)]
    Document(#[from] remit_seal::Refusal),
    /// A job that cannot be said in an envelope.
    #[error("job {job} cannot be signed: {why}")]
    Job {
        /// Which.
        job: String,
        /// Why.
        why: String,
    },
}

impl Error {
    /// How long to wait before it is worth asking again, where that is all that is to be done.
    pub(crate) fn pause(&self) -> Option<Duration> {
        match self {
            Error::Waits { pause, .. } => Some(*pause),
            _ => None,
        }
    }

    /// The stable code, with a section in `docs/errors/`.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Kms(error) => error.code(),
            Error::Same { .. } => "kms.same_key",
            Error::Waits { code, .. } => code,
            Error::File { .. }
            | Error::Key { .. }
            | Error::Written { .. }
            | Error::Randomness(_)
            | Error::Job { .. }
            | Error::Document(_) => "broker.keys",
        }
    }
}

impl DispatchKeys {
    /// A status, signed: one that says the same and was made since `since_ms` will do, if it is fresh.
    pub(crate) async fn sign_status(&self, document: &SealedStatus, since_ms: i64) -> Result<Vec<u8>, Error> {
        let mut turn = self.statuses.turn(&document.vendor).await;
        let keys = self.ids();
        if let Some(kept) = turn.as_ref().filter(|kept| kept.serves(document, since_ms, &keys)) {
            return Ok(kept.bytes.clone());
        }
        let bytes = self.signed(PayloadType::Status, document, Timestamp(document.time_ms)).await?;
        *turn = Some(Kept { document: document.clone(), keys, bytes: bytes.clone() });
        Ok(bytes)
    }

    /// A place in the audit log, signed.
    pub(crate) async fn sign_audit(&self, document: &AuditCheckpoint) -> Result<Vec<u8>, Error> {
        self.signed(PayloadType::Audit, document, Timestamp(document.at_ms)).await
    }

    /// What was seen of a runner's receipts, signed.
    pub(crate) async fn sign_seen(&self, document: &Seen) -> Result<Vec<u8>, Error> {
        self.signed(PayloadType::Seen, document, Timestamp(document.at_ms)).await
    }

    /// The envelope of an offer, for one generation of an install's runner, which keeps to this channel.
    pub(crate) async fn sign(
        &self,
        offer: &Offer,
        (install, channel): (&ObjectId, &str),
        (epoch, generation): (u64, u64),
        now: Timestamp,
    ) -> Result<Vec<u8>, Error> {
        let refused = |why: String| Error::Job { job: offer.spec.id.job.clone(), why };
        let audience = audience(install, (epoch, generation), channel, offer.place.as_ref())
            .ok_or_else(|| refused(format!("{install} is no install")))?;
        let spec = &offer.spec;
        let job = Job {
            audience,
            seq: offer.seq,
            job: spec.id.job.clone(),
            attempt: spec.id.attempt,
            fence: offer.fence,
            component: spec.component.clone(),
            operation: spec.command.clone().unwrap_or_else(|| spec.action.as_str().to_owned()),
            class: if spec.stage == Stage::Plan { Class::Plan } else { class(spec.action) },
            sandbox: spec.mode == Mode::Sandbox,
            release: spec.release.digest.parse().map_err(|e: remit_seal::Refusal| refused(e.to_string()))?,
            release_counter: spec.release.counter,
            inputs: inputs(&spec.inputs).map_err(refused)?,
            issued_ms: now.0,
            not_before_ms: now.0,
            not_after_ms: now.plus_ms(START_WITHIN_MS).0,
            longest_run_ms: spec.longest_run_ms,
            rehearsal: spec.act.as_ref().filter(|_| spec.mode == Mode::Sandbox).map(rehearsal),
            plan: plan(spec).map_err(refused)?,
            approvals: approvals(spec),
            break_glass: break_glass(spec, now),
        };
        self.signed(PayloadType::Job, &job, now).await.map_err(|error| match error {
            Error::Document(refusal) => refused(refusal.to_string()),
            other => other,
        })
    }
}

fn audience(
    install: &ObjectId,
    (epoch, generation): (u64, u64),
    channel: &str,
    place: Option<&Place>,
) -> Option<Audience> {
    let (account, region) = place.map(|place| (place.account.clone(), place.region.clone())).unzip();
    let mut names = install.path().split('.').map(str::to_owned);
    let (org, app, install) = (names.next()?, names.next()?, names.next()?);
    let channel = channel.to_owned();
    Some(Audience { org, app, channel, install, epoch, generation, account, region })
}

fn class(action: Action) -> Class {
    match action {
        // Terraform's state is written, which is the customer's too.
        Action::Deploy | Action::Adopt | Action::Run => Class::Change,
        Action::Destroy => Class::Destroy,
        Action::Drift | Action::Health => Class::Read,
    }
}

/// What a rehearsal is to pretend, as an envelope says it.
fn rehearsal(act: &Act) -> Rehearsal {
    let changes = |c: &Changes| PretendedChanges {
        create: c.create,
        update: c.update,
        delete: c.delete,
        replace: c.replace,
    };
    let fails = |f: &Fails| PretendedFailure {
        // A scenario has no refusals: its check sees to it.
        class: f.class.begun().unwrap_or(FailureClass::Bug),
        message: f.message.clone(),
        code: f.code.clone(),
        hint: f.hint.clone(),
    };
    Rehearsal {
        takes_ms: act.takes_ms,
        changes: act.changes.as_ref().map(changes),
        fails: act.fails.as_ref().map(fails),
        drift: act.drift.clone(),
    }
}

/// The plan that an attempt carries out.
fn plan(spec: &JobSpec) -> Result<Option<Digest>, String> {
    match &spec.stage {
        Stage::Whole | Stage::Plan => Ok(None),
        Stage::Apply(approved) => {
            approved.digest.parse().map(Some).map_err(|e: remit_seal::Refusal| e.to_string())
        }
    }
}

/// Who approved it; a runner takes so many at most.
fn approvals(spec: &JobSpec) -> Vec<Approved> {
    let Stage::Apply(plan) = &spec.stage else { return vec![] };
    let approved = |approval: &Approval| Approved {
        side: match approval.side {
            plan::Side::Vendor => Side::Vendor,
            plan::Side::Customer => Side::Customer,
        },
        by: approval.by.clone(),
        at_ms: approval.at.0,
        until_ms: approval.until.0,
    };
    plan.approvals.iter().take(APPROVALS_MAX).map(approved).collect()
}

/// Who let it pass the vendor's own rules; nobody any more when the time for that is over.
fn break_glass(spec: &JobSpec, now: Timestamp) -> Option<BreakGlass> {
    let glass = spec.glass.as_ref().filter(|glass| glass.holds(now))?;
    Some(BreakGlass { by: glass.by.clone(), reason: glass.reason.clone(), until_ms: glass.until.0 })
}

/// The typed values of inputs that the loops hold as JSON texts.
pub(crate) fn inputs(texts: &BTreeMap<String, String>) -> Result<BTreeMap<String, Value>, String> {
    let value = |(name, text): (&String, &String)| {
        let value = serde_json::from_str::<Value>(text).map_err(|_| {
            format!("input `{name}` is no truth value, whole number, text or list of them in JSON")
        })?;
        Ok((name.clone(), value))
    };
    texts.iter().map(value).collect()
}
