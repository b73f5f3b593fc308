//! What waits for the customer, in words and with the digest that approves it: in the data directory, so that
//! `remit-runner approve` works without the runner and the broker.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use remit_seal::Digest;
use remit_seal::customer::Program;
use remit_seal::document::{Class, Value};
use remit_seal::verify::CUSTOMER_WHAT_LEN_MAX;
use serde::{Deserialize, Serialize};

use super::judge::Asked;
use crate::error::now_ms;
use crate::outcome::cut;
use crate::policy::Release;
use crate::storage::data_dir::{read_bounded, write_atomic};

const FILE: &str = "waiting.json";
const FILE_LEN_MAX: u64 = 256 * 1024;
/// How many are shown at once; those that were not asked for longest make room.
const WAITING_MAX: usize = 64;
/// What is not asked for any more is forgotten after so long: longer than a job may wait to start.
const FORGET_MS: i64 = 20 * 60 * 1000;
/// How many digits of a digest are shown. Nobody finds another content with the same ones: who chooses what is
/// offered would have to try 2^64.
const SHOWN_LEN: usize = 16;
/// The longest value of an input that is shown.
const VALUE_LEN_MAX: usize = 60;

/// Something that waits for the customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// What approves it, hexadecimal.
    pub digest: String,
    /// What that is, in words.
    pub what: String,
    /// The plan that it is of, as the vendor is told of it, hexadecimal; it approves the content with that plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Whether it approves every run of a program; else a content until it has succeeded once.
    pub is_program: bool,
    /// The job that asks.
    pub job: String,
    /// Since when.
    pub since_ms: i64,
}

impl Waiting {
    /// A job's content, with the plan that it made, counted, if it made one.
    pub fn content(asked: &Asked, job: &str, release: &Release, counted: Option<&str>) -> Self {
        let (digest, what) = (asked.contents().remove(0).hex(), in_words(asked, release, counted));
        let plan = asked.own_plan.or(asked.content.plan).map(|plan| plan.hex());
        Self { digest, what, plan, ..Self::by(job) }
    }

    /// Every run of a program.
    pub fn program(program: &Program, job: &str) -> Self {
        let Program { component, kind, operation, source, command, .. } = program;
        let kind = kind.as_str();
        let command = plain(&command.join(" "), 3 * VALUE_LEN_MAX);
        let what = format!(
            "every run of `{command}`, {operation} of `{component}` ({kind}), with the source {}",
            shown(&source.hex())
        );
        let what = plain(&what, CUSTOMER_WHAT_LEN_MAX);
        Self { digest: program.digest().hex(), what, is_program: true, ..Self::by(job) }
    }

    /// What is named by its whole digest on a machine that does not know what it is of.
    pub fn unseen(digest: String) -> Self {
        Self { digest, ..Self::by("") }
    }

    fn by(job: &str) -> Self {
        let (digest, what) = Default::default();
        Self { digest, what, plan: None, is_program: false, job: job.to_owned(), since_ms: now_ms() }
    }

    /// Whether these are the first digits of what approves it, or of its plan.
    pub fn is_named(&self, digits: &str) -> bool {
        self.digest.starts_with(digits) || self.plan.as_ref().is_some_and(|plan| plan.starts_with(digits))
    }

    /// The first digits of what approves it.
    pub fn shown(&self) -> &str {
        shown(&self.digest)
    }

    /// The command that approves it, for everybody to read.
    pub fn command(&self) -> String {
        format!("remit-runner approve {}", self.shown())
    }

    /// The same for whoever is on the runner's machine.
    pub fn command_here(&self, data_dir: &Path) -> String {
        format!("{} --data-dir {} --key customer.key", self.command(), data_dir.display())
    }
}

/// The first digits of a digest.
pub fn shown(digest: &str) -> &str {
    digest.get(..SHOWN_LEN).unwrap_or(digest)
}

fn in_words(asked: &Asked, release: &Release, counted: Option<&str>) -> String {
    let content = &asked.content;
    let (operation, component, kind) = (&content.operation, &content.component, content.kind.as_str());
    let mut words = format!(
        "{operation} of `{component}` ({kind}) by release {} ({} {})",
        release.version, release.channel, release.counter
    );
    for (name, value) in &content.inputs {
        words.push_str(&format!(", {name}={}", value_in_words(value)));
    }
    if let Some(plan) = content.plan {
        words.push_str(&format!(", its plan {}", shown(&plan.hex())));
    }
    if let (Some(plan), Some(counted)) = (asked.own_plan, counted) {
        words.push_str(&format!(", its plan {}: {counted}", shown(&plan.hex())));
    }
    if content.class == Class::Destroy {
        words.push_str(": it is removed");
    }
    for (is, said) in [(content.rehearsal, ", only rehearsed"), (content.break_glass, ", by a broken glass")]
    {
        words.push_str(if is { said } else { "" });
    }
    plain(&words, CUSTOMER_WHAT_LEN_MAX)
}

