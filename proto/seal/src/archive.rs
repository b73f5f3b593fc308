//! Bounds of a component's packaged source (tar + zstd): who packs keeps to them, who unpacks enforces them.

/// The most entries.
pub const ENTRIES_MAX: usize = 50_000;
/// The most bytes of all files together.
pub const UNPACKED_LEN_MAX: u64 = 2 << 30;
/// How many times greater than the package its content may be.
pub const RATIO_MAX: u64 = 100;
/// Content up to this size may be of any ratio: a small text packs well.
pub const RATIO_FREE_LEN: u64 = 1 << 20;
/// The longest path, in bytes.
pub const PATH_LEN_MAX: usize = 512;
