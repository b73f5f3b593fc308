//! The API of the customer's Kubernetes cluster: few calls, each bounded in time and size, always over TLS to
//! a server that is proven. What is said of a failure never holds what an object or a credential holds.

mod access;

use std::path::PathBuf;
use std::time::Duration;

use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::{AuthError, Body};
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::error::chain;

/// How long one call may take, with the connection and whatever the kubeconfig runs to log in.
const CALL_MAX: Duration = Duration::from_secs(10);
/// The greatest answer: an object may have 1.5 MiB.
const ANSWER_LEN_MAX: usize = 4 << 20;
/// How much of the server's own words is repeated.
const WORDS_LEN_MAX: usize = 500;

/// The longest name of an object.
pub const NAME_LEN_MAX: usize = 253;
/// The longest name of a namespace.
const NAMESPACE_LEN_MAX: usize = 63;

/// Why the API did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no way to it that may be used.
    #[error("there is no way to the Kubernetes API: {0}")]
    NoWay(String),
    /// There is no such object.
    #[error("the object does not exist")]
    Missing,
    /// RBAC or admission says no, or the credentials are not taken.
    #[error("the Kubernetes API denied it: {0}")]
    Denied(String),
    /// The object is there already, or another wrote it first.
    #[error("another wrote the object first")]
    Conflict,
    /// Asked too often.
    #[error("the Kubernetes API was asked too often")]
    Throttled,
    /// The object is greater than any may be.
    #[error("the answer of the Kubernetes API is longer than {ANSWER_LEN_MAX} bytes")]
    TooLong,
    /// It cannot be reached, or did not do it.
    #[error("the Kubernetes API cannot be used: {0}")]
    Away(String),
}

/// The cluster.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    kubeconfig: Option<PathBuf>,
}

impl Cluster {
    /// The cluster of this kubeconfig, or else of `KUBECONFIG`, or else the one that this runner is a pod of.
    pub fn new(kubeconfig: Option<PathBuf>) -> Self {
        Self { kubeconfig }
    }

    /// Calls the API and answers the object. Credentials are read anew, so that changed ones count at once.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let answer = tokio::time::timeout(CALL_MAX, self.ask(method, path, body)).await;
        answer.unwrap_or_else(|_| Err(Error::Away(format!("no answer in {} s", CALL_MAX.as_secs()))))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let config = access::find(self.kubeconfig.as_deref()).await?;
        let client = kube::Client::try_from(config).map_err(failed)?;
        let kind = if method == Method::PATCH { "application/json-patch+json" } else { "application/json" };
        let bytes = body.map(|value| value.to_string().into_bytes()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::CONTENT_TYPE, kind)
            .header(http::header::ACCEPT, "application/json")
            .body(Body::from(bytes))
            .map_err(|error| Error::Away(chain(&error)))?;
        let answer = client.send(request).await.map_err(failed)?;
        let status = answer.status();
        let body = read(answer.into_body()).await?;
        if status.is_success() { Ok(body) } else { Err(refused(status, &body)) }
    }
}

/// Whether Kubernetes takes this as an object's name: lower-case words, with `-` and `.` between.
pub fn is_name(text: &str, len_max: usize) -> bool {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_word = |word: &str| {
        word.starts_with(inside) && word.ends_with(inside) && word.chars().all(|c| inside(c) || c == '-')
    };
    text.len() <= len_max && text.split('.').all(is_word)
}

/// Whether Kubernetes takes this as a namespace's name: one such word.
pub fn is_namespace(text: &str) -> bool {
    is_name(text, NAMESPACE_LEN_MAX) && !text.contains('.')
}

/// What of an answer is as long as any object may be.
async fn read(mut body: Body) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut bytes = Zeroizing::new(Vec::new());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(failed)?.into_data() else { continue };
        if bytes.len() + data.len() > ANSWER_LEN_MAX {
            return Err(Error::TooLong);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// The server's own words on why it did not do something.
#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    message: String,
}

fn refused(status: StatusCode, body: &[u8]) -> Error {
    let said = serde_json::from_slice::<Status>(body).map(|status| status.message).unwrap_or_default();
    let words = if said.is_empty() { status.to_string() } else { said.chars().take(WORDS_LEN_MAX).collect() };
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::Denied(words),
        StatusCode::NOT_FOUND => Error::Missing,
        StatusCode::CONFLICT => Error::Conflict,
        StatusCode::TOO_MANY_REQUESTS => Error::Throttled,
        _ => Error::Away(words),
    }
}

/// What a program printed to log in may be a credential: it is not repeated.
fn failed(error: kube::Error) -> Error {
    match error {
        kube::Error::Auth(AuthError::AuthExecRun { cmd, out }) => {
            Error::Denied(format!("the kubeconfig's command `{cmd}` failed ({})", out.status))
        }
        kube::Error::Auth(AuthError::AuthExecParse(_) | AuthError::ParseTokenKey(_)) => {
            Error::Denied("what the kubeconfig's command printed is no credential".to_owned())
        }
        kube::Error::Auth(error) => Error::Denied(chain(&error)),
        error @ (kube::Error::RustlsTls(_)
        | kube::Error::ProxyProtocolDisabled { .. }
        | kube::Error::ProxyProtocolUnsupported { .. }) => Error::NoWay(chain(&error)),
        error => Error::Away(chain(&error).chars().take(WORDS_LEN_MAX).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_says_decides() {
        let status = br#"{"kind":"Status","message":"secrets \"db\" is forbidden: User \"x\" cannot get"}"#;
        let Error::Denied(words) = refused(StatusCode::FORBIDDEN, status) else { panic!("it is denied") };
        assert!(words.contains("cannot get"), "{words}");
        assert!(matches!(refused(StatusCode::UNAUTHORIZED, b""), Error::Denied(_)));
        assert!(matches!(refused(StatusCode::NOT_FOUND, status), Error::Missing));
        assert!(matches!(refused(StatusCode::CONFLICT, status), Error::Conflict));
        assert!(matches!(refused(StatusCode::TOO_MANY_REQUESTS, b"slow down"), Error::Throttled));
        let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(5000));
        let Error::Away(words) = refused(StatusCode::INTERNAL_SERVER_ERROR, long.as_bytes()) else {
            panic!("it is away")
        };
        assert_eq!(words.len(), WORDS_LEN_MAX);
    }
}
