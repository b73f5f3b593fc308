//! The shape of a product's file: which fields there are, each read once, with its place.

use std::collections::BTreeMap;

use remit_seal::document::{COMMANDS, ComponentKind, DriftSchedule, HEALTH, Output, RESERVED, Rule, Tool};
use remit_seal::verify::{LONGEST_RUN_MAX_MS, LONGEST_RUN_MIN_MS};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::field::{RawComponent, check_name, check_word, kind, program, value_type};
use super::healing::bounded;
use super::problem::Problem;
use super::reader::{Reader, Value, wrong_type};
use super::{escapes, healing, health, inputs, operations, rules};

/// How long one job of a component may run when its file says nothing: 30 minutes.
const LONGEST_RUN_MS_DEFAULT: i64 = 30 * 60 * 1000;
/// A product's file, read but not yet checked against itself.
pub(super) struct Raw<'t> {
    pub(super) org: Option<Spanned<String>>,
    pub(super) app: Option<Spanned<String>>,
    pub(super) channel: Option<Spanned<String>>,
    pub(super) tools: BTreeMap<String, Tool>,
    pub(super) inputs: Vec<inputs::Raw>,
    pub(super) components: Vec<RawComponent<'t>>,
    pub(super) drift: Option<DriftSchedule>,
    pub(super) rules: Vec<Rule>,
    pub(super) approvals: BTreeMap<String, operations::Needed>,
}

/// Reads the whole file.
pub(super) fn read<'t>(table: &'t DeTable<'t>, out: &mut Vec<Problem>) -> Raw<'t> {
    let mut top = Reader::new(table, 0..0, "the product's file");
    version(&mut top, out);
    let app = top.require("app", out).and_then(|value| Reader::of(value, "`[app]`", out));
    let (org, name, channel) = app.map(|app| app_names(app, out)).unwrap_or_default();
    let tools = top.entries("tools", out).into_iter().filter_map(|(n, v)| tool(&n, v, out)).collect();
    let inputs = top.entries("inputs", out).into_iter().map(|(n, v)| inputs::read(n, v, out)).collect();
    let components: Vec<RawComponent<'_>> =
        top.entries("components", out).into_iter().filter_map(|(n, v)| component(n, v, out)).collect();
    let drift = healing::drift(&mut top, out);
    let rules = rules::read(&mut top, &components, out);
    let approvals = operations::read(&mut top, out);
    top.finish(out);
    Raw { org, app: name, channel, tools, inputs, components, drift, rules, approvals }
}

fn version(top: &mut Reader<'_>, out: &mut Vec<Problem>) {
    let Some(value) = top.require("version", out) else { return };
    match value.get_ref().as_integer() {
        Some(number) if number.as_str() == "1" => {}
        Some(number) => {
            let message = format!("version {} of the product's file is not known", number.as_str());
            let problem = Problem::error("config.version", value.span(), message);
            out.push(
                problem.help("this program reads version 1: write `version = 1`, or take a newer remit"),
            );
        }
        None => out.push(wrong_type("`version` of the product's file", "the number 1", value)),
    }
}

type Names = (Option<Spanned<String>>, Option<Spanned<String>>, Option<Spanned<String>>);

fn app_names(mut app: Reader<'_>, out: &mut Vec<Problem>) -> Names {
    let org = app.need_text("org", out);
    let name = app.need_text("name", out);
    let channel = app.text("channel", out);
    app.finish(out);
    for found in [&org, &name, &channel].into_iter().flatten() {
        check_name(found, out);
    }
    (org, name, channel)
}

fn tool(name: &Spanned<String>, value: &Value<'_>, out: &mut Vec<Problem>) -> Option<(String, Tool)> {
    let version = super::reader::text(&format!("tool `{}`", name.get_ref()), value, out)?;
    let text = version.get_ref();
    let allowed = |c: char| c.is_ascii_alphanumeric() || " .,<>=~!*-+".contains(c);
    if text.trim().is_empty() || !text.chars().all(allowed) {
        let message = format!("`{text}` is no version requirement");
        let problem = Problem::error("config.bad_value", version.span(), message);
        out.push(problem.help("write it like `>= 1.5`"));
        return None;
    }
    Some((name.get_ref().clone(), Tool { version: text.clone() }))
}

