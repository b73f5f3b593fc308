//! Private keys in files: PKCS#8 PEM, plain or under a passphrase, for their owner only.

use std::path::{Path, PathBuf};

use pkcs8::{EncryptedPrivateKeyInfo, LineEnding, PrivateKeyInfo, SecretDocument};
use remit_seal::key::SigningKey;
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure, Result};

const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
const PLAIN: &str = "PRIVATE KEY";
/// The largest passphrase, in bytes.
const PASSPHRASE_LEN_MAX: usize = 1024;
/// Of a passphrase, at least.
const PASSPHRASE_LEN_MIN: usize = 12;

/// Where a passphrase is read from: a file, `-` for standard input.
pub fn passphrase(file: Option<&PathBuf>) -> Result<Option<Zeroizing<String>>> {
    let Some(file) = file else { return Ok(None) };
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    let text = Zeroizing::new(text.map_err(|e| Failure::file("read", file, &e))?);
    let word = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
    if (PASSPHRASE_LEN_MIN..=PASSPHRASE_LEN_MAX).contains(&word.len()) {
        return Ok(Some(word));
    }
    let hint = "take five words or more that nobody else would put together";
    Err(Failure::usage(format!("a passphrase has {PASSPHRASE_LEN_MIN} to {PASSPHRASE_LEN_MAX} bytes"), hint))
}

/// A key as the text of its file.
pub fn write(key: &SigningKey, passphrase: Option<&str>) -> Result<Zeroizing<String>> {
    let plain = key.to_pem();
    let Some(passphrase) = passphrase else { return Ok(plain) };
    let failed = |e: &dyn std::fmt::Display| {
        Failure::new(
            Exit::Local,
            "cli.randomness",
            format!("the key cannot be encrypted: {e}"),
            "try again later",
        )
    };
    let (_, document) = SecretDocument::from_pem(&plain).map_err(|e| failed(&e))?;
    let info = PrivateKeyInfo::try_from(document.as_bytes()).map_err(|e| failed(&e))?;
    let (mut salt, mut iv) = ([0u8; 16], [0u8; 16]);
    getrandom::fill(&mut salt).and_then(|()| getrandom::fill(&mut iv)).map_err(|e| failed(&e))?;
    let scrypt = pkcs8::pkcs5::pbes2::Parameters::scrypt_aes256cbc(scrypt_params(), &salt, &iv)
        .map_err(|e| failed(&e))?;
    let sealed = info.encrypt_with_params(scrypt, passphrase).map_err(|e| failed(&e))?;
    sealed.to_pem(ENCRYPTED, LineEnding::LF).map_err(|e| failed(&e))
}

/// A fifth of a second and 64 MiB for each try of who has the file and not the passphrase.
fn scrypt_params() -> pkcs8::pkcs5::scrypt::Params {
    pkcs8::pkcs5::scrypt::Params::new(16, 8, 1, 32).expect("these are in the bounds of the algorithm")
}

/// Whether a key is under a passphrase.
pub fn is_sealed(text: &str) -> bool {
    text.contains(ENCRYPTED)
}

/// Reads a key from the text of its file.
pub fn read(path: &Path, text: &str, passphrase: Option<&str>) -> Result<SigningKey> {
    let unreadable = |why: &dyn std::fmt::Display| {
        let message = format!("{} holds no key: {why}", path.display());
        Failure::new(Exit::Local, "cli.keys_unreadable", message, "restore the file from your backup")
    };
    if !is_sealed(text) {
        return SigningKey::from_pem(text).map_err(|refusal| unreadable(&refusal));
    }
    let Some(passphrase) = passphrase else {
        let message = format!("the key {} is under a passphrase", path.display());
        let hint = "give --key-passphrase-file FILE, or `-` to read it from standard input";
        return Err(Failure::new(Exit::Usage, "cli.keys_passphrase", message, hint));
    };
    let (_, document) = SecretDocument::from_pem(text).map_err(|e| unreadable(&e))?;
    let sealed = EncryptedPrivateKeyInfo::try_from(document.as_bytes()).map_err(|e| unreadable(&e))?;
    let plain = sealed.decrypt(passphrase).map_err(|_| {
        let message = format!("the passphrase does not open {}", path.display());
        Failure::new(Exit::Refused, "cli.keys_passphrase", message, "is it the passphrase of this key?")
    })?;
    let plain = plain.to_pem(PLAIN, LineEnding::LF).map_err(|e| unreadable(&e))?;
    SigningKey::from_pem(&plain).map_err(|refusal| unreadable(&refusal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_under_a_passphrase_is_opened_by_that_only() {
        let path = Path::new("k.pem");
        for key in [SigningKey::ed25519_from_seed(&[1; 32]), SigningKey::p256_from_seed(&[2; 32]).unwrap()] {
            let text = write(&key, Some("correct horse battery")).unwrap();
            assert!(text.contains(ENCRYPTED) && !text.contains("BEGIN PRIVATE KEY"));
            assert_eq!(read(path, &text, Some("correct horse battery")).unwrap().id(), key.id());
            for wrong in [None, Some("wrong horse battery")] {
                assert_eq!(read(path, &text, wrong).unwrap_err().code, "cli.keys_passphrase");
            }
            assert_eq!(read(path, &write(&key, None).unwrap(), None).unwrap().id(), key.id());
        }
        assert_eq!(read(path, "nothing", None).unwrap_err().code, "cli.keys_unreadable");
    }
}
