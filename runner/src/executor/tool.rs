//! What every executor that starts a tool needs: how a tool's ending becomes a failure, and what it said last.

use std::collections::BTreeMap;

use remit_seal::document::{Component, Value};

use crate::error::chain;
use crate::outcome::{Class, Failure, Undone};
use crate::process::{self, Exit};
use crate::storage::logs::clean;
use crate::value::is_of;

/// How much of the end of what a script said goes into its failure.
const TAIL_LEN: usize = 2048;
/// How many things that are left are named.
const LEFT_SHOWN_MAX: usize = 20;

/// A way a tool ended that has nothing to do with what it was asked.
pub(super) fn unusual(tool: &str, exit: &Exit, words: &str) -> Option<Undone> {
    match exit {
        Exit::Code(_) => None,
        Exit::Stopped(reason) => Some(Undone::Stopped(reason.clone())),
        Exit::Killed(signal) => Some(Undone::Failed(Failure::new(
            Class::Interference,
            "executor.killed",
            format!("{tool} was ended from outside by signal {signal}. {words}"),
            "look for what killed it: the out-of-memory killer, an operator, a shutdown; the next attempt goes on from what was recorded",
        ))),
    }
}

/// A tool that could not be run at all.
pub(super) fn not_run(error: &process::Error, how_to_get: &str) -> Undone {
    let words = chain(error);
    Undone::Failed(match error {
        process::Error::Missing(_) => Failure::new(Class::Bug, "executor.tool_missing", words, how_to_get),
        process::Error::Start { .. } | process::Error::Wait(_) => Failure::new(
            Class::Transient,
            "executor.tool_not_started",
            words,
            "look at the runner's machine: memory, number of processes, right to run the file",
        ),
        process::Error::Confine(_) => Failure::new(
            Class::Transient,
            "executor.not_confined",
            words,
            "look at `confinement` in `remit-runner status --json` and at what the words name; nothing was run",
        ),
        process::Error::Journal(_) => Failure::new(
            Class::Transient,
            "journal.write_failed",
            words,
            "make room on the runner's disk; nothing was changed by this tool",
        ),
    })
}

/// Outputs that do not fit what the release declares.
pub(super) fn check_outputs(component: &Component, values: &BTreeMap<String, Value>) -> Result<(), Failure> {
    for (name, output) in &component.outputs {
        let (code, words) = match values.get(name) {
            Some(value) if is_of(value, output.value_type) => continue,
            Some(_) => (
                "executor.output_type",
                format!("output `{name}` is not of its declared type {:?}", output.value_type),
            ),
            None => (
                "executor.output_missing",
                format!("output `{name}` is declared in the release and was not given"),
            ),
        };
        let hint = "the vendor corrects the component's outputs, or their declaration in remit.toml";
        return Err(Failure::new(Class::Bug, code, words, hint));
    }
    Ok(())
}

/// What is left after a destroy, found by looking.
pub(super) fn left_over(left: &[String]) -> Failure {
    let shown = left.iter().take(LEFT_SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = left.len().saturating_sub(LEFT_SHOWN_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let hint = "retry; if it stays, look at what holds these";
    let words = format!("still there after destroying: {shown}{more}");
    Failure::new(Class::Conflict, "executor.destroy_incomplete", words, hint)
}

/// The end of what a tool said.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > 4 * TAIL_LEN {
            self.bytes.drain(..self.bytes.len() - TAIL_LEN);
        }
    }

    pub(super) fn text(&self) -> String {
        let from = self.bytes.len().saturating_sub(TAIL_LEN);
        clean(&self.bytes[from..]).trim().to_owned()
    }
}

/// A disk that does not take what it must.
pub(super) fn disk(error: &std::io::Error) -> Undone {
    Failure::disk(error).into()
}
