//! Releases: what an offline vendor key says may run must also make sense as a whole.

use std::collections::{BTreeMap, BTreeSet};

use super::input::{TEXT_LEN_MAX, check_spec};
use super::name::{check_field, check_name};
use super::root::{check_unexpired, check_vendor};
use super::{RoleName, Verified, approval, escape, healing, health, signed};
use crate::Refusal;
use crate::document::{Component, OutputRef, Part, Release, Root, SWEEP, Source, Value};
use crate::dsse::PayloadType;
use crate::refusal::clip;

/// The most components of a release.
pub const COMPONENTS_MAX: usize = 500;
/// The largest packaged source of a component, in bytes.
pub const ARTIFACT_SIZE_MAX: u64 = 1 << 30;
/// The shortest `longest_run_ms` of a component.
pub const LONGEST_RUN_MIN_MS: i64 = 1_000;
/// The longest: a day.
pub const LONGEST_RUN_MAX_MS: i64 = 24 * 60 * 60 * 1_000;

/// The longest notes of a release, in bytes.
pub const NOTES_LEN_MAX: usize = 16 << 10;

const TOOLS_MAX: usize = 32;
const OPERATIONS_MAX: usize = 32;
const FIELDS_MAX: usize = 256;
const ARGUMENTS_MAX: usize = 128;
const PARTS_MAX: usize = 128;
const LABEL_LEN_MAX: u64 = 128;

/// A release of this vendor that has not expired.
pub fn release(root: &Verified<Root>, bytes: &[u8], now_ms: i64) -> Result<Verified<Release>, Refusal> {
    let release = kept_release(root, bytes, now_ms)?;
    check_time(release.get(), now_ms)?;
    Ok(release)
}

/// A release of this vendor, whether or not it has expired: `bind` decides what may still be done by it.
pub fn kept_release(root: &Verified<Root>, bytes: &[u8], now_ms: i64) -> Result<Verified<Release>, Refusal> {
    let release: Verified<Release> = signed(root.get(), RoleName::Release, PayloadType::Release, bytes)?;
    check_unexpired(root.get(), now_ms)?;
    check_vendor(root.get(), &release.get().vendor)?;
    check_sound(release.get())?;
    Ok(release)
}

pub(super) fn check_time(release: &Release, now_ms: i64) -> Result<(), Refusal> {
    let expires_ms = release.expires_ms;
    if now_ms >= expires_ms { Err(Refusal::ReleaseExpired { expires_ms }) } else { Ok(()) }
}

fn check_sound(release: &Release) -> Result<(), Refusal> {
    check_head(release)?;
    healing::check(release)?;
    release.operations.values().try_for_each(approval::check_terms)?;
    for (name, spec) in &release.inputs {
        check_field("an input", name)?;
        check_spec(name, spec)?;
    }
    let components = by_name(&release.components)?;
    for component in &release.components {
        check_component(release, &components, component)?;
    }
    check_acyclic(&release.components)
}

fn check_head(release: &Release) -> Result<(), Refusal> {
    let unsound = |detail| Err(Refusal::ReleaseInvalid { detail });
    check_name("a vendor", &release.vendor)?;
    check_name("an app", &release.app)?;
    check_name("a channel", &release.channel)?;
    check_label("the version", &release.version)?;
    if release.version.is_empty() || release.version.chars().any(char::is_control) {
        return unsound("its version is empty or holds control characters");
    }
    if release.counter == 0 || release.rollback_floor > release.counter {
        return unsound("counters begin with 1, and the floor may not be above the counter");
    }
    if release.created_ms < 0 || release.created_ms >= release.expires_ms {
        return unsound("it expires before it was cut");
    }
    if release.notes.len() > NOTES_LEN_MAX {
        return unsound("its notes are too long");
    }
    if release.components.is_empty() {
        return unsound("it has no components");
    }
    limit("components", release.components.len(), COMPONENTS_MAX)?;
    limit("inputs", release.inputs.len(), FIELDS_MAX)?;
    limit("tools", release.tools.len(), TOOLS_MAX)?;
    limit("operations", release.operations.len(), OPERATIONS_MAX)?;
    release.operations.keys().try_for_each(|name| check_name("an operation", name))?;
    for (name, tool) in &release.tools {
        check_name("a tool", name)?;
        check_label("a tool's version", &tool.version)?;
    }
    Ok(())
}

fn limit(what: &str, count: usize, max: usize) -> Result<(), Refusal> {
    if count > max {
        return Err(Refusal::ReleaseLimit { what: format!("the number of {what}"), max: max as u64 });
    }
    Ok(())
}

fn check_label(what: &str, text: &str) -> Result<(), Refusal> {
    check_len(what, text, LABEL_LEN_MAX)
}

fn check_len(what: &str, text: &str, max: u64) -> Result<(), Refusal> {
    if text.len() as u64 > max {
        return Err(Refusal::ReleaseLimit { what: format!("the length of {what}"), max });
    }
    Ok(())
}

type ByName<'a> = BTreeMap<&'a str, &'a Component>;

fn by_name(components: &[Component]) -> Result<ByName<'_>, Refusal> {
    let mut names = ByName::new();
    for component in components {
        check_name("a component", &component.name)?;
        if names.insert(&component.name, component).is_some() {
            return Err(Refusal::NameDuplicate { name: component.name.clone() });
        }
    }
    Ok(names)
}

