//! Secrets by reference: where a value is, and fetching it here, just before it is needed.
//!
//! A reference is no secret; the value never passes the broker, and is not kept on disk by the runner.

mod kubernetes;
mod ssm;

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use zeroize::Zeroizing;

use crate::account::kubernetes::Cluster;
use crate::error::Coded;
use crate::outcome::Class;
use crate::storage::data_dir::{read_bounded, remove_file};

pub use kubernetes::Place;

/// The greatest secret: what a text input may be, with some room for the newline at its end.
const LEN_MAX: u64 = (64 << 10) + 2;

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A SecureString parameter of AWS Systems Manager: `ssm:/path` or `ssm:ARN`.
    Ssm(String),
    /// A file that only its owner can read: `file:/path`.
    File(PathBuf),
    /// A key of a Kubernetes Secret: `k8s:namespace/name#key`.
    Kubernetes(Box<Place>),
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reference::Ssm(name) => write!(f, "ssm:{name}"),
            Reference::File(path) => write!(f, "file:{}", path.display()),
            Reference::Kubernetes(place) => write!(f, "k8s:{place}"),
        }
    }
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The text itself is not repeated: it may be the secret, put here by mistake.
        let wrong = || {
            "a reference is ssm:/path/of/the/parameter, file:/path/of/the/file or k8s:namespace/secret#key"
                .to_owned()
        };
        match text.split_once(':') {
            Some(("ssm", name)) if !name.is_empty() => Ok(Reference::Ssm(name.to_owned())),
            Some(("file", path)) if path.starts_with('/') => Ok(Reference::File(path.into())),
            Some(("k8s", place)) => {
                place.parse::<Place>().map(Box::new).map(Reference::Kubernetes).map_err(|()| wrong())
            }
            _ => Err(wrong()),
        }
    }
}

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not there.
    #[error("the secret {0} does not exist")]
    Missing(Reference),
    /// It is there, without what was asked of it.
    #[error("the secret {reference} does not exist: the object has {}", listed(.has))]
    NoKey {
        /// Which.
        reference: Reference,
        /// What is there: the names of keys.
        has: Vec<String>,
    },
    /// Where it is kept cannot be asked as the runner is set up.
    #[error("the secret {reference} cannot be asked for: {words}")]
    NoWay {
        /// Which.
        reference: Reference,
        /// Why.
        words: String,
    },
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
            Error::Denied { .. }
            | Error::Missing(_)
            | Error::NoKey { .. }
            | Error::NoWay { .. }
            | Error::Open { .. }
            | Error::Unusable(_) => Class::Permission,
            Error::Throttled(_) | Error::Away { .. } => Class::Transient,
        }
    }
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::Missing(_) | Error::NoKey { .. } => "runner.secret_missing",
            Error::NoWay { .. } => "runner.kubernetes_unset",
            Error::Denied { .. } => "runner.secret_denied",
            Error::Throttled(_) => "runner.secret_throttled",
            Error::Open { .. } => "runner.secret_open",
            Error::Unusable(_) => "runner.secret_unusable",
            Error::Away { .. } => "runner.secret_unreachable",
        }
    }

    fn hint(&self) -> String {
        match self {
            Error::Missing(reference) => how_to_make(reference),
            Error::NoKey { reference, .. } => {
                format!("correct the key in the reference {reference}, or put it into the Secret")
            }
            Error::NoWay { .. } => {
                "give the runner --kubeconfig FILE, or run it as a pod with a service account".to_owned()
            }
            Error::Denied { reference, .. } => how_to_permit(reference),
            Error::Open { reference: Reference::File(path), .. } => format!("chmod 0600 {}", path.display()),
            Error::Open { .. } => "put the parameter anew, with --type SecureString".to_owned(),
            Error::Throttled(Reference::Kubernetes(_)) => "it is tried again by itself".to_owned(),
            Error::Throttled(_) => {
                "it is tried again by itself; if this repeats, raise the account's limit of GetParameter"
                    .to_owned()
            }
            Error::Unusable(_) => "put a text of at most 64 KiB there".to_owned(),
            Error::Away { reference: Reference::Kubernetes(_), .. } => {
                "check that the runner's machine reaches the cluster's API server; it is tried again by itself"
                    .to_owned()
            }
            Error::Away { .. } => {
                "check the region (AWS_REGION), the credentials and the network of the runner's machine"
                    .to_owned()
            }
        }
    }
}

fn how_to_make(reference: &Reference) -> String {
    match reference {
        Reference::Ssm(name) => format!(
            "make it: aws ssm put-parameter --type SecureString --name {name} --value file://…, in the region that the runner uses"
        ),
        Reference::File(path) => {
            format!("write the secret to {}, mode 0600, owned by the runner's user", path.display())
        }
        Reference::Kubernetes(place) => {
            let Place { namespace, name, key } = &**place;
            format!("make it: kubectl -n {namespace} create secret generic {name} --from-file={key}=FILE")
        }
    }
}

fn how_to_permit(reference: &Reference) -> String {
    match reference {
        Reference::Ssm(name) => format!(
            "give the runner's role ssm:GetParameter on the parameter {name}, and kms:Decrypt on its key"
        ),
        Reference::File(path) => format!("let the runner's user own {}", path.display()),
        Reference::Kubernetes(place) => place.rule(),
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "no keys".to_owned() } else { format!("only the keys {}", names.join(", ")) }
}

/// Fetches secrets.
#[derive(Debug, Default)]
pub struct Secrets {
    ssm: ssm::Store,
    cluster: Cluster,
}

impl Secrets {
    /// Those that this machine's credentials reach, and the Secrets of this cluster.
    pub fn of(cluster: Cluster) -> Self {
        Self { ssm: ssm::Store::default(), cluster }
    }

    /// The value, without the newline that an editor puts at the end.
    pub async fn fetch(&self, reference: &Reference) -> Result<Zeroizing<String>, Error> {
        let value = match reference {
            Reference::Ssm(name) => self.ssm.get(name).await?,
            Reference::File(path) => read(path)?,
            Reference::Kubernetes(place) => kubernetes::get(&self.cluster, place).await?,
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
            Reference::Kubernetes(place) => kubernetes::delete(&self.cluster, place).await,
        }
    }
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
        for bad in
            ["hunter2hunter2", "ssm:", "file:relative", "http://x/hunter2hunter2", "", "k8s:hunter2hunter2"]
        {
            let words = bad.parse::<Reference>().unwrap_err();
            assert!(!words.contains("hunter2"), "{words}");
        }
        let arn = "ssm:arn:aws:ssm:eu-central-1:1:parameter/shop/db";
        assert_eq!(arn.parse::<Reference>().unwrap().to_string(), arn);
        let key = "k8s:shop/db#password";
        assert_eq!(key.parse::<Reference>().unwrap().to_string(), key);
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
