//! What is written of a component's lock: who holds or last held it, by which fence, since when.

use remit_seal::Digest;
use serde::{Deserialize, Serialize};

use super::owner::Owner;
use crate::outcome::Attempt;

/// The version of the form that is written.
const VERSION: u32 = 2;
/// The greatest record, in bytes.
pub const RECORD_LEN_MAX: u64 = 64 * 1024;

/// How far the holder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nothing was changed by it yet.
    Taken,
    /// It may be changing things.
    Running,
    /// It holds it no more.
    Free,
}

/// Who holds or last held a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    version: u32,
    /// The component.
    pub component: String,
    /// The attempt; its fence is the greatest there was.
    pub attempt: Attempt,
    /// Its sequence number.
    pub seq: u64,
    /// Since when its fence is counted: one that is counted since later is greater.
    #[serde(default)]
    pub counted_ms: i64,
    /// The generation of its runner.
    pub generation: u64,
    /// The process.
    pub owner: Owner,
    /// How far it is.
    pub phase: Phase,
    /// When it was taken, by the owner's clock.
    pub since_ms: i64,
}

impl Record {
    /// One that is just being taken.
    pub fn taken(
        component: &str,
        attempt: &Attempt,
        (seq, counted_ms): (u64, i64),
        generation: u64,
        owner: Owner,
    ) -> Self {
        Self {
            version: VERSION,
            component: component.to_owned(),
            attempt: attempt.clone(),
            seq,
            counted_ms,
            generation,
            owner,
            phase: Phase::Taken,
            since_ms: crate::error::now_ms(),
        }
    }

    /// The same holding, so far.
    pub fn in_phase(&self, phase: Phase) -> Self {
        Self { phase, ..self.clone() }
    }

    /// Whether somebody holds it.
    pub fn is_held(&self) -> bool {
        self.phase != Phase::Free
    }

    /// Names this holding and no other, whatever becomes of it: sha256, hexadecimal.
    pub fn holding(&self) -> String {
        let of = (&self.component, &self.attempt, &self.owner, self.since_ms);
        Digest::of(&serde_json::to_vec(&of).expect("texts and whole numbers")).hex()
    }

    /// As it is written.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a record is texts and whole numbers")
    }

    /// Reads one, of this form or of the first.
    pub fn from_json(component: &str, bytes: &[u8]) -> std::io::Result<Self> {
        #[derive(Deserialize)]
        struct Form {
            version: u32,
        }
        let form: Form = serde_json::from_slice(bytes)?;
        if form.version == 1 {
            let first: First = serde_json::from_slice(bytes)?;
            return Ok(first.into_record(component));
        }
        let record: Self = serde_json::from_slice(bytes)?;
        if record.version != VERSION || record.component != component {
            let words = format!("it is of form {} and of `{}`", record.version, record.component);
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, words));
        }
        Ok(record)
    }
}

/// The first form, which only a data directory ever held.
#[derive(Deserialize)]
struct First {
    #[serde(flatten)]
    attempt: Attempt,
    seq: u64,
    boot: String,
    held: bool,
}

impl First {
    fn into_record(self, component: &str) -> Record {
        let owner = Owner { boot: self.boot, ..Owner::default() };
        let phase = if self.held { Phase::Running } else { Phase::Free };
        Record { phase, since_ms: 0, ..Record::taken(component, &self.attempt, (self.seq, 0), 0, owner) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_the_first_form_is_read() {
        let first =
            br#"{"version":1,"job":"job_a","attempt":2,"fence":7,"seq":5,"boot":"b","pid":1,"held":true}"#;
        let record = Record::from_json("network", first).unwrap();
        assert_eq!((record.attempt.fence, record.seq, record.is_held()), (7, 5, true));
        assert_eq!(Record::from_json("network", &record.to_json()).unwrap(), record);
    }

    #[test]
    fn a_holding_keeps_its_name_and_shares_it_with_none() {
        let attempt = |fence| Attempt { job: "job_a".to_owned(), attempt: 1, fence };
        let record = Record::taken("network", &attempt(1), (1, 0), 1, Owner::this("r"));
        let later = Record { phase: Phase::Running, ..record.clone() };
        assert_eq!(record.holding(), later.holding());
        let others = [
            Record { attempt: attempt(2), ..record.clone() },
            Record { component: "other".to_owned(), ..record.clone() },
            Record { owner: Owner::this("r"), ..record.clone() },
            Record { since_ms: record.since_ms + 1, ..record.clone() },
        ];
        for other in others {
            assert_ne!(record.holding(), other.holding());
        }
    }

    #[test]
    fn another_components_record_or_form_is_not_taken_for_it() {
        let attempt = Attempt { job: "job_a".to_owned(), attempt: 1, fence: 1 };
        let record = Record::taken("network", &attempt, (1, 0), 1, Owner::default());
        assert!(Record::from_json("other", &record.to_json()).is_err());
        let newer = Record { version: 3, ..record };
        assert!(Record::from_json("network", &newer.to_json()).is_err());
    }
}
