//! Scenarios: what a rehearsal is to be like. From a seed they decide how long each attempt of a sandbox
//! install takes, how it ends, what it says that it changed, and when something drifts.
//!
//! The same seed, install and attempt give the same, whoever asks: a runner far away or a simulator.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::id::is_name;
use crate::job::{Action, AttemptId, FailureClass};
use crate::plan::Changes;
use crate::time::Timestamp;

/// The most rules of one scenario.
pub const RULES_MAX: usize = 100;
/// The longest text of a rule, in bytes, and the longest that one attempt may be made to take.
pub use remit_seal::document::{
    REHEARSAL_TAKES_MAX_MS as TAKES_MS_MAX, REHEARSAL_TEXT_LEN_MAX as TEXT_LEN_MAX,
};
/// The most attempts that one rule names.
const ATTEMPTS_MAX: usize = 32;

/// The most changes of one kind that an attempt may pretend.
const CHANGES_MAX: u32 = 100_000;

/// What the rehearsals of an install are to be like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// All that is left to chance comes from it.
    pub seed: u64,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// What happens to attempts. Of each aspect (time, changes, ending) the first rule that has it decides.
    #[serde(default)]
    pub steps: Vec<StepRule>,
    /// What is found when the world is compared with what was deployed.
    #[serde(default)]
    pub drifts: Vec<DriftRule>,
}

/// What happens to some attempts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct StepRule {
    /// Of this component only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// Of this action only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// Only these tries at a job, from 1; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<u32>,
    /// Of a hundred such attempts, so many.
    #[serde(default = "always", skip_serializing_if = "is_always")]
    pub percent: u8,
    /// How long they take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes: Option<Span>,
    /// What they say that they changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// How they end, if not well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fails: Option<Fails>,
}

fn always() -> u8 {
    100
}

fn is_always(percent: &u8) -> bool {
    *percent == always()
}

/// A length of time, left to chance within bounds. Half of all are no longer than usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The shortest, milliseconds.
    pub from_ms: i64,
    /// The median, milliseconds.
    pub usually_ms: i64,
    /// The longest, milliseconds.
    pub to_ms: i64,
}

/// A failure that is rehearsed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Fails {
    /// Its class.
    pub class: FailureClass,
    /// A tool's words. The runner recognises them as it does in earnest, if they are of the same class.
    #[serde(default)]
    pub message: String,
    /// Its code, if not the one that its words stand for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What to do about it, if not what its words stand for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// A difference that a look at the world finds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DriftRule {
    /// In this component.
    pub component: String,
    /// So long after its last deploy, milliseconds.
    pub after_ms: i64,
    /// What differs, in a line.
    pub summary: String,
}

/// As much of a scenario as one step of one component needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Play {
    seed: u64,
    steps: Vec<StepRule>,
    drifts: Vec<DriftRule>,
}

/// What one attempt is to pretend. What it does not say, the runner makes up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Act {
    /// How long it takes, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes_ms: Option<i64>,
    /// What it says that it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// How it ends, if not well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fails: Option<Fails>,
    /// For a drift check: what differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<String>,
}

/// A scenario as its install shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Summary {
    /// All that is left to chance comes from it.
    pub seed: u64,
    /// For people.
    pub description: String,
    /// How many rules it has.
    pub rules: u32,
}

/// What is wrong with a scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct Invalid {
    /// Which rule: `step 3`, `drift 1`, counted from 1; or `it`.
    pub place: String,
    /// What is wrong.
    pub problem: String,
    /// It names a component that is not there.
    pub is_unknown: bool,
}

impl Scenario {
    /// Whether it says something, and nothing beyond its bounds.
    pub fn check(&self) -> Result<(), Invalid> {
        let rules = self.steps.len() + self.drifts.len();
        if rules > RULES_MAX {
            return Err(invalid("it", format!("has {rules} rules; at most {RULES_MAX} are taken")));
        }
        check_text("it", "the description", &self.description)?;
        for (n, rule) in self.steps.iter().enumerate() {
            rule.check(&format!("step {}", n + 1))?;
        }
        for (n, rule) in self.drifts.iter().enumerate() {
            rule.check(&format!("drift {}", n + 1))?;
        }
        Ok(())
    }

    /// Whether every component that it names is one of these.
    pub fn check_components(&self, known: &[&str]) -> Result<(), Invalid> {
        let steps = self.steps.iter().enumerate();
        let steps = steps.filter_map(|(n, r)| Some((format!("step {}", n + 1), r.component.as_deref()?)));
        let drifts = self.drifts.iter().enumerate();
        let drifts = drifts.map(|(n, r)| (format!("drift {}", n + 1), r.component.as_str()));
        match steps.chain(drifts).find(|(_, name)| !known.contains(name)) {
            None => Ok(()),
            Some((place, name)) => {
                let problem = format!("there is no component `{name}`; there are: {}", known.join(", "));
                Err(Invalid { is_unknown: true, ..invalid(&place, problem) })
            }
        }
    }

