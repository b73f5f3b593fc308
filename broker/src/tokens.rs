//! Bearer tokens of the API: 256 random bits each, of which only the sha256 is kept.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lru::LruCache;
use remit_loops::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::api::wire::{Scope, TokenInfo};
use crate::engine::Engine;
use crate::private_file;
use crate::store::StoreError;

/// The longest text that is looked at as a token.
const TOKEN_LEN_MAX: usize = 128;
/// How many tokens one org may have.
pub(crate) const PER_ORG_MAX: usize = 1000;
/// Another broker's revocation counts after so long.
const CACHE_FOR: Duration = Duration::from_secs(5);
const CACHE_MAX: usize = 4096;
/// Records by the beginning of the sha256; the rest is compared in constant time.
const SPACE: &str = "token";
/// Records by org and name.
const NAMES: &str = "token_name";
const FORMAT: u32 = 1;
/// The name of the operator's token, and of no other.
pub(crate) const OPERATOR: &str = "operator";

/// Who is calling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    /// The token's name.
    pub(crate) name: String,
    /// What it may touch.
    pub(crate) scope: Scope,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    version: u32,
    sha256: String,
    holder: Holder,
    created: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
struct NameRecord {
    version: u32,
    sha256: String,
    created: Timestamp,
}

/// What can go wrong with tokens.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system has no randomness.
    #[error("cannot get randomness: {0}")]
    Randomness(getrandom::Error),
    /// There is one of this name.
    #[error("the org has a token `{0}` already")]
    Exists(String),
    /// There are too many.
    #[error("the org has {PER_ORG_MAX} tokens already")]
    TooMany,
    /// The operator's file cannot be used.
    #[error("cannot use {file}: {source}")]
    File {
        /// Which.
        file: String,
        /// Why.
        source: std::io::Error,
    },
}

/// Holders by the sha256 of their token, each with until when it counts.
type Cache = LruCache<[u8; 32], (Arc<Holder>, Instant)>;

/// The tokens of this broker.
pub(crate) struct Tokens {
    engine: Engine,
    cache: Mutex<Cache>,
}

/// sha256 of a token.
pub(crate) fn sha256(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// A new token of this name.
pub(crate) fn mint(name: &str) -> Result<Zeroizing<String>, getrandom::Error> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    getrandom::fill(bytes.as_mut())?;
    Ok(Zeroizing::new(format!("remit_{name}_{}", URL_SAFE_NO_PAD.encode(bytes.as_ref()))))
}

fn key(digest: &[u8; 32]) -> String {
    hex::encode(&digest[..8])
}

impl Tokens {
    /// Kept in the engine's records.
    pub(crate) fn new(engine: Engine) -> Self {
        let size = NonZeroUsize::new(CACHE_MAX).expect("it is a constant above zero");
        Self { engine, cache: Mutex::new(LruCache::new(size)) }
    }

    /// Whose token this is, if that was asked a moment ago; what most requests need and no more.
    pub(crate) fn known(&self, token: &str) -> Option<Arc<Holder>> {
        if token.len() > TOKEN_LEN_MAX {
            return None;
        }
        let digest = sha256(token);
        let mut cache = self.lock();
        let (holder, until) = cache.get(&digest)?;
        (*until > Instant::now()).then(|| holder.clone())
    }

    /// Whose token this is by the store; `None` for nobody's.
    pub(crate) async fn holder(&self, token: &str) -> Result<Option<Arc<Holder>>, StoreError> {
        if token.len() > TOKEN_LEN_MAX {
            return Ok(None);
        }
        let digest = sha256(token);
        let Some(bytes) = self.engine.get_record(SPACE, &key(&digest)).await? else { return Ok(None) };
        let record: Record = serde_json::from_slice(&bytes)
            .map_err(|e| StoreError::Corrupt(format!("a token's record: {e}")))?;
        let is_same: bool = record.sha256.as_bytes().ct_eq(hex::encode(digest).as_bytes()).into();
        if !is_same {
            return Ok(None);
        }
        let (holder, until) = (Arc::new(record.holder), Instant::now() + CACHE_FOR);
        self.lock().put(digest, (holder.clone(), until));
        Ok(Some(holder))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().expect("nobody panics while holding it")
    }