fn value_in_words(value: &Value) -> String {
    plain(&serde_json::to_string(value).unwrap_or_default(), VALUE_LEN_MAX)
}

/// One line without anything that a terminal would obey.
fn plain(text: &str, max: usize) -> String {
    cut(text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(), max)
}

/// All that waits here.
#[derive(Debug)]
pub struct Waits {
    path: PathBuf,
    held: Mutex<BTreeMap<String, (Waiting, i64)>>,
}

impl Waits {
    /// None yet, in this data directory.
    pub fn new(data_dir: &Path) -> Self {
        let waits = Self { path: data_dir.join(FILE), held: Mutex::default() };
        waits.change(|held| held.clear(), true);
        waits
    }

    /// Takes note of one that waits, again and again for as long as it does; whether it is news.
    pub fn note(&self, waiting: Waiting) -> bool {
        let now = now_ms();
        let note = |held: &mut BTreeMap<String, (Waiting, i64)>| {
            held.entry(waiting.digest.clone()).or_insert((waiting, now)).1 = now;
            held.retain(|_, (_, seen)| now - *seen < FORGET_MS);
            if held.len() > WAITING_MAX {
                let oldest = held.iter().min_by_key(|(_, (_, seen))| *seen).map(|(digest, _)| digest.clone());
                oldest.and_then(|digest| held.remove(&digest));
            }
        };
        self.change(note, false)
    }

    /// These wait no more.
    pub fn gone<'a>(&self, digests: impl IntoIterator<Item = &'a Digest>) {
        let digests: Vec<String> = digests.into_iter().map(Digest::hex).collect();
        self.change(|held| held.retain(|digest, _| !digests.contains(digest)), false);
    }

    /// What waits, the longest first.
    pub fn list(&self) -> Vec<Waiting> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        sorted(held.values().map(|(waiting, _)| waiting.clone()).collect())
    }

    /// On disk whenever it is another list.
    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, (Waiting, i64)>), always: bool) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let before: Vec<String> = held.keys().cloned().collect();
        change(&mut held);
        if !always && before.iter().eq(held.keys()) {
            return false;
        }
        let list = sorted(held.values().map(|(waiting, _)| waiting.clone()).collect());
        let json = serde_json::to_vec(&list).expect("texts and whole numbers are always JSON");
        if let Err(error) = write_atomic(&self.path, &json) {
            tracing::warn!(%error, "what waits for the customer cannot be written down");
        }
        true
    }
}

fn sorted(mut list: Vec<Waiting>) -> Vec<Waiting> {
    list.sort_by_key(|waiting| waiting.since_ms);
    list
}

/// What waits in a data directory, as its runner wrote it down last.
pub fn read(data_dir: &Path) -> io::Result<Vec<Waiting>> {
    let bytes = read_bounded(&data_dir.join(FILE), FILE_LEN_MAX)?.unwrap_or_else(|| b"[]".to_vec());
    serde_json::from_slice(&bytes).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(digest: &str) -> Waiting {
        Waiting { digest: digest.to_owned(), what: "x".to_owned(), ..Waiting::by("job_a") }
    }

    #[test]
    fn what_waits_is_on_disk_until_it_waits_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let waits = Waits::new(dir.path());
        let [one, two] = [b"1", b"2"].map(|bytes| Digest::of(bytes));
        for digest in [one, two, one] {
            waits.note(waiting(&digest.hex()));
        }
        assert_eq!(read(dir.path()).unwrap().len(), 2);
        assert_eq!(waits.list(), read(dir.path()).unwrap());
        waits.gone(&[one]);
        assert_eq!(read(dir.path()).unwrap(), vec![waits.list().remove(0)]);
        assert_eq!(waits.list()[0].shown(), &two.hex()[..16]);
        // A runner that starts anew asks anew.
        assert!(Waits::new(dir.path()).list().is_empty() && read(dir.path()).unwrap().is_empty());
    }

    #[test]
    fn it_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let waits = Waits::new(dir.path());
        (0..WAITING_MAX + 9).for_each(|n| assert!(waits.note(waiting(&format!("{n:064}")))));
        assert_eq!(read(dir.path()).unwrap().len(), WAITING_MAX);
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_shown() {
        assert_eq!(plain("a\u{1b}[2Jb\nc", 99), "a [2Jb c");
        assert!(plain(&"é".repeat(400), 512).len() <= 512);
    }
}
