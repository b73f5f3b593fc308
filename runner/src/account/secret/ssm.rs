//! SecureString parameters of AWS Systems Manager, with whatever credentials the machine gives.

use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ssm::types::ParameterType;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::{Error, Reference};
use crate::error::chain;

/// The parameter store; nothing is set up before the first use.
#[derive(Debug, Default)]
pub(super) struct Store {
    client: OnceCell<Client>,
}

impl Store {
    async fn client(&self) -> &Client {
        self.client.get_or_init(async || Client::new(&crate::account::load_aws().await)).await
    }

    pub(super) async fn get(&self, name: &str) -> Result<Zeroizing<String>, Error> {
        let call = self.client().await.get_parameter().name(name).with_decryption(true).send();
        let answer = call.await.map_err(|error| failed(name, &error))?;
        let reference = || Reference::Ssm(name.to_owned());
        let parameter = answer.parameter.ok_or_else(|| Error::Missing(reference()))?;
        if parameter.r#type != Some(ParameterType::SecureString) {
            let words = "it is not a SecureString".to_owned();
            return Err(Error::Open { reference: reference(), words });
        }
        Ok(Zeroizing::new(parameter.value.unwrap_or_default()))
    }

    /// One that is gone already is no error.
    pub(super) async fn delete(&self, name: &str) -> Result<(), Error> {
        let call = self.client().await.delete_parameter().name(name).send();
        match call.await.map_err(|error| failed(name, &error)) {
            Ok(_) | Err(Error::Missing(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn failed<E>(name: &str, error: &SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let reference = Reference::Ssm(name.to_owned());
    // Never the answer itself, as the SDK would show it: a secret could be in it.
    let words = error.message().map_or_else(|| chain(error), str::to_owned);
    let forbidden = error.raw_response().is_some_and(|raw| matches!(raw.status().as_u16(), 401 | 403));
    match error.code() {
        Some("ParameterNotFound" | "ParameterVersionNotFound") => Error::Missing(reference),
        Some(code) if code.contains("AccessDenied") || code.contains("UnrecognizedClient") => {
            Error::Denied { reference, words }
        }
        Some("InvalidKeyId" | "InvalidClientTokenId" | "ExpiredTokenException") => {
            Error::Denied { reference, words }
        }
        Some("ThrottlingException" | "TooManyRequestsException" | "RequestLimitExceeded") => {
            Error::Throttled(reference)
        }
        _ if forbidden => Error::Denied { reference, words },
        _ => Error::Away { reference, words },
    }
}