    /// What it has for one step of one component.
    pub fn play(&self, component: &str, action: Action) -> Play {
        let fits = |rule: &&StepRule| {
            rule.component.as_ref().is_none_or(|name| name == component)
                && rule.action.is_none_or(|a| a == action)
        };
        let drifts = self.drifts.iter().filter(|d| action == Action::Drift && d.component == component);
        Play {
            seed: self.seed,
            steps: self.steps.iter().filter(fits).cloned().collect(),
            drifts: drifts.cloned().collect(),
        }
    }

    /// What of it is shown.
    pub fn summary(&self) -> Summary {
        let rules = u32::try_from(self.steps.len() + self.drifts.len()).unwrap_or(u32::MAX);
        Summary { seed: self.seed, description: self.description.clone(), rules }
    }
}

impl Play {
    /// What an attempt is to pretend, at this time, of a component that was deployed at that.
    pub fn act(&self, id: &AttemptId, at: Timestamp, deployed: Option<Timestamp>) -> Act {
        let mut act = Act::default();
        for (n, rule) in self.steps.iter().enumerate() {
            let dice = |what: &str| dice(self.seed, id, n, what);
            let is_meant = rule.attempts.is_empty() || rule.attempts.contains(&id.attempt);
            if !is_meant || dice("whether") % 100 >= u64::from(rule.percent) {
                continue;
            }
            act.takes_ms = act.takes_ms.or_else(|| rule.takes.map(|span| span.pick(dice("time"))));
            act.changes = act.changes.or(rule.changes);
            act.fails = act.fails.or_else(|| rule.fails.clone());
        }
        let is_due = |rule: &&DriftRule| deployed.is_some_and(|d| at.since_ms(d) >= rule.after_ms);
        act.drift = self.drifts.iter().find(is_due).map(|rule| rule.summary.clone());
        act
    }
}

impl Span {
    /// Always so long.
    pub fn exactly(ms: i64) -> Self {
        Self { from_ms: ms, usually_ms: ms, to_ms: ms }
    }

    fn pick(self, dice: u64) -> i64 {
        let (low, high) = match dice.is_multiple_of(2) {
            true => (self.from_ms, self.usually_ms),
            false => (self.usually_ms, self.to_ms),
        };
        let width = u64::try_from(high.saturating_sub(low)).unwrap_or(0).saturating_add(1);
        low.saturating_add(i64::try_from((dice >> 1) % width).unwrap_or(0))
    }
}

impl StepRule {
    fn check(&self, place: &str) -> Result<(), Invalid> {
        let wrong = |problem: String| Err(invalid(place, problem));
        if let Some(name) = self.component.as_deref().filter(|name| !is_name(name)) {
            return wrong(format!("`{name}` is no name of a component"));
        }
        if self.attempts.len() > ATTEMPTS_MAX || self.attempts.contains(&0) {
            return wrong(format!("attempts are at most {ATTEMPTS_MAX} numbers, from 1"));
        }
        if self.percent > 100 {
            return wrong(format!("{} percent are more than all", self.percent));
        }
        if self.takes.is_none() && self.changes.is_none() && self.fails.is_none() {
            return wrong("it says nothing: give it `takes`, `changes` or `fails`".to_owned());
        }
        if let Some(span) = self.takes {
            let ordered =
                0 <= span.from_ms && span.from_ms <= span.usually_ms && span.usually_ms <= span.to_ms;
            if !ordered || span.to_ms > TAKES_MS_MAX {
                return wrong(
                    "`takes` goes from the shortest over the usual to the longest, a day at most".into(),
                );
            }
        }
        if let Some(c) = self
            .changes
            .filter(|c| [c.create, c.update, c.delete, c.replace].iter().any(|n| *n > CHANGES_MAX))
        {
            return wrong(format!(
                "{c:?} are too many changes; at most {CHANGES_MAX} of a kind are pretended"
            ));
        }
        let Some(fails) = &self.fails else { return Ok(()) };
        if fails.class == FailureClass::Refused {
            return wrong("a runner's refusal cannot be rehearsed; choose another class".into());
        }
        check_text(place, "the message", &fails.message)?;
        check_text(place, "the hint", fails.hint.as_deref().unwrap_or_default())?;
        check_text(place, "the code", fails.code.as_deref().unwrap_or_default())
    }
}

impl DriftRule {
    fn check(&self, place: &str) -> Result<(), Invalid> {
        if !is_name(&self.component) {
            return Err(invalid(place, format!("`{}` is no name of a component", self.component)));
        }
        if self.after_ms < 0 {
            return Err(invalid(place, "`after` is before the deploy".to_owned()));
        }
        if self.summary.is_empty() {
            return Err(invalid(place, "say what differs: `summary`".to_owned()));
        }
        check_text(place, "the summary", &self.summary)
    }
}

fn invalid(place: &str, problem: String) -> Invalid {
    Invalid { place: place.to_owned(), problem, is_unknown: false }
}

fn check_text(place: &str, what: &str, text: &str) -> Result<(), Invalid> {
    if text.len() <= TEXT_LEN_MAX {
        return Ok(());
    }
    Err(invalid(place, format!("{what} has {} bytes; at most {TEXT_LEN_MAX} are taken", text.len())))
}

