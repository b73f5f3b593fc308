//! From a tool's own words to a failure with a class, a code and a hint: by tables of data, one a kind and one
//! a cloud, then `common.toml`, each read from top to bottom; the first line that fits decides.
//!
//! It errs on the side of `bug`, which holds for a person, rather than of a retry that repeats a
//! mistake.

mod table;

use std::sync::LazyLock;

use crate::outcome::{Class, Failure};
use table::Table;

/// In the order in which they are read: a kind's own lies in its folder, once it has an executor.
const TABLES: &[&str] = &[
    include_str!("terraform/failures.toml"),
    include_str!("classify/aws.toml"),
    include_str!("classify/kubernetes.toml"),
    include_str!("classify/helm.toml"),
    include_str!("classify/image.toml"),
    include_str!("classify/clouds.toml"),
    include_str!("classify/common.toml"),
];

/// The table, compiled into the program; its tests read all of it.
static TABLE: LazyLock<Table> = LazyLock::new(|| {
    Table::parse(TABLES).expect("the tables are part of the program, and its tests read them")
});

/// The code of a failure of which only the class is known.
const PLAIN: &str = "executor.tool_failed";

/// The class that these words speak for.
pub fn classify(words: &str) -> Class {
    recognise(words).class
}

/// What these words say.
struct Recognised {
    class: Class,
    code: String,
    hint: String,
}

fn recognise(words: &str) -> Recognised {
    let words = table::plain(words);
    if let Some(found) = TABLE.find(&words) {
        let hint = found.hint();
        return Recognised { class: found.failure.class, code: found.failure.code.clone(), hint };
    }
    let class = TABLE.class_of(&words).unwrap_or(Class::Bug);
    Recognised { class, code: PLAIN.to_owned(), hint: hint(class).to_owned() }
}

/// A tool that ran and failed, in its own words.
pub fn failed(tool: &str, code: i32, words: &str) -> Failure {
    let found = recognise(words);
    Failure::new(found.class, &found.code, ended(tool, code, words), found.hint)
}

/// A tool that ran and failed, and said itself of which class that is. Its words count where they speak
/// for the same class: they know more.
pub(super) fn failed_as(class: Class, tool: &str, code: i32, words: &str) -> Failure {
    let failure = failed(tool, code, words);
    if failure.class == class {
        return failure;
    }
    Failure::new(class, PLAIN, failure.message, hint(class))
}

fn ended(tool: &str, code: i32, words: &str) -> String {
    let said = if words.trim().is_empty() { "it said nothing" } else { words.trim() };
    format!("{tool} ended with {code}: {said}")
}

/// What ends a failure of this class.
fn hint(class: Class) -> &'static str {
    match class {
        Class::Permission => "grant the runner's role what the message names, then retry",
        Class::Quota => "raise the limit that the message names, or use less, then retry",
        Class::Billing => "settle the account's billing, then retry",
        Class::Conflict => "find what else owns or holds the thing that the message names; then retry",
        Class::Interference => "something changed it from outside; a retry plans anew",
        Class::Transient => "it may work the next time; it is retried by itself",
        Class::Timeout => "give it a longer `longest_run`, or find out what it waits for",
        Class::Bug => "the vendor corrects the component; the attempt's log has the rest",
    }
}

#[cfg(test)]
mod tests;
