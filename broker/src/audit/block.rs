//! Entries and blocks: what the audit log is made of, and how one thing in it proves another.
//!
//! An entry's digest is of its exact text; a block's header names the digests of its entries and of the
//! header before it. So a block proves all before it, also to who may not read every entry.

use std::collections::BTreeMap;

use remit_loops::Timestamp;
use remit_seal::Digest;
use remit_seal::document::AuditPlace;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The version of entries and headers; a new meaning is a new version.
pub(super) const FORMAT: u32 = 1;
/// The longest text of a fact, a subject or an author; longer ones are cut.
const TEXT_LEN_MAX: usize = 4 << 10;
/// The most facts of one entry.
const FACTS_MAX: usize = 16;

/// One decision: who did what, to what, when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its number, from 1.
    pub n: u64,
    /// When.
    pub at: Timestamp,
    /// Random, so that nobody can guess an entry from its digest.
    pub salt: String,
    /// Whose it is; none: only the broker's operator reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<String>,
    /// The name of a token, an object's id, or `broker`.
    pub by: String,
    /// What, e.g. `signal`, `request`, `envelope.signed`.
    pub code: String,
    /// To what: an object's id or a path of the API.
    pub about: String,
    /// The rest, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
}

/// What a block says of itself; its exact text is what its digest is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The version of this form.
    pub version: u32,
    /// Which log it is of.
    pub chain: String,
    /// Its number, from 1.
    pub block: u64,
    /// When it was made.
    pub at: Timestamp,
    /// The digest of the header before it; of no bytes for the first.
    pub prev: Digest,
    /// The number of its first entry.
    pub first: u64,
    /// The entries hold what people asked of objects up to this place in the log of events.
    pub log: u64,
    /// The digests of its entries.
    pub entries: Vec<Digest>,
}

/// A block as it is stored and exported: exact texts. An entry that the reader may not see is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Its header.
    pub header: String,
    /// Its entries.
    pub entries: Vec<Option<String>>,
}

/// Where a log stands: what the next block follows from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tip {
    pub(super) place: AuditPlace,
    pub(super) log: u64,
}

/// An entry that has no place yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct New {
    pub(crate) org: Option<String>,
    pub(crate) by: String,
    pub(crate) code: &'static str,
    pub(crate) about: String,
    pub(crate) facts: BTreeMap<String, String>,
}

impl New {
    /// With one more fact.
    #[expect(clippy::needless_pass_by_value, reason = "texts and numbers are given as they come")]
    pub(crate) fn fact(mut self, name: &str, value: impl ToString) -> Self {
        self.facts.insert(name.to_owned(), value.to_string());
        self
    }

    fn into_entry(self, n: u64, at: Timestamp, salt: String) -> Entry {
        let Self { org, by, code, about, facts } = self;
        let facts = facts.into_iter().take(FACTS_MAX).map(|(name, value)| (name, cut(value))).collect();
        Entry { n, at, salt, org, by: cut(by), code: code.to_owned(), about: cut(about), facts }
    }
}

fn cut(mut text: String) -> String {
    let mut end = text.len().min(TEXT_LEN_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

impl Tip {
    /// Before the first block of a new log.
    pub(super) fn none(chain: String) -> Self {
        Self { place: AuditPlace { chain, block: 0, entries: 0, head: Digest::of(b"") }, log: 0 }
    }

    /// After a block.
    pub(super) fn after(header: &Header, text: &str) -> Self {
        let entries = header.first + header.entries.len() as u64 - 1;
        let (chain, block, head) = (header.chain.clone(), header.block, Digest::of(text.as_bytes()));
        Self { place: AuditPlace { chain, block, entries, head }, log: header.log }
    }

    /// The block that follows, with these entries, and where the log stands then.
    pub(super) fn next(&self, at: Timestamp, log: u64, news: Vec<(New, String)>) -> (Block, Tip) {
        let first = self.place.entries + 1;
        let entry = |(n, (new, salt)): (u64, (New, String))| text(&new.into_entry(n, at, salt));
        let entries: Vec<String> = (first..).zip(news).map(entry).collect();
        let header = Header {
            version: FORMAT,
            chain: self.place.chain.clone(),
            block: self.place.block + 1,
            at,
            prev: self.place.head,
            first,
            log,
            entries: entries.iter().map(|entry| Digest::of(entry.as_bytes())).collect(),
        };
        let written = text(&header);
        let tip = Tip::after(&header, &written);
        (Block { header: written, entries: entries.into_iter().map(Some).collect() }, tip)
    }
}

impl Block {
    /// What its header says.
    pub fn header(&self) -> Result<Header, String> {
        serde_json::from_str(&self.header).map_err(|e| format!("a header cannot be read: {e}"))
    }

    /// The same for somebody who may read only some of the entries.
    pub(crate) fn seen_by(mut self, may_see: impl Fn(&Entry) -> bool) -> Self {
        let is_seen = |text: &String| serde_json::from_str::<Entry>(text).is_ok_and(|entry| may_see(&entry));
        self.entries.iter_mut().for_each(|entry| *entry = entry.take().filter(&is_seen));
        self
    }

    /// The entries that are there and can be read.
    pub(crate) fn read(&self) -> impl DoubleEndedIterator<Item = Entry> + '_ {
        self.entries.iter().flatten().filter_map(|text| serde_json::from_str(text).ok())
    }
}

fn text<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("texts and whole numbers with text keys are always JSON")
}
