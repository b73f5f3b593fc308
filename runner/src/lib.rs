//! The customer's side: enrols, leases signed jobs, verifies them, carries them out in the
//! customer's account and reports.
//!
//! Believes nothing that is not signed for this install; never depends on the broker.
//! `Runner::start` puts the parts together; `main.rs` is only flags and signals.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod admission;
pub mod approval;
pub mod archive;
pub mod artifact;
pub mod attempt;
mod aws;
pub mod backoff;
pub mod cell;
pub mod cli;
pub mod config;
pub mod confine;
pub mod customer;
pub mod data_dir;
pub mod disk;
pub mod executor;
pub mod fault;
pub mod halt;
pub mod identity;
pub mod inputs;
pub mod journal;
pub mod kubernetes;
pub mod lease;
pub mod link;
pub mod lock;
pub mod logs;
pub mod outcome;
pub mod outputs;
pub mod policy;
pub mod process;
pub mod recovery;
pub mod report;
pub mod runner;
pub mod secret;
pub mod state;
pub mod status;
pub mod stop;
pub mod trust;

pub use config::Config;
pub use fault::Coded;
pub use runner::{Running, start};
