//! Remediation rules of a product's file: `[[rules]]`. Each is checked against the components that it names;
//! one that would act for ever, or never, is found here and not at a customer's.

use remit_seal::document::{FailureClass, Rule, RuleAction, RuleClass, RuleMatch, RuleOperation};
use remit_seal::verify::{
    RULE_COOL_DOWN_MAX_MS, RULE_PER_MAX_MS, RULE_PER_MIN_MS, RULE_RETRY_MAX_MS, RULE_RETRY_MIN_MS,
    RULE_TEXT_LEN_MAX, RULE_TIMES_MAX, RULES_MAX, rule_is_endless,
};
use toml::Spanned;
use toml::de::DeValue;

use super::field::{RawComponent, check_name};
use super::healing::{bounded, number};
use super::problem::Problem;
use super::reader::{Reader, Value, text, wrong_type};

const CLASSES: [(&str, RuleClass); 9] = [
    ("permission", RuleClass::Failed(FailureClass::Permission)),
    ("quota", RuleClass::Failed(FailureClass::Quota)),
    ("billing", RuleClass::Failed(FailureClass::Billing)),
    ("conflict", RuleClass::Failed(FailureClass::Conflict)),
    ("interference", RuleClass::Failed(FailureClass::Interference)),
    ("transient", RuleClass::Failed(FailureClass::Transient)),
    ("timeout", RuleClass::Failed(FailureClass::Timeout)),
    ("bug", RuleClass::Failed(FailureClass::Bug)),
    ("refused", RuleClass::Refused),
];
const OPERATIONS: [(&str, RuleOperation); 3] = [
    ("deploy", RuleOperation::Deploy),
    ("destroy", RuleOperation::Destroy),
    ("health", RuleOperation::Health),
];
const ACTIONS: [(&str, RuleAction); 3] =
    [("re_plan", RuleAction::RePlan), ("re_apply", RuleAction::ReApply), ("hold", RuleAction::Hold)];
/// How often a rule may act, within how long, and how soon again, where the file does not say.
const TIMES_DEFAULT: u32 = 3;
const PER_MS_DEFAULT: i64 = 60 * 60 * 1_000;
const COOL_DOWN_MS_DEFAULT: i64 = 10_000;

