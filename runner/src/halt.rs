//! The customer's halt switch: a file in the data directory, which works without the broker and without
//! the status API. Nothing new begins while it is there; `now` in it also ends what runs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::attempt::runner::Runner;
use crate::stop::Reason;
use crate::storage::data_dir::{read_bounded, remove_file, write_atomic};

/// The file's name in the data directory.
pub const FILE: &str = "halted";
const NOW: &str = "now";
const LEN_MAX: u64 = 64;
/// How often it is looked for.
const LOOK: Duration = Duration::from_secs(1);

/// How much is halted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// Nothing new begins.
    New,
    /// What runs is ended, too.
    Now,
}

/// What the file says; one that cannot be read halts.
pub fn read(data_dir: &Path) -> Option<Halt> {
    match read_bounded(&data_dir.join(FILE), LEN_MAX) {
        Ok(None) => None,
        Ok(Some(text)) if text.trim_ascii() == NOW.as_bytes() => Some(Halt::Now),
        Ok(Some(_)) | Err(_) => Some(Halt::New),
    }
}

/// Throws the switch; the runner of this directory sees it within a second or two.
pub fn halt(data_dir: &Path, halt: Halt) -> std::io::Result<()> {
    let text = if halt == Halt::Now { NOW } else { "new" };
    write_atomic(&data_dir.join(FILE), text.as_bytes())
}

/// Takes it back.
pub fn resume(data_dir: &Path) -> std::io::Result<()> {
    remove_file(&data_dir.join(FILE))
}

/// Watches the switch for as long as the runner runs.
pub async fn watch(runner: Arc<Runner>) {
    loop {
        obey(&runner);
        tokio::time::sleep(LOOK).await;
    }
}

/// Does what the switch says now.
pub fn obey(runner: &Runner) {
    let halt = read(runner.dir.root());
    runner.set_halted(halt.is_some());
    if halt == Some(Halt::Now) {
        for active in runner.active().values() {
            active.stop.ask(Reason::Cancelled("the customer halted the runner".to_owned()));
        }
    }
}
