//! Both doors of a real broker, over real TLS: the API as the CLI meets it, the RPCs as a
//! runner does, and what neither may do.
#![allow(clippy::unwrap_used)]

mod admit;
mod api;
mod bad;
mod doors;
mod foreign;
mod identity;
mod logs;
mod past;
mod proof;
mod rpc;
mod strangers;
mod sts;
mod trust;
mod why;
mod world;
