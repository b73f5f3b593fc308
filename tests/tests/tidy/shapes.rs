//! Rules about the shape of code, each with its reason. Where code is older than its rule, what is known may only
//! become less.

use crate::scan::Source;
use crate::shrinking::{Known, only_shrinks};
use crate::{none, sources};

/// A struct with more is several things, of which each function needs two.
const FIELDS_MAX: usize = 12;
/// Only what others write in that form, or only counts: formats, flags of programs, gauges.
const LISTS_OF_THINGS: [&str; 10] = [
    "broker/src/config.rs",
    "broker/src/engine/metrics.rs",
    "broker/cli/src/simulation/report.rs",
    "broker/src/store/postgres/transaction/statements.rs",
    "proto/seal/src/document.rs",
    "runner/src/config/cli.rs",
    "runner/src/config.rs",
    "runner/src/storage/journal/record.rs",
    "tests/model/src/design.rs",
    "tests/sim/src/store.rs",
];
const WIDE: Known = &[
    ("broker/loops/src/runner/message.rs", 1),
    ("broker/loops/src/app/message.rs", 1),
    ("broker/loops/src/component/message.rs", 1),
    ("broker/loops/src/graph.rs", 1),
    ("broker/loops/src/install.rs", 2),
    ("broker/loops/src/runner.rs", 1),
    ("broker/src/edge.rs", 1),
    ("broker/cli/src/simulation.rs", 1),
    ("runner/src/executor.rs", 1),
    ("runner/src/storage/journal/state.rs", 2),
    ("runner/src/outcome/facts.rs", 1),
    ("runner/src/policy/question.rs", 1),
    ("tests/hostile/src/rules.rs", 1),
    ("tests/hostile/src/suite.rs", 1),
    ("runner/src/attempt/runner.rs", 1),
    ("tests/sim/src/promises.rs", 1),
    ("tests/sim/src/runner.rs", 1),
    ("tests/sim/src/scenario.rs", 2),
];

#[test]
fn what_is_kept_together_belongs_together() {
    let mut found = Vec::new();
    for source in product().filter(|s| !LISTS_OF_THINGS.contains(&s.path.as_str())) {
        let wide = source.structs().into_iter().filter(|(_, fields)| *fields > FIELDS_MAX);
        found.extend(wide.map(|(name, fields)| (source.path.clone(), format!("{name} has {fields} fields"))));
    }
    only_shrinks(&format!("a struct has at most {FIELDS_MAX} fields"), WIDE, &found);
}

/// Where a kind of component is told from another: its own file with its children, and the runner's table of executors.
const OF_KINDS: [&str; 3] = ["proto/seal/src/kind.rs", "proto/seal/src/kind/", "runner/src/executor.rs"];
const KINDS: Known = &[];

/// Whoever adds a kind of component answers for it in one table, and in no `if` that they must first find.
#[test]
fn kinds_are_told_apart_in_one_place() {
    let of_kinds =
        |path: &str| OF_KINDS.iter().any(|own| path == *own || (own.ends_with('/') && path.starts_with(own)));
    let elsewhere = |s: &&'static Source| !s.path.starts_with("tests/") && !of_kinds(&s.path);
    let mut found = Vec::new();
    for source in product().filter(elsewhere) {
        // `ALL` and functions ask of every kind alike.
        let is_kind = |word: &str| word.starts_with(char::is_uppercase) && word.contains(char::is_lowercase);
        for (line, word) in source.words_after("ComponentKind::") {
            if is_kind(&word) {
                found.push((source.path.clone(), format!("line {line} names {word}")));
            }
        }
    }
    only_shrinks(
        "`ComponentKind::` is named in its own file and in the runner's table of executors",
        KINDS,
        &found,
    );
}

const WILDCARDS: Known = &[];

/// A new state or event must be answered where it is added; `_ =>` would answer for it.
#[test]
fn the_loops_answer_every_case_by_name() {
    let mut found = Vec::new();
    for source in product().filter(|s| s.path.starts_with("broker/loops/src/")) {
        found
            .extend(source.wildcards().into_iter().map(|line| (source.path.clone(), format!("line {line}"))));
    }
    only_shrinks("no `_ =>` in the loops", WILDCARDS, &found);
}

