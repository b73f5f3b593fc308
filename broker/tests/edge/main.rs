//! Both doors of a real broker, over real TLS: the API as the CLI meets it, the RPCs as a
//! runner does, and what neither may do.
#![allow(clippy::unwrap_used)]

mod admit;
mod api;
mod audit;
mod bad;
mod doors;
mod flood;
mod foreign;
mod identity;
mod logs;
mod past;
mod proof;
mod rpc;
mod strangers;
mod sts;
mod trials;
mod trust;
mod why;
mod world;
