//! Golden table: each `problems/NAME.toml` is a product's file, each `NAME.txt` what is said about it.
//!
//! `REMIT_BLESS=1 cargo test -p remit-cli --test product` writes the golden files anew.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::Path;

use remit_cli::product::{self, FILE_LEN_MAX, Severity, SourceFolder, problem};

/// The folders that exist in these tests: all but those whose name says so.
fn folder(path: &str) -> SourceFolder {
    match path {
        "missing" => SourceFolder::Missing,
        "a-file" => SourceFolder::NotAFolder,
        _ => SourceFolder::Folder,
    }
}

fn golden(text: &str) -> String {
    let checked = product::parse(text, &folder);
    let errors = checked.problems.iter().any(|p| p.severity == Severity::Error);
    assert_eq!(checked.product.is_none(), errors, "a product comes out exactly when nothing is wrong");
    let mut out = problem::render("remit.toml", text, &checked.problems, false);
    out.push_str("\n\n--- json\n");
    let json = problem::to_json("remit.toml", text, &checked.problems);
    for problem in json {
        writeln!(out, "{}", serde_json::to_string(&problem).unwrap()).unwrap();
    }
    if let Some(product) = checked.product {
        writeln!(out, "--- product\n{product:#?}").unwrap();
    }
    out
}

#[test]
fn every_problem_is_said_as_the_golden_files_say() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/problems");
    let mut files: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "toml"));
    files.sort();
    assert!(files.len() >= 10, "the table is there");
    let mut wrong = Vec::new();
    for file in files {
        let got = golden(&std::fs::read_to_string(&file).unwrap());
        let want_file = file.with_extension("txt");
        if std::env::var_os("REMIT_BLESS").is_some() {
            std::fs::write(&want_file, &got).unwrap();
        }
        let want = std::fs::read_to_string(&want_file).unwrap_or_default();
        if got != want {
            wrong.push(format!("{}:\n{got}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_too_large_deep_or_many_is_refused() {
    let codes =
        |text: &str| -> Vec<&str> { product::parse(text, &folder).problems.iter().map(|p| p.code).collect() };
    assert_eq!(codes(&" ".repeat(FILE_LEN_MAX + 1)), ["config.too_large"]);
    let deep = format!("x = {}{}", "[".repeat(20), "]".repeat(20));
    assert_eq!(codes(&deep), ["config.too_deep"]);
    let mut many = String::from("version = 1\n[app]\norg = \"o\"\nname = \"a\"\n");
    for i in 0..501 {
        write!(many, "[components.c{i}]\nkind = \"terraform\"\nsource = \"s\"\n").unwrap();
    }
    assert_eq!(codes(&many), ["config.too_many"]);
}

proptest::proptest! {
    /// Whatever a file holds, there is an answer with places that lie in it, and never a panic.
    #[test]
    fn no_file_is_too_strange(at in 0usize..2000, len in 0usize..40, text in "(\\PC|[{}\\[\\]\"=.\n]){0,12}") {
        let good = include_str!("problems/01-good.toml");
        let floor = |mut i: usize| { i = i.min(good.len()); while !good.is_char_boundary(i) { i -= 1; } i };
        let strange = format!("{}{text}{}", &good[..floor(at)], &good[floor(at + len)..]);
        let checked = product::parse(&strange, &folder);
        proptest::prop_assert!(checked.product.is_some() || !checked.problems.is_empty());
        let _ = problem::render("remit.toml", &strange, &checked.problems, false);
        let _ = problem::to_json("remit.toml", &strange, &checked.problems);
        for problem in &checked.problems {
            proptest::prop_assert!(problem.span.end <= strange.len(), "{problem:?}");
        }
    }
}

#[test]
fn every_code_has_its_page() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("../../docs/errors/config.md")).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(root.join("src/product")).unwrap().map(|e| e.unwrap().path()) {
        for quoted in std::fs::read_to_string(entry).unwrap().split('"') {
            if quoted.starts_with("config.") && !quoted.contains(' ') {
                seen.insert(quoted.to_owned());
            }
        }
    }
    assert!(seen.len() > 10);
    let missing: Vec<_> = seen.iter().filter(|code| !page.contains(&format!("## {code}\n"))).collect();
    assert!(missing.is_empty(), "without a page: {missing:?}");
}