const TWICE: Known = &[
    ("broker/cli/src/package.rs", 1),
    ("broker/src/backup.rs", 1),
    ("broker/src/dispatch.rs", 2),
    ("broker/src/pki.rs", 1),
    ("broker/src/serve.rs", 2),
    ("broker/src/tokens.rs", 1),
    ("broker/src/webhooks/secret.rs", 1),
];

/// Whoever prints an error walks its chain of sources: one that prints its own source says it twice.
#[test]
fn an_error_leaves_its_source_to_the_chain() {
    let mut found = Vec::new();
    for source in product() {
        for (line, _) in source.literals().iter().filter(|(_, text)| text.contains("{source")) {
            if source.code_line_begins(*line, "#[error(") {
                found.push((source.path.clone(), format!("line {line}")));
            }
        }
    }
    only_shrinks("`Display` prints no field called `source`", TWICE, &found);
}

const PASSED_OVER: Known = &[("runner/tests/it/confine.rs", 6), ("runner/tests/it/luck.rs", 1)];

/// A test that ends well without having looked says what nobody knows. What a kernel cannot do is still passed over.
#[test]
fn no_test_passes_over_what_it_needs() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|s| s.path.contains("tests/")) {
        let said = source.literals().into_iter().filter(|(_, text)| text.starts_with(concat!("SKIP", "PED")));
        found.extend(said.map(|(line, text)| (source.path.clone(), format!("line {line}: {text}"))));
    }
    only_shrinks("a test fails where something is missing", PASSED_OVER, &found);
}

/// `cargo verify` runs no doc tests: an example in a comment would only seem to be tried.
#[test]
fn comments_hold_no_code_to_run() {
    let mut broken = Vec::new();
    for source in sources() {
        let mut is_open = false;
        for (line, text) in source.comments() {
            let Some((_, language)) =
                text.split_once("```").filter(|_| text.starts_with("///") || text.starts_with("//!"))
            else {
                continue;
            };
            is_open = !is_open;
            if is_open && language.trim() != "text" {
                broken.push(format!("{}:{line}", source.path));
            }
        }
    }
    none("blocks in doc comments are `text`: put what can be run into a test", &broken);
}

/// A new file has at most this many lines; what is longer today may only be split.
const NEW_FILE_LINES_MAX: usize = 400;
const LONG: Known = &[
    ("runner/src/executor/terraform.rs", 1),
    ("broker/loops/src/runner/message.rs", 1),
    ("broker/cli/src/args.rs", 1),
    ("broker/cli/src/client.rs", 1),
    ("broker/loops/src/app/rollout.rs", 1),
    ("broker/loops/src/component.rs", 1),
    ("broker/loops/src/graph.rs", 1),
    ("broker/loops/src/install/reconcile.rs", 1),
    ("broker/loops/src/install/remediation.rs", 1),
    ("broker/loops/src/install/view.rs", 1),
    ("broker/loops/src/runner.rs", 1),
    ("broker/loops/src/scenario.rs", 1),
    ("broker/loops/tests/loops/golden.rs", 1),
    ("broker/loops/tests/loops/plans.rs", 1),
    ("broker/src/engine.rs", 1),
    ("broker/src/engine/batch.rs", 1),
    ("broker/src/engine/tests.rs", 1),
    ("broker/src/store.rs", 1),
    ("broker/src/store/conformance.rs", 1),
    ("broker/src/store/memory.rs", 1),
    ("broker/src/store/postgres/transaction.rs", 1),
    ("broker/tests/edge/world.rs", 1),
    ("proto/seal/src/document.rs", 1),
    ("proto/seal/src/refusal.rs", 1),
    ("proto/seal/tests/seal/cases.rs", 1),
    ("proto/src/convert/report.rs", 1),
    ("proto/tests/convert.rs", 1),
    ("runner/src/config.rs", 1),
    ("runner/src/broker/connection.rs", 1),
    ("tests/sim/src/promises.rs", 1),
    ("tests/sim/src/scenario.rs", 1),
];

#[test]
fn new_files_leave_room_for_what_comes() {
    let long = |s: &Source| {
        let lines = s.text.lines().count();
        (lines > NEW_FILE_LINES_MAX).then(|| (s.path.clone(), format!("{lines} lines")))
    };
    let found: Vec<_> = sources().iter().filter_map(long).collect();
    only_shrinks(&format!("new files have at most {NEW_FILE_LINES_MAX} lines"), LONG, &found);
}

fn product() -> impl Iterator<Item = &'static Source> {
    sources().iter().filter(|s| s.path.contains("/src/"))
}
