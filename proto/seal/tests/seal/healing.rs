//! The table's part on what a release says is to be done by itself.

use remit_seal::document::{
    DriftSchedule, DriftThen, FailureClass, Rule, RuleAction, RuleClass, RuleMatch, RuleOperation,
};
use remit_seal::verify::{
    DRIFT_EVERY_MAX_MS, DRIFT_EVERY_MIN_MS, RULE_COOL_DOWN_MAX_MS, RULE_LIST_MAX, RULE_PER_MAX_MS,
    RULE_PER_MIN_MS, RULE_RETRY_MAX_MS, RULE_RETRY_MIN_MS, RULE_TEXT_LEN_MAX, RULE_TIMES_MAX, RULES_MAX,
};

use crate::cases::Case;
use crate::world::World;

const UNSOUND: &str = "seal.release_invalid";

pub(crate) const HEALING: &[Case] = &[
    ("drift_as_often_as_may_be", |w| drift(w, DRIFT_EVERY_MIN_MS), "ok"),
    ("drift_as_seldom_as_may_be", |w| drift(w, DRIFT_EVERY_MAX_MS), "ok"),
    ("drift_all_the_time", |w| drift(w, DRIFT_EVERY_MIN_MS - 1), UNSOUND),
    ("drift_hardly_ever", |w| drift(w, DRIFT_EVERY_MAX_MS + 1), UNSOUND),
    ("rule", |w| rule(w, |_| ()), "ok"),
    ("rules_most", |w| many(w, RULES_MAX), "ok"),
    ("rules_too_many", |w| many(w, RULES_MAX + 1), "seal.release_limit"),
    ("rules_of_one_name", |w| (rule(w, |_| ()), rule(w, |_| ())).1, "seal.name_duplicate"),
    ("rule_without_a_name", |w| rule(w, |r| r.name.clear()), "seal.name"),
    ("rule_that_does_nothing", |w| rule(w, |r| r.actions.clear()), UNSOUND),
    ("rule_that_does_too_much", |w| rule(w, |r| r.actions = notes(RULE_LIST_MAX + 1)), UNSOUND),
    ("rule_that_does_much", |w| rule(w, |r| r.actions = notes(RULE_LIST_MAX)), "ok"),
    ("rule_for_too_many_codes", |w| rule(w, |r| r.on.codes = vec!["a.b".into(); RULE_LIST_MAX + 1]), UNSOUND),
    (
        "rule_for_too_many_classes",
        |w| rule(w, |r| r.on.classes = vec![RuleClass::Failed(FailureClass::Bug); 17]),
        UNSOUND,
    ),
    ("rule_for_too_many_components", |w| rule(w, |r| r.on.components = vec!["net".into(); 17]), UNSOUND),
    (
        "rule_for_too_many_operations",
        |w| {
            rule(w, |r| r.on.operations = vec![RuleOperation::Deploy; 17]);
        },
        UNSOUND,
    ),
    ("rule_never", |w| rule(w, |r| r.times = 0), UNSOUND),
    ("rule_most_often", |w| rule(w, |r| (r.times, r.per_ms) = (RULE_TIMES_MAX, RULE_PER_MAX_MS)), "ok"),
    ("rule_too_often", |w| rule(w, |r| (r.times, r.per_ms) = (RULE_TIMES_MAX + 1, RULE_PER_MAX_MS)), UNSOUND),
    ("rule_in_a_minute", |w| rule(w, |r| (r.times, r.per_ms) = (1, RULE_PER_MIN_MS)), "ok"),
    ("rule_in_no_time", |w| rule(w, |r| (r.times, r.per_ms) = (1, RULE_PER_MIN_MS - 1)), UNSOUND),
    ("rule_in_all_time", |w| rule(w, |r| r.per_ms = RULE_PER_MAX_MS + 1), UNSOUND),
    ("rule_cools_down_long", |w| rule(w, |r| cools(r, RULE_COOL_DOWN_MAX_MS)), "ok"),
    ("rule_cools_down_too_long", |w| rule(w, |r| cools(r, RULE_COOL_DOWN_MAX_MS + 1)), UNSOUND),
    ("rule_cools_down_backwards", |w| rule(w, |r| r.cool_down_ms = -1), UNSOUND),
    ("rule_for_no_code", |w| rule(w, |r| r.on.codes = vec![String::new()]), UNSOUND),
    ("rule_for_a_long_code", |w| rule(w, |r| r.on.codes = vec!["a".repeat(RULE_TEXT_LEN_MAX)]), "ok"),
    (
        "rule_for_an_endless_code",
        |w| rule(w, |r| r.on.codes = vec!["a".repeat(RULE_TEXT_LEN_MAX + 1)]),
        UNSOUND,
    ),
    ("rule_after_its_end", |w| rule(w, |r| r.actions.extend(notes(1))), UNSOUND),
    ("rule_for_unknown_component", |w| rule(w, |r| r.on.components = vec!["nothing".into()]), UNSOUND),
    ("rule_says_nothing", |w| first(w, RuleAction::Notify(String::new())), UNSOUND),
    ("rule_says_much", |w| first(w, RuleAction::Notify("a".repeat(RULE_TEXT_LEN_MAX))), "ok"),
    ("rule_says_too_much", |w| first(w, RuleAction::Notify("a".repeat(RULE_TEXT_LEN_MAX + 1))), UNSOUND),
    ("rule_waits_a_moment", |w| waits(w, RULE_RETRY_MIN_MS), "ok"),
    ("rule_waits_no_time", |w| waits(w, RULE_RETRY_MIN_MS - 1), UNSOUND),
    ("rule_waits_long", |w| waits(w, RULE_RETRY_MAX_MS), "ok"),
    ("rule_waits_too_long", |w| waits(w, RULE_RETRY_MAX_MS + 1), UNSOUND),
    ("rule_runs_unknown_command", |w| first(w, RuleAction::Run("dance".into())), UNSOUND),
    ("rule_runs_command_of_one", |w| runs(w, true), "ok"),
    ("rule_runs_command_of_not_all", |w| runs(w, false), UNSOUND),
    ("rule_used_up_in_time", |w| used_up(w, 1), "ok"),
    ("rule_never_used_up", |w| used_up(w, 0), UNSOUND),
    (
        "rule_holds_for_ever",
        |w| {
            rule(w, |r| {
                (r.actions, r.per_ms, r.cool_down_ms) =
                    (vec![RuleAction::Hold], RULE_PER_MIN_MS, RULE_PER_MIN_MS);
            });
        },
        "ok",
    ),
    (
        "rule_only_tells",
        |w| {
            rule(w, |r| {
                (r.actions, r.per_ms, r.cool_down_ms) = (notes(1), RULE_PER_MIN_MS, RULE_PER_MIN_MS);
            });
        },
        "ok",
    ),
    (
        "rule_waits_for_its_cool_down",
        |w| {
            rule(w, |r| {
                (r.times, r.per_ms, r.cool_down_ms) = (2, 3 * RULE_PER_MIN_MS, 3 * RULE_PER_MIN_MS / 2);
            });
        },
        UNSOUND,
    ),
];