fn check_component(release: &Release, all: &ByName<'_>, component: &Component) -> Result<(), Refusal> {
    check_sizes(component)?;
    escape::check(component)?;
    check_needs(all, component)?;
    limit("a component's outputs", component.outputs.len(), FIELDS_MAX)?;
    component.outputs.keys().try_for_each(|name| check_field("an output", name))?;
    limit("a component's inputs", component.inputs.len(), FIELDS_MAX)?;
    for (input, source) in &component.inputs {
        check_field("a component's input", input)?;
        Referrer { release, all, component, input }.check(source)?;
    }
    check_commands(release, component)?;
    health::check(release, component)
}

fn check_sizes(component: &Component) -> Result<(), Refusal> {
    let over =
        |what: &str, max| Refusal::ReleaseLimit { what: format!("{what} of `{}`", component.name), max };
    if component.size == 0 || component.size > ARTIFACT_SIZE_MAX {
        return Err(over("the packaged source", ARTIFACT_SIZE_MAX));
    }
    if !(LONGEST_RUN_MIN_MS..=LONGEST_RUN_MAX_MS).contains(&component.longest_run_ms) {
        return Err(over("the longest run (1 s at least)", LONGEST_RUN_MAX_MS.unsigned_abs()));
    }
    Ok(())
}

fn check_needs(all: &ByName<'_>, component: &Component) -> Result<(), Refusal> {
    let mut seen = BTreeSet::new();
    for needs in &component.needs {
        if *needs == component.name || !all.contains_key(needs.as_str()) {
            return Err(Refusal::NeedsUnknown { component: component.name.clone(), needs: clip(needs) });
        }
        if !seen.insert(needs) {
            return Err(Refusal::NameDuplicate { name: needs.clone() });
        }
    }
    Ok(())
}

/// One input of a component, looking for what it refers to.
struct Referrer<'a> {
    release: &'a Release,
    all: &'a ByName<'a>,
    component: &'a Component,
    input: &'a str,
}

impl Referrer<'_> {
    fn check(&self, source: &Source) -> Result<(), Refusal> {
        match source {
            Source::Literal(value) => check_literal(value),
            Source::Input(name) => self.product_input(name),
            Source::Output(output) => self.output(output),
            Source::Text(parts) => {
                limit("the parts of a text", parts.len(), PARTS_MAX)?;
                parts.iter().try_for_each(|part| self.part(part))
            }
        }
    }

    fn part(&self, part: &Part) -> Result<(), Refusal> {
        match part {
            Part::Literal(text) => check_text(text),
            Part::Input(name) => self.product_input(name),
            Part::Output(output) => self.output(output),
        }
    }

    fn product_input(&self, name: &str) -> Result<(), Refusal> {
        if self.release.inputs.contains_key(name) {
            Ok(())
        } else {
            Err(self.unknown(&format!("inputs.{name}")))
        }
    }

    fn output(&self, OutputRef { component, output }: &OutputRef) -> Result<(), Refusal> {
        let refers = || self.unknown(&format!("components.{component}.outputs.{output}"));
        let other = self.all.get(component.as_str()).ok_or_else(refers)?;
        if !other.outputs.contains_key(output) {
            return Err(refers());
        }
        if !self.component.needs.contains(component) {
            return Err(Refusal::SourceOrder {
                component: self.component.name.clone(),
                input: self.input.to_owned(),
                other: component.clone(),
            });
        }
        Ok(())
    }

    fn unknown(&self, refers: &str) -> Refusal {
        let (component, input) = (self.component.name.clone(), self.input.to_owned());
        Refusal::SourceUnknown { component, input, refers: clip(refers) }
    }
}

fn check_literal(value: &Value) -> Result<(), Refusal> {
    match value {
        Value::Boolean(_) | Value::Integer(_) => Ok(()),
        Value::String(text) => check_text(text),
        // The strict reader bounds how deep this goes.
        Value::List(items) => items.iter().try_for_each(check_literal),
    }
}

fn check_text(text: &str) -> Result<(), Refusal> {
    if text.contains('\0') {
        return Err(Refusal::ReleaseInvalid { detail: "a text holds NUL" });
    }
    check_len("a text", text, TEXT_LEN_MAX)
}

fn check_commands(release: &Release, component: &Component) -> Result<(), Refusal> {
    let refuse = |detail| Err(Refusal::Commands { component: component.name.clone(), detail });
    if component.kind.traits().has_commands == component.commands.is_empty() {
        return refuse("a script has at least one, every other kind none");
    }
    for (operation, argv) in &component.commands {
        if operation != SWEEP && !release.operations.contains_key(operation) {
            return refuse("one is for an operation that the release does not have");
        }
        if argv.first().is_none_or(String::is_empty) {
            return refuse("one names no program");
        }
        limit("a command's arguments", argv.len(), ARGUMENTS_MAX)?;
        argv.iter().try_for_each(|argument| check_text(argument))?;
    }
    Ok(())
}

/// Takes away, round by round, what needs nothing that is left; what cannot be taken is a cycle.
fn check_acyclic(components: &[Component]) -> Result<(), Refusal> {
    let mut left: Vec<&Component> = components.iter().collect();
    let mut done = BTreeSet::new();
    while !left.is_empty() {
        let before = left.len();
        left.retain(|component| {
            let ready = component.needs.iter().all(|needs| done.contains(needs.as_str()));
            if ready {
                done.insert(component.name.as_str());
            }
            !ready
        });
        if left.len() == before {
            return Err(Refusal::NeedsCycle { component: left[0].name.clone() });
        }
    }
    Ok(())
}
