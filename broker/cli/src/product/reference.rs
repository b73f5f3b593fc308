//! References in texts: `{{ inputs.size }}` and `{{ components.network.outputs.subnet }}`.
//!
//! A hand-written parser: it knows where each part stands, and what it does not know it
//! refuses. `{{ "{{" }}` writes two braces as they are.

use std::ops::Range;

/// One part of a text, with its place in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// These characters.
    Literal(String),
    /// What stands in double braces.
    Reference(Reference, Range<usize>),
}

/// What a text may refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    /// `inputs.NAME`
    Input(String),
    /// `components.NAME.outputs.NAME`
    Output {
        /// The component.
        component: String,
        /// The output.
        output: String,
    },
}

/// Why a text cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// What is the matter.
    pub(super) message: String,
    /// Where in the text.
    pub(super) span: Range<usize>,
    /// What to write instead.
    pub(super) help: String,
}

const FORMS: &str = "write {{ inputs.NAME }} or {{ components.NAME.outputs.NAME }}";

/// Splits a text into its parts.
pub(super) fn parse(text: &str) -> Result<Vec<Piece>, Unreadable> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find("{{").map(|i| at + i) {
        push_literal(&mut pieces, &text[at..open]);
        let inner = open + 2;
        let close = end_of(text, inner).ok_or_else(|| Unreadable {
            message: "this `{{` is never closed".into(),
            span: open..text.len(),
            help: "close it with `}}`; for two braces as they are, write {{ \"{{\" }}".into(),
        })?;
        match read(&text[inner..close], open..close + 2)? {
            Piece::Literal(literal) => push_literal(&mut pieces, &literal),
            reference @ Piece::Reference(..) => pieces.push(reference),
        }
        at = close + 2;
    }
    push_literal(&mut pieces, &text[at..]);
    Ok(pieces)
}

/// Where the closing braces begin; braces between quotes do not count.
fn end_of(text: &str, from: usize) -> Option<usize> {
    let mut quoted = false;
    let bytes = text.as_bytes();
    (from..bytes.len()).find(|&i| {
        quoted ^= bytes[i] == b'"';
        !quoted && bytes[i] == b'}' && bytes.get(i + 1) == Some(&b'}')
    })
}

fn push_literal(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        _ if text.is_empty() => {}
        Some(Piece::Literal(before)) => before.push_str(text),
        Some(Piece::Reference(..)) | None => pieces.push(Piece::Literal(text.to_owned())),
    }
}

fn read(inner: &str, span: Range<usize>) -> Result<Piece, Unreadable> {
    let path = inner.trim();
    if let Some(literal) = path.strip_prefix('"').and_then(|p| p.strip_suffix('"')) {
        return Ok(Piece::Literal(literal.to_owned()));
    }
    let unreadable = |message: String, help: String| Unreadable { message, span: span.clone(), help };
    if path.is_empty() {
        return Err(unreadable("an empty reference".into(), FORMS.into()));
    }
    let names: Vec<&str> = path.split('.').collect();
    if let Some(bad) = names.iter().find(|n| !is_word(n)) {
        let message = format!("`{bad}` is no name; a reference is names joined by dots, and nothing else");
        return Err(unreadable(message, FORMS.into()));
    }
    let reference = match names.as_slice() {
        ["inputs", name] => Reference::Input((*name).to_owned()),
        ["components", component, "outputs", output] => {
            Reference::Output { component: (*component).to_owned(), output: (*output).to_owned() }
        }
        _ => return Err(unreadable(format!("`{path}` refers to nothing"), suggest(&names))),
    };
    Ok(Piece::Reference(reference, span))
}

/// The nearest thing that would have been understood.
fn suggest(names: &[&str]) -> String {
    match names {
        ["input" | "var" | "vars" | "variables", name] => format!("did you mean {{{{ inputs.{name} }}}}?"),
        [_, component, "output" | "outputs", name] | ["components" | "component", component, name] => {
            format!("did you mean {{{{ components.{component}.outputs.{name} }}}}?")
        }
        [component, "output" | "outputs", name] => {
            format!("did you mean {{{{ components.{component}.outputs.{name} }}}}?")
        }
        _ => FORMS.into(),
    }
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: &str) {
        let got = match parse(text) {
            Ok(pieces) => pieces
                .iter()
                .map(|p| match p {
                    Piece::Literal(text) => format!("'{text}'"),
                    Piece::Reference(Reference::Input(name), at) => format!("in:{name}@{at:?}"),
                    Piece::Reference(Reference::Output { component, output }, at) => {
                        format!("out:{component}/{output}@{at:?}")
                    }
                })
                .collect::<Vec<_>>()
                .join(" "),
            Err(e) => format!("{} @{:?}: {}", e.message, e.span, e.help),
        };
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn texts_are_split_into_parts_with_places() {
        check("", "");
        check("plain } text", "'plain } text'");
        check("{{ inputs.size }}", "in:size@0..17");
        check("{{inputs.size}}x", "in:size@0..15 'x'");
        check("a {{ components.n.outputs.o }} b", "'a ' out:n/o@2..30 ' b'");
        check("{{ inputs.a }}{{ inputs.b }}", "in:a@0..14 in:b@14..28");
        check("x{{ \"{{\" }}y{{ \"}}\" }}", "'x{{y}}'");
        check("ü{{ inputs.a }}", "'ü' in:a@2..16");
    }

    #[test]
    fn what_is_not_understood_is_refused_with_advice() {
        check(
            "a {{ inputs.b",
            "this `{{` is never closed @2..13: close it with `}}`; for two braces as they are, write {{ \"{{\" }}",
        );
        check("{{ }}", &format!("an empty reference @0..5: {FORMS}"));
        check("{{ var.x }}", "`var.x` refers to nothing @0..11: did you mean {{ inputs.x }}?");
        check(
            "{{ network.subnet.outputs.x }}",
            "`network.subnet.outputs.x` refers to nothing @0..30: did you mean {{ components.subnet.outputs.x }}?",
        );
        check(
            "{{ components.net.id }}",
            "`components.net.id` refers to nothing @0..23: did you mean {{ components.net.outputs.id }}?",
        );
        check(
            "{{ inputs.a | upper }}",
            &format!(
                "`a | upper` is no name; a reference is names joined by dots, and nothing else @0..22: {FORMS}"
            ),
        );
    }
}
