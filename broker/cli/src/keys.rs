//! The vendor's keys: root and release, each in a file that only its owner can read, or in AWS KMS.
//!
//! They never leave this machine, or KMS, and are never printed. Brokers get signatures, not keys.

pub mod ceremony;
mod choose;
mod make;
pub mod pem;
mod shelf;

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use remit_broker::signer::{self, kms};
use remit_seal::Digest;
use remit_seal::document::{KeySpec, Root};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::key::SigningKey;
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure, Result};

pub use choose::reference;
pub use make::Made;
pub use shelf::{Entry, Place};

/// Beside a product's file: where keys and the root lie unless said otherwise.
pub const DIR_DEFAULT: &str = ".remit/keys";
/// How long a root is good for: ten years; rotation makes a new one long before.
const ROOT_LIFE_MS: i64 = 10 * 365 * 24 * 60 * 60 * 1000;
/// The largest key file, in bytes.
const PEM_LEN_MAX: u64 = 4096;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Signs roots.
    Root,
    /// Signs releases.
    Release,
}

impl Role {
    /// Both.
    pub const ALL: [Role; 2] = [Role::Root, Role::Release];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Root => "root",
            Role::Release => "release",
        }
    }
}

/// How a key signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Algorithm {
    /// Ed25519.
    #[default]
    Ed25519,
    /// ECDSA over P-256, as a KMS has it.
    P256,
}

/// The word for how a key signs.
pub fn algorithm(of: remit_seal::document::Algorithm) -> &'static str {
    match of {
        remit_seal::document::Algorithm::Ed25519 => "ed25519",
        remit_seal::document::Algorithm::EcdsaP256Sha256 => "ecdsa-p256-sha256",
    }
}

/// A directory with keys.
#[derive(Clone)]
pub struct KeysDir {
    dir: PathBuf,
    passphrase: Option<Zeroizing<String>>,
}

impl std::fmt::Debug for KeysDir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeysDir({})", self.dir.display())
    }
}

impl KeysDir {
    /// Keys in this directory.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), passphrase: None }
    }

    /// The same, with the passphrase in this file for those that have one, and for new ones.
    pub fn with_passphrase(self, file: Option<&PathBuf>) -> Result<Self> {
        Ok(Self { passphrase: pem::passphrase(file)?, ..self })
    }

    fn passphrase(&self) -> Option<&str> {
        self.passphrase.as_ref().map(|text| text.as_str())
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// The file of a key.
    pub fn file(&self, role: Role) -> PathBuf {
        self.dir.join(format!("{}.pem", role.as_str()))
    }

    /// The file of the signed root.
    pub fn root_file(&self) -> PathBuf {
        self.dir.join("root.json")
    }

    /// Reads a key's file. Refuses one that others could have read.
    pub fn load_file(&self, path: &Path) -> Result<SigningKey> {
        pem::read(path, &read_private(path)?, self.passphrase())
    }

    /// Makes, signs and keeps the first root of an org: one key for each role.
    pub async fn make_root(&self, org: &str, dispatch: &KeySpec, now_ms: i64) -> Result<Vec<u8>> {
        let (root, release) = (self.load(Role::Root)?, self.load(Role::Release)?);
        let specs = [&root.public(), &release.public(), dispatch];
        let document = Root::one_of_one(org, specs, now_ms, now_ms + ROOT_LIFE_MS)?;
        let mut envelope = Envelope::unsigned(PayloadType::Root, &document)?;
        root.countersign(&mut envelope).await?;
        let bytes = envelope.to_bytes();
        self.keep_root(&bytes)?;
        Ok(bytes)
    }

    /// Keeps a signed root.
    pub fn keep_root(&self, bytes: &[u8]) -> Result<()> {
        make_private_dir(&self.dir)?;
        let path = self.root_file();
        std::fs::write(&path, bytes).map_err(|e| Failure::file("write", &path, &e))
    }

    /// The signed root, if one was made.
    pub fn root(&self) -> Result<Option<Vec<u8>>> {
        let path = self.root_file();
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Failure::file("read", &path, &e)),
        }
    }
}

