//! `remit`, the vendor's command line: describe a product, cut releases, drive installs.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod failure;
pub mod keys;
pub mod package;
pub mod product;
pub mod release;
