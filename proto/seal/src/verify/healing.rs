//! What a release says is to be done by itself must be bounded, and make sense: nothing is looked at all the
//! time, no rule acts for ever, and each names what is there.

use super::name::check_name;
use crate::Refusal;
use crate::document::{Component, Healing, Release, Rule, RuleAction, RuleMatch};

/// The shortest time between two looks for drift: a minute.
pub const DRIFT_EVERY_MIN_MS: i64 = 60_000;
/// The longest: 30 days.
pub const DRIFT_EVERY_MAX_MS: i64 = 30 * 24 * 60 * 60 * 1_000;
/// The most rules of a release.
pub const RULES_MAX: usize = 32;
/// The most that a rule does, and the most of each kind that it is for.
pub const RULE_LIST_MAX: usize = 16;
/// The most times that a rule may act in its time.
pub const RULE_TIMES_MAX: u32 = 20;
/// The shortest time that a budget is for: a minute.
pub const RULE_PER_MIN_MS: i64 = 60_000;
/// The longest: a week.
pub const RULE_PER_MAX_MS: i64 = 7 * 24 * 60 * 60 * 1_000;
/// The longest cool-down: a day.
pub const RULE_COOL_DOWN_MAX_MS: i64 = 24 * 60 * 60 * 1_000;
/// The shortest time that a retry waits: a second.
pub const RULE_RETRY_MIN_MS: i64 = 1_000;
/// The longest, however often it was doubled: an hour.
pub const RULE_RETRY_MAX_MS: i64 = 60 * 60 * 1_000;
/// The longest text of a notice, and the longest code, in bytes.
pub const RULE_TEXT_LEN_MAX: usize = 256;

/// Whether it makes sense.
pub(super) fn check(release: &Release) -> Result<(), Refusal> {
    let Healing { drift, rules } = &release.healing;
    if drift.is_some_and(|d| !(DRIFT_EVERY_MIN_MS..=DRIFT_EVERY_MAX_MS).contains(&d.every_ms)) {
        return unsound("it looks for drift more than once a minute, or hardly ever");
    }
    if rules.len() > RULES_MAX {
        return Err(Refusal::ReleaseLimit { what: "the number of rules".to_owned(), max: RULES_MAX as u64 });
    }
    for (index, rule) in rules.iter().enumerate() {
        check_name("a rule", &rule.name)?;
        if rules[..index].iter().any(|other| other.name == rule.name) {
            return Err(Refusal::NameDuplicate { name: rule.name.clone() });
        }
        check_rule(release, rule)?;
    }
    Ok(())
}

fn unsound(detail: &'static str) -> Result<(), Refusal> {
    Err(Refusal::ReleaseInvalid { detail })
}

fn check_rule(release: &Release, rule: &Rule) -> Result<(), Refusal> {
    let Rule { on, actions, times, per_ms, cool_down_ms, .. } = rule;
    let lists = [on.classes.len(), on.codes.len(), on.components.len(), on.operations.len(), actions.len()];
    if lists.iter().any(|len| *len > RULE_LIST_MAX) || actions.is_empty() {
        return unsound("a rule does nothing, or one of its lists is too long");
    }
    if !(1..=RULE_TIMES_MAX).contains(times)
        || !(RULE_PER_MIN_MS..=RULE_PER_MAX_MS).contains(per_ms)
        || !(0..=RULE_COOL_DOWN_MAX_MS).contains(cool_down_ms)
    {
        return unsound("a rule's budget or cool-down is out of bounds");
    }
    if on.codes.iter().any(|code| code.is_empty() || code.len() > RULE_TEXT_LEN_MAX) {
        return unsound("a rule is for a code that is empty or too long");
    }
    if let Some(early) = actions.iter().position(RuleAction::ends)
        && early + 1 < actions.len()
    {
        return unsound("a rule does something after what ends it");
    }
    let named = on.components.iter().all(|name| release.components.iter().any(|c| c.name == *name));
    if !named {
        return unsound("a rule is for a component that is not there");
    }
    actions.iter().try_for_each(|action| check_action(release, on, action))?;
    if rule_is_endless(rule) {
        return unsound("a rule never comes to the end of its budget");
    }
    Ok(())
}

fn check_action(release: &Release, on: &RuleMatch, action: &RuleAction) -> Result<(), Refusal> {
    match action {
        RuleAction::Notify(text) if text.is_empty() || text.len() > RULE_TEXT_LEN_MAX => {
            unsound("a rule says nothing, or too much")
        }
        RuleAction::Retry(ms) if !(RULE_RETRY_MIN_MS..=RULE_RETRY_MAX_MS).contains(ms) => {
            unsound("a rule waits no time, or too long")
        }
        RuleAction::Run(command) => {
            let is_for = |c: &&Component| on.components.is_empty() || on.components.contains(&c.name);
            let all = release.components.iter().filter(is_for).all(|c| c.commands.contains_key(command));
            if all { Ok(()) } else { unsound("a rule runs a command that its components do not have") }
        }
        RuleAction::Notify(_)
        | RuleAction::Retry(_)
        | RuleAction::RePlan
        | RuleAction::ReApply
        | RuleAction::Hold => Ok(()),
    }
}

/// Whether a rule that acts again and again, as soon as it may, would never have used its budget up: by the
/// time of its last use, the first counts no more.
pub fn rule_is_endless(rule: &Rule) -> bool {
    let retry = rule.actions.iter().find_map(|action| match action {
        RuleAction::Retry(ms) => Some(*ms),
        RuleAction::Notify(_)
        | RuleAction::Run(_)
        | RuleAction::RePlan
        | RuleAction::ReApply
        | RuleAction::Hold => None,
    });
    let wait = |n: u32| {
        let wait = retry.unwrap_or(0).saturating_mul(1_i64 << n.min(20)).min(RULE_RETRY_MAX_MS);
        wait.max(rule.cool_down_ms)
    };
    let all = (0..rule.times).map(wait).fold(0_i64, i64::saturating_add);
    rule.actions.last().is_some_and(|last| *last != RuleAction::Hold && last.ends()) && all >= rule.per_ms
}
