//! A root as people read it: what it says, what it changes, who signed it and who is missing.

use std::path::Path;

use remit_loops::Timestamp;
use remit_seal::Digest;
use remit_seal::document::Root;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Result;
use crate::keys::ceremony::{Draft, Life, Quorum};
use crate::output::{BOLD, CYAN, DIM, GREEN, RED, Table, YELLOW, now_ms, time};

#[derive(Serialize)]
struct Told<'a> {
    file: &'a Path,
    sha256: String,
    root: &'a Root,
    signatures: Vec<Quorum>,
    complete: bool,
    /// Against the root before it, where that is known.
    changes: Vec<String>,
}

/// Says what a root says, who signed it, and what it changes of the one before.
pub(super) fn tell(context: &Context, draft: &Draft, before: Option<&Root>, file: &Path) -> Result<()> {
    let signatures = draft.quorums(before)?;
    // Version 1 has nothing before it; of a later one it must be known to say that nobody is missing.
    let complete = signatures.iter().all(Quorum::is_met) && (before.is_some() || draft.root.version == 1);
    let sha256 = Digest::of(&draft.envelope.payload).hex();
    let changes = before.map(|before| changes(before, &draft.root)).unwrap_or_default();
    let told = Told { file, sha256, root: &draft.root, signatures, complete, changes };
    context.format().answer(&told, || describe(&told, before.is_some()));
    Ok(())
}

fn describe(told: &Told<'_>, knows_before: bool) -> String {
    let root = told.root;
    let mut text = format!(
        "{BOLD}root version {} of {}{BOLD:#}, until {}\nsha256  {}\nfile    {}\n\n",
        root.version,
        root.vendor,
        time(Timestamp(root.expires_ms)),
        told.sha256,
        told.file.display()
    );
    if let Some(warning) = Life::of(root.expires_ms, now_ms()).warning() {
        text.push_str(&format!("{RED}{warning}{RED:#}\n\n"));
    }
    let mut table = Table::new(&["role", "must sign", "key", "algorithm"]);
    for (name, role) in [("root", &root.root), ("release", &root.release), ("dispatch", &root.dispatch)] {
        for (n, id) in role.keys.iter().enumerate() {
            let need = format!("{} of {}", role.threshold, role.keys.len());
            let algorithm = root.keys.get(id).map_or("?", |spec| crate::keys::algorithm(spec.algorithm));
            let first = |word: String| if n == 0 { word } else { String::new() };
            table.row([first(name.to_owned()), first(need), id.clone(), algorithm.to_owned()]);
        }
    }
    text.push_str(&table.render(""));
    if let Some(rule) = &root.destroy {
        text.push_str(&format!("to destroy or to go back: {} release keys\n", rule.threshold));
    }
    if knows_before && told.changes.is_empty() {
        text.push_str("\nit changes no key and no threshold\n");
    }
    for change in &told.changes {
        text.push_str(&format!("\n{CYAN}changes{CYAN:#} {change}"));
    }
    if !told.changes.is_empty() {
        text.push('\n');
    }
    for quorum in &told.signatures {
        let (have, need, of) = (quorum.signed.len(), quorum.need, quorum.of_version);
        let style = if quorum.is_met() { GREEN } else { YELLOW };
        text.push_str(&format!("\n{style}signed by {have} of {need} keys of root version {of}{style:#}"));
        if !quorum.is_met() {
            text.push_str(&format!("\n  could sign: {}", quorum.could.join("\n              ")));
        }
    }
    if root.version > 1 && !knows_before {
        text.push_str(&format!("\n{DIM}whose signatures of the root before it are missing is not known here: --before FILE{DIM:#}"));
    }
    text.push_str(match (told.complete, root.version) {
        (true, 1) => "\nnext: remit org create --root FILE",
        (true, _) => "\nnext: remit keys root publish FILE",
        (false, _) => "\nnext: remit keys root sign FILE, where a missing key is",
    });
    text
}

/// What whoever signs should see first: who may sign what from now on that might not before, and the other
/// way round.
fn changes(before: &Root, after: &Root) -> Vec<String> {
    let mut all = Vec::new();
    let roles = |root: &Root| [root.root.clone(), root.release.clone(), root.dispatch.clone()];
    for ((name, was), is) in ["root", "release", "dispatch"].into_iter().zip(roles(before)).zip(roles(after))
    {
        let new = is.keys.iter().filter(|id| !was.keys.contains(id));
        all.extend(new.map(|id| format!("+ {name} key {id}")));
        let gone = was.keys.iter().filter(|id| !is.keys.contains(id));
        all.extend(gone.map(|id| format!("- {name} key {id}")));
        if was.threshold != is.threshold {
            all.push(format!("  {name} keys that must sign: {} before, {} now", was.threshold, is.threshold));
        }
    }
    if before.destroy != after.destroy {
        all.push("  what is needed to destroy".to_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use remit_seal::key::SigningKey;

    use super::*;

    #[test]
    fn what_a_root_changes_is_said() {
        let spec = |seed| SigningKey::ed25519_from_seed(&[seed; 32]).public();
        let before = Root::one_of_one("demo", [&spec(1), &spec(2), &spec(3)], 1, 2).unwrap();
        assert!(changes(&before, &before).is_empty());
        let (old, new) = (spec(2).id().unwrap(), spec(4).id().unwrap());
        let mut after = before.clone();
        after.release.keys = vec![new.clone()];
        after.root.threshold = 2;
        let want = [
            "  root keys that must sign: 1 before, 2 now".to_owned(),
            format!("+ release key {new}"),
            format!("- release key {old}"),
        ];
        assert_eq!(changes(&before, &after), want);
    }
}
