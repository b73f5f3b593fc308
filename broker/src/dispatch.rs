//! The broker's dispatch key, and the envelopes that it signs with it.
//!
//! An envelope is signed at the moment it is handed out, from what the runner's loop holds:
//! the same sequence number and fence each time, fresh times.

use std::collections::BTreeMap;
use std::path::Path;

use remit_loops::job::{Action, Mode};
use remit_loops::runner::Offer;
use remit_loops::{ObjectId, Timestamp};
use remit_seal::document::{Audience, Class, Job, KeySpec, Value};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::key::SigningKey;
use zeroize::Zeroizing;

use crate::private_file;

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

/// The key that the broker signs envelopes with.
pub(crate) struct DispatchKey {
    key: SigningKey,
}

impl DispatchKey {
    /// The key of this directory; made at the first start.
    pub(crate) fn open(directory: &Path) -> Result<Self, Error> {
        let path = directory.join("dispatch.key");
        let file = path.display().to_string();
        let io = |source| Error::File { file: file.clone(), source };
        if let Some(pem) = private_file::read(&path).map_err(io)?.map(Zeroizing::new) {
            let key = SigningKey::from_pem(&pem).map_err(|source| Error::Key { file, source })?;
            return Ok(Self { key });
        }
        let mut seed = Zeroizing::new([0u8; 32]);
        getrandom::fill(seed.as_mut()).map_err(Error::Randomness)?;
        let key = SigningKey::ed25519_from_seed(&seed);
        private_file::write(&path, key.to_pem().as_bytes()).map_err(io)?;
        Ok(Self { key })
    }

    /// The public half, as it stands in a root.
    pub(crate) fn public(&self) -> KeySpec {
        self.key.public()
    }

    /// The key's id.
    pub(crate) fn id(&self) -> String {
        self.key.id()
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
        let audience = audience(install, epoch, generation)
            .ok_or_else(|| refused(format!("{install} is no install")))?;
        let spec = &offer.spec;
        let job = Job {
            audience,
            seq: offer.seq,
            job: spec.id.job.clone(),
            attempt: spec.id.attempt,
            fence: offer.fence,
            component: spec.component.clone(),
            operation: spec.action.as_str().to_owned(),
            class: class(spec.action),
            sandbox: spec.mode == Mode::Sandbox,
            release: spec.release.digest.parse().map_err(|e: remit_seal::Refusal| refused(e.to_string()))?,
            release_counter: spec.release.counter,
            inputs: inputs(&spec.inputs).map_err(refused)?,
            issued_ms: now.0,
            not_before_ms: now.0,
            not_after_ms: now.plus_ms(START_WITHIN_MS).0,
            longest_run_ms: spec.longest_run_ms,
        };
        let envelope =
            Envelope::sign(PayloadType::Job, &job, &[&self.key]).map_err(|e| refused(e.to_string()))?;
        Ok(envelope.to_bytes())
    }
}

fn audience(install: &ObjectId, epoch: u64, generation: u64) -> Option<Audience> {
    let mut names = install.path().split('.').map(str::to_owned);
    let (org, app, install) = (names.next()?, names.next()?, names.next()?);
    Some(Audience { org, app, install, epoch, generation })
}

fn class(action: Action) -> Class {
    match action {
        Action::Deploy => Class::Change,
        Action::Destroy => Class::Destroy,
        Action::Drift => Class::Read,
    }
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
