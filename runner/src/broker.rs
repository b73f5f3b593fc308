//! The line to the broker, who the runner is on it, and what it believes of what comes over it.

pub mod connection;
pub mod identity;
pub mod trust;
