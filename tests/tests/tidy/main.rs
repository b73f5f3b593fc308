//! House rules that the compiler and clippy do not know, each with its reason. A failure lists every
//! place at once.
#![allow(clippy::unwrap_used)]

mod circles;
mod crates;
mod imports;
mod references;
mod rooms;
mod scan;
mod shapes;
mod shrinking;
mod words;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use scan::Source;

/// Beyond this a file is read by nobody; split it by what it is about.
const FILE_LINES_MAX: usize = 500;
/// A function that does not fit on a screen does two things.
const FUNCTION_LINES_MAX: usize = 70;
/// Six lines say what a file is for; more is a page of the docs.
const HEADER_LINES_MAX: usize = 6;
/// Names that say nothing attract everything.
const EMPTY_NAMES: [&str; 7] = ["util", "utils", "common", "types", "helpers", "helper", "manager"];

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What git keeps or would keep: paths from the root.
pub(crate) fn files() -> Vec<String> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let out = Command::new("git").args(list).current_dir(root()).output().expect("git lists the files");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let all = String::from_utf8(out.stdout).unwrap();
    let mut files: Vec<String> =
        all.lines().filter(|path| root().join(path).is_file()).map(str::to_owned).collect();
    files.sort();
    files.dedup();
    assert!(files.len() > 50, "a house without files cannot be checked");
    files
}

/// Every source, read once.
pub(crate) fn sources() -> &'static [Source] {
    static SOURCES: OnceLock<Vec<Source>> = OnceLock::new();
    SOURCES.get_or_init(|| {
        let files = files().into_iter().filter(|path| path.ends_with(".rs"));
        files.map(|path| Source::read(&root(), path)).collect()
    })
}

pub(crate) fn none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn files_are_short_enough_to_read() {
    let long = |s: &Source| {
        let lines = s.text.lines().count();
        (lines > FILE_LINES_MAX).then(|| format!("{}: {lines} lines", s.path))
    };
    let broken: Vec<String> = sources().iter().filter_map(long).collect();
    none(&format!("files have at most {FILE_LINES_MAX} lines"), &broken);
}

#[test]
fn functions_fit_on_a_screen() {
    let long = |s: &Source| {
        let functions = s.functions().into_iter().filter(|f| f.lines > FUNCTION_LINES_MAX);
        functions.map(|f| format!("{}:{} {}: {} lines", s.path, f.line, f.name, f.lines)).collect::<Vec<_>>()
    };
    let broken: Vec<String> = sources().iter().flat_map(long).collect();
    none(&format!("functions have at most {FUNCTION_LINES_MAX} lines"), &broken);
}

/// A reader of a file learns first what it is for, and what it never does.
#[test]
fn every_file_says_what_it_is_for() {
    let wrong = |s: &Source| {
        let header = s.text.lines().take_while(|line| line.starts_with("//!")).count();
        (!(1..=HEADER_LINES_MAX).contains(&header)).then(|| format!("{}: {header} lines of //!", s.path))
    };
    let broken: Vec<String> = sources().iter().filter_map(wrong).collect();
    none(&format!("each file begins with 1 to {HEADER_LINES_MAX} lines of //!"), &broken);
}

/// `name.rs` beside `name/`: ten open tabs that all say mod.rs help nobody.
#[test]
fn modules_are_named_after_what_they_hold() {
    let wrong = |s: &Source| {
        let stem = Path::new(&s.path).file_stem().unwrap().to_str().unwrap().to_owned();
        (stem == "mod" || EMPTY_NAMES.contains(&stem.as_str())).then(|| s.path.clone())
    };
    let broken: Vec<String> = sources().iter().filter_map(wrong).collect();
    none("no mod.rs, and no module whose name says nothing", &broken);
}
