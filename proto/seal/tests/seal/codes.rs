//! Every code has a heading in the documentation, and every one is really given by a case.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::cases;

/// Codes that no chain of documents gives, each shown by a test of its own.
const SHOWN_ELSEWHERE: &[&str] = &[
    "seal.customer_word_invalid",
    "seal.digest_invalid",
    "seal.permit_invalid",
    "seal.permit_over",
    "seal.root_version",
    "seal.status_expired",
    "seal.status_invalid",
    "seal.status_old",
    "seal.status_root",
];

fn here(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The codes that the source gives.
fn given() -> BTreeSet<String> {
    let source = [here("src/refusal/code.rs"), here("src/refusal/fault.rs")].concat();
    let quoted = source.split("=> \"seal.").skip(1);
    quoted.map(|rest| format!("seal.{}", rest.split('"').next().unwrap())).collect()
}

#[test]
fn every_code_has_a_heading_and_every_heading_a_code() {
    let page = here("../../docs/errors/seal.md");
    let headings: BTreeSet<String> =
        page.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned).collect();
    assert_eq!(headings, given());
}

#[test]
fn every_code_is_given_by_a_case() {
    let mut shown: BTreeSet<String> = cases::all().iter().map(|(_, _, code)| (*code).to_owned()).collect();
    shown.extend(SHOWN_ELSEWHERE.iter().map(|code| (*code).to_owned()));
    shown.remove("ok");
    assert_eq!(shown, given());
}
