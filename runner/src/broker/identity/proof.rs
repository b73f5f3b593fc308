//! Proves to the broker in which AWS account this machine is: it signs `sts:GetCallerIdentity` and lets the
//! broker ask. Neither the secret key nor the signed request leaves the machine; what leaves is good once.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use rcgen::PublicKeyData;
use remit_proto::caller::{self, Binding};
use remit_proto::convert::{AwsProof, Nonce, Token};
use remit_seal::Digest;

use super::Error;
use crate::config::Aws;
use crate::error::{chain, now_ms};

/// How long the machine's credentials may take to be there.
const CREDENTIALS_WITHIN: Duration = Duration::from_secs(30);

/// What a proof is made of.
pub(super) struct Prover<'a> {
    pub(super) aws: &'a Aws,
    pub(super) root: &'a Digest,
    pub(super) install: &'a str,
    pub(super) key: &'a rcgen::KeyPair,
}

impl Prover<'_> {
    /// Proof for this nonce.
    pub(super) async fn prove(&self, nonce: &Nonce) -> Result<AwsProof, Error> {
        let credentials = tokio::time::timeout(CREDENTIALS_WITHIN, credentials()).await;
        let credentials = credentials
            .unwrap_or_else(|_| Err("none in 30 s".to_owned()))
            .map_err(|words| self.failed(words))?;
        let spki = Digest::of(&self.key.subject_public_key_info());
        let binding = Binding { root: self.root, nonce, install: self.install, spki: &spki };
        let signed_s = now_ms().div_euclid(1_000);
        let signature =
            self.signature(&credentials, &binding, signed_s).map_err(|words| self.failed(words))?;
        Ok(AwsProof {
            nonce: *nonce,
            region: self.aws.region.clone(),
            access_key_id: credentials.access_key_id().to_owned(),
            signed_s,
            session_token: credentials.session_token().map(|token| Token::new(token.to_owned())),
            signature,
        })
    }

    fn signature(
        &self,
        credentials: &Credentials,
        binding: &Binding<'_>,
        signed_s: i64,
    ) -> Result<[u8; 32], String> {
        let region = &self.aws.region;
        let identity = credentials.clone().into();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(signed_s.unsigned_abs());
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(region.as_str())
            .name(caller::SERVICE)
            .time(time)
            .settings(SigningSettings::default())
            .build()
            .map_err(|e| chain(&e))?;
        let url = format!("https://{}{}", region.host(), caller::PATH);
        let headers = caller::headers(region, binding);
        let headers = headers.iter().map(|(name, value)| (*name, value.as_str()));
        let body = SignableBody::Bytes(caller::BODY.as_bytes());
        let request = SignableRequest::new(caller::METHOD, &url, headers, body).map_err(|e| chain(&e))?;
        let signed = sign(request, &params.into()).map_err(|e| chain(&e))?;
        let mut signature = [0; 32];
        hex::decode_to_slice(signed.signature(), &mut signature).map_err(|e| chain(&e))?;
        Ok(signature)
    }

    fn failed(&self, words: String) -> Error {
        Error::Credentials { account: self.aws.account.clone(), words }
    }
}

/// What the environment, the profile or the machine's role gives, or why it gives nothing.
async fn credentials() -> Result<Credentials, String> {
    let settings = crate::account::load_aws().await;
    let provider = settings.credentials_provider().ok_or_else(|| "there is no provider".to_owned())?;
    provider.provide_credentials().await.map_err(|e| chain(&e))
}
