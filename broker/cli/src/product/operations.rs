//! What a product's file says of its operations: `[operations.deploy]`, `[operations.destroy]`, and whose
//! approval they need.

use std::collections::BTreeMap;

use remit_seal::document::Approval;

use super::problem::Problem;
use super::reader::Reader;

/// The operations that are planned, and so can be approved.
const PLANNED: [&str; 2] = ["deploy", "destroy"];
const SIDES: [(&str, Approval); 4] = [
    ("none", Approval::None),
    ("vendor", Approval::Vendor),
    ("customer", Approval::Customer),
    ("both", Approval::Both),
];

/// Whose approval each operation needs; those that the file does not name need nobody's.
pub(super) fn read(top: &mut Reader<'_>, out: &mut Vec<Problem>) -> BTreeMap<String, Approval> {
    let mut approvals = BTreeMap::new();
    for (name, value) in top.entries("operations", out) {
        if !PLANNED.contains(&name.get_ref().as_str()) {
            let message = format!("`{}` is no operation that has a plan to approve", name.get_ref());
            let problem = Problem::error("config.bad_value", name.span(), message);
            out.push(problem.did_you_mean(name.get_ref(), PLANNED));
            continue;
        }
        let what = format!("`[operations.{}]`", name.get_ref());
        let Some(mut fields) = Reader::of(value, what, out) else { continue };
        let approval = fields.need_text("approval", out);
        fields.finish(out);
        let Some(text) = approval else { continue };
        match SIDES.iter().find(|(side, _)| side == text.get_ref()) {
            Some((_, approval)) => drop(approvals.insert(name.get_ref().clone(), *approval)),
            None => {
                let message = format!("`{}` says nothing of who must approve", text.get_ref());
                let problem = Problem::error("config.bad_value", text.span(), message);
                out.push(problem.did_you_mean(text.get_ref(), SIDES.map(|(side, _)| side)));
            }
        }
    }
    approvals
}
