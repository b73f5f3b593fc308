//! What a terraform source says, read as terraform reads it: which blocks there are and where each stands.
//!
//! For the runner, which asks the customer's policy about it before anything of it runs, and for the vendor's
//! CLI, which finds the same before a release is signed. What cannot be read with certainty is refused. The
//! crate does no IO: the caller gives paths and bytes.

mod body;
mod files;
mod inventory;
mod json;
mod lock;
mod native;
mod reader;

pub use files::{Syntax, syntax};
pub use inventory::{CREDENTIALS, HATCHES, Inventory, Item, What};
pub use lock::{Locked, locked};
pub use reader::{Code, Place, Reader, Refused};

/// The longest file that is read, in bytes.
pub const FILE_LEN_MAX: usize = 1 << 20;
/// The most bytes of all files of a source together.
pub const SOURCE_LEN_MAX: usize = 16 << 20;
/// The most files of a source that terraform reads.
pub const FILES_MAX: usize = 5_000;
/// How many folders deep a source is.
pub const DEPTH_MAX: usize = 16;
