//! The channel of releases that the customer pinned: a file of the data directory, made at the first start
//! and changed by the customer alone. The broker has no say in it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use remit_seal::document::CHANNEL_DEFAULT;
use remit_seal::verify::is_name;

use crate::attempt::runner::Runner;
use crate::storage::data_dir::{DataDir, read_bounded, write_atomic};
use crate::storage::journal::{self, Entry};

/// The file's name in the data directory.
pub const FILE: &str = "channel";
const LEN_MAX: u64 = 256;

/// The pinned channel, as it is now.
#[derive(Debug)]
pub struct Pin {
    path: PathBuf,
    known: Mutex<String>,
}

impl Pin {
    /// What was pinned in this directory; where nothing was yet, this channel, or `stable`.
    pub fn establish(dir: &DataDir, wanted: Option<&str>) -> io::Result<Self> {
        let path = dir.path(FILE);
        let known = match read(&path)? {
            Some(kept) => {
                if let Some(wanted) = wanted.filter(|wanted| *wanted != kept) {
                    tracing::warn!(
                        pinned = kept,
                        wanted,
                        "the channel stays as it was pinned; `remit-runner channel set` changes it"
                    );
                }
                kept
            }
            None => {
                let wanted = wanted.unwrap_or(CHANNEL_DEFAULT).to_owned();
                write_atomic(&path, wanted.as_bytes())?;
                wanted
            }
        };
        Ok(Self { path, known: Mutex::new(known) })
    }

    /// The channel now: the customer may have changed it. A file that cannot be read changes nothing.
    pub fn channel(&self) -> String {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match read(&self.path) {
            Ok(Some(now)) => *known = now,
            Ok(None) => tracing::error!("the file of the pinned channel is gone; it stays {known}"),
            Err(error) => tracing::error!(%error, "the pinned channel cannot be read; it stays {known}"),
        }
        known.clone()
    }
}

/// What is pinned in this data directory, if anything is.
pub fn read_in(data_dir: &Path) -> io::Result<Option<String>> {
    read(&data_dir.join(FILE))
}

/// Pins another channel; the runner of this directory keeps to it from the next job on.
pub fn write_in(data_dir: &Path, channel: &str) -> io::Result<()> {
    write_atomic(&data_dir.join(FILE), channel.as_bytes())
}

fn read(path: &Path) -> io::Result<Option<String>> {
    let Some(bytes) = read_bounded(path, LEN_MAX)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    if is_name(&text) {
        return Ok(Some(text));
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "it holds no name of a channel"))
}

/// Before anything is decided by it, a change of the pin is on record.
pub(crate) async fn keep_on_record(runner: &Runner) -> Result<(), journal::Error> {
    let name = runner.pin.channel();
    if runner.journal.state().channel.as_ref() == Some(&name) {
        return Ok(());
    }
    tracing::info!(channel = name, "keeping to the releases of this channel");
    runner.journal.append(Entry::Channel { name }).await
}
