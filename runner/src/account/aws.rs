//! What every call to AWS begins with: the machine's own credentials, and HTTPS by ring.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

/// How long one call may take with its retries.
const CALL_MAX: Duration = Duration::from_secs(60);

/// The settings of this machine: environment, profile, or its role by the metadata service.
pub(crate) async fn load() -> SdkConfig {
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let timeouts = TimeoutConfig::builder().operation_timeout(CALL_MAX).build();
    aws_config::defaults(BehaviorVersion::latest()).http_client(http).timeout_config(timeouts).load().await
}