    /// Makes a token for an org.
    pub(crate) async fn make(&self, org: &str, name: &str) -> Result<Zeroizing<String>, Error> {
        if self.list(org).await?.len() >= PER_ORG_MAX {
            return Err(Error::TooMany);
        }
        let token = mint(name).map_err(Error::Randomness)?;
        let digest = sha256(&token);
        let created = self.engine.now();
        let by_name = NameRecord { version: FORMAT, sha256: hex::encode(digest), created };
        // The name first: two makers of one name cannot both have it.
        if !self.engine.add_record(NAMES, &format!("{org}/{name}"), json(&by_name)).await? {
            return Err(Error::Exists(name.to_owned()));
        }
        self.put(digest, Holder { name: name.to_owned(), scope: Scope::Org(org.to_owned()) }, created)
            .await?;
        Ok(token)
    }

    async fn put(&self, digest: [u8; 32], holder: Holder, created: Timestamp) -> Result<(), StoreError> {
        let record = Record { version: FORMAT, sha256: hex::encode(digest), holder, created };
        self.engine.put_record(SPACE, &key(&digest), json(&record)).await
    }

    /// The tokens of an org.
    pub(crate) async fn list(&self, org: &str) -> Result<Vec<TokenInfo>, StoreError> {
        let prefix = format!("{org}/");
        let records = self.engine.list_records(NAMES, &prefix, PER_ORG_MAX).await?;
        records
            .into_iter()
            .map(|(key, bytes)| {
                let record = name_record(&bytes)?;
                let name = key.strip_prefix(&prefix).unwrap_or(&key).to_owned();
                Ok(TokenInfo { name, created: record.created })
            })
            .collect()
    }

    /// Makes a token worthless; answers whether there was one.
    pub(crate) async fn revoke(&self, org: &str, name: &str) -> Result<bool, StoreError> {
        let by_name = format!("{org}/{name}");
        let Some(bytes) = self.engine.get_record(NAMES, &by_name).await? else { return Ok(false) };
        let sha256 = name_record(&bytes)?.sha256;
        self.engine.delete_record(SPACE, sha256.get(..16).unwrap_or(&sha256)).await?;
        self.engine.delete_record(NAMES, &by_name).await?;
        self.lock().clear();
        Ok(true)
    }

    /// Makes sure that the operator's token stands in this file; made at the first start.
    pub(crate) async fn ensure_operator(&self, path: &Path) -> Result<(), Error> {
        let file = |source| Error::File { file: path.display().to_string(), source };
        let token = match private_file::read(path).map_err(file)? {
            Some(text) => Zeroizing::new(text.trim().to_owned()),
            None => {
                let token = mint(OPERATOR).map_err(Error::Randomness)?;
                private_file::write(path, format!("{}\n", *token).as_bytes()).map_err(file)?;
                token
            }
        };
        let digest = sha256(&token);
        let (created, now) = (hex::encode(digest), self.engine.now());
        if let Some(old) = self.engine.get_record(NAMES, OPERATOR).await? {
            let old = name_record(&old)?;
            if old.sha256 == created {
                return Ok(());
            }
            // Another file means that the old token is not wanted any more.
            self.engine.delete_record(SPACE, old.sha256.get(..16).unwrap_or(&old.sha256)).await?;
        }
        self.put(digest, Holder { name: OPERATOR.to_owned(), scope: Scope::Operator }, now).await?;
        let record = NameRecord { version: FORMAT, sha256: created, created: now };
        self.engine.put_record(NAMES, OPERATOR, json(&record)).await?;
        Ok(())
    }
}

fn json<T: Serialize>(record: &T) -> Vec<u8> {
    serde_json::to_vec(record).expect("a record of texts and numbers is always JSON")
}

fn name_record(bytes: &[u8]) -> Result<NameRecord, StoreError> {
    serde_json::from_slice(bytes).map_err(|e| StoreError::Corrupt(format!("a token's record: {e}")))
}
