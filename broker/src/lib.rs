//! The vendor's side: hosts the event loops durably and speaks to people and to runners.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod api;
pub mod engine;
pub mod store;
