//! The machine's own AWS settings for the object store: the same chain that secrets are fetched with.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use tokio::sync::Mutex;

/// How long before their end credentials are fetched anew.
const EARLY: Duration = Duration::from_secs(300);
/// How long those that say no end are kept: they may come from a file that somebody changes.
const KEPT: Duration = Duration::from_secs(900);

/// What the machine's AWS settings say.
pub(super) struct Settings {
    pub(super) region: String,
    pub(super) endpoint: Option<String>,
    pub(super) provider: Option<SharedCredentialsProvider>,
}

/// These settings; or those of environment, profile and, where they say nothing, the instance.
pub(super) async fn load(given: Option<&SdkConfig>) -> Settings {
    let (config, own) = match given {
        Some(config) => (config.clone(), None),
        None => (crate::account::load_aws().await, std::env::var("AWS_ENDPOINT_URL_S3").ok()),
    };
    let own = own.filter(|url| !url.is_empty());
    Settings {
        region: config.region().map_or_else(|| "us-east-1".to_owned(), ToString::to_string),
        endpoint: own.or_else(|| config.endpoint_url().map(str::to_owned)),
        provider: config.credentials_provider(),
    }
}

/// Credentials from the machine's chain, kept until shortly before they end.
pub(super) struct Machine {
    provider: Option<SharedCredentialsProvider>,
    kept: Mutex<Option<(Arc<AwsCredential>, SystemTime)>>,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").finish_non_exhaustive()
    }
}

impl Machine {
    pub(super) fn new(provider: Option<SharedCredentialsProvider>) -> Self {
        Self { provider, kept: Mutex::default() }
    }

    async fn current(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut kept = self.kept.lock().await;
        if let Some((credential, until)) = &*kept
            && SystemTime::now() < *until
        {
            return Ok(credential.clone());
        }
        let provider =
            self.provider.as_ref().ok_or_else(|| failed("there are no AWS credentials here".into()))?;
        let fetched = provider.provide_credentials().await.map_err(|error| failed(Box::new(error)))?;
        let until = fetched.expiry().and_then(|end| end.checked_sub(EARLY));
        let credential = Arc::new(AwsCredential {
            key_id: fetched.access_key_id().to_owned(),
            secret_key: fetched.secret_access_key().to_owned(),
            token: fetched.session_token().map(str::to_owned),
        });
        *kept = Some((credential.clone(), until.unwrap_or_else(|| SystemTime::now() + KEPT)));
        Ok(credential)
    }
}

fn failed(source: Box<dyn std::error::Error + Send + Sync>) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source }
}

impl CredentialProvider for Machine {
    type Credential = AwsCredential;

    fn get_credential<'a, 'b>(&'a self) -> BoxFuture<'b, object_store::Result<Arc<AwsCredential>>>
    where
        'a: 'b,
        Self: 'b,
    {
        self.current().boxed()
    }
}
