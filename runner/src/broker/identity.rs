//! Who the runner is: a key of its own, a short-lived certificate, and the vendor's pinned root.
//!
//! Renewal makes a new key at half the certificate's life.

mod enrol;
mod proof;

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use remit_seal::document::{Audience, Root};
use remit_seal::verify::{self, Verified};
use remit_seal::{Digest, Refusal};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::account::secret;
use crate::broker::connection::{self, Identity as Granted, Keys, Link, RunnerInfo, TlsError};
use crate::config::Config;
use crate::error::{Coded, now_ms};
use crate::storage::data_dir::{DataDir, read_bounded, write_atomic};

const FILE: &str = "identity.json";
const FILE_LEN_MAX: u64 = 256 * 1024;

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No identity yet, and nothing to get one with.
    #[error("this runner is not enrolled yet, and --{0} is missing")]
    NotEnrolled(&'static str),
    /// The token cannot be read.
    #[error("cannot read the enrolment token")]
    Token(#[source] std::io::Error),
    /// The token cannot be fetched.
    #[error("cannot fetch the enrolment token")]
    Fetch(#[from] secret::Error),
    /// The token's file holds nothing.
    #[error("the enrolment token is empty")]
    TokenEmpty,
    /// Its clock and the broker's are too far apart.
    #[error("this machine's clock is {0} the broker's")]
    Clock(String),
    /// There is nothing to prove with where it is.
    #[error("no AWS credentials to prove with that this runner is in account {account}: {words}")]
    Credentials {
        /// The account.
        account: String,
        /// Why.
        words: String,
    },
    /// The install is declared to be somewhere else.
    #[error("the install is declared to be in {declared}, and this runner was told to be in {told}")]
    Elsewhere {
        /// By the vendor.
        declared: String,
        /// By the customer.
        told: String,
    },
    /// The broker would not enrol it.
    #[error("the broker did not enrol this runner")]
    Refused(#[source] connection::Error),
    /// The vendor's root is not the pinned one, or not sound.
    #[error("the vendor's trust root was not believed")]
    Root(#[from] Refusal),
    /// The certificate's time is over.
    #[error("the runner's certificate ended; no new token was given")]
    Expired,
    /// The identity's file is not what was written.
    #[error("the identity in {path} cannot be used: {detail}")]
    Invalid {
        /// Where.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// Another install's identity.
    #[error("the data directory belongs to {found}, not to {wanted}")]
    Foreign {
        /// Whose it is.
        found: String,
        /// Whose it should be.
        wanted: String,
    },
    /// The disk said no.
    #[error("cannot keep the identity in {path}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No key could be made.
    #[error("cannot make a key")]
    Key(#[source] rcgen::Error),
    /// TLS cannot be set up with it.
    #[error("cannot speak TLS")]
    Tls(#[from] TlsError),
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::NotEnrolled(_) => "runner.not_enrolled",
            Error::Token(_) | Error::TokenEmpty => "runner.token_unreadable",
            Error::Fetch(error) => error.code(),
            Error::Clock(_) => "runner.clock_skew",
            Error::Credentials { .. } => "runner.aws_credentials",
            Error::Elsewhere { .. } => "runner.aws_elsewhere",
            Error::Refused(_) => "runner.enroll_refused",
            Error::Root(refusal) => refusal.code(),
            Error::Expired => "runner.identity_expired",
            Error::Invalid { .. } | Error::Key(_) => "runner.identity_invalid",
            Error::Foreign { .. } => "runner.identity_foreign",
            Error::Io { .. } => "runner.data_dir_io",
            Error::Tls(error) => error.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Error::NotEnrolled(_) | Error::Expired | Error::Refused(_) => "ask the vendor for a new enrolment token (`remit install create` or its link) and give it with --token-file and --root-sha256".to_owned(),
            Error::Token(_) | Error::TokenEmpty => "check the --token-file: it holds the token and nothing else".to_owned(),
            Error::Fetch(error) => error.hint(),
            Error::Clock(_) => "set the clock, e.g. by an NTP service (`timedatectl set-ntp true`), and start the runner again; if this machine is right, tell the vendor".to_owned(),
            Error::Credentials { .. } => "give the machine a role (on EC2: an instance profile), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for the runner".to_owned(),
            Error::Elsewhere { .. } => "compare --aws-account and --aws-region with what the vendor declared (`remit install show`)".to_owned(),
            Error::Root(_) => "compare --root-sha256 with what the vendor published; if it is right, do not trust this broker".to_owned(),
            Error::Foreign { .. } => "give each install's runner its own --data-dir".to_owned(),
            _ => "check the data directory; to begin anew, take an empty one and enrol again".to_owned(),
        }
    }
}

/// The identity, verified.
#[derive(Clone, Debug)]
pub struct Identity {
    stored: Stored,
    keys: Keys,
    root: Vec<u8>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    install: String,
    generation: u64,
    epoch: u64,
    /// Where it proved to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    place: Option<Place>,
    issued_ms: i64,
    not_after_ms: i64,
    root_digest: Digest,
    root: String,
    chain: Vec<String>,
    key: String,
}

/// An account and its region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    account: String,
    region: String,
}

impl Place {
    /// Where the customer says that this runner is.
    fn of(config: &Config) -> Option<Self> {
        let aws = config.aws.as_ref()?;
        Some(Self { account: aws.account.clone(), region: aws.region.as_str().to_owned() })
    }
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} generation {} epoch {}", self.install, self.generation, self.epoch)
    }
}

impl Identity {
    /// Reads the identity that was kept, or enrols.
    pub async fn establish(config: &Config, dir: &DataDir, info: &RunnerInfo) -> Result<Self, Error> {
        match Self::load(config, dir)? {
            Some(identity) if now_ms() < identity.stored.not_after_ms => Ok(identity),
            Some(_) if config.token.is_none() && config.aws.is_none() => Err(Error::Expired),
            _ => enrol::enrol(config, dir, info).await,
        }
    }

    fn load(config: &Config, dir: &DataDir) -> Result<Option<Self>, Error> {
        let found = Self::read(dir, &config.install.id(), config.root_sha256)?;
        // The machine's disk was brought elsewhere, or the customer says otherwise now: another identity.
        let is_here = |found: &Self| config.aws.is_none() || Place::of(config) == found.stored.place;
        Ok(found.filter(is_here))
    }

    fn read(dir: &DataDir, install: &str, pinned: Option<Digest>) -> Result<Option<Self>, Error> {
        let path = dir.path(FILE);
        let bytes =
            read_bounded(&path, FILE_LEN_MAX).map_err(|source| Error::Io { path: path.clone(), source })?;
        let Some(bytes) = bytes.map(Zeroizing::new) else { return Ok(None) };
        let invalid = |detail: String| Error::Invalid { path: path.clone(), detail };
        // Only the place of the error: the file holds a key.
        let stored: Stored = serde_json::from_slice(&bytes)
            .map_err(|e| invalid(format!("line {}, column {}", e.line(), e.column())))?;
        if stored.install != install {
            let wanted = install.to_owned();
            return Err(Error::Foreign { found: stored.install, wanted });
        }
        let decode = |text: &String| STANDARD.decode(text).map_err(|e| invalid(e.to_string()));
        let identity = Self {
            root: decode(&stored.root)?,
            keys: Keys {
                chain: stored.chain.iter().map(decode).collect::<Result<_, _>>()?,
                key: Zeroizing::new(decode(&stored.key)?),
            },
            stored,
        };
        let pinned = pinned.unwrap_or(identity.stored.root_digest);
        verify::first_root(&identity.root, &pinned)?;
        Ok(Some(identity))
    }

    /// The keys to speak TLS with.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The runner's generation.
    pub fn generation(&self) -> u64 {
        self.stored.generation
    }

    /// When the certificate ends.
    pub fn not_after_ms(&self) -> i64 {
        self.stored.not_after_ms
    }

    /// The digest of the pinned root.
    pub fn root_digest(&self) -> Digest {
        self.stored.root_digest
    }

    /// The audience that jobs for this runner name.
    pub fn audience(&self, config: &Config) -> Audience {
        let audience = config.install.audience(self.stored.epoch, self.stored.generation);
        let place = self.stored.place.clone();
        let (account, region) = place.map(|place| (place.account, place.region)).unzip();
        Audience { account, region, ..audience }
    }

    /// The pinned root, verified anew; `trust` knows those that follow it.
    pub fn first_root(&self) -> Result<Verified<Root>, Refusal> {
        verify::first_root(&self.root, &self.stored.root_digest)
    }

    /// How long until half the certificate's life is over.
    pub fn until_renewal(&self) -> Duration {
        let half = self.stored.issued_ms + (self.stored.not_after_ms - self.stored.issued_ms) / 2;
        Duration::from_millis(u64::try_from(half - now_ms()).unwrap_or(0))
    }

    /// A new key and certificate of the same generation, kept before they are used.
    pub async fn renewed(&self, link: &Link, dir: &DataDir) -> Result<Self, Error> {
        let key = new_key()?;
        let granted = link.renew(request(&key)?).await.map_err(Error::Refused)?;
        let generation = self.stored.generation;
        if granted.generation != generation || granted.epoch != self.stored.epoch {
            return Err(Error::Refused(connection::Error::Malformed(
                "another generation on renewal".to_owned(),
            )));
        }
        let Stored { install, place, root_digest, .. } = &self.stored;
        keep(dir, (install, place.as_ref()), &key, &granted, self.root.clone(), *root_digest)
    }
}

fn new_key() -> Result<rcgen::KeyPair, Error> {
    rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(Error::Key)
}

/// A request says only the key: everything else is the broker's to decide.
fn request(key: &rcgen::KeyPair) -> Result<Vec<u8>, Error> {
    let request = rcgen::CertificateParams::default().serialize_request(key).map_err(Error::Key)?;
    Ok(request.der().to_vec())
}

fn keep(
    dir: &DataDir,
    (install, place): (&str, Option<&Place>),
    key: &rcgen::KeyPair,
    granted: &Granted,
    root: Vec<u8>,
    root_digest: Digest,
) -> Result<Identity, Error> {
    let der = Zeroizing::new(key.serialize_der());
    let stored = Stored {
        version: 1,
        install: install.to_owned(),
        generation: granted.generation,
        epoch: granted.epoch,
        place: place.cloned(),
        issued_ms: now_ms(),
        not_after_ms: granted.not_after_ms,
        root_digest,
        root: STANDARD.encode(&root),
        chain: granted.certificate_chain.iter().map(|der| STANDARD.encode(der)).collect(),
        key: STANDARD.encode(&*der),
    };
    let path = dir.path(FILE);
    let bytes =
        Zeroizing::new(serde_json::to_vec_pretty(&stored).expect("an identity is texts and whole numbers"));
    write_atomic(&path, &bytes).map_err(|source| Error::Io { path, source })?;
    Ok(Identity { stored, keys: Keys { chain: granted.certificate_chain.clone(), key: der }, root })
}

#[cfg(test)]
mod tests;