/// The rules, complete only if no error was found.
pub(super) fn read(
    top: &mut Reader<'_>,
    components: &[RawComponent<'_>],
    out: &mut Vec<Problem>,
) -> Vec<Rule> {
    let Some(value) = top.get("rules") else { return vec![] };
    let DeValue::Array(items) = value.get_ref() else {
        out.push(wrong_type("`rules`", "a list of tables: `[[rules]]`", value));
        return vec![];
    };
    if let Some(beyond) = items.get(RULES_MAX) {
        let message = format!("there are {} rules; at most {RULES_MAX} are allowed", items.len());
        out.push(Problem::error("config.too_many", beyond.span(), message));
    }
    let mut read: Vec<(Spanned<String>, Rule)> = Vec::new();
    for item in items {
        let Some((name, rule)) = one(item, components, out) else { continue };
        check_beside(&name, &rule, &read, out);
        read.push((name, rule));
    }
    read.into_iter().map(|(_, rule)| rule).collect()
}

fn one(
    value: &Value<'_>,
    components: &[RawComponent<'_>],
    out: &mut Vec<Problem>,
) -> Option<(Spanned<String>, Rule)> {
    let mut fields = Reader::of(value, "a rule", out)?;
    let name = fields.need_text("name", out);
    let on = fields.get("on").and_then(|on| matches(on, components, out));
    let actions = fields.require("do", out).map(|list| actions(list, out)).unwrap_or_default();
    let (times, per_ms) = budget(&mut fields, out);
    let cool_down = fields.text("cool_down", out);
    fields.finish(out);
    let cool_down_ms = match cool_down {
        Some(text) => bounded(&text, 0, RULE_COOL_DOWN_MAX_MS, out)?,
        None => COOL_DOWN_MS_DEFAULT,
    };
    let name = name?;
    check_name(&name, out);
    let on = on.unwrap_or_default();
    let said: Vec<RuleAction> = actions.iter().map(|action| action.get_ref().clone()).collect();
    check_order(&name, &actions, out);
    check_commands(&on, &actions, components, out);
    let rule = Rule { name: name.get_ref().clone(), on, actions: said, times, per_ms, cool_down_ms };
    if rule_is_endless(&rule) {
        let message = format!("rule `{}` would never come to the end of its budget", rule.name);
        let problem = Problem::error("config.rule_endless", name.span(), message);
        let help = "by its last use the first counts no more: give it fewer `times`, a longer `per`, or let it wait less";
        out.push(problem.label("acts for ever").help(help));
    }
    Some((name, rule))
}

fn matches(value: &Value<'_>, components: &[RawComponent<'_>], out: &mut Vec<Problem>) -> Option<RuleMatch> {
    let mut fields = Reader::of(value, "`on` of a rule", out)?;
    let classes = fields.texts("class", out);
    let codes = fields.texts("code", out);
    let named = fields.texts("component", out);
    let operations = fields.texts("operation", out);
    fields.finish(out);
    let classes = classes.iter().filter_map(|text| word("class of failure", text, &CLASSES, out)).collect();
    let operations = operations.iter().filter_map(|text| word("operation", text, &OPERATIONS, out)).collect();
    for name in &named {
        if !components.iter().any(|c| c.name.get_ref() == name.get_ref()) {
            let message = format!("there is no component `{}`", name.get_ref());
            let problem = Problem::error("config.unknown_component", name.span(), message);
            let names = components.iter().map(|c| c.name.get_ref().as_str());
            out.push(problem.label("not a component").did_you_mean(name.get_ref(), names));
        }
    }
    for code in codes.iter().filter(|code| !is_code(code.get_ref())) {
        let message = format!("`{}` is no code of a failure: this rule would never act", code.get_ref());
        let problem = Problem::error("config.bad_value", code.span(), message);
        out.push(
            problem.help("codes look like `tool.aws_throttled`; `tool.aws_*` stands for all that begin so"),
        );
    }
    let texts = |all: Vec<Spanned<String>>| all.into_iter().map(Spanned::into_inner).collect();
    Some(RuleMatch { classes, codes: texts(codes), components: texts(named), operations })
}

fn is_code(code: &str) -> bool {
    let plain = code.strip_suffix('*').unwrap_or(code);
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let parts: Vec<&str> = plain.split('.').collect();
    code.len() <= RULE_TEXT_LEN_MAX
        && parts.len() == 2
        && !parts[0].is_empty()
        && (!parts[1].is_empty() || code.ends_with('*'))
        && parts.iter().all(|part| part.chars().all(is_part))
}

fn word<T: Clone>(
    what: &str,
    text: &Spanned<String>,
    all: &[(&str, T)],
    out: &mut Vec<Problem>,
) -> Option<T> {
    let found = all.iter().find(|(name, _)| name == text.get_ref()).map(|(_, value)| value.clone());
    if found.is_none() {
        let message = format!("`{}` is no {what} that a rule can be for", text.get_ref());
        let problem = Problem::error("config.bad_value", text.span(), message);
        out.push(problem.did_you_mean(text.get_ref(), all.iter().map(|(name, _)| *name)));
    }
    found
}

fn actions(value: &Value<'_>, out: &mut Vec<Problem>) -> Vec<Spanned<RuleAction>> {
    match value.get_ref() {
        DeValue::Array(items) if !items.is_empty() => {
            let one = |item| Some(Spanned::new(Spanned::span(item), action(item, out)?));
            items.iter().filter_map(one).collect()
        }
        DeValue::Array(_) => {
            out.push(Problem::error("config.bad_value", value.span(), "a rule does nothing"));
            vec![]
        }
        _ => {
            out.push(wrong_type("`do` of a rule", "a list", value));
            vec![]
        }
    }
}

fn action(value: &Value<'_>, out: &mut Vec<Problem>) -> Option<RuleAction> {
    let DeValue::Table(_) = value.get_ref() else {
        let said = text("what a rule does", value, out)?;
        let found = ACTIONS.iter().find(|(name, _)| name == said.get_ref()).map(|(_, action)| action.clone());
        if found.is_none() {
            let message = format!("`{}` is nothing that a rule does", said.get_ref());
            let problem = Problem::error("config.bad_value", value.span(), message);
            let problem = problem.did_you_mean(said.get_ref(), ACTIONS.iter().map(|(name, _)| *name));
            out.push(
                problem.help("also: `{ retry = \"30s\" }`, `{ run = \"COMMAND\" }`, `{ notify = \"TEXT\" }`"),
            );
        }
        return found;
    };
    let mut fields = Reader::of(value, "what a rule does", out)?;
    let (retry, run, notify) =
        (fields.text("retry", out), fields.text("run", out), fields.text("notify", out));
    fields.finish(out);
    match (retry, run, notify) {
        (Some(after), None, None) => {
            bounded(&after, RULE_RETRY_MIN_MS, RULE_RETRY_MAX_MS, out).map(RuleAction::Retry)
        }
        (None, Some(command), None) => Some(RuleAction::Run(command.into_inner())),
        (None, None, Some(said)) if (1..=RULE_TEXT_LEN_MAX).contains(&said.get_ref().len()) => {
            Some(RuleAction::Notify(said.into_inner()))
        }
        (None, None, None) | (Some(_), ..) | (_, Some(_), _) | (.., Some(_)) => {
            let message = "one thing at a time: `retry`, `run` or `notify`, which says something short";
            out.push(Problem::error("config.bad_value", value.span(), message));
            None
        }
    }
}

fn budget(fields: &mut Reader<'_>, out: &mut Vec<Problem>) -> (u32, i64) {
    let default = (TIMES_DEFAULT, PER_MS_DEFAULT);
    let Some(value) = fields.get("budget") else { return default };
    let Some(mut budget) = Reader::of(value, "`budget` of a rule", out) else { return default };
    let times = budget.require("times", out);
    let per = budget.need_text("per", out);
    budget.finish(out);
    let per_ms = per.and_then(|text| bounded(&text, RULE_PER_MIN_MS, RULE_PER_MAX_MS, out));
    let times = times.and_then(|value| number("`times` of a budget", value, RULE_TIMES_MAX, out));
    (times.unwrap_or(TIMES_DEFAULT), per_ms.unwrap_or(PER_MS_DEFAULT))
}

fn check_order(name: &Spanned<String>, actions: &[Spanned<RuleAction>], out: &mut Vec<Problem>) {
    let Some(end) = actions.iter().position(|action| action.get_ref().ends()) else { return };
    if let Some(after) = actions.get(end + 1) {
        let message = format!("rule `{}` never comes to this", name.get_ref());
        let problem = Problem::error("config.rule_unreachable", after.span(), message).label("never done");
        let problem = problem.also(actions[end].span(), "this ends what the rule does");
        out.push(problem.help("put it before, or take it away"));
    }
}

/// A command must be one of every component that the rule is for.
fn check_commands(
    on: &RuleMatch,
    actions: &[Spanned<RuleAction>],
    components: &[RawComponent<'_>],
    out: &mut Vec<Problem>,
) {
    let is_for = |c: &&RawComponent<'_>| on.components.is_empty() || on.components.contains(c.name.get_ref());
    for action in actions {
        let RuleAction::Run(command) = action.get_ref() else { continue };
        let lacks = components.iter().filter(is_for).find(|c| !c.actions.contains(command));
        if let Some(component) = lacks {
            let name = component.name.get_ref();
            let message = format!("component `{name}` has no action `{command}` to run");
            let problem = Problem::error("config.unknown_command", action.span(), message);
            let problem = problem.label("not an action").also(component.name.span(), "of this component");
            let known = component.actions.iter().map(String::as_str);
            out.push(if component.actions.is_empty() {
                problem.help(format!("declare it there, `actions = {{ {command} = [\"sh\", \"{command}.sh\"] }}`, or name only components that have it: `on.component`"))
            } else {
                problem.did_you_mean(command, known)
            });
        }
    }
}

/// A rule that an earlier one always comes before, and leaves nothing for.
fn check_beside(
    name: &Spanned<String>,
    rule: &Rule,
    earlier: &[(Spanned<String>, Rule)],
    out: &mut Vec<Problem>,
) {
    if let Some((other, _)) = earlier.iter().find(|(_, other)| other.name == rule.name) {
        let message = format!("there are two rules `{}`", rule.name);
        out.push(Problem::error("config.bad_name", name.span(), message).also(other.span(), "the first"));
    }
    let holds = |other: &Rule| other.actions.last() == Some(&RuleAction::Hold) && other.actions.len() == 1;
    if let Some((other, _)) = earlier.iter().find(|(_, other)| holds(other) && covers(&other.on, &rule.on)) {
        let message =
            format!("rule `{}` would never act: `{}` holds all that it is for", rule.name, other.get_ref());
        let problem = Problem::error("config.rule_unreachable", name.span(), message).label("never acts");
        out.push(
            problem
                .also(other.span(), "comes first")
                .help("put it before that one, or make that one narrower"),
        );
    }
}

fn covers(wide: &RuleMatch, narrow: &RuleMatch) -> bool {
    fn all<T: PartialEq>(wide: &[T], narrow: &[T]) -> bool {
        wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(|item| wide.contains(item)))
    }
    all(&wide.classes, &narrow.classes)
        && all(&wide.codes, &narrow.codes)
        && all(&wide.components, &narrow.components)
        && all(&wide.operations, &narrow.operations)
}
