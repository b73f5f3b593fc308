//! How many connections each listener takes, fitted into the open files that this process may have.

use std::time::Duration;

use remit_proto::limit::STREAMS_MAX;
use rustix::process::{Resource, Rlimit};

use super::Limits;

/// A runner has one connection; one of the API's clients may have many requests on one.
const API_LIMITS: Limits = Limits {
    connections_max: 4096,
    streams_max: 128,
    window: 256 * 1024,
    age_max: None,
    http1: true,
    gathers: true,
};
const RPC_LIMITS: Limits = Limits {
    connections_max: 65_536,
    streams_max: STREAMS_MAX,
    window: 64 * 1024,
    age_max: Some(Duration::from_secs(3600)),
    http1: false,
    gathers: false,
};

/// However few files may be open, so many connections are tried.
const CONNECTIONS_MIN: usize = 16;

/// Raises the limit of open files as far as this process may, and fits the listeners' connections into it: an eighth
/// to the API, which few people use, and half to the runners. Returns the limits of both.
pub(crate) fn fit() -> (Limits, Limits) {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let files = match rustix::process::setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let files = files.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
    let fit = |limits: Limits, part: usize| Limits {
        connections_max: limits.connections_max.min((files / part).max(CONNECTIONS_MIN)),
        ..limits
    };
    let (api, rpc) = (fit(API_LIMITS, 8), fit(RPC_LIMITS, 2));
    if rpc.connections_max < RPC_LIMITS.connections_max {
        let (api, rpc) = (api.connections_max, rpc.connections_max);
        tracing::warn!(
            files,
            runners = rpc,
            api,
            "few open files are allowed, so few connections: raise the hard limit (ulimit -Hn, LimitNOFILE=)"
        );
    }
    (api, rpc)
}
