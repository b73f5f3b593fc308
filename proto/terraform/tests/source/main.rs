//! The reader beside terraform itself, and against sources that are meant to mislead it.
#![allow(clippy::unwrap_used)]

mod differential;
mod hostile;
mod limits;

use remit_terraform::{Inventory, Reader, Refused};

/// Reads a source of these files.
pub(crate) fn read(files: &[(&str, &str)]) -> Result<Inventory, Vec<Refused>> {
    let mut reader = Reader::of_package();
    for (path, text) in files {
        if reader.wants(path) {
            reader.file(path, text.as_bytes());
        }
    }
    reader.finish()
}
