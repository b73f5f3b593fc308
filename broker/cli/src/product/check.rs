//! Checks a product against itself: every name that is used is there, and nothing goes in circles.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use remit_seal::document::{Input, OutputRef, Part, Source, Value, ValueType};
use toml::Spanned;
use toml::de::DeValue;

use super::field::RawComponent;
use super::problem::Problem;
use super::reader::Value as TomlValue;
use super::reference::{self, Piece, Reference};
use super::shape::Raw;
use super::{Component, cycle, inputs};

/// What is known while checking.
pub(super) struct Checker<'r, 't> {
    raw: &'r Raw<'t>,
    text: &'r str,
    out: &'r mut Vec<Problem>,
    /// For each component, those that it comes after, with the place that says so.
    edges: BTreeMap<String, BTreeMap<String, Range<usize>>>,
}

impl<'r, 't> Checker<'r, 't> {
    pub(super) fn new(raw: &'r Raw<'t>, text: &'r str, out: &'r mut Vec<Problem>) -> Self {
        Self { raw, text, out, edges: BTreeMap::new() }
    }

    /// The components with their references resolved; complete only if no error was found.
    pub(super) fn components(mut self) -> Vec<Component> {
        let raw = self.raw;
        let components: Vec<Component> = raw.components.iter().filter_map(|c| self.component(c)).collect();
        let order: Vec<&str> = raw.components.iter().map(|c| c.name.get_ref().as_str()).collect();
        for found in cycle::find(&order, &self.edges) {
            let (span, others) = found.places.split_first().expect("a cycle has at least one edge");
            let message = format!("these components wait for each other: {}", found.path.join(" → "));
            let mut problem =
                Problem::error("config.cycle", span.clone(), message).label("closes the circle");
            for other in others {
                problem = problem.also(other.clone(), "and this");
            }
            self.out.push(problem.help("take one of these references or needs away"));
        }
        components
    }

    fn component(&mut self, raw: &RawComponent<'_>) -> Option<Component> {
        let name = raw.name.get_ref().clone();
        self.edges.entry(name.clone()).or_default();
        for need in &raw.needs {
            self.need(&name, need.get_ref(), need.span());
        }
        let sources: BTreeMap<String, Source> = raw
            .inputs
            .iter()
            .filter_map(|(input, value)| Some((input.get_ref().clone(), self.source(raw, input, value)?)))
            .collect();
        Some(Component {
            kind: raw.kind?,
            source: raw.source.as_ref()?.get_ref().clone(),
            needs: self.edges[&name].keys().cloned().collect(),
            name,
            longest_run_ms: raw.longest_run_ms,
            sandbox: raw.sandbox,
            inputs: sources,
            outputs: raw.outputs.iter().filter_map(|(n, o)| Some((n.clone(), o.clone()?))).collect(),
            commands: raw.commands.clone(),
            actions: raw.actions.clone(),
            health: raw.health,
            escapes: raw.escapes.clone(),
        })
    }

    /// Notes that one component comes after another; false if it cannot.
    fn need(&mut self, from: &str, to: &str, span: Range<usize>) -> bool {
        if from == to {
            let message = format!("component `{from}` needs itself");
            self.out.push(Problem::error("config.self_reference", span, message));
            return false;
        }
        if !self.raw.components.iter().any(|c| c.name.get_ref() == to) {
            let names: BTreeSet<&str> = self
                .raw
                .components
                .iter()
                .map(|c| c.name.get_ref().as_str())
                .filter(|n| *n != from)
                .collect();
            let message = format!("there is no component `{to}`");
            let problem = Problem::error("config.unknown_component", span, message).label("not a component");
            self.out.push(problem.did_you_mean(to, names));
            return false;
        }
        self.edges.entry(from.to_owned()).or_default().entry(to.to_owned()).or_insert(span);
        true
    }

    fn source(
        &mut self,
        owner: &RawComponent<'_>,
        input: &Spanned<String>,
        value: &TomlValue<'_>,
    ) -> Option<Source> {
        let what = format!("input `{}` of component `{}`", input.get_ref(), owner.name.get_ref());
        let DeValue::String(text) = value.get_ref() else {
            let read = inputs::plain(&what, value, self.out)?;
            self.no_reference_in_list(&read, value);
            return Some(Source::Literal(read));
        };
        let pieces = match reference::parse(text) {
            Ok(pieces) => pieces,
            Err(bad) => {
                let place = self.place(value, text, &bad.span);
                self.out.push(Problem::error("config.bad_reference", place, bad.message).help(bad.help));
                return None;
            }
        };
        let whole = pieces.len() == 1;
        let mut parts = Vec::new();
        for piece in pieces {
            parts.push(match piece {
                Piece::Literal(text) => Part::Literal(text),
                Piece::Reference(reference, span) => {
                    let place = self.place(value, text, &span);
                    self.part(owner, reference, place, whole)?
                }
            });
        }
        Some(match (whole, parts.pop()) {
            (_, None) => Source::Literal(Value::String(String::new())),
            (true, Some(Part::Literal(text))) => Source::Literal(Value::String(text)),
            (true, Some(Part::Input(name))) => Source::Input(name),
            (true, Some(Part::Output(output))) => Source::Output(output),
            (false, Some(last)) => {
                parts.push(last);
                Source::Text(parts)
            }
        })
    }

