//! What terraform was told to forget and to leave where it is: in no state, so that no destroy can look for it. It is
//! noted beside the state until the component is gone, so that nobody says that nothing is left.

use std::collections::BTreeSet;
use std::path::Path;

use crate::executor::tool::disk;
use crate::outcome::{Class, Failure, Undone};
use crate::storage::data_dir::{read_left, write_atomic};

const FILE: &str = "forgotten.json";
/// The longest note, in bytes.
const LEN_MAX: u64 = 1 << 20;
/// How many are noted by name.
const NOTED_MAX: usize = 1_000;
/// How many are named in a line.
const NAMED_MAX: usize = 5;

/// What was forgotten so far.
pub(super) fn read(state: &Path) -> Result<BTreeSet<String>, Undone> {
    let Some(bytes) = read_left(&state.join(FILE), LEN_MAX).map_err(|e| disk(&e))? else {
        return Ok(BTreeSet::new());
    };
    serde_json::from_slice(&bytes).map_err(|error| {
        let words = format!("the note of what was forgotten cannot be read: {error}");
        let hint = "look at the file `forgotten.json` of the component's state in the data directory";
        Failure::new(Class::Bug, "executor.state_missing", words, hint).into()
    })
}

/// Notes more, before it is forgotten.
pub(super) fn note(state: &Path, addresses: &[String]) -> Result<(), Undone> {
    if addresses.is_empty() {
        return Ok(());
    }
    let mut all = read(state)?;
    all.extend(addresses.iter().take(NOTED_MAX.saturating_sub(all.len())).cloned());
    let json = serde_json::to_vec(&all).expect("a set of texts is JSON");
    write_atomic(&state.join(FILE), &json).map_err(|e| disk(&e))
}

/// In a line.
pub(super) fn words(all: &BTreeSet<String>) -> String {
    let named = all.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = all.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("forgotten before and left where it is: {named}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forgotten_is_remembered() {
        let temp = tempfile::tempdir().unwrap();
        assert!(read(temp.path()).unwrap().is_empty());
        note(temp.path(), &["a.x".to_owned()]).unwrap();
        note(temp.path(), &["a.y".to_owned(), "a.x".to_owned()]).unwrap();
        assert_eq!(words(&read(temp.path()).unwrap()), "forgotten before and left where it is: a.x, a.y");
        std::fs::write(temp.path().join(FILE), "{").unwrap();
        assert!(read(temp.path()).is_err());
    }
}
