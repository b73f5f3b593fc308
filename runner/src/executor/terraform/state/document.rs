//! How a component's terraform state is kept: terraform's own bytes, with the newest fence put before them.
//!
//! It is still a state that terraform reads: it looks over a member that it does not know. Each attempt puts its
//! fence in before anything else, and with that every older attempt's version of the object is no longer there
//! to be written over.

use std::io;

use remit_seal::Digest;
use serde::{Deserialize, Serialize};

use crate::outcome::Attempt;

const VERSION: u32 = 1;
const OPENING: &[u8] = br#"{"remit":"#;

/// Whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    version: u32,
    /// The newest fence.
    pub fence: u64,
    /// The attempt, for people.
    pub attempt: String,
    /// Since when its fence is counted: one that is counted since later is greater.
    #[serde(default)]
    pub counted_ms: i64,
}

impl Default for Mark {
    fn default() -> Self {
        Self { version: VERSION, fence: 0, attempt: String::new(), counted_ms: 0 }
    }
}

impl Mark {
    /// This attempt's.
    pub fn of(attempt: &Attempt, counted_ms: i64) -> Self {
        Self { version: VERSION, fence: attempt.fence, attempt: attempt.mark(), counted_ms }
    }

    /// Whether a later attempt than this one has put its own in.
    pub fn is_before(&self, other: &Mark) -> bool {
        (self.counted_ms, self.fence) < (other.counted_ms, other.fence)
    }
}

/// What is kept of a component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// Whose turn it is; fence 0 where nobody's was put in yet.
    pub mark: Mark,
    /// Terraform's state, to the byte; `None` before there is one.
    pub body: Option<Vec<u8>>,
}

impl Document {
    /// As it is kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mark = serde_json::to_vec(&self.mark).expect("a mark is texts and whole numbers");
        let mut bytes = [OPENING, mark.as_slice()].concat();
        match self.body.as_deref().and_then(after_brace) {
            None => bytes.push(b'}'),
            Some(rest) => {
                if !rest.trim_ascii_start().starts_with(b"}") {
                    bytes.push(b',');
                }
                bytes.extend_from_slice(rest);
            }
        }
        bytes
    }

    /// Reads what is kept, or a state that terraform itself has written.
    pub fn from_bytes(bytes: &[u8]) -> io::Result<Self> {
        let Some(rest) = bytes.strip_prefix(OPENING) else {
            return Ok(Self { mark: Mark::default(), body: Some(bytes.to_vec()) });
        };
        let mut marks = serde_json::Deserializer::from_slice(rest).into_iter::<Mark>();
        let mark = marks.next().ok_or_else(|| damaged("it ends in its first line"))??;
        let rest = &rest[marks.byte_offset()..];
        if mark.version != VERSION {
            return Err(damaged("a newer runner has written it"));
        }
        let body = match rest.split_first() {
            Some((b'}', [])) => None,
            Some((b'}', _)) => Some([&b"{"[..], rest].concat()),
            Some((b',', rest)) => Some([&b"{"[..], rest].concat()),
            _ => Some([&b"{"[..], rest].concat()),
        };
        Ok(Self { mark, body })
    }
}

fn after_brace(body: &[u8]) -> Option<&[u8]> {
    body.trim_ascii_start().strip_prefix(b"{")
}

fn damaged(words: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, words.to_owned())
}

/// What a state says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Random for each state that was begun anew.
    pub lineage: String,
    /// Greater with each change.
    pub serial: u64,
    /// Of its bytes.
    pub digest: Digest,
    /// The resources that it lists, by address; data sources are left out.
    pub managed: Vec<String>,
    /// Whether it lists anything at all, outputs too.
    pub is_empty: bool,
}

#[derive(Deserialize)]
struct State {
    lineage: String,
    serial: u64,
    #[serde(default)]
    resources: Vec<Resource>,
    #[serde(default)]
    outputs: std::collections::BTreeMap<String, serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Resource {
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    name: String,
}

impl Head {
    /// Reads a state. An error says only where it is: what could not be read may hold secrets.
    pub fn read(body: &[u8]) -> io::Result<Self> {
        let state: State = serde_json::from_slice(body)
            .map_err(|e| damaged(&format!("line {}, column {}", e.line(), e.column())))?;
        let is_empty = state.resources.is_empty() && state.outputs.is_empty();
        let managed = state.resources.into_iter().filter(|r| r.mode == "managed");
        let managed = managed.map(|r| format!("{}.{}", r.kind, r.name)).collect();
        let (lineage, serial, digest) = (state.lineage, state.serial, Digest::of(body));
        Ok(Self { lineage, serial, digest, managed, is_empty })
    }

    /// Whether this may follow that one: of one lineage, and never back.
    pub fn may_follow(&self, before: &Head) -> bool {
        self.lineage == before.lineage
            && (self.serial > before.serial || (self.serial == before.serial && self.digest == before.digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(fence: u64) -> Mark {
        Mark::of(&Attempt { job: "job_a".to_owned(), attempt: 1, fence }, 0)
    }

    #[test]
    fn terraforms_bytes_come_back_as_they_were_and_stay_a_state() {
        let bodies: [&[u8]; 3] = [b"{\n  \"serial\": 1e2\n}\n", b"{ }", b"{\"a\":[1,{\"b\":\"}\"}]}"];
        for body in bodies {
            let made = Document { mark: mark(7), body: Some(body.to_vec()) };
            let bytes = made.to_bytes();
            assert_eq!(Document::from_bytes(&bytes).unwrap(), made, "{}", String::from_utf8_lossy(&bytes));
            let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(json["remit"]["fence"], 7);
        }
        let none = Document { mark: mark(7), body: None };
        assert_eq!(Document::from_bytes(&none.to_bytes()).unwrap(), none);
    }

    #[test]
    fn a_state_that_terraform_wrote_itself_is_of_no_fence() {
        let document = Document::from_bytes(b"{\"version\": 4}").unwrap();
        assert_eq!((document.mark.fence, document.body.as_ref().unwrap().len()), (0, 14));
        assert_eq!(Document::from_bytes(&document.to_bytes()).unwrap(), document);
        assert!(Document::from_bytes(b"{\"remit\":").is_err());
        assert!(Document::from_bytes(br#"{"remit":{"version":2,"fence":1,"attempt":""}}"#).is_err());
    }

    #[test]
    fn a_state_goes_on_in_its_lineage_and_never_back() {
        let head = |lineage: &str, serial: u64, more: &str| {
            let text = format!(r#"{{"lineage":"{lineage}","serial":{serial},"resources":[],"x":"{more}"}}"#);
            Head::read(text.as_bytes()).unwrap()
        };
        let now = head("a", 5, "");
        assert!(head("a", 6, "").may_follow(&now) && head("a", 5, "").may_follow(&now));
        for wrong in [head("b", 6, ""), head("a", 4, ""), head("a", 5, "other")] {
            assert!(!wrong.may_follow(&now), "{wrong:?}");
        }
    }

    #[test]
    fn an_unreadable_state_is_not_repeated() {
        let error = Head::read(b"{\"lineage\": \"hunter2\", \"serial\": \"x\"}").unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