/// Reads the public half of a key, as `remit keys make` writes it.
pub fn read_public(path: &Path) -> Result<KeySpec> {
    let bytes = std::fs::read(path).map_err(|e| Failure::file("read", path, &e))?;
    let spec: KeySpec = serde_json::from_slice(&bytes).map_err(|e| {
        let message = format!("{} is no public key: {e}", path.display());
        Failure::usage(message, "it is the NAME.pub.json that `remit keys make NAME` writes")
    })?;
    spec.id()?;
    Ok(spec)
}

/// The digest that customers pin: sha256 of the root's payload.
pub fn root_digest(bytes: &[u8]) -> Result<Digest> {
    Ok(Envelope::parse(bytes, PayloadType::Root)?.payload_digest())
}

impl From<kms::Error> for Failure {
    fn from(error: kms::Error) -> Self {
        let exit = match error.fault() {
            kms::Fault::Settings | kms::Fault::Credentials => Exit::Local,
            kms::Fault::Missing => Exit::NotFound,
            kms::Fault::Throttled | kms::Fault::Away => Exit::Unavailable,
            kms::Fault::Unsuitable
            | kms::Fault::Disabled
            | kms::Fault::Denied { .. }
            | kms::Fault::Signature => Exit::Refused,
        };
        Failure::new(exit, error.code(), error.to_string(), error.hint())
    }
}

impl From<signer::Error> for Failure {
    fn from(error: signer::Error) -> Self {
        match error {
            signer::Error::Refused(refusal) => refusal.into(),
            signer::Error::Kms(error) => error.into(),
        }
    }
}

impl From<remit_seal::Refusal> for Failure {
    fn from(refusal: remit_seal::Refusal) -> Self {
        Failure::new(Exit::Refused, refusal.code(), refusal.to_string(), "see docs/errors/seal.md")
    }
}

/// Makes a directory that only its owner may enter.
pub fn make_private_dir(dir: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|e| Failure::file("make", dir, &e))
}

/// Writes a new file that only its owner may read.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|e| Failure::file("write", path, &e))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|e| Failure::file("write", path, &e))
}

/// The text of a file that only its owner may read.
fn read_private(path: &Path) -> Result<Zeroizing<String>> {
    let file = std::fs::File::open(path).map_err(|e| Failure::file("read", path, &e))?;
    check_private(path, &file)?;
    let mut text = Zeroizing::new(String::new());
    file.take(PEM_LEN_MAX).read_to_string(&mut text).map_err(|e| Failure::file("read", path, &e))?;
    Ok(text)
}

#[cfg(unix)]
fn check_private(path: &Path, file: &std::fs::File) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = file.metadata().map_err(|e| Failure::file("read", path, &e))?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let message = format!("others may read the key {} (mode {:o})", path.display(), mode & 0o777);
    let hint = format!("`chmod 600 {}`, and think about whether somebody has read it", path.display());
    Err(Failure::new(Exit::Refused, "cli.keys_open", message, hint))
}

#[cfg(not(unix))]
fn check_private(_: &Path, _: &std::fs::File) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn keys_are_made_once_and_kept_private() {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeysDir::new(dir.path().join(".remit/keys"));
        assert_eq!(keys.load(Role::Root).unwrap_err().code, "cli.keys_missing");
        keys.init(None).await.unwrap();
        assert_eq!(keys.init(None).await.unwrap_err().code, "cli.keys_exist");
        for role in Role::ALL {
            let mode = std::fs::metadata(keys.file(role)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            keys.load(role).unwrap();
        }
        std::fs::set_permissions(keys.file(Role::Root), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(keys.load(Role::Root).unwrap_err().code, "cli.keys_open");
    }

    #[tokio::test]
    async fn a_root_is_made_that_verifies() {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeysDir::new(dir.path());
        keys.init(None).await.unwrap();
        let dispatch = SigningKey::ed25519_from_seed(&[7; 32]).public();
        assert_eq!(keys.root().unwrap(), None);
        let bytes = keys.make_root("demo", &dispatch, 1_000).await.unwrap();
        assert_eq!(keys.root().unwrap().unwrap(), bytes);
        let digest = root_digest(&bytes).unwrap();
        let root = remit_seal::verify::root(&bytes, Some(&digest), 2_000).unwrap();
        assert_eq!(root.get().vendor, "demo");
    }
}
