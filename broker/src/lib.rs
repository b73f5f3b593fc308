//! The vendor's side: hosts the event loops durably and speaks to people and to runners.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod api;
mod artifacts;
pub mod audit;
pub mod backup;
pub mod config;
mod dispatch;
mod door;
mod edge;
pub mod engine;
mod logs;
mod metrics;
mod nonce;
mod permits;
mod pki;
mod presence;
mod private_file;
mod progress;
mod reminders;
mod rpc;
pub mod serve;
pub mod signer;
pub mod store;
mod sts;
pub mod summary;
mod tokens;
mod trust;
pub mod webhooks;

pub use serve::{Listeners, Running, serve};
