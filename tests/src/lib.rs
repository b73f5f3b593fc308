//! What tests and benches share: the shape of a figure, and a world of real processes. No tests here.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod figure;
pub mod world;
