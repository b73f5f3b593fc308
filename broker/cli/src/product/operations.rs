//! What a product's file says of its operations: `[operations.deploy]`, `[operations.destroy]`, whose
//! approval they need, and of how many people.

use std::collections::BTreeMap;

use remit_seal::document::{Approval, Side, Terms};
use remit_seal::verify::{APPROVAL_VALID_MAX_MS, APPROVAL_VALID_MIN_MS, APPROVALS_MAX, APPROVER_LEN_MAX};
use toml::Spanned;

use super::healing::{bounded, number};
use super::problem::Problem;
use super::reader::{Reader, Value};

/// The operations that are planned, and so can be approved.
const PLANNED: [&str; 2] = ["deploy", "destroy"];
const SIDES: [(&str, Approval); 4] = [
    ("none", Approval::None),
    ("vendor", Approval::Vendor),
    ("customer", Approval::Customer),
    ("both", Approval::Both),
];
/// How long an approval counts at most when the file sets terms and does not say: a day.
const VALID_MS_DEFAULT: i64 = 24 * 60 * 60 * 1_000;

/// Whose approval an operation needs, and the terms of the vendor's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needed {
    /// Whose.
    pub approval: Approval,
    /// Of how many of the vendor's people, and of whom; none where nothing is said.
    pub terms: Option<Terms>,
}

/// Whose approval each operation needs; those that the file does not name need nobody's.
pub(super) fn read(top: &mut Reader<'_>, out: &mut Vec<Problem>) -> BTreeMap<String, Needed> {
    let mut all = BTreeMap::new();
    for (name, value) in top.entries("operations", out) {
        if !PLANNED.contains(&name.get_ref().as_str()) {
            let message = format!("`{}` is no operation that has a plan to approve", name.get_ref());
            let problem = Problem::error("config.bad_value", name.span(), message);
            out.push(problem.did_you_mean(name.get_ref(), PLANNED));
            continue;
        }
        let what = format!("`[operations.{}]`", name.get_ref());
        if let Some(needed) = Reader::of(value, what, out).and_then(|fields| one(fields, out)) {
            all.insert(name.get_ref().clone(), needed);
        }
    }
    all
}

fn one(mut fields: Reader<'_>, out: &mut Vec<Problem>) -> Option<Needed> {
    let approval = fields.need_text("approval", out);
    let (quorum, approvers, valid) =
        (fields.get("quorum"), fields.get("approvers"), fields.text("valid", out));
    let names = fields.texts("approvers", out);
    fields.finish(out);
    let approval = side(&approval?, out)?;
    let said = [quorum, approvers].into_iter().flatten().map(Spanned::span);
    let Some(place) = said.chain(valid.as_ref().map(Spanned::span)).next() else {
        return Some(Needed { approval, terms: None });
    };
    if !approval.sides().contains(&Side::Vendor) {
        let message =
            "`quorum`, `approvers` and `valid` are of the vendor's approval, which is not asked for";
        let problem = Problem::error("config.bad_value", place, message);
        out.push(
            problem
                .help("write `approval = \"vendor\"` or `\"both\"`; the customer's remit is theirs to write"),
        );
        return None;
    }
    let people = match quorum {
        Some(value) => number("`quorum`", value, APPROVALS_MAX as u32, out)?,
        None => 1,
    };
    let valid_ms = match &valid {
        Some(text) => bounded(text, APPROVAL_VALID_MIN_MS, APPROVAL_VALID_MAX_MS, out)?,
        None => VALID_MS_DEFAULT,
    };
    check_names(&names, out)?;
    let terms =
        Terms { quorum: people, approvers: names.into_iter().map(Spanned::into_inner).collect(), valid_ms };
    check_reachable(&terms, quorum.or(approvers), out)?;
    Some(Needed { approval, terms: Some(terms) })
}

fn side(text: &Spanned<String>, out: &mut Vec<Problem>) -> Option<Approval> {
    let found = SIDES.iter().find(|(side, _)| side == text.get_ref()).map(|(_, approval)| *approval);
    if found.is_none() {
        let message = format!("`{}` says nothing of who must approve", text.get_ref());
        let problem = Problem::error("config.bad_value", text.span(), message);
        out.push(problem.did_you_mean(text.get_ref(), SIDES.map(|(side, _)| side)));
    }
    found
}

fn check_names(names: &[Spanned<String>], out: &mut Vec<Problem>) -> Option<()> {
    if let Some(beyond) = names.get(APPROVALS_MAX) {
        let message = format!("{} approvers are named; at most {APPROVALS_MAX} are allowed", names.len());
        out.push(Problem::error("config.too_many", beyond.span(), message));
        return None;
    }
    for (index, name) in names.iter().enumerate() {
        let text = name.get_ref();
        let message =
            if text.is_empty() || text.len() > APPROVER_LEN_MAX || text.chars().any(char::is_control) {
                "this is no approver: write the name of a person's token".to_owned()
            } else if names[..index].iter().any(|other| other.get_ref() == text) {
                format!("`{text}` is named twice, and counts once")
            } else {
                continue;
            };
        out.push(Problem::error("config.bad_value", name.span(), message));
        return None;
    }
    Some(())
}

/// So many people must be there who may approve.
fn check_reachable(terms: &Terms, place: Option<&Value<'_>>, out: &mut Vec<Problem>) -> Option<()> {
    let Terms { quorum, approvers, .. } = terms;
    if approvers.is_empty() || approvers.len() >= *quorum as usize {
        return Some(());
    }
    let message = format!("{quorum} must approve and only {} may: nothing would ever go on", approvers.len());
    let place = place.map(Spanned::span).unwrap_or_default();
    out.push(
        Problem::error("config.quorum_unreachable", place, message)
            .help("name more approvers, or let fewer suffice"),
    );
    None
}