fn component<'t>(
    name: Spanned<String>,
    value: &'t Value<'t>,
    out: &mut Vec<Problem>,
) -> Option<RawComponent<'t>> {
    check_name(&name, out);
    let what = format!("component `{}`", name.get_ref());
    let mut fields = Reader::of(value, what.clone(), out)?;
    let kind_text = fields.need_text("kind", out);
    let kind = kind_text.and_then(|text| kind(&text, out));
    let source = fields.need_text("source", out);
    let needs = fields.texts("needs", out);
    let longest_run_ms = longest_run(&mut fields, out);
    let sandbox = fields.flag("sandbox", out);
    let inputs = fields.entries("inputs", out);
    for (input, _) in &inputs {
        check_word("an input", input, out);
    }
    let outputs =
        fields.entries("outputs", out).into_iter().map(|(n, v)| output(&what, &n, v, out)).collect();
    let mut commands = commands(&mut fields, &what, &name, kind, out);
    let own = actions(&mut fields, &what, kind, out);
    let actions = own.keys().cloned().collect();
    commands.extend(own);
    let health = health::read(&mut fields, &what, kind, longest_run_ms, out).map(|(command, health)| {
        commands.insert(HEALTH.to_owned(), command);
        health
    });
    let escapes = escapes::read(&mut fields, &what, kind, out);
    fields.finish(out);
    Some(RawComponent {
        name,
        kind,
        source,
        needs,
        longest_run_ms,
        sandbox,
        inputs,
        outputs,
        commands,
        actions,
        health,
        escapes,
    })
}

fn longest_run(fields: &mut Reader<'_>, out: &mut Vec<Problem>) -> i64 {
    let text = fields.text("longest_run", out);
    let read = text.and_then(|text| bounded(&text, LONGEST_RUN_MIN_MS, LONGEST_RUN_MAX_MS, out));
    read.unwrap_or(LONGEST_RUN_MS_DEFAULT)
}

fn output(
    owner: &str,
    name: &Spanned<String>,
    value: &Value<'_>,
    out: &mut Vec<Problem>,
) -> (String, Option<Output>) {
    check_word("an output", name, out);
    let what = format!("output `{}` of {owner}", name.get_ref());
    let declared = match value.get_ref() {
        DeValue::String(_) => super::reader::text(&what, value, out)
            .and_then(|text| value_type(&text, out))
            .map(|value_type| Output { value_type, sensitive: false }),
        DeValue::Table(_) => Reader::of(value, what, out).and_then(|mut fields| {
            let value_type = fields.need_text("type", out).and_then(|text| value_type(&text, out));
            let sensitive = fields.flag("sensitive", out);
            fields.finish(out);
            value_type.map(|value_type| Output { value_type, sensitive })
        }),
        _ => {
            out.push(wrong_type(&what, "a type, or a table with `type` and `sensitive`", value));
            None
        }
    };
    (name.get_ref().clone(), declared)
}

fn commands(
    fields: &mut Reader<'_>,
    what: &str,
    name: &Spanned<String>,
    kind: Option<ComponentKind>,
    out: &mut Vec<Problem>,
) -> BTreeMap<String, Vec<String>> {
    let given = fields.entries("commands", out);
    if let (Some(kind), Some((first, _))) = (kind.filter(|k| !k.traits().has_commands), given.first()) {
        let message = format!("{what} is of kind `{}`: only a script has commands", kind.as_str());
        out.push(Problem::error("config.unknown_field", first.span(), message).label("not for this kind"));
        return BTreeMap::new();
    }
    if kind.is_some_and(|k| k.traits().has_commands) && !given.iter().any(|(n, _)| n.get_ref() == "deploy") {
        let message = format!("{what} is a script without a command to deploy it");
        let problem = Problem::error("config.missing_command", name.span(), message);
        out.push(problem.help("add `commands = { deploy = [\"sh\", \"deploy.sh\"] }`"));
    }
    given.into_iter().filter_map(|(n, v)| command(what, &n, v, out)).collect()
}

/// Commands with names of the vendor's own, for rules to run.
fn actions(
    fields: &mut Reader<'_>,
    what: &str,
    kind: Option<ComponentKind>,
    out: &mut Vec<Problem>,
) -> BTreeMap<String, Vec<String>> {
    let given = fields.entries("actions", out);
    if let (Some(kind), Some((first, _))) = (kind.filter(|k| !k.traits().has_commands), given.first()) {
        let message = format!("{what} is of kind `{}`: only a script has actions", kind.as_str());
        out.push(Problem::error("config.unknown_field", first.span(), message).label("not for this kind"));
        return BTreeMap::new();
    }
    let mut actions = BTreeMap::new();
    for (name, value) in given {
        check_name(&name, out);
        if COMMANDS.contains(&name.get_ref().as_str()) || RESERVED.contains(&name.get_ref().as_str()) {
            let message = format!("`{}` means something else and is no action of {what}", name.get_ref());
            out.push(Problem::error("config.bad_name", name.span(), message).help("give it another name"));
        }
        actions.insert(name.get_ref().clone(), program(what, &name, value, out));
    }
    actions
}

fn command(
    what: &str,
    name: &Spanned<String>,
    value: &Value<'_>,
    out: &mut Vec<Problem>,
) -> Option<(String, Vec<String>)> {
    if !COMMANDS.contains(&name.get_ref().as_str()) {
        let message = format!("unknown command `{}` of {what}", name.get_ref());
        let problem = Problem::error("config.unknown_field", name.span(), message).label("not a command");
        out.push(problem.did_you_mean(name.get_ref(), COMMANDS));
        return None;
    }
    Some((name.get_ref().clone(), program(what, name, value, out)))
}
