//! What the tests, the benches and the simulator share: the shape of a figure. Nothing here is a test.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod figure;
