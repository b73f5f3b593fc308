//! What can be the matter with a key of AWS KMS, and what to do about it.

use std::error::Error as StdError;

use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};

use super::super::Reference;

/// Why a key of KMS is not to be had. The words are KMS's own where it said some.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{} {reference}: {words}", fault.as_str())]
pub struct Error {
    fault: Fault,
    reference: String,
    words: String,
}

/// What sort of trouble it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The region or the authorities of this machine.
    Settings,
    /// No such key.
    Missing,
    /// Not a key of the right sort.
    Unsuitable,
    /// Disabled, or about to be deleted.
    Disabled,
    /// The credentials lack a permission.
    Denied {
        /// Which.
        permission: &'static str,
    },
    /// There are no credentials, or not valid ones.
    Credentials,
    /// KMS was asked too often.
    Throttled,
    /// KMS cannot be reached, or not now.
    Away,
    /// What KMS answered is not what was asked for.
    Signature,
}

impl Fault {
    fn as_str(self) -> &'static str {
        match self {
            Fault::Settings => "the settings do not lead to",
            Fault::Missing => "there is no key",
            Fault::Unsuitable => "Remit cannot sign with",
            Fault::Disabled => "disabled, or about to be deleted:",
            Fault::Denied { .. } => "these credentials may not use",
            Fault::Credentials => "there are no valid credentials for",
            Fault::Throttled => "AWS KMS was asked too often for",
            Fault::Away => "AWS KMS cannot be reached for",
            Fault::Signature => "AWS KMS gave no valid signature by",
        }
    }
}

impl Error {
    /// An error with its words.
    pub(crate) fn new(fault: Fault, reference: &Reference, words: &str) -> Self {
        Self { fault, reference: reference.to_string(), words: words.to_owned() }
    }

    /// What the SDK said of a call that needs this permission.
    pub(super) fn of<E>(reference: &Reference, permission: &'static str, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let words = error.message().map_or_else(|| chain(error), str::to_owned);
        let status = error.raw_response().map(|raw| raw.status().as_u16());
        Self::new(fault(error.code(), status, &words, permission), reference, &words)
    }

    /// What sort of trouble it is.
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// The stable code, with a section in `docs/errors/`.
    pub fn code(&self) -> &'static str {
        match self.fault {
            Fault::Settings => "kms.settings",
            Fault::Missing => "kms.key_missing",
            Fault::Unsuitable => "kms.key_unsuitable",
            Fault::Disabled => "kms.key_disabled",
            Fault::Denied { .. } => "kms.denied",
            Fault::Credentials => "kms.credentials",
            Fault::Throttled => "kms.throttled",
            Fault::Away => "kms.unreachable",
            Fault::Signature => "kms.signature",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> String {
        let text = match self.fault {
            Fault::Settings => "see docs/keys.md for what the environment may say",
            Fault::Missing => {
                "look at the account, the region and the spelling; a key of another account needs its whole ARN"
            }
            Fault::Unsuitable => {
                "make one: aws kms create-key --key-spec ECC_NIST_P256 --key-usage SIGN_VERIFY"
            }
            Fault::Disabled => "enable it in KMS, or change to another key: docs/keys.md",
            Fault::Denied { permission } => {
                return format!(
                    "allow {permission} on this key, in its key policy or in the policy of the role"
                );
            }
            Fault::Credentials => {
                "log in to AWS: a role, AWS_PROFILE, or the AWS_ variables; see docs/keys.md"
            }
            Fault::Throttled => "try again in a moment; if it stays, raise the quota of KMS for ECC keys",
            Fault::Away => "check the network, a proxy, AWS_ENDPOINT_URL and AWS_CA_BUNDLE; then try again",
            Fault::Signature => {
                "nothing was signed; make sure that it is the key that was taken in, and AWS itself"
            }
        };
        text.to_owned()
    }
}

fn fault(code: Option<&str>, status: Option<u16>, words: &str, permission: &'static str) -> Fault {
    match code.unwrap_or_default() {
        "NotFoundException" | "InvalidArnException" => Fault::Missing,
        "DisabledException" | "KMSInvalidStateException" => Fault::Disabled,
        "InvalidKeyUsageException" | "UnsupportedOperationException" | "ValidationException" => {
            Fault::Unsuitable
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "ExpiredToken"
        | "ExpiredTokenException" => Fault::Credentials,
        code if code.starts_with("AccessDenied") => Fault::Denied { permission },
        code if code.contains("Throttl") || code.contains("LimitExceeded") || code.starts_with("TooMany") => {
            Fault::Throttled
        }
        _ if matches!(status, Some(401 | 403)) => Fault::Denied { permission },
        _ if status == Some(429) => Fault::Throttled,
        // The SDK has no type for it that this crate knows; its words are checked by a test that has none.
        _ if status.is_none() && words.contains("credential") => Fault::Credentials,
        _ => Fault::Away,
    }
}

/// An error and all that it stems from, in one line.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let words = inner.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_is_one_sort_of_trouble() {
        let denied = Fault::Denied { permission: "kms:Sign" };
        for (code, status, words, want) in [
            (Some("NotFoundException"), Some(400), "", Fault::Missing),
            (Some("DisabledException"), Some(400), "", Fault::Disabled),
            (Some("KMSInvalidStateException"), Some(400), "pending deletion", Fault::Disabled),
            (Some("InvalidKeyUsageException"), Some(400), "", Fault::Unsuitable),
            (Some("AccessDeniedException"), Some(400), "", denied),
            (None, Some(403), "", denied),
            (Some("UnrecognizedClientException"), Some(400), "", Fault::Credentials),
            (Some("ExpiredTokenException"), Some(400), "", Fault::Credentials),
            (Some("ThrottlingException"), Some(400), "", Fault::Throttled),
            (Some("LimitExceededException"), Some(400), "", Fault::Throttled),
            (None, Some(429), "", Fault::Throttled),
            (Some("KMSInternalException"), Some(500), "", Fault::Away),
            (Some("KeyUnavailableException"), Some(500), "", Fault::Away),
            (None, None, "failed to load credentials", Fault::Credentials),
            (None, None, "connection refused", Fault::Away),
        ] {
            assert_eq!(fault(code, status, words, "kms:Sign"), want, "{code:?} {status:?}");
        }
    }

    #[test]
    fn the_missing_permission_is_named() {
        let reference = "awskms:///alias/a".parse().unwrap();
        let error =
            Error::new(Fault::Denied { permission: "kms:Sign" }, &reference, "User: x is not authorized");
        assert!(error.to_string().contains("awskms:///alias/a: User: x"));
        assert!(error.hint().contains("kms:Sign") && error.code() == "kms.denied");
    }
}
