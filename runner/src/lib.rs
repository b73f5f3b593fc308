//! The customer's side: enrols, leases signed jobs, verifies them, carries them out in the
//! customer's account and reports.
//!
//! Believes nothing that is not signed for this install; never depends on the broker.
//! [`start`] puts the parts together; `main.rs` is only flags and signals.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod account;
pub mod attempt;
pub mod backoff;
pub mod broker;
pub mod command;
pub mod config;
pub mod error;
pub mod executor;
pub mod halt;
pub mod lease;
pub mod outcome;
pub mod policy;
pub mod process;
pub mod progress;
pub mod proxy;
pub mod recovery;
pub mod start;
pub mod status;
pub mod stop;
pub mod storage;
pub mod value;

pub use config::Config;
pub use error::Coded;
pub use start::{Running, start};