fn drift(w: &mut World, every_ms: i64) {
    w.release.healing.drift = Some(DriftSchedule { every_ms, then: DriftThen::Heal });
}

fn rule(w: &mut World, change: impl FnOnce(&mut Rule)) {
    let on = RuleMatch { classes: vec![RuleClass::Failed(FailureClass::Quota)], ..RuleMatch::default() };
    let actions = vec![RuleAction::Notify("it failed".into()), RuleAction::RePlan];
    let mut rule =
        Rule { name: "again".into(), on, actions, times: 3, per_ms: 3_600_000, cool_down_ms: 1_000 };
    change(&mut rule);
    w.release.healing.rules.push(rule);
}

fn many(w: &mut World, count: usize) {
    (0..count).for_each(|n| rule(w, |r| r.name = format!("again-{n}")));
}

fn notes(count: usize) -> Vec<RuleAction> {
    vec![RuleAction::Notify("it failed".into()); count]
}

fn cools(rule: &mut Rule, ms: i64) {
    (rule.cool_down_ms, rule.times, rule.per_ms) = (ms, 3, RULE_PER_MAX_MS);
}

fn first(w: &mut World, action: RuleAction) {
    rule(w, |r| r.actions = vec![action]);
}

fn waits(w: &mut World, ms: i64) {
    rule(w, |r| (r.actions, r.times, r.per_ms) = (vec![RuleAction::Retry(ms)], 2, RULE_PER_MAX_MS));
}

/// A rule that runs a command that one component of the release has.
fn runs(w: &mut World, only_there: bool) {
    let of = w.release.components.iter().find(|c| !c.commands.is_empty()).cloned().unwrap();
    let command = of.commands.keys().next().unwrap().clone();
    rule(w, |r| {
        r.actions = vec![RuleAction::Run(command)];
        r.on.components = if only_there { vec![of.name] } else { vec![] };
    });
}

/// Three retries, after one, two and four minutes: in this time and so many milliseconds.
fn used_up(w: &mut World, more_ms: i64) {
    rule(w, |r| {
        (r.actions, r.times) = (vec![RuleAction::Retry(60_000)], 3);
        r.per_ms = 7 * 60_000 + more_ms;
    });
}
