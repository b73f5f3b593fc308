//! What crosses the wire between a runner and a broker.
//!
//! `v1` is generated; `convert` turns it into validated types and back, and nothing of
//! `v1` is used beyond the edges that speak gRPC. `limit` holds the bounds of both sides.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod caller;
pub mod convert;
pub mod limit;

/// The generated messages and services of `remit.runner.v1`.
#[allow(missing_docs, clippy::all, unreachable_pub, unused_qualifications)]
pub mod v1 {
    tonic::include_proto!("remit.runner.v1");
}
