//! `escapes` of a component: what its source does that no plan shows. A source that does more is refused in
//! the customer's account, and what is declared here, only if the customer's policy allows it.

use std::collections::BTreeSet;

use remit_seal::document::ComponentKind;
use remit_seal::verify::{ESCAPES, ESCAPES_MAX, is_escape};

use super::problem::Problem;
use super::reader::Reader;

/// Those that there are, complete only if no error was found.
pub(super) fn read(
    fields: &mut Reader<'_>,
    what: &str,
    kind: Option<ComponentKind>,
    out: &mut Vec<Problem>,
) -> BTreeSet<String> {
    let given = fields.texts("escapes", out);
    let Some(first) = given.first() else { return BTreeSet::new() };
    if let Some(kind) = kind.filter(|kind| !kind.traits().has_escapes) {
        let message = format!("{what} is of kind `{}`: only terraform has escape hatches", kind.as_str());
        out.push(Problem::error("config.unknown_field", first.span(), message).label("not for this kind"));
    }
    if let Some(beyond) = given.get(ESCAPES_MAX) {
        let message = format!("{what} declares {} escape hatches; at most {ESCAPES_MAX}", given.len());
        out.push(Problem::error("config.too_many", beyond.span(), message));
    }
    for text in given.iter().filter(|text| !is_escape(text.get_ref())) {
        let message = format!("`{}` is no escape hatch", text.get_ref());
        let problem = Problem::error("config.bad_value", text.span(), message);
        let names = ESCAPES.into_iter().chain(["module:SOURCE", "provider:SOURCE"]);
        out.push(problem.did_you_mean(text.get_ref(), names));
    }
    given.into_iter().map(toml::Spanned::into_inner).collect()
}
