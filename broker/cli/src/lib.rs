//! `remit`, the vendor's command line: describe a product, cut releases, drive installs.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod product;
