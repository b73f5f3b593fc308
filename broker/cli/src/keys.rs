//! The vendor's keys: root and release, each a file that only its owner can read.
//!
//! They never leave this machine and are never printed. Brokers get signatures, not keys.

pub mod ceremony;
pub mod pem;

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use remit_seal::Digest;
use remit_seal::document::{KeySpec, Root};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::key::SigningKey;
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure, Result};

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

/// A key that was made.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Made {
    /// Its id.
    pub id: String,
    /// The private half.
    pub file: PathBuf,
    /// The public half.
    pub public: PathBuf,
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

    /// Makes both keys. Refuses to write over one.
    pub fn init(&self) -> Result<()> {
        if let Some(role) = Role::ALL.into_iter().find(|r| self.file(*r).exists()) {
            let message = format!("there is a {} key already: {}", role.as_str(), self.file(role).display());
            let hint = "keys are never written over; use another --keys-dir, or move the old ones away";
            return Err(Failure::new(Exit::Refused, "cli.keys_exist", message, hint));
        }
        make_private_dir(&self.dir)?;
        for role in Role::ALL {
            let key = new_key(Algorithm::Ed25519)?;
            write_private(&self.file(role), pem::write(&key, self.passphrase())?.as_bytes())?;
        }
        Ok(())
    }

    /// Makes one key and writes its public half beside it. Refuses to write over one.
    pub fn make(&self, name: &str, algorithm: Algorithm) -> Result<Made> {
        if !remit_seal::verify::is_name(name) {
            let hint = "use 1 to 40 of a-z, 0-9 and -, beginning with a letter";
            return Err(Failure::usage(format!("`{}` is no name for a key", name.escape_debug()), hint));
        }
        let (file, public) =
            (self.dir.join(format!("{name}.pem")), self.dir.join(format!("{name}.pub.json")));
        if file.exists() {
            let hint = "keys are never written over; choose another name";
            return Err(Failure::new(
                Exit::Refused,
                "cli.keys_exist",
                format!("{} is there already", file.display()),
                hint,
            ));
        }
        make_private_dir(&self.dir)?;
        let key = new_key(algorithm)?;
        write_private(&file, pem::write(&key, self.passphrase())?.as_bytes())?;
        let json = serde_json::to_vec_pretty(&key.public()).expect("a key's public half is two texts");
        std::fs::write(&public, json).map_err(|e| Failure::file("write", &public, &e))?;
        Ok(Made { id: key.id(), file, public })
    }

    /// Every private key in the directory, by the names of their files.
    pub fn all(&self) -> Result<Vec<SigningKey>> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Failure::file("read", &self.dir, &e)),
        };
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        let mut paths: Vec<PathBuf> =
            paths.collect::<std::io::Result<_>>().map_err(|e| Failure::file("read", &self.dir, &e))?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "pem"));
        paths.sort();
        paths.iter().map(|path| self.load_file(path)).collect()
    }

    /// Reads a key. Refuses one that others could have read.
    pub fn load(&self, role: Role) -> Result<SigningKey> {
        let path = self.file(role);
        if !path.exists() {
            let message = format!("there is no {} key at {}", role.as_str(), path.display());
            let hint = "make keys with `remit keys init`, or say where they are with --keys-dir";
            return Err(Failure::new(Exit::NotFound, "cli.keys_missing", message, hint));
        }
        self.load_file(&path)
    }

    /// Reads a key's file. Refuses one that others could have read.
    pub fn load_file(&self, path: &Path) -> Result<SigningKey> {
        let file = std::fs::File::open(path).map_err(|e| Failure::file("read", path, &e))?;
        check_private(path, &file)?;
        let mut text = Zeroizing::new(String::new());
        file.take(PEM_LEN_MAX).read_to_string(&mut text).map_err(|e| Failure::file("read", path, &e))?;
        pem::read(path, &text, self.passphrase())
    }

    /// Makes, signs and keeps the first root of an org: one key for each role.
    pub fn make_root(&self, org: &str, dispatch: &KeySpec, now_ms: i64) -> Result<Vec<u8>> {
        let (root, release) = (self.load(Role::Root)?, self.load(Role::Release)?);
        let specs = [&root.public(), &release.public(), dispatch];
        let document = Root::one_of_one(org, specs, now_ms, now_ms + ROOT_LIFE_MS)?;
        let bytes = Envelope::sign(PayloadType::Root, &document, &[&root])?.to_bytes();
        self.keep_root(&bytes)?;
        Ok(bytes)
    }

    /// Keeps a signed root.
    pub fn keep_root(&self, bytes: &[u8]) -> Result<()> {
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

fn new_key(algorithm: Algorithm) -> Result<SigningKey> {
    let mut seed = Zeroizing::new([0u8; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|e| {
        let message = format!("the system gives no randomness: {e}");
        Failure::new(Exit::Local, "cli.randomness", message, "try again later")
    })?;
    match algorithm {
        Algorithm::Ed25519 => Ok(SigningKey::ed25519_from_seed(&seed)),
        Algorithm::P256 => Ok(SigningKey::p256_from_seed(&seed)?),
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

    #[test]
    fn keys_are_made_once_and_kept_private() {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeysDir::new(dir.path().join(".remit/keys"));
        assert_eq!(keys.load(Role::Root).unwrap_err().code, "cli.keys_missing");
        keys.init().unwrap();
        assert_eq!(keys.init().unwrap_err().code, "cli.keys_exist");
        for role in Role::ALL {
            let mode = std::fs::metadata(keys.file(role)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            keys.load(role).unwrap();
        }
        std::fs::set_permissions(keys.file(Role::Root), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(keys.load(Role::Root).unwrap_err().code, "cli.keys_open");
    }

    #[test]
    fn a_root_is_made_that_verifies() {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeysDir::new(dir.path());
        keys.init().unwrap();
        let dispatch = SigningKey::ed25519_from_seed(&[7; 32]).public();
        assert_eq!(keys.root().unwrap(), None);
        let bytes = keys.make_root("demo", &dispatch, 1_000).unwrap();
        assert_eq!(keys.root().unwrap().unwrap(), bytes);
        let digest = root_digest(&bytes).unwrap();
        let root = remit_seal::verify::root(&bytes, Some(&digest), 2_000).unwrap();
        assert_eq!(root.get().vendor, "demo");
    }
}
