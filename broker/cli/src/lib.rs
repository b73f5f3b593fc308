//! `remit`, the vendor's command line: describe a product, cut releases, drive installs.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod args;
pub mod audit;
pub mod client;
pub mod command;
pub mod context;
pub mod failure;
pub mod keys;
pub mod operations;
pub mod output;
pub mod package;
pub mod product;
pub mod release;
pub mod scenario;
mod selector;
pub mod simulate;
pub mod simulation;
mod times;
pub mod watch;
