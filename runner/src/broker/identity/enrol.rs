//! Enrolment: what the customer was given and what the machine can prove in, an identity out.
//!
//! The key is kept before it is sent, so that a lost answer does not lose the token.

use remit_proto::convert::{Begun, Enrolment, Token};
use remit_seal::Digest;
use remit_seal::verify::{self, SKEW_MAX_MS};
use zeroize::Zeroizing;

use super::proof::Prover;
use super::{Error, FILE_LEN_MAX, Identity, Place, keep, new_key, request};
use crate::account::secret::{self, Reference, Secrets};
use crate::backoff::Backoff;
use crate::broker::connection::{Enrolled, Link, RunnerInfo};
use crate::config::{Config, TokenSource};
use crate::error::{now_ms, span};
use crate::storage::data_dir::{DataDir, read_bounded, remove_file, write_atomic};
use crate::storage::disk::sync_parent;

pub(super) const PENDING: &str = "pending-key.pem";
const TOKEN_LEN_MAX: u64 = 4096;

/// Gets an identity, and keeps it.
pub(super) async fn enrol(config: &Config, dir: &DataDir, info: &RunnerInfo) -> Result<Identity, Error> {
    let pinned = config.root_sha256.ok_or(Error::NotEnrolled("root-sha256"))?;
    let secrets = config.secrets();
    let token = token(config, &secrets).await?;
    if token.is_none() && config.aws.is_none() {
        return Err(Error::NotEnrolled("token-file"));
    }
    let key = pending_key(dir)?;
    let link = Link::new(config.broker.clone(), config.way(), &config.ca_pem, None, 0)?;
    let token = token.as_ref().map(|token| token.as_str());
    let asking = Asking { config, link: &link, token, key: &key, info, pinned: &pinned };
    let enrolled = asking.until_answered().await?;
    let place = Place::of(config);
    check_place(&enrolled, place.as_ref())?;
    let verified = verify::first_root(&enrolled.root, &pinned)?;
    let install = config.install.id();
    let kept = (install.as_str(), place.as_ref());
    let identity = keep(dir, kept, &key, &enrolled.identity, enrolled.root, verified.digest())?;
    forget_pending(dir)?;
    if let Some(source) = config.token.as_ref().filter(|_| config.consume_token) {
        consume(source, &secrets).await?;
    }
    tracing::info!(generation = identity.generation(), root = %verified.digest(), "enrolled");
    Ok(identity)
}

