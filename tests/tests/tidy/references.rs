//! What comments and pages point to is there.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::{files, none, root, sources};

/// Names that stand for any file of that name, for a reader's own, or for a site.
const NO_FILES: [&str; 7] = ["mod.rs", "name.rs", "lib.rs", "main.rs", "a/b.rs", "notes.md", "rustup.rs"];

/// How many invariants there are in docs/proof.md.
const INVARIANTS: usize = 16;

/// Whoever follows a comment to a file must find it. A name alone, or the end of a path, is enough.
#[test]
fn files_named_in_comments_exist() {
    let all: BTreeSet<String> = files().into_iter().collect();
    let mut broken = Vec::new();
    for source in sources() {
        for (line, text) in source.comments() {
            let missing = named(text).into_iter().filter(|name| !is_there(&all, &source.path, name));
            broken.extend(missing.map(|name| format!("{}:{line}: {name}", source.path)));
        }
    }
    none("files that a comment names exist", &broken);
}

/// The same of pages, whose code blocks show what readers write themselves.
#[test]
fn files_named_in_pages_exist() {
    let all: BTreeSet<String> = files().into_iter().collect();
    let mut broken = Vec::new();
    for path in all.iter().filter(|path| path.ends_with(".md")) {
        let text = std::fs::read_to_string(root().join(path)).unwrap();
        let mut is_block = false;
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                is_block = !is_block;
            }
            if !is_block {
                let missing = named(line).into_iter().filter(|name| !is_there(&all, path, name));
                broken.extend(missing.map(|name| format!("{path}:{}: {name}", number + 1)));
            }
        }
    }
    none("files that a page names exist", &broken);
}

/// The invariants, by number, each with tests: whoever reads `I14` finds what it says, and what would fail.
#[test]
fn every_invariant_names_tests_that_exist() {
    let page = std::fs::read_to_string(root().join("docs/proof.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| I")).collect();
    let numbers: Vec<&str> = rows.iter().filter_map(|row| row.split('|').nth(1).map(str::trim)).collect();
    let wanted: Vec<String> = (1..=INVARIANTS).map(|number| format!("I{number}")).collect();
    assert_eq!(numbers, wanted, "the invariants are numbered");
    let broken: Vec<String> = rows.iter().flat_map(|row| missing_tests(row)).collect();
    none("tests that the list of invariants names exist", &broken);
}

/// What a row names and nobody runs; a row without a test is broken, too.
fn missing_tests(row: &str) -> Vec<String> {
    let quoted: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
    let (mut file, mut tests, mut missing) = ("", Vec::new(), Vec::new());
    for word in quoted {
        match sources().iter().find(|source| source.path == word) {
            Some(source) => (file, tests) = (word, source.tests()),
            None if tests.iter().any(|test| test == word) => {}
            None => missing.push(format!("{file}: {word}")),
        }
    }
    if file.is_empty() {
        missing.push(format!("no test: {row}"));
    }
    missing
}

/// Words of a text that are names of sources or pages.
fn named(text: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-./{},*".contains(c);
    let words = text
        .split(|c: char| !is_name(c))
        .map(|word| word.trim_start_matches([',', '-']).trim_end_matches(['.', ',', '-', '/']));
    let is_file = |word: &&str| {
        let ending = word.rsplit_once('.').map(|(stem, ending)| (!stem.is_empty(), ending));
        matches!(ending, Some((true, "rs" | "md")))
            && !word.contains(['*', '{', '}', ','])
            && !word.starts_with("//")
    };
    let names = words.filter(is_file).filter(|word| !NO_FILES.contains(word));
    names.map(str::to_owned).collect()
}

fn is_there(all: &BTreeSet<String>, from: &str, name: &str) -> bool {
    let end = format!("/{}", name.trim_start_matches("../").trim_start_matches("./"));
    let beside = normal(&Path::new(from).parent().unwrap().join(name));
    all.contains(name) || all.contains(&beside) || all.iter().any(|path| path.ends_with(&end))
}

/// A path without `..` and `.`.
fn normal(path: &Path) -> String {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => normal.push(part),
        }
    }
    normal.to_string_lossy().into_owned()
}

#[test]
fn a_name_is_told_from_other_words() {
    let text = "see `tests/sim/src/store.rs`, [x](../docs/proof.md#top), `a/{b,c}.rs`, x.rs. and e.g. mod.rs";
    assert_eq!(named(text), ["tests/sim/src/store.rs", "../docs/proof.md", "x.rs"]);
    let all = BTreeSet::from(["docs/proof.md".to_owned(), "a/src/x.rs".to_owned()]);
    assert!(is_there(&all, "docs/decisions/1.md", "../proof.md") && is_there(&all, "b.rs", "x.rs"));
    assert!(is_there(&all, "b.rs", "src/x.rs") && !is_there(&all, "b.rs", "rc/x.rs"));
    assert!(!is_there(&all, "docs/proof.md", "TRUST.md"));
}

/// The map leads to what is there: folders and files, and tests that have such a name.
#[test]
fn the_map_of_the_house_is_true() {
    let all: BTreeSet<String> = files().into_iter().collect();
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut broken = Vec::new();
    for (number, line) in page.lines().enumerate().filter(|(_, line)| line.starts_with('|')) {
        for word in line.split('`').skip(1).step_by(2) {
            let is_path = word.contains('/') && !word.contains([' ', ':']);
            let there = all.contains(word)
                || all.iter().any(|path| path.starts_with(&format!("{}/", word.trim_end_matches('/'))));
            if is_path && !there {
                broken.push(format!("ARCHITECTURE.md:{}: {word}", number + 1));
            }
            if let Some(command) = word.strip_prefix("cargo test ").filter(|command| !finds_a_test(command)) {
                broken.push(format!("ARCHITECTURE.md:{}: cargo test {command} finds no test", number + 1));
            }
        }
    }
    none("what the map names is there", &broken);
}

/// `-p CRATE NAME` or `--workspace NAME`: whether a test of that crate has that name, or its file has.
fn finds_a_test(command: &str) -> bool {
    let words: Vec<&str> = command.split(' ').collect();
    let (folder, name) = match words[..] {
        ["-p", package, ref rest @ ..] => (folder_of(package), rest.first().copied()),
        ["--workspace", name] => (Some(String::new()), Some(name)),
        _ => (None, None),
    };
    let Some(folder) = folder else { return false };
    sources().iter().filter(|source| source.path.starts_with(&folder)).any(|source| {
        let tests = source.tests();
        let named = |name: &str| source.path.contains(name) || tests.iter().any(|test| test.contains(name));
        !tests.is_empty() && (name.is_none() || name.is_some_and(named) || name == Some("NAME"))
    })
}

/// Where a package of this name lies, with a `/` at its end.
fn folder_of(package: &str) -> Option<String> {
    let manifests = files().into_iter().filter(|path| path.ends_with("/Cargo.toml"));
    let named = format!("name = \"{package}\"");
    let of_package = |path: &String| std::fs::read_to_string(root().join(path)).unwrap().contains(&named);
    manifests.into_iter().find(of_package).map(|path| path.trim_end_matches("Cargo.toml").to_owned())
}
