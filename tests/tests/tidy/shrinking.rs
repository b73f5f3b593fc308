//! Rules that came after the code: what broke one on that day is counted by file, and may only become less.

use std::collections::{BTreeMap, BTreeSet};

use crate::none;

/// How many times a file (or a folder) still breaks a rule.
pub(crate) type Known = &'static [(&'static str, usize)];

/// Fails for whatever breaks a rule beyond what is known of its file; `found` says the file, and what.
pub(crate) fn only_shrinks(rule: &str, known: Known, found: &[(String, String)]) {
    let mut by_file: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (file, what) in found {
        by_file.entry(file).or_default().push(what);
    }
    let known_of = |file: &str| known.iter().find(|(name, _)| *name == file).map_or(0, |(_, count)| *count);
    let files: BTreeSet<&str> = by_file.keys().copied().chain(known.iter().map(|(name, _)| *name)).collect();
    let mut broken = Vec::new();
    for file in files {
        let there = by_file.get(file).map_or(&[][..], Vec::as_slice);
        if there.len() > known_of(file) {
            broken.extend(there.iter().map(|what| format!("{file}: {what}")));
            broken.push(format!("{file}: {} of these, and {} are known", there.len(), known_of(file)));
        }
    }
    none(&format!("{rule} (known ones may only become fewer)"), &broken);
}
