//! What the status API asks for: a token in a file that only the runner's user may read, and another that is good
//! for `/metrics` alone, to be given to what collects them. Only `/livez` asks for none.

use axum::http::{HeaderMap, header};
use remit_seal::Digest;

use crate::storage::data_dir::{self, DataDir};

/// The file with the token for everything.
pub const FILE: &str = "status.token";
/// The file with the token for `/metrics`.
const METRICS_FILE: &str = "metrics.token";
const METRICS: &str = "/metrics";
const FREE: &str = "/livez";

/// The tokens, by their digests: how long a comparison takes says nothing of them.
#[derive(Clone, Debug)]
pub struct Tokens {
    all: Digest,
    metrics: Digest,
}

impl Tokens {
    /// Those of this directory; made where there are none.
    pub fn of(dir: &DataDir) -> Result<Self, data_dir::Error> {
        let digest = |name| dir.token(name).map(|token| Digest::of(token.trim().as_bytes()));
        Ok(Self { all: digest(FILE)?, metrics: digest(METRICS_FILE)? })
    }

    /// Whether who asks for this path may.
    pub(super) fn admit(&self, path: &str, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.strip_prefix("Bearer "));
        let given = given.map(|token| Digest::of(token.trim().as_bytes()));
        path == FREE || given == Some(self.all) || (path == METRICS && given == Some(self.metrics))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_opens_what_it_is_for() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temp.path()).unwrap();
        let tokens = Tokens::of(&dir).unwrap();
        let headers = |token: &str| {
            let value = format!("Bearer {token}").parse().unwrap();
            HeaderMap::from_iter([(header::AUTHORIZATION, value)])
        };
        let (all, metrics) = (headers(&dir.token(FILE).unwrap()), headers(&dir.token(METRICS_FILE).unwrap()));
        assert!(tokens.admit("/livez", &HeaderMap::new()));
        for path in ["/readyz", "/metrics", "/v1/status", "/v1/halt", "/v1/nothing"] {
            assert!(!tokens.admit(path, &HeaderMap::new()) && !tokens.admit(path, &headers("")), "{path}");
            assert!(!tokens.admit(path, &headers(dir.id())) && tokens.admit(path, &all), "{path}");
            assert_eq!(tokens.admit(path, &metrics), path == "/metrics", "{path}");
        }
    }
}
