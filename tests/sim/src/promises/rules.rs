//! Rules as the release has them, held against what they did by the timeline: never over the budget, never
//! within the cool-down, never more often on one step of one operation than the budget.

use std::collections::BTreeMap;

use remit_loops::remediation::{Remedy, Rule};
use remit_loops::timeline::Entry;
use remit_loops::{ObjectId, Timestamp};

use crate::people;

/// A rule acted, by a line of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Acted {
    pub(crate) of: ObjectId,
    at: Timestamp,
    rule: String,
    component: String,
}

/// One use of a rule of one install.
#[derive(Clone)]
struct Use {
    at: Timestamp,
    component: String,
    operation: u64,
}

/// All uses of the rules of each install since it was made.
#[derive(Clone, Default)]
pub(crate) struct Uses {
    uses: BTreeMap<(usize, u64, String), Vec<Use>>,
    /// How many there were in all.
    pub(crate) count: u64,
}

impl Acted {
    /// The first thing that a rule does shows that it acts: what it says, or that it lets the step be tried.
    pub(crate) fn read(of: &ObjectId, at: Timestamp, entry: &Entry) -> Option<Self> {
        let (component, words) = entry.text.split_once(": ")?;
        let (says, name) = match entry.code.as_str() {
            "rule.notifies" => (true, words.strip_prefix("rule ")?.split_once(" says")?.0),
            "step.retried" => (false, words.strip_prefix("tried again by rule ")?.split_once(" (")?.0),
            _ => return None,
        };
        let rule = rule(name)?;
        let begins_so = matches!(rule.actions.first(), Some(Remedy::Notify { .. })) == says;
        let (rule, component) = (rule.name, component.to_owned());
        begins_so.then(|| Self { of: of.clone(), at, rule, component })
    }
}

fn rule(name: &str) -> Option<Rule> {
    people::rules().into_iter().find(|rule| rule.name == name)
}

impl Uses {
    /// What is wrong with this use, of an install in its so-manieth life, by its operation.
    pub(super) fn hear(
        &mut self,
        acted: &Acted,
        install: usize,
        epoch: u64,
        operation: u64,
    ) -> Option<String> {
        let rule = rule(&acted.rule)?;
        self.count += 1;
        let uses = self.uses.entry((install, epoch, acted.rule.clone())).or_default();
        let before = uses.last().map(|last| last.at);
        uses.push(Use { at: acted.at, component: acted.component.clone(), operation });
        let late = uses.iter().filter(|u| acted.at.since_ms(u.at) < rule.budget.per_ms).count();
        let same = |u: &&Use| u.operation == operation && u.component == acted.component;
        let of_step = uses.iter().filter(same).count();
        let (name, times) = (&acted.rule, rule.budget.times as usize);
        let cooled_ms = before.map_or(i64::MAX, |before| acted.at.since_ms(before));
        let wrong = if late > times {
            format!("acts for the {late}. time in {} ms", rule.budget.per_ms)
        } else if of_step > times {
            format!("acts for the {of_step}. time on {} in operation {operation}", acted.component)
        } else if cooled_ms < rule.cool_down_ms {
            format!("acts {cooled_ms} ms after it did, and cools down for {} ms", rule.cool_down_ms)
        } else {
            return None;
        };
        Some(format!("rule {name} of install {install} {wrong}; its budget is {times}"))
    }
}