    fn no_reference_in_list(&mut self, read: &Value, value: &TomlValue<'_>) {
        let Value::List(items) = read else { return };
        if items.iter().any(|i| matches!(i, Value::String(s) if s.contains("{{"))) {
            let message = "a list holds a reference; only a whole value or a text may";
            let problem = Problem::error("config.bad_reference", value.span(), message);
            self.out.push(problem.help("give the list as one output or input of type `string_list`"));
        }
    }

    /// One reference: is it there, and may it stand here?
    fn part(
        &mut self,
        owner: &RawComponent<'_>,
        reference: Reference,
        place: Range<usize>,
        whole: bool,
    ) -> Option<Part> {
        match reference {
            Reference::Input(name) => {
                let spec = self.input(&name, &place)?;
                self.fits_text(&format!("input `{name}`"), spec.value_type, spec.sensitive, &place, whole)?;
                Some(Part::Input(name))
            }
            Reference::Output { component, output } => {
                if !self.need(owner.name.get_ref(), &component, place.clone()) {
                    return None;
                }
                let (value_type, sensitive) = self.output(&component, &output, &place)?;
                let what = format!("output `{output}` of component `{component}`");
                self.fits_text(&what, value_type, sensitive, &place, whole)?;
                Some(Part::Output(OutputRef { component, output }))
            }
        }
    }

    fn input(&mut self, name: &str, place: &Range<usize>) -> Option<Input> {
        if let Some(found) = self.raw.inputs.iter().find(|i| i.name.get_ref() == name) {
            return found.spec.clone();
        }
        let names: Vec<&str> = self.raw.inputs.iter().map(|i| i.name.get_ref().as_str()).collect();
        let message = format!("there is no input `{name}`");
        let problem = Problem::error("config.unknown_input", place.clone(), message).label("not an input");
        let problem = match names.is_empty() {
            true => problem.help(format!("declare it: `[inputs.{name}]` with `type` and `authority`")),
            false => problem.did_you_mean(name, names),
        };
        self.out.push(problem);
        None
    }

    fn output(&mut self, component: &str, output: &str, place: &Range<usize>) -> Option<(ValueType, bool)> {
        let raw = self.raw;
        let owner = raw.components.iter().find(|c| c.name.get_ref() == component)?;
        if let Some(declared) = owner.outputs.get(output) {
            return declared.as_ref().map(|o| (o.value_type, o.sensitive));
        }
        let message = format!("component `{component}` has no output `{output}`");
        let problem = Problem::error("config.unknown_output", place.clone(), message).label("not an output");
        let problem = match owner.outputs.is_empty() {
            true => problem.help(format!("declare it there: `outputs = {{ {output} = \"string\" }}`")),
            false => problem.did_you_mean(output, owner.outputs.keys().map(String::as_str)),
        };
        self.out.push(problem.also(owner.name.span(), "this component"));
        None
    }

    /// A list cannot be written into a text; a secret can, but is worth a word.
    fn fits_text(
        &mut self,
        what: &str,
        value_type: ValueType,
        sensitive: bool,
        place: &Range<usize>,
        whole: bool,
    ) -> Option<()> {
        if whole {
            return Some(());
        }
        if value_type == ValueType::StringList {
            let message = format!("{what} is a list and cannot be written into a text");
            let problem =
                Problem::error("config.type_mismatch", place.clone(), message).label("a string_list");
            self.out.push(problem.help("let the reference be the whole value: its type is kept then"));
            return None;
        }
        if sensitive {
            let message = format!("{what} is sensitive and becomes part of a text");
            let problem = Problem::note("config.sensitive_text", place.clone(), message);
            self.out.push(problem.help("the whole text stays in the customer's account and out of logs"));
        }
        Some(())
    }

    /// Where a part of a text stands in the file; the whole text if escapes moved it.
    fn place(&self, value: &TomlValue<'_>, decoded: &str, part: &Range<usize>) -> Range<usize> {
        let whole = value.span();
        match self.text.get(whole.clone()).and_then(|raw| raw.find(decoded)) {
            Some(offset) => whole.start + offset + part.start..whole.start + offset + part.end,
            None => whole,
        }
    }
}
