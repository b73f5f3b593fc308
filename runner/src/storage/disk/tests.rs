//! What the tests of others need of the disk.

pub(crate) mod crash;
