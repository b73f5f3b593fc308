//! Secrets by reference: where a value is, and fetching it here, just before it is needed.
//!
//! A reference is no secret; the value never passes the broker, and is not kept on disk by the runner.

mod ssm;

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use zeroize::Zeroizing;

use crate::data_dir::{read_bounded, remove_file};
use crate::fault::Coded;
use crate::outcome::Class;

/// The greatest secret: what a text input may be, with some room for the newline at its end.
const LEN_MAX: u64 = (64 << 10) + 2;

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A SecureString parameter of AWS Systems Manager: `ssm:/path` or `ssm:ARN`.
    Ssm(String),
    /// A file that only its owner can read: `file:/path`.
    File(PathBuf),
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reference::Ssm(name) => write!(f, "ssm:{name}"),
            Reference::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("ssm", name)) if !name.is_empty() => Ok(Reference::Ssm(name.to_owned())),
            Some(("file", path)) if path.starts_with('/') => Ok(Reference::File(path.into())),
            // The text itself is not repeated: it may be the secret, put here by mistake.
            _ => Err("a reference is ssm:/path/of/the/parameter or file:/path/of/the/file".to_owned()),
        }
    }
}

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not there.
    #[error("the secret {0} does not exist")]
    Missing(Reference),
    /// The runner may not read it.
    #[error("the runner may not read the secret {reference}: {words}")]
    Denied {
        /// Which.
        reference: Reference,
        /// In the words of who denied it.
        words: String,
    },
    /// Asked too often.
    #[error("too many requests for the secret {0}")]
    Throttled(Reference),
    /// Others can read it, too.
    #[error("the secret {reference} is kept where others can read it: {words}")]
    Open {
        /// Which.
        reference: Reference,
        /// How.
        words: String,
    },
    /// It is empty, too long or no text.
    #[error("the secret {0} is empty, longer than 64 KiB, or not UTF-8")]
    Unusable(Reference),
    /// It could not be asked for.
    #[error("the secret {reference} could not be fetched: {words}")]
    Away {
        /// Which.
        reference: Reference,
        /// Why.
        words: String,
    },
}

impl Error {
    /// What sort of failure it is.
    pub fn class(&self) -> Class {
        match self {
            Error::Denied { .. } | Error::Missing(_) | Error::Open { .. } | Error::Unusable(_) => {
                Class::Permission
            }
            Error::Throttled(_) | Error::Away { .. } => Class::Transient,
        }
    }
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::Missing(_) => "runner.secret_missing",
            Error::Denied { .. } => "runner.secret_denied",
            Error::Throttled(_) => "runner.secret_throttled",
            Error::Open { .. } => "runner.secret_open",
            Error::Unusable(_) => "runner.secret_unusable",
            Error::Away { .. } => "runner.secret_unreachable",
        }
    }

    fn hint(&self) -> String {
        match self {
            Error::Missing(Reference::Ssm(name)) => format!(
                "make it: aws ssm put-parameter --type SecureString --name {name} --value file://…, in the region that the runner uses"
            ),
            Error::Denied { reference: Reference::Ssm(name), .. } => format!(
                "give the runner's role ssm:GetParameter on the parameter {name}, and kms:Decrypt on its key"
            ),
            Error::Missing(Reference::File(path)) => {
                format!("write the secret to {}, mode 0600, owned by the runner's user", path.display())
            }
            Error::Denied { reference: Reference::File(path), .. } => {
                format!("let the runner's user own {}", path.display())
            }
            Error::Open { reference: Reference::File(path), .. } => format!("chmod 0600 {}", path.display()),
            Error::Open { reference: Reference::Ssm(_), .. } => {
                "put the parameter anew, with --type SecureString".to_owned()
            }
            Error::Throttled(_) => {
                "it is tried again by itself; if this repeats, raise the account's limit of GetParameter"
                    .to_owned()
            }
            Error::Unusable(_) => "put a text of at most 64 KiB there".to_owned(),
            Error::Away { .. } => {
                "check the region (AWS_REGION), the credentials and the network of the runner's machine"
                    .to_owned()
            }
        }
    }
}

/// Fetches secrets.
#[derive(Debug, Default)]
pub struct Secrets {
    ssm: ssm::Store,
}

impl Secrets {
    /// The value, without the newline that an editor puts at the end.
    pub async fn fetch(&self, reference: &Reference) -> Result<Zeroizing<String>, Error> {
        let value = match reference {
            Reference::Ssm(name) => self.ssm.get(name).await?,
            Reference::File(path) => read(path)?,
        };
        let text = value.strip_suffix('\n').unwrap_or(&value);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() || text.len() as u64 > LEN_MAX {
            return Err(Error::Unusable(reference.clone()));
        }
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// Removes it for good: it was to be used once.
    pub async fn forget(&self, reference: &Reference) -> Result<(), Error> {
        match reference {
            Reference::Ssm(name) => self.ssm.delete(name).await,
            Reference::File(path) => remove_file(path).map_err(|error| failed(path, &error)),
        }
    }
}

/// The machine's own AWS settings and credentials: what parameters are fetched with, and nothing that jobs get.
pub(crate) async fn aws_settings() -> aws_config::SdkConfig {
    ssm::load().await
}

fn read(path: &Path) -> Result<Zeroizing<String>, Error> {
    let reference = || Reference::File(path.to_owned());
    let mode = path.metadata().map_err(|error| failed(path, &error))?.permissions().mode();
    if mode & 0o077 != 0 {
        let words = format!("its mode is {:04o}", mode & 0o7777);
        return Err(Error::Open { reference: reference(), words });
    }
    let bytes = read_bounded(path, LEN_MAX).map_err(|error| failed(path, &error))?;
    let bytes = Zeroizing::new(bytes.ok_or_else(|| Error::Missing(reference()))?);
    let text = std::str::from_utf8(&bytes).map_err(|_| Error::Unusable(reference()))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn failed(path: &Path, error: &io::Error) -> Error {
    let reference = Reference::File(path.to_owned());
    match error.kind() {
        io::ErrorKind::NotFound => Error::Missing(reference),
        io::ErrorKind::PermissionDenied => Error::Denied { reference, words: error.to_string() },
        io::ErrorKind::FileTooLarge => Error::Unusable(reference),
        _ => Error::Away { reference, words: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_reference_is_not_repeated() {
        for bad in ["hunter2hunter2", "ssm:", "file:relative", "http://x/hunter2hunter2", ""] {
            let words = bad.parse::<Reference>().unwrap_err();
            assert!(!words.contains("hunter2"), "{words}");
        }
        let arn = "ssm:arn:aws:ssm:eu-central-1:1:parameter/shop/db";
        assert_eq!(arn.parse::<Reference>().unwrap().to_string(), arn);
    }

    #[tokio::test]
    async fn a_file_is_read_when_only_its_owner_can() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("key");
        let reference = Reference::File(path.clone());
        let fetch = async || Secrets::default().fetch(&reference).await;
        let code = |result: Result<Zeroizing<String>, Error>| result.unwrap_err().code();
        assert_eq!(code(fetch().await), "runner.secret_missing");
        std::fs::write(&path, "two words \r\n").unwrap();
        let mode = |mode| std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        mode(0o640);
        assert_eq!(code(fetch().await), "runner.secret_open");
        mode(0o600);
        assert_eq!(*fetch().await.unwrap(), "two words ");
        std::fs::write(&path, "\n").unwrap();
        assert_eq!(code(fetch().await), "runner.secret_unusable");
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert_eq!(code(fetch().await), "runner.secret_unusable");
        Secrets::default().forget(&reference).await.unwrap();
        assert!(!path.exists());
    }
}
