//! Signed documents and their verification: what a runner may believe.
//!
//! Pure: no async, no IO, no clock, no `unsafe`. The verifier hands on the very bytes it
//! verified; every refusal has a stable code.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod archive;
pub mod customer;
pub mod digest;
pub mod document;
pub mod dsse;
pub mod key;
pub mod kind;
mod payload;
pub mod refusal;
pub mod strict;
pub mod verify;

pub use digest::Digest;
pub use refusal::Refusal;