/// A number that looks random and is the same for the same attempt, rule and question.
fn dice(seed: u64, id: &AttemptId, rule: usize, what: &str) -> u64 {
    let mut hash = Sha256::new();
    for part in [&seed.to_string(), &id.job, &id.attempt.to_string(), &rule.to_string(), what] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let hash = hash.finalize();
    hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(attempt: u32) -> AttemptId {
        AttemptId { job: "job_demo.shop.acme.network.e1.o1.deploy".to_owned(), attempt }
    }

    fn rule(rule: StepRule) -> Scenario {
        Scenario { seed: 7, steps: vec![StepRule { percent: 100, ..rule }], ..Scenario::default() }
    }

    fn fails(class: FailureClass) -> Option<Fails> {
        Some(Fails { class, message: String::new(), code: None, hint: None })
    }

    #[test]
    fn the_first_rule_that_has_an_aspect_decides_it() {
        let slow = StepRule { percent: 100, takes: Some(Span::exactly(9_000)), ..StepRule::default() };
        let twice = StepRule {
            percent: 100,
            component: Some("network".to_owned()),
            attempts: vec![1, 2],
            fails: fails(FailureClass::Transient),
            takes: Some(Span::exactly(5)),
            ..StepRule::default()
        };
        let scenario = Scenario { seed: 1, steps: vec![twice, slow], ..Scenario::default() };
        scenario.check().unwrap();
        let act = |component: &str, attempt| {
            scenario.play(component, Action::Deploy).act(&id(attempt), Timestamp(0), None)
        };
        assert_eq!(act("network", 2).fails.unwrap().class, FailureClass::Transient);
        assert_eq!(act("network", 2).takes_ms, Some(5));
        assert_eq!((act("network", 3).fails, act("network", 3).takes_ms), (None, Some(9_000)));
        assert_eq!(act("web", 1).fails, None);
    }

    #[test]
    fn chance_is_the_same_each_time_and_about_as_great_as_was_said() {
        let mut scenario = rule(StepRule { fails: fails(FailureClass::Bug), ..StepRule::default() });
        scenario.steps[0].percent = 30;
        let play = scenario.play("network", Action::Deploy);
        let failed = |n: u32| play.act(&id(n), Timestamp(0), None).fails.is_some();
        let all: Vec<bool> = (1..=1_000).map(failed).collect();
        assert_eq!(all, (1..=1_000).map(failed).collect::<Vec<_>>());
        let count = all.iter().filter(|failed| **failed).count();
        assert!((250..350).contains(&count), "{count}");
    }

    #[test]
    fn times_lie_within_their_bounds_and_half_below_the_usual() {
        let span = Span { from_ms: 1_000, usually_ms: 2_000, to_ms: 60_000 };
        let play = rule(StepRule { takes: Some(span), ..StepRule::default() }).play("x", Action::Deploy);
        let times: Vec<i64> =
            (1..=1_000).filter_map(|n| play.act(&id(n), Timestamp(0), None).takes_ms).collect();
        assert_eq!(times.len(), 1_000);
        assert!(times.iter().all(|t| (1_000..=60_000).contains(t)));
        let short = times.iter().filter(|t| **t <= 2_000).count();
        assert!((450..560).contains(&short), "{short}");
    }

    #[test]
    fn drift_comes_after_its_time_and_only_to_a_look() {
        let drift = DriftRule { component: "network".into(), after_ms: 60_000, summary: "port open".into() };
        let scenario = Scenario { drifts: vec![drift], ..Scenario::default() };
        let look = scenario.play("network", Action::Drift);
        let found = |at: i64, deployed| look.act(&id(1), Timestamp(at), deployed).drift;
        assert_eq!(found(59_999, Some(Timestamp(0))), None);
        assert_eq!(found(60_000, Some(Timestamp(0))).as_deref(), Some("port open"));
        assert_eq!(found(60_000, None), None);
        let deploy = scenario.play("network", Action::Deploy);
        assert_eq!(deploy.act(&id(1), Timestamp(99_999), Some(Timestamp(0))), Act::default());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let span = Span { from_ms: 9, usually_ms: 1, to_ms: 10 };
        for (bad, word) in [
            (rule(StepRule::default()), "says nothing"),
            (rule(StepRule { takes: Some(span), ..StepRule::default() }), "takes"),
            (
                rule(StepRule {
                    component: Some("No".into()),
                    fails: fails(FailureClass::Bug),
                    ..StepRule::default()
                }),
                "No",
            ),
            (
                rule(StepRule { attempts: vec![0], fails: fails(FailureClass::Bug), ..StepRule::default() }),
                "from 1",
            ),
            (rule(StepRule { fails: fails(FailureClass::Refused), ..StepRule::default() }), "refusal"),
        ] {
            let error = bad.check().unwrap_err();
            assert!(error.place == "step 1" && error.problem.contains(word), "{error}");
        }
        let named = rule(StepRule {
            component: Some("netwrk".into()),
            fails: fails(FailureClass::Bug),
            ..StepRule::default()
        });
        let error = named.check_components(&["network", "web"]).unwrap_err();
        assert!(error.is_unknown && error.to_string().contains("network, web"), "{error}");
    }
}
