//! What a signed release says is to be done by itself, in the loops' words.

use remit_loops::drift::{Schedule, Then};
use remit_loops::job::{Action, FailureClass};
use remit_loops::release::Healing;
use remit_loops::remediation::{Budget, Match, Remedy, Rule};
use remit_seal::document::{self, DriftThen, RuleAction, RuleClass, RuleOperation};

pub(super) fn of(document: &document::Healing) -> Healing {
    let schedule = |drift: document::DriftSchedule| Schedule {
        every_ms: drift.every_ms,
        then: match drift.then {
            DriftThen::Report => Then::Report,
            DriftThen::Heal => Then::Heal,
        },
    };
    Healing { drift: document.drift.map(schedule), rules: document.rules.iter().map(rule).collect() }
}

fn rule(rule: &document::Rule) -> Rule {
    let document::RuleMatch { classes, codes, components, operations } = &rule.on;
    Rule {
        name: rule.name.clone(),
        on: Match {
            classes: classes.iter().copied().map(class).collect(),
            codes: codes.clone(),
            components: components.clone(),
            operations: operations.iter().copied().map(operation).collect(),
        },
        actions: rule.actions.iter().map(remedy).collect(),
        budget: Budget { times: rule.times, per_ms: rule.per_ms },
        cool_down_ms: rule.cool_down_ms,
    }
}

fn operation(operation: RuleOperation) -> Action {
    match operation {
        RuleOperation::Deploy => Action::Deploy,
        RuleOperation::Destroy => Action::Destroy,
        RuleOperation::Health => Action::Health,
    }
}

fn remedy(action: &RuleAction) -> Remedy {
    match action {
        RuleAction::Notify(text) => Remedy::Notify { text: text.clone() },
        RuleAction::Run(command) => Remedy::Run { command: command.clone() },
        RuleAction::Retry(after_ms) => Remedy::Retry { after_ms: *after_ms },
        RuleAction::RePlan => Remedy::RePlan {},
        RuleAction::ReApply => Remedy::ReApply {},
        RuleAction::Hold => Remedy::Hold {},
    }
}

fn class(class: RuleClass) -> FailureClass {
    match class {
        RuleClass::Failed(class) => class.into(),
        RuleClass::Refused => FailureClass::Refused,
    }
}