/// The token, where one is given. Where the place can be proven it may be gone: it was used when this runner
/// enrolled first.
async fn token(config: &Config, secrets: &Secrets) -> Result<Option<Zeroizing<String>>, Error> {
    let Some(source) = &config.token else { return Ok(None) };
    let found = match source {
        TokenSource::Secret(reference) => secrets.fetch(reference).await.map_err(Error::from),
        source => read_token(source),
    };
    match found {
        Ok(token) => Ok(Some(token)),
        Err(Error::Fetch(secret::Error::Missing(_))) if config.aws.is_some() => Ok(None),
        Err(Error::Token(error)) if config.aws.is_some() && error.kind() == std::io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

async fn consume(source: &TokenSource, secrets: &Secrets) -> Result<(), Error> {
    match source {
        TokenSource::File(path) => {
            remove_file(path).map_err(|source| Error::Io { path: path.clone(), source })
        }
        TokenSource::Secret(reference) => {
            forget(reference, secrets).await;
            Ok(())
        }
        TokenSource::Stdin | TokenSource::Environment => Ok(()),
    }
}

/// The token is worth nothing any more, so one that stays is no reason not to go on.
async fn forget(reference: &Reference, secrets: &Secrets) {
    if let Err(error) = secrets.forget(reference).await {
        let words = crate::error::chain(&error);
        tracing::warn!(error = words, "the used token could not be deleted");
    }
}

/// Jobs will name this place; one that is another than this runner's would be refused each time.
fn check_place(enrolled: &Enrolled, place: Option<&Place>) -> Result<(), Error> {
    let declared = enrolled.place.as_ref().map(|(account, region)| (account.as_str(), region.as_str()));
    let told = place.map(|place| (place.account.as_str(), place.region.as_str()));
    if declared == told {
        return Ok(());
    }
    let words = |place: Option<(&str, &str)>| match place {
        Some((account, region)) => format!("account {account} in {region}"),
        None => "no account".to_owned(),
    };
    Err(Error::Elsewhere { declared: words(declared), told: words(told) })
}

/// All that an enrolment needs.
struct Asking<'a> {
    config: &'a Config,
    link: &'a Link,
    token: Option<&'a str>,
    key: &'a rcgen::KeyPair,
    info: &'a RunnerInfo,
    pinned: &'a Digest,
}

impl Asking<'_> {
    /// A broker that is away comes back; each try has a nonce of its own.
    async fn until_answered(&self) -> Result<Enrolled, Error> {
        let mut backoff = Backoff::broker();
        loop {
            match self.once().await {
                Ok(answer) => return Ok(answer),
                Err(Error::Refused(error)) if error.is_away() => {
                    tracing::warn!(%error, "cannot enrol yet");
                    backoff.wait().await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn once(&self) -> Result<Enrolled, Error> {
        let config = self.config;
        let begun = self.begin().await?;
        let aws = match (&config.aws, begun) {
            (Some(aws), Some(begun)) => {
                let install = config.install.id();
                let prover = Prover { aws, root: self.pinned, install: &install, key: self.key };
                Some(prover.prove(&begun.nonce).await?)
            }
            (_, None) | (None, _) => None,
        };
        let enrolment = Enrolment {
            install: config.install.id(),
            token: self.token.map(|token| Token::new(token.to_owned())),
            csr: request(self.key)?,
            info: self.info.clone(),
            root: Some(*self.pinned),
            aws,
        };
        self.link.enroll(enrolment).await.map_err(Error::Refused)
    }

    /// A nonce, and a look at both clocks. A broker from before there were nonces has none.
    async fn begin(&self) -> Result<Option<Begun>, Error> {
        let before_ms = now_ms();
        match self.link.begin_enroll(self.config.install.id()).await {
            Ok(begun) => {
                check_clocks(before_ms, now_ms(), begun.now_ms)?;
                Ok(Some(begun))
            }
            Err(error) if !error.is_away() && self.config.aws.is_none() => Ok(None),
            Err(error) => Err(Error::Refused(error)),
        }
    }
}

/// Envelopes are good for minutes: with clocks that are apart nothing would ever be begun.
fn check_clocks(before_ms: i64, after_ms: i64, broker_ms: i64) -> Result<(), Error> {
    // The broker looked at its clock between the two.
    let ahead_ms = before_ms.saturating_sub(broker_ms);
    let behind_ms = broker_ms.saturating_sub(after_ms);
    if ahead_ms > SKEW_MAX_MS {
        return Err(Error::Clock(format!("{} ahead of", span(ahead_ms.unsigned_abs()))));
    }
    if behind_ms > SKEW_MAX_MS {
        return Err(Error::Clock(format!("{} behind", span(behind_ms.unsigned_abs()))));
    }
    Ok(())
}

fn read_token(source: &TokenSource) -> Result<Zeroizing<String>, Error> {
    let mut text = Zeroizing::new(String::new());
    match source {
        TokenSource::File(path) => {
            let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
            let bytes = read_bounded(path, TOKEN_LEN_MAX).map_err(Error::Token)?;
            let bytes = bytes.ok_or_else(|| Error::Token(missing()))?;
            *text = String::from_utf8_lossy(&bytes).into_owned();
        }
        // Fetched before.
        TokenSource::Secret(_) => {}
        TokenSource::Stdin => {
            let mut stdin = std::io::Read::take(std::io::stdin().lock(), TOKEN_LEN_MAX);
            std::io::Read::read_to_string(&mut stdin, &mut text).map_err(Error::Token)?;
        }
        TokenSource::Environment => {
            *text = std::env::var("REMIT_RUNNER_TOKEN").unwrap_or_default();
        }
    }
    let token = Zeroizing::new(text.trim().to_owned());
    if token.is_empty() { Err(Error::TokenEmpty) } else { Ok(token) }
}

/// The key of an enrolment that got no answer, or a new one that is kept before it is sent.
pub(super) fn pending_key(dir: &DataDir) -> Result<rcgen::KeyPair, Error> {
    let path = dir.path(PENDING);
    let io = |source| Error::Io { path: path.clone(), source };
    if let Some(pem) = read_bounded(&path, FILE_LEN_MAX).map_err(io)?.map(Zeroizing::new)
        && let Ok(key) = rcgen::KeyPair::from_pem(&String::from_utf8_lossy(&pem))
    {
        return Ok(key);
    }
    let key = new_key()?;
    let pem = Zeroizing::new(key.serialize_pem());
    write_atomic(&path, pem.as_bytes()).map_err(io)?;
    Ok(key)
}

/// The key has its certificate. It must not come back with a power cut: the next identity has a key of its own.
pub(super) fn forget_pending(dir: &DataDir) -> Result<(), Error> {
    let path = dir.path(PENDING);
    let gone = remove_file(&path).and_then(|()| sync_parent(&path));
    gone.map_err(|source| Error::Io { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_are_apart_are_named_and_a_slow_answer_is_not_held_against_them() {
        let said = |before, after, broker| match check_clocks(before, after, broker) {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        };
        assert_eq!(said(0, 10, SKEW_MAX_MS + 10), "");
        assert_eq!(said(SKEW_MAX_MS, SKEW_MAX_MS + 20_000, 0), "");
        assert_eq!(said(0, 10, 720_010), "this machine's clock is 12 minutes behind the broker's");
        assert_eq!(said(61_000, 61_010, 0), "this machine's clock is 61 seconds ahead of the broker's");
        assert_eq!(said(0, 0, 10 * 86_400_000), "this machine's clock is 10 days behind the broker's");
        assert!(said(i64::MAX, i64::MAX, i64::MIN).ends_with("days ahead of the broker's"));
    }
}
