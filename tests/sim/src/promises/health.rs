//! Health as people were promised it: a deploy is done when a probe of it has passed, so many in a row make
//! something unwell, one makes it well. Held against what probes saw in the customer's world.

use std::collections::{BTreeMap, BTreeSet};

use remit_loops::timeline::Entry;
use remit_loops::{ObjectId, Timestamp};

use crate::names::install_of;
use crate::people;
use crate::runner::Key;
use crate::world::{Look, World};

/// What a timeline says of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// A deploy of it is done.
    Done,
    Unwell,
    Well,
}

/// A line of a timeline about the health of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    of: ObjectId,
    at: Timestamp,
    word: Word,
    component: String,
}

impl Told {
    pub(crate) fn read(of: &ObjectId, at: Timestamp, entry: &Entry) -> Option<Self> {
        let (component, words) = entry.text.split_once(": ")?;
        let word = match entry.code.as_str() {
            "step.succeeded" if words.starts_with("deploy done") => Word::Done,
            "health.unwell" => Word::Unwell,
            "health.well" => Word::Well,
            _ => return None,
        };
        Some(Self { of: of.clone(), at, word, component: component.to_owned() })
    }
}

/// What runners said that probes of one component saw, in the order in which it was heard.
#[derive(Clone, Default)]
struct Heard {
    /// So many in a row did not pass.
    failures: u32,
    /// The last one was that of a deploy, and did not pass.
    gate_failed: bool,
    /// The last one passed, if it was believed.
    passed: bool,
}

/// What was heard of probes, and said of health.
#[derive(Clone, Default)]
pub(crate) struct Health {
    heard: BTreeMap<(usize, String), Heard>,
    known: BTreeSet<Key>,
    /// How often something was said to be unwell.
    pub(crate) unwell: u64,
    /// How many deploys were done by a probe.
    pub(crate) done: u64,
}

impl Health {
    /// A runner has said how a probe ended, and is believed or not. Whatever it said, what was seen counts; said
    /// twice, it counts once.
    pub(super) fn hear(&mut self, key: &Key, look: &Look, is_accepted: bool) {
        let heard = self.heard.entry((look.install, look.component.clone())).or_default();
        heard.passed |= look.well;
        if look.well && !is_accepted || !self.known.insert(key.clone()) {
            return;
        }
        let failures = if look.well { 0 } else { heard.failures + 1 };
        *heard = Heard { failures, gate_failed: !look.well && look.is_gate, passed: look.well };
    }

    /// What is wrong with what a timeline says.
    pub(super) fn look(&mut self, told: &Told, world: &World) -> Option<String> {
        let Told { of, at, word, component } = told;
        let install = install_of(of)?;
        let heard = self.heard.get(&(install, component.clone())).cloned().unwrap_or_default();
        let wrong = match word {
            Word::Done => {
                self.done += 1;
                (!world.is_proven(install, component))
                    .then(|| "probe done, and no probe of it has passed in its time".to_owned())
            }
            Word::Unwell => {
                self.unwell += 1;
                let enough = people::enough_failures(component);
                let failures = heard.failures;
                // Brokers that were put back ask for the gate of a deploy that the world has forgotten.
                let is_known = !world.is_unknown(install, component);
                (is_known && !heard.gate_failed && failures < enough)
                    .then(|| format!("unwell after {failures} of {enough} failing probes in a row"))
            }
            Word::Well => (!heard.passed).then(|| "unwell no more, and no probe has passed".to_owned()),
        };
        wrong.map(|wrong| format!("{wrong}: {component} of install {install} at {}", at.0))
    }
}
