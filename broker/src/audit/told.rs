//! What runners told of their receipts, as the audit log has it, and what contradicts it.

use std::collections::BTreeMap;

use remit_loops::Timestamp;
use remit_seal::document::{Checkpoint, KeySpec};
use remit_seal::verify;
use serde::{Deserialize, Serialize};

use super::block::Entry;

/// The code of an entry that says it.
pub(crate) const TOLD: &str = "receipts.told";
/// How many contradictions are collected; one is enough to act on.
const FORKS_MAX: usize = 100;

/// What one runner told once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// The entry that says it.
    pub entry: u64,
    /// When.
    pub at: Timestamp,
    /// The install's id.
    pub install: String,
    /// The install's epoch and the runner's generation.
    pub identity: String,
    /// How many receipts.
    pub records: u64,
    /// The digest of the last.
    pub head: String,
    /// The same, signed by the runner: a DSSE envelope in JSON; none from a runner that does not sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// The key that signed it, JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl Told {
    fn of(entry: &Entry) -> Option<Self> {
        let fact = |name: &str| entry.facts.get(name).cloned();
        Some(Self {
            entry: entry.n,
            at: entry.at,
            install: entry.about.clone(),
            identity: fact("identity")?,
            records: fact("records")?.parse().ok()?,
            head: fact("head")?,
            checkpoint: fact("checkpoint"),
            key: fact("key"),
        })
    }

    /// What the runner signed; an error says why it is not that.
    fn signed(&self) -> Result<(Checkpoint, String), String> {
        let (Some(checkpoint), Some(key)) = (&self.checkpoint, &self.key) else {
            return Err("it is not signed".to_owned());
        };
        let key: KeySpec = serde_json::from_str(key).map_err(|e| e.to_string())?;
        let id = key.id().map_err(|e| e.to_string())?;
        let signed = verify::checkpoint(&key, checkpoint.as_bytes()).map_err(|e| e.to_string())?;
        let signed = signed.get().clone();
        if (signed.records, signed.head.hex()) != (self.records, self.head.clone()) {
            return Err("what was signed is not what is said".to_owned());
        }
        Ok((signed, id))
    }

    fn contradicts(&self, later: &Told) -> bool {
        later.records < self.records || (later.records == self.records && later.head != self.head)
    }
}

/// The newest word of each runner, and those that contradicted one before.
#[derive(Debug, Default)]
pub(super) struct Tolds {
    newest: BTreeMap<(String, String), Told>,
    forks: Vec<(Told, Told)>,
}

impl Tolds {
    pub(super) fn hear(&mut self, entry: &Entry) {
        if entry.code != TOLD {
            return;
        }
        let Some(told) = Told::of(entry) else { return };
        let of = (told.install.clone(), told.identity.clone());
        if let Some(before) = self.newest.insert(of, told.clone())
            && before.contradicts(&told)
            && self.forks.len() < FORKS_MAX
        {
            self.forks.push((before, told));
        }
    }

    pub(super) fn into_forks(self) -> Vec<(Told, Told)> {
        self.forks
    }
}

/// Whether two words of a runner prove to a third person that its receipts were changed: both signed by one
/// key, of one install, and no chain can have both. Answers the key's id and what they prove.
pub(super) fn judge(first: &Told, second: &Told) -> Result<(String, String), String> {
    let of = |what: &str, told: &Told| told.signed().map_err(|why| format!("the {what} word: {why}"));
    let ((a, key), (b, other)) = (of("first", first)?, of("second", second)?);
    if key != other {
        return Err(format!("they are signed by different keys: {key} and {other}"));
    }
    if a.install != b.install {
        return Err(format!("they are of different installs: {} and {}", a.install, b.install));
    }
    if a.records == b.records && a.head != b.head {
        return Ok((key, format!("receipt {} of {} has two digests", a.records, a.install)));
    }
    if b.records < a.records && b.at_ms > a.at_ms {
        let (from, to) = (a.records, b.records);
        return Ok((key, format!("the receipts of {} went back from {from} to {to}", a.install)));
    }
    Err("they do not contradict each other".to_owned())
}
