//! The broker's dispatch keys, and the envelopes and statuses that it signs with them.
//!
//! An envelope is signed at the moment it is handed out, from what the runner's loop holds:
//! the same sequence number and fence each time, fresh times.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use remit_loops::job::{Action, Changes, FailureClass, JobSpec, Mode};
use remit_loops::plan::{self, Approval, Stage};
use remit_loops::runner::{Offer, Place};
use remit_loops::scenario::{Act, Fails};
use remit_loops::{ObjectId, Timestamp};
use remit_seal::Digest;
use remit_seal::document::{
    Approved, Audience, Class, Job, KeySpec, PretendedChanges, PretendedClass, PretendedFailure, Rehearsal,
    Side, Status as SealedStatus, Value,
};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::key::SigningKey;
use remit_seal::verify::APPROVALS_MAX;
use zeroize::Zeroizing;

use crate::private_file;

const CURRENT: &str = "dispatch.key";
const NEXT: &str = "dispatch.next.key";
/// What another broker did to the files counts after so long.
const READ_EVERY: Duration = Duration::from_secs(5);
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
    /// A job that cannot be said in an envelope.
    #[error("job {job} cannot be signed: {why}")]
    Job {
        /// Which.
        job: String,
        /// Why.
        why: String,
    },
}

/// The keys that the broker signs envelopes with: one, and while keys change the next one too.
///
/// While there are two, everything is signed by both, so that a runner may know either of them.
pub(crate) struct DispatchKeys {
    directory: PathBuf,
    held: RwLock<Held>,
}

struct Held {
    keys: Vec<Arc<SigningKey>>,
    read: Instant,
}

impl DispatchKeys {
    /// The keys of this directory; the first is made at the first start.
    pub(crate) fn open(directory: &Path) -> Result<Self, Error> {
        if load(&directory.join(CURRENT))?.is_none() {
            make(&directory.join(CURRENT))?;
        }
        let held = RwLock::new(Held { keys: read(directory)?, read: Instant::now() });
        Ok(Self { directory: directory.to_owned(), held })
    }

    /// The keys, the current one first. Another broker with this directory may have changed them.
    fn keys(&self) -> Vec<Arc<SigningKey>> {
        {
            let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
            if held.read.elapsed() < READ_EVERY {
                return held.keys.clone();
            }
        }
        let found = read(&self.directory);
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.read = Instant::now();
        match found {
            Ok(keys) => held.keys = keys,
            Err(error) => {
                tracing::error!(%error, "the dispatch keys cannot be read; going on with those known");
            }
        }
        held.keys.clone()
    }

    /// The public halves, as they stand in a root, the current one first.
    pub(crate) fn public(&self) -> Vec<KeySpec> {
        self.keys().iter().map(|key| key.public()).collect()
    }

    /// The keys' ids, the current one first.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.keys().iter().map(|key| key.id()).collect()
    }

    /// Makes the next key; answers whether there was none yet.
    pub(crate) fn make_next(&self) -> Result<bool, Error> {
        let path = self.directory.join(NEXT);
        let is_new = load(&path)?.is_none();
        if is_new {
            make(&path)?;
        }
        self.read_again()?;
        Ok(is_new)
    }

    /// Gives the current key up for the next one, or the next one up; answers whether it was one of two.
    pub(crate) fn retire(&self, id: &str) -> Result<bool, Error> {
        let (current, next) = (self.directory.join(CURRENT), self.directory.join(NEXT));
        let keys = read(&self.directory)?;
        let done = match &keys[..] {
            [first, _] if first.id() == id => std::fs::rename(&next, &current),
            [_, second] if second.id() == id => std::fs::remove_file(&next),
            _ => return Ok(false),
        };
        let file = next.display().to_string();
        done.and_then(|()| std::fs::File::open(&self.directory)?.sync_all())
            .map_err(|source| Error::File { file, source })?;
        self.read_again()?;
        Ok(true)
    }

    fn read_again(&self) -> Result<(), Error> {
        let keys = read(&self.directory)?;
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Held { keys, read: Instant::now() };
        Ok(())
    }

    fn signed<T: serde::Serialize>(
        &self,
        kind: PayloadType,
        document: &T,
    ) -> Result<Vec<u8>, remit_seal::Refusal> {
        let keys = self.keys();
        let keys: Vec<&SigningKey> = keys.iter().map(Arc::as_ref).collect();
        Ok(Envelope::sign(kind, document, &keys)?.to_bytes())
    }

    /// A status, signed.
    pub(crate) fn sign_status(&self, document: &SealedStatus) -> Result<Vec<u8>, remit_seal::Refusal> {
        self.signed(PayloadType::Status, document)
    }

    /// The envelope of an offer, for one generation of an install's runner.
    pub(crate) fn sign(
        &self,
        offer: &Offer,
        install: &ObjectId,
        (epoch, generation): (u64, u64),
        now: Timestamp,
    ) -> Result<Vec<u8>, Error> {
        let refused = |why: String| Error::Job { job: offer.spec.id.job.clone(), why };
        let audience = audience(install, epoch, generation, offer.place.as_ref())
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
        };
        self.signed(PayloadType::Job, &job).map_err(|e| refused(e.to_string()))
    }
}

