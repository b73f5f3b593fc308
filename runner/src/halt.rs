//! The customer's halt switch: a file in the data directory, which works without the broker and without
//! the status API. Nothing new begins while it is there; `now` in it also ends what runs.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::attempt::runner::Runner;
use crate::stop::Reason;
use crate::storage::data_dir::{read_bounded, remove_file, write_atomic};
use crate::storage::journal::Entry;

/// The file's name in the data directory.
pub const FILE: &str = "halted";
const NOW: &str = "now";
const LEN_MAX: u64 = 256;
const NAME_LEN_MAX: usize = 64;
const BY_LEN_MAX: usize = 128;
/// Who took the switch back, for the record: there only until the runner has read it.
const RESUMED_FILE: &str = "resumed";
/// Nobody said who, and no file tells.
const UNKNOWN: &str = "whoever removed the file";
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
        Ok(Some(text)) if first_line(&text) == NOW => Some(Halt::Now),
        Ok(Some(_)) | Err(_) => Some(Halt::New),
    }
}

fn first_line(text: &[u8]) -> String {
    String::from_utf8_lossy(text).lines().next().unwrap_or_default().trim().to_owned()
}

/// Who the file says threw the switch; without a word of that, whose file it is.
fn thrown_by(data_dir: &Path) -> String {
    let path = data_dir.join(FILE);
    let text = read_bounded(&path, LEN_MAX).ok().flatten().unwrap_or_default();
    let named = String::from_utf8_lossy(&text)
        .lines()
        .nth(1)
        .map(|line| crate::outcome::cut(line.to_owned(), BY_LEN_MAX));
    let owner = || path.metadata().map_or_else(|_| UNKNOWN.to_owned(), |file| format!("user {}", file.uid()));
    named.filter(|name| !name.is_empty()).unwrap_or_else(owner)
}

/// Who left word of having taken it back.
fn resumed_by(data_dir: &Path) -> String {
    let text = read_bounded(&data_dir.join(RESUMED_FILE), LEN_MAX).ok().flatten();
    text.map(|text| first_line(&text)).filter(|name| !name.is_empty()).unwrap_or_else(|| UNKNOWN.to_owned())
}

/// Throws the switch; the runner of this directory sees it within a second or two.
pub fn halt(data_dir: &Path, halt: Halt, by: &str) -> std::io::Result<()> {
    let how = if halt == Halt::Now { NOW } else { "new" };
    write_atomic(&data_dir.join(FILE), format!("{how}\n{by}\n").as_bytes())
}

/// Takes it back.
pub fn resume(data_dir: &Path, by: &str) -> std::io::Result<()> {
    write_atomic(&data_dir.join(RESUMED_FILE), by.as_bytes())?;
    remove_file(&data_dir.join(FILE))
}

/// Who asks on this machine: the name that the environment gives, and the number that the kernel gives.
pub fn asker() -> String {
    let name = std::env::var("USER").unwrap_or_default();
    let name: String = name.chars().filter(char::is_ascii_graphic).take(NAME_LEN_MAX).collect();
    let user = rustix::process::getuid().as_raw();
    if name.is_empty() { format!("user {user}") } else { format!("{name} (user {user})") }
}

/// Watches the switch for as long as the runner runs.
pub async fn watch(runner: Arc<Runner>) {
    loop {
        obey(&runner).await;
        tokio::time::sleep(LOOK).await;
    }
}

/// Does what the switch says now.
pub async fn obey(runner: &Runner) {
    let halt = read(runner.dir.root());
    let was = runner.journal.state().halted;
    if halt.is_some() {
        // First it holds, then it is put on record; it holds also where no record can be written.
        runner.set_halted(true);
        if !was {
            let by = thrown_by(runner.dir.root());
            record(runner, Entry::Halted { by, now: halt == Some(Halt::Now) }).await;
        }
    } else if !was || record(runner, Entry::Resumed { by: resumed_by(runner.dir.root()) }).await {
        let word = runner.dir.path(RESUMED_FILE);
        if word.exists() {
            let _ = remove_file(&word);
        }
        runner.set_halted(false);
    }
    if halt == Some(Halt::Now) {
        for active in runner.active().values() {
            active.stop.ask(Reason::Cancelled("the customer halted the runner".to_owned()));
        }
    }
}

async fn record(runner: &Runner, entry: Entry) -> bool {
    let recorded = runner.journal.append(entry).await;
    if let Err(error) = &recorded {
        tracing::error!(error = crate::error::chain(error), "a halt or its end cannot be put on record");
    }
    recorded.is_ok()
}
