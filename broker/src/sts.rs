//! Asks AWS who signed a request. The request is made up here, to a host of a fixed list, from a few words that
//! were checked; nothing that a runner says is sent on as it came, and no redirect is followed.

mod answer;

use std::time::Duration;

use remit_proto::caller::{self, Binding};
use remit_proto::convert::AwsProof;
use reqwest::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Semaphore;

pub(crate) use answer::Caller;

/// AWS has answered by then, or not at all.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// An answer is less than 1 KiB.
const ANSWER_SIZE_MAX: usize = 64 << 10;
/// So many are asked for at once; who comes later waits his turn, for as long as an answer may take.
const AT_ONCE_MAX: usize = 16;

/// Why AWS's word was not to be had.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failed {
    /// The signature is not good: AWS's own word for why.
    #[error("AWS does not accept the signature ({0})")]
    Refused(String),
    /// It cannot be reached, is slow, or too many ask.
    #[error("AWS cannot be asked now: {0}")]
    Away(String),
    /// What answers is not AWS, or not as AWS was.
    #[error("AWS's answer makes no sense: {0}")]
    Strange(&'static str),
}

/// Why there is nobody to ask.
#[derive(Debug, thiserror::Error)]
#[error("AWS's STS cannot be asked: {0}")]
pub struct Error(String);

/// What asks.
pub(crate) struct Sts {
    client: reqwest::Client,
    /// Where to ask in place of AWS.
    endpoint: Option<String>,
    permits: Semaphore,
}

impl Sts {
    /// One that asks AWS, or what an operator has put in its place.
    pub(crate) fn new(endpoint: Option<&str>) -> Result<Self, Error> {
        let failed = |e: &dyn std::fmt::Display| Error(e.to_string());
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| failed(&e))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .use_preconfigured_tls(tls)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .http1_only()
            .pool_max_idle_per_host(1)
            .timeout(ANSWER_WITHIN)
            .build()
            .map_err(|e| failed(&e))?;
        let endpoint = endpoint.map(|url| url.trim_end_matches('/').to_owned());
        Ok(Self { client, endpoint, permits: Semaphore::new(AT_ONCE_MAX) })
    }

    /// Who made this signature.
    pub(crate) async fn ask(&self, proof: &AwsProof, binding: &Binding<'_>) -> Result<Caller, Failed> {
        let turn = tokio::time::timeout(ANSWER_WITHIN, self.permits.acquire()).await;
        let _permit = turn.map_err(|_| Failed::Away("too many ask at once".to_owned()))?;
        let headers = headers(proof, binding).ok_or(Failed::Strange("the request cannot be made"))?;
        let host = proof.region.host();
        let url = match &self.endpoint {
            Some(endpoint) => format!("{endpoint}{}", caller::PATH),
            None => format!("https://{host}{}", caller::PATH),
        };
        let request = self.client.post(url).headers(headers).body(caller::BODY);
        let mut answer = request.send().await.map_err(|e| Failed::Away(reason(&e)))?;
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|e| Failed::Away(reason(&e)))? {
            if body.len() + part.len() > ANSWER_SIZE_MAX {
                return Err(Failed::Strange("it is larger than 64 KiB"));
            }
            body.extend_from_slice(&part);
        }
        answer::read(answer.status().as_u16(), &body)
    }
}

/// The headers of the request that was signed, and the signature.
fn headers(proof: &AwsProof, binding: &Binding<'_>) -> Option<HeaderMap> {
    let date = date(proof.signed_s)?;
    let mut all: Vec<(&str, String)> = caller::headers(&proof.region, binding).into();
    all.push(("x-amz-date", date.clone()));
    if let Some(token) = &proof.session_token {
        all.push(("x-amz-security-token", token.expose().to_owned()));
    }
    all.sort_unstable();
    let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{}/{}/{}/aws4_request, SignedHeaders={}, Signature={}",
        proof.access_key_id,
        &date[..8],
        proof.region.as_str(),
        caller::SERVICE,
        names.join(";"),
        hex::encode(proof.signature),
    );
    let mut headers = HeaderMap::new();
    for (name, text) in all {
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(name == "x-amz-security-token");
        headers.insert(if name == "host" { HOST } else { HeaderName::try_from(name).ok()? }, value);
    }
    headers.insert(AUTHORIZATION, HeaderValue::try_from(authorization).ok()?);
    Some(headers)
}

/// As AWS writes a time: `20261129T231500Z`.
fn date(seconds: i64) -> Option<String> {
    let at = jiff::Timestamp::from_second(seconds).ok()?;
    let date = at.strftime("%Y%m%dT%H%M%SZ").to_string();
    Some(date).filter(|date| date.len() == 16 && date.is_ascii())
}

/// What went wrong, in the words of the innermost cause.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in 5 s".to_owned();
    }
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        words = inner.to_string();
        source = inner.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use remit_proto::caller::Region;
    use remit_proto::convert::Token;
    use remit_seal::Digest;

    use super::*;

    #[test]
    fn the_request_is_made_of_what_was_checked() {
        let proof = AwsProof {
            nonce: [1; 32],
            region: Region::new("eu-central-1").unwrap(),
            access_key_id: "ASIAIOSFODNN7EXAMPLE".to_owned(),
            signed_s: 1_440_938_160,
            session_token: Some(Token::new("a+session/token=".to_owned())),
            signature: [0xab; 32],
        };
        let (root, spki) = (Digest::of(b"root"), Digest::of(b"spki"));
        let binding = Binding { root: &root, nonce: &proof.nonce, install: "ins_a.b.c", spki: &spki };
        let headers = headers(&proof, &binding).unwrap();
        let authorization = headers[AUTHORIZATION].to_str().unwrap();
        assert_eq!(
            authorization,
            format!(
                "AWS4-HMAC-SHA256 Credential=ASIAIOSFODNN7EXAMPLE/20150830/eu-central-1/sts/aws4_request, \
                 SignedHeaders=accept;content-type;host;x-amz-date;x-amz-security-token;x-remit-binding, \
                 Signature={}",
                "ab".repeat(32)
            )
        );
        assert_eq!(headers["host"], "sts.eu-central-1.amazonaws.com");
        assert_eq!(headers["x-amz-date"], "20150830T123600Z");
        assert!(!format!("{headers:?}").contains("a+session"), "a secret is not shown");
    }
}