fn read(directory: &Path) -> Result<Vec<Arc<SigningKey>>, Error> {
    let keys = [load(&directory.join(CURRENT))?, load(&directory.join(NEXT))?];
    Ok(keys.into_iter().flatten().map(Arc::new).collect())
}

fn load(path: &Path) -> Result<Option<SigningKey>, Error> {
    let file = || path.display().to_string();
    let pem = private_file::read(path).map_err(|source| Error::File { file: file(), source })?;
    let Some(pem) = pem.map(Zeroizing::new) else { return Ok(None) };
    SigningKey::from_pem(&pem).map(Some).map_err(|source| Error::Key { file: file(), source })
}

fn make(path: &Path) -> Result<(), Error> {
    let mut seed = Zeroizing::new([0u8; 32]);
    getrandom::fill(seed.as_mut()).map_err(Error::Randomness)?;
    let key = SigningKey::ed25519_from_seed(&seed);
    let written = private_file::write(path, key.to_pem().as_bytes());
    written.map_err(|source| Error::File { file: path.display().to_string(), source })
}

fn audience(install: &ObjectId, epoch: u64, generation: u64, place: Option<&Place>) -> Option<Audience> {
    let (account, region) = place.map(|place| (place.account.clone(), place.region.clone())).unzip();
    let mut names = install.path().split('.').map(str::to_owned);
    let (org, app, install) = (names.next()?, names.next()?, names.next()?);
    Some(Audience { org, app, install, epoch, generation, account, region })
}

fn class(action: Action) -> Class {
    match action {
        // Terraform's state is written, which is the customer's too.
        Action::Deploy | Action::Adopt | Action::Run => Class::Change,
        Action::Destroy => Class::Destroy,
        Action::Drift => Class::Read,
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
        class: pretended_class(f.class),
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

fn pretended_class(class: FailureClass) -> PretendedClass {
    match class {
        FailureClass::Permission => PretendedClass::Permission,
        FailureClass::Quota => PretendedClass::Quota,
        FailureClass::Billing => PretendedClass::Billing,
        FailureClass::Conflict => PretendedClass::Conflict,
        FailureClass::Interference => PretendedClass::Interference,
        FailureClass::Transient => PretendedClass::Transient,
        FailureClass::Timeout => PretendedClass::Timeout,
        // A scenario has no refusals: its check sees to it.
        FailureClass::Bug | FailureClass::Refused => PretendedClass::Bug,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_change_with_an_overlap() {
        let dir = tempfile::tempdir().unwrap();
        let keys = DispatchKeys::open(dir.path()).unwrap();
        let [first] = &keys.ids()[..] else { panic!("one to begin with") };
        assert!(!keys.retire(first).unwrap(), "the only one is not given up");
        assert!(keys.make_next().unwrap() && !keys.make_next().unwrap());
        let both = keys.ids();
        assert_eq!((both.len(), &both[0]), (2, first));
        assert_eq!(DispatchKeys::open(dir.path()).unwrap().ids(), both);
        assert!(!keys.retire("another").unwrap());
        assert!(keys.retire(first).unwrap());
        assert_eq!(keys.ids(), both[1..]);
        assert_eq!(DispatchKeys::open(dir.path()).unwrap().ids(), both[1..]);
        keys.make_next().unwrap();
        let next = keys.ids()[1].clone();
        assert!(keys.retire(&next).unwrap(), "a change of mind");
        assert_eq!(keys.ids(), both[1..]);
    }
}
