//! What differs from what was deployed, in the loops' words: texts of a customer's account, cleaned.

use remit_loops::drift::{Attribute, Details, Difference};
use remit_proto::convert;

pub(super) fn of(differences: &convert::Differences) -> Details {
    let clean = |text: &String| crate::logs::text::clean(text.as_bytes(), true).0;
    let attribute = |a: &convert::Attribute| Attribute {
        path: clean(&a.path),
        found: a.found.as_ref().map(clean),
        wanted: a.wanted.as_ref().map(clean),
        sensitive: a.sensitive,
    };
    let difference = |d: &convert::Difference| Difference {
        address: clean(&d.address),
        action: super::plan::action(d.action),
        attributes: d.attributes.iter().map(attribute).collect(),
    };
    Details {
        fingerprint: differences.fingerprint.map(hex::encode).unwrap_or_default(),
        list: differences.list.iter().map(difference).collect(),
        more: differences.more,
    }
}
