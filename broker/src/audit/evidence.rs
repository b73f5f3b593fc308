//! What a third person needs to see that one side's log was changed, in one file: signed words of the side that
//! is accused, which cannot both be true. Nothing in it has to be believed, and nobody has to be asked.

use remit_seal::Digest;
use remit_seal::document::{AuditPlace, KeySpec};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::verify;
use serde::{Deserialize, Serialize};

use super::block::Header;
use super::told::{Told, judge as judge_told};

/// A broker's signed word on a place in its audit log, as it is kept in a file: a checkpoint of the log itself,
/// or what the broker signed of a runner's receipts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// A DSSE envelope in JSON.
    pub signed: String,
    /// Public keys, one of which verifies it.
    pub keys: Vec<KeySpec>,
}

/// What such a word says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The place in the audit log.
    pub place: AuditPlace,
    /// When it was signed, by the broker's clock.
    pub at_ms: i64,
    /// The id of the key that signed it.
    pub key: String,
}

impl Kept {
    /// What it says, if one of the keys signed it; with an id, only that key counts.
    pub fn word(&self, only: Option<&str>) -> Result<Word, String> {
        let bytes = self.signed.as_bytes();
        let mut why = "no key is given that signed it".to_owned();
        for key in &self.keys {
            let id = key.id().map_err(|e| e.to_string())?;
            if only.is_some_and(|only| only != id) {
                continue;
            }
            let found = if Envelope::parse(bytes, PayloadType::Seen).is_ok() {
                verify::seen_by(key, bytes).map(|seen| (seen.get().audit.clone(), seen.get().at_ms))
            } else {
                let place = verify::audit_checkpoint(key, bytes);
                place.map(|signed| (signed.get().place.clone(), signed.get().at_ms))
            };
            match found {
                Ok((place, at_ms)) => return Ok(Word { place, at_ms, key: id }),
                Err(refusal) => why = refusal.to_string(),
            }
        }
        Err(why)
    }
}

/// Proof that one side's log was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Evidence {
    /// A runner told two things of its receipts.
    Receipts {
        /// What it told first.
        first: Box<Told>,
        /// What it told later.
        second: Box<Told>,
    },
    /// A broker signed two things of its audit log.
    Log {
        /// What it signed once.
        kept: Kept,
        /// What it signs now.
        now: Kept,
        /// The headers from the block that was signed once to the one that is signed now.
        headers: Vec<String>,
    },
}

/// What a piece of evidence proves, and the id of the key that its words are signed with; an error says why it
/// proves nothing.
pub fn judge(evidence: &Evidence) -> Result<(String, String), String> {
    match evidence {
        Evidence::Receipts { first, second } => judge_told(first, second),
        Evidence::Log { kept, now, headers } => judge_log(kept, now, headers),
    }
}

fn judge_log(kept: &Kept, now: &Kept, headers: &[String]) -> Result<(String, String), String> {
    let (kept, now) = (kept.word(None)?, now.word(None)?);
    let key = if kept.key == now.key { kept.key } else { format!("{} and {}", kept.key, now.key) };
    let (old, new) = (kept.place, now.place);
    if old.chain != new.chain {
        return Ok((key, format!("log {} took the place of log {}", new.chain, old.chain)));
    }
    if new.block < old.block {
        return if now.at_ms > kept.at_ms {
            Ok((key, format!("the audit log went back from block {} to {}", old.block, new.block)))
        } else {
            Err("the shorter log was signed first".to_owned())
        };
    }
    let two =
        |a: &Digest, b: &Digest| format!("block {} of the audit log has two digests: {a} and {b}", old.block);
    if old.block == new.block && old.head != new.head {
        return Ok((key, two(&old.head, &new.head)));
    }
    let head = links(headers, old.block)?;
    if head.1 != new.head {
        return Err("the headers do not lead to what is signed now".to_owned());
    }
    if head.0 == old.head {
        return Err("the log that is signed now passed through what was signed once".to_owned());
    }
    Ok((key, two(&old.head, &head.0)))
}

/// The digests of the first and the last of these headers, each of which follows from the one before.
fn links(headers: &[String], first: u64) -> Result<(Digest, Digest), String> {
    let mut ends: Option<(Digest, Digest)> = None;
    for (number, text) in (first..).zip(headers) {
        let header: Header = serde_json::from_str(text).map_err(|e| format!("a header: {e}"))?;
        if header.block != number || ends.is_some_and(|(_, last)| last != header.prev) {
            return Err(format!("header {number} does not follow from the one before it"));
        }
        let digest = Digest::of(text.as_bytes());
        ends = Some(ends.map_or((digest, digest), |(first, _)| (first, digest)));
    }
    ends.ok_or_else(|| "there are no headers in it".to_owned())
}
