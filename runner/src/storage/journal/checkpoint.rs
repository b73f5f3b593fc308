//! Signing places in the chain, with a key that does nothing else and stays in the journal's directory.

use std::path::{Path, PathBuf};

use remit_seal::Digest;
use remit_seal::document::{Checkpoint, KeySpec};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::key::SigningKey;
use zeroize::Zeroizing;

use super::Error;
use crate::error::now_ms;
use crate::storage::data_dir::{read_bounded, write_atomic};

const KEY_FILE: &str = "key.pem";
const KEY_LEN_MAX: u64 = 4096;

/// Signs for one install.
#[derive(Debug)]
pub(super) struct Signer {
    key: SigningKey,
    install: String,
}

impl Signer {
    /// With the key of this directory, or a new one that is kept there.
    pub(super) fn establish(dir: &Path, install: &str) -> Result<Self, Error> {
        let path = dir.join(KEY_FILE);
        let io = |source| Error::Write { path: path.clone(), source };
        let kept = read_bounded(&path, KEY_LEN_MAX).map_err(io)?.map(Zeroizing::new);
        let key = match kept {
            Some(pem) => SigningKey::from_pem(&String::from_utf8_lossy(&pem))
                .map_err(|e| io(std::io::Error::other(e.to_string())))?,
            None => {
                let mut seed = Zeroizing::new([0u8; 32]);
                getrandom::fill(&mut *seed).map_err(|e| io(std::io::Error::other(e.to_string())))?;
                let key = SigningKey::ed25519_from_seed(&seed);
                write_atomic(&path, key.to_pem().as_bytes()).map_err(io)?;
                key
            }
        };
        Ok(Self { key, install: install.to_owned() })
    }

    /// What verifies its checkpoints.
    pub(super) fn public(&self) -> KeySpec {
        self.key.public()
    }

    /// A place in the chain, signed.
    pub(super) fn sign(&self, segment: u32, records: u64, head: Digest) -> Result<Vec<u8>, std::io::Error> {
        let at_ms = now_ms();
        let checkpoint = Checkpoint { install: self.install.clone(), segment, records, head, at_ms };
        Envelope::sign(PayloadType::Checkpoint, &checkpoint, &[&self.key])
            .map(|envelope| envelope.to_bytes())
            .map_err(std::io::Error::other)
    }
}

/// The file of the checkpoint that closes a segment.
pub(super) fn path(dir: &Path, segment: u32) -> PathBuf {
    dir.join(format!("{segment:06}.checkpoint.json"))
}
