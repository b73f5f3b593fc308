//! Two runners with one identity: somebody copied a disk or a key.
//!
//! Each start of a runner has a name of its own. One that was replaced by a newer start and speaks again was
//! not ended: two are alive. A call that was long under way may look like that once, so it takes more than one.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Runner;
use super::message::Info;
use crate::event::{Effect, record_at};
use crate::time::Timestamp;
use crate::timeline::Level;

/// How many former starts are remembered.
const FORMER_MAX: usize = 8;

/// Returns within this time prove that two are alive.
const RETURNS_PROVE: u32 = 3;

const WITHIN_MS: i64 = 3_600_000;

/// The starts of one generation before the present one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Starts {
    /// The newest last.
    former: VecDeque<String>,
    /// How often one of them spoke again, lately.
    returns: u32,
    /// When the first of these was.
    since: Timestamp,
}

impl Starts {
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Takes note of another start in place of the present one. How often a former one has come back, if
    /// this one has.
    fn replace(&mut self, at: Timestamp, present: &str, by: &str) -> Option<u32> {
        let returned = self.former.iter().any(|name| name == by);
        self.former.retain(|name| name != by);
        if !present.is_empty() {
            self.former.push_back(present.to_owned());
        }
        if self.former.len() > FORMER_MAX {
            self.former.pop_front();
        }
        if !returned {
            return None;
        }
        if self.returns == 0 || at.since_ms(self.since) > WITHIN_MS {
            (self.returns, self.since) = (0, at);
        }
        self.returns += 1;
        Some(self.returns)
    }
}

impl Runner {
    /// What follows when this start speaks in place of the present one. `Err`: its identity was taken away.
    pub(super) fn look_for_twins(&mut self, at: Timestamp, info: &Info) -> Result<Vec<Effect>, Vec<Effect>> {
        let present = self.info.boot.clone();
        if present == info.boot || info.boot.is_empty() {
            return Ok(vec![]);
        }
        match self.starts.replace(at, &present, &info.boot) {
            None => Ok(vec![]),
            Some(returns) if returns < RETURNS_PROVE => {
                let text = "a start of the runner spoke that another had replaced: are there two?";
                Ok(vec![record_at(Level::Warning, "runner.returned", text)])
            }
            Some(_) => {
                let reason = "two runners speak with one identity; somebody copied its disk or its key";
                let text = format!("its identity was taken away: {reason}");
                let mut effects = vec![record_at(Level::Error, "runner.twins", text)];
                effects.extend(self.take_identity(at, reason));
                Err(effects)
            }
        }
    }

    /// Another generation has other starts.
    pub(super) fn forget_starts(&mut self) {
        self.starts = Starts::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn returns(names: &[&str], step_ms: i64) -> Vec<Option<u32>> {
        let mut starts = Starts::default();
        let mut present = "";
        let mut said = vec![];
        for (n, name) in names.iter().enumerate() {
            said.push(starts.replace(Timestamp(1 + n as i64 * step_ms), present, name));
            present = name;
        }
        said
    }

    #[test]
    fn one_that_is_started_again_and_again_never_returns() {
        let names: Vec<String> = (0..50).map(|n| n.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(returns(&names, 1).iter().all(Option::is_none));
    }

    #[test]
    fn two_that_speak_in_turns_are_counted_and_old_turns_are_not() {
        assert_eq!(returns(&["a", "b", "a", "b", "a"], 1), [None, None, Some(1), Some(2), Some(3)]);
        let slow = returns(&["a", "b", "a", "b", "a"], WITHIN_MS + 1);
        assert_eq!(slow, [None, None, Some(1), Some(1), Some(1)]);
    }
}
