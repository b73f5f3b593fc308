//! Secrets of webhooks: minted here, shown once, kept sealed under a key that lies in the data directory.
//! Who has the database alone can sign nothing.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use zeroize::Zeroizing;

use crate::private_file;

const KEY_FILE: &str = "webhooks.key";
const KEY_LEN: usize = 32;
/// What a secret begins with, as Standard Webhooks has it.
const PREFIX: &str = "whsec_";

/// What can go wrong with secrets.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key's file cannot be used.
    #[error("cannot use {file}: {source}")]
    File {
        /// Which.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The key's file holds no key, or a secret was sealed with another one.
    #[error("the key in webhooks.key does not fit: {0}")]
    Key(&'static str),
    /// The system has no randomness.
    #[error("cannot get randomness: {0}")]
    Randomness(getrandom::Error),
    /// The HTTP client cannot be set up.
    #[error("webhooks cannot be sent: {0}")]
    Client(String),
}

/// What seals secrets.
pub(super) struct Seal(LessSafeKey);

impl Seal {
    /// The key of this directory; made at the first start.
    pub(super) fn open(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(KEY_FILE);
        let io = |source| Error::File { file: path.display().to_string(), source };
        let bytes = match private_file::read(&path).map_err(io)?.map(Zeroizing::new) {
            Some(text) => {
                Zeroizing::new(hex::decode(text.trim()).map_err(|_| Error::Key("it is not hexadecimal"))?)
            }
            None => {
                let mut bytes = Zeroizing::new(vec![0u8; KEY_LEN]);
                getrandom::fill(&mut bytes).map_err(Error::Randomness)?;
                let text = Zeroizing::new(hex::encode(&*bytes));
                private_file::write(&path, text.as_bytes()).map_err(io)?;
                bytes
            }
        };
        let key =
            UnboundKey::new(&CHACHA20_POLY1305, &bytes).map_err(|_| Error::Key("it has another length"))?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals a secret for one endpoint: of no use under another name.
    pub(super) fn close(&self, of: &str, secret: &str) -> Result<String, Error> {
        let mut nonce = [0u8; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(Error::Randomness)?;
        let mut bytes = secret.as_bytes().to_vec();
        let sealed = Nonce::assume_unique_for_key(nonce);
        let tagged = self.0.seal_in_place_append_tag(sealed, Aad::from(of), &mut bytes);
        tagged.map_err(|_| Error::Key("it seals nothing"))?;
        Ok(STANDARD.encode([&nonce[..], &bytes].concat()))
    }

    /// The secret again.
    pub(super) fn open_sealed(&self, of: &str, sealed: &str) -> Result<Zeroizing<String>, Error> {
        let other = || Error::Key("the secret was sealed with another key; make the webhook anew");
        let mut bytes = Zeroizing::new(STANDARD.decode(sealed).map_err(|_| other())?);
        let nonce: [u8; NONCE_LEN] =
            bytes.get(..NONCE_LEN).and_then(|b| b.try_into().ok()).ok_or_else(other)?;
        let rest = &mut bytes[NONCE_LEN..];
        let plain = self.0.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(of), rest);
        let plain = plain.map_err(|_| other())?;
        std::str::from_utf8(plain).map(|text| Zeroizing::new(text.to_owned())).map_err(|_| other())
    }
}

/// A new secret: 256 random bits.
pub(super) fn mint() -> Result<Zeroizing<String>, Error> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    getrandom::fill(bytes.as_mut()).map_err(Error::Randomness)?;
    Ok(Zeroizing::new(format!("{PREFIX}{}", STANDARD.encode(bytes.as_ref()))))
}

/// The signature of a message, as Standard Webhooks has it: over its id, its time in seconds, and its bytes.
pub(super) fn sign(secret: &str, id: &str, seconds: i64, body: &[u8]) -> String {
    let bytes = Zeroizing::new(STANDARD.decode(secret.trim_start_matches(PREFIX)).unwrap_or_default());
    let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{id}.{seconds}.").as_bytes());
    context.update(body);
    format!("v1,{}", STANDARD.encode(context.sign()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_standards_own_example() {
        let body = br#"{"test": 2432232314}"#;
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let found = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(found, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_sealed_secret_opens_under_its_own_name_and_key_only() {
        let dir = tempfile::tempdir().unwrap();
        let seal = Seal::open(dir.path()).unwrap();
        let secret = mint().unwrap();
        let sealed = seal.close("demo/audit", &secret).unwrap();
        assert!(!sealed.contains(&secret[PREFIX.len()..]));
        let again = Seal::open(dir.path()).unwrap();
        assert_eq!(*again.open_sealed("demo/audit", &sealed).unwrap(), *secret);
        assert!(again.open_sealed("demo/other", &sealed).is_err());
        let other = tempfile::tempdir().unwrap();
        assert!(Seal::open(other.path()).unwrap().open_sealed("demo/audit", &sealed).is_err());
    }
}
