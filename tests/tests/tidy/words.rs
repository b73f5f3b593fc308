//! Rules about what is written: error codes have their pages, links lead somewhere, and nothing here
//! knows the machine that it was written on.

use std::collections::BTreeSet;
use std::path::Path;

use crate::{files, none, root, sources};

/// The areas of error codes; each has its page in docs/errors.
const AREAS: [&str; 22] = [
    "api",
    "artifact",
    "audit",
    "broker",
    "cli",
    "config",
    "engine",
    "executor",
    "installer",
    "journal",
    "kms",
    "loop",
    "package",
    "policy",
    "rpc",
    "runner",
    "scenario",
    "seal",
    "source",
    "store",
    "tool",
    "wire",
];
/// `journal.json` is a file and `runner.token` another: words that end names of files, not codes.
const FILE_ENDINGS: [&str; 12] =
    ["bin", "db", "json", "key", "lock", "log", "pem", "sock", "sqlite", "toml", "token", "txt"];
/// Hosts that a text of this house may name: those of the standards and of the examples.
const HOSTS: [&str; 18] = [
    "127.0.0.1",
    "localhost",
    "10.0.0.1",
    "169.254.169.254",
    "example",
    "test",
    "example.com",
    "amazonaws.com",
    "aws.amazon.com",
    "amazonaws.cn",
    "github.com",
    "rust-lang.github.io",
    "apache.org",
    "docs.rs",
    "rfc-editor.org",
    "rustup.rs",
    "terraform.io",
    "hashicorp.com",
];

fn is_code(text: &str) -> bool {
    let area = text.split('.').next().unwrap_or_default();
    has_the_form(text) && AREAS.contains(&area)
}

fn has_the_form(text: &str) -> bool {
    let word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    text.split_once('.').is_some_and(|(area, what)| word(area) && word(what) && !FILE_ENDINGS.contains(&what))
}

fn headings() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for path in files().into_iter().filter(|p| p.starts_with("docs/errors/") && p.ends_with(".md")) {
        let text = std::fs::read_to_string(root().join(&path)).unwrap();
        let area = Path::new(&path).file_stem().unwrap().to_str().unwrap().to_owned();
        for code in text.lines().filter_map(|line| line.strip_prefix("## ")) {
            let code = code.trim().trim_matches('`');
            assert!(
                !is_code(code) || code.split('.').next() == Some(area.as_str()),
                "{path} explains {code}, which belongs on another page"
            );
            all.insert(code.to_owned());
        }
    }
    all
}

/// Codes in the sources: literals of a known area, and whatever a function called `code` gives.
fn codes() -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    for source in sources().iter().filter(|s| s.path.contains("/src/") && !s.path.starts_with("tests/")) {
        // The loops' words of the timeline look alike (`runner.online`); their errors are `loop.…`.
        let loops = source.path.starts_with("broker/loops/");
        let error = |text: &str| is_code(text) && (!loops || text.starts_with("loop."));
        let plain = source.literals().into_iter().filter(|(_, text)| error(text));
        let given = source.literals_in("code").into_iter().filter(|(_, text)| has_the_form(text));
        for (line, text) in plain.chain(given) {
            all.insert((text.to_owned(), format!("{}:{line}", source.path)));
        }
    }
    all.extend(codes_of_tools());
    assert!(all.len() > 50, "the scan found next to nothing: it is broken");
    all
}

/// Codes of the tables of failures, which are data.
fn codes_of_tools() -> Vec<(String, String)> {
    let tables =
        files().into_iter().filter(|p| p.starts_with("runner/src/executor/") && p.ends_with(".toml"));
    let mut codes = Vec::new();
    for path in tables {
        let table: toml::Table = std::fs::read_to_string(root().join(&path)).unwrap().parse().unwrap();
        let failures = table["failure"].as_array().unwrap();
        codes.extend(failures.iter().map(|f| (f["code"].as_str().unwrap().to_owned(), path.clone())));
    }
    codes
}

/// An error that a user sees has a page that says what to do next.
#[test]
fn every_code_is_explained() {
    let headings = headings();
    let missing = codes().into_iter().filter(|(code, _)| !headings.contains(code));
    let broken: Vec<String> = missing.map(|(code, place)| format!("{code} ({place})")).collect();
    none("each code has its `## code` in docs/errors/AREA.md", &broken);
}

/// An explanation of what cannot happen any more misleads.
#[test]
fn every_explanation_has_its_code() {
    let codes: BTreeSet<String> = codes().into_iter().map(|(code, _)| code).collect();
    let broken: Vec<String> = headings().into_iter().filter(|h| is_code(h) && !codes.contains(h)).collect();
    none("each explained code is in the sources", &broken);
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut broken = Vec::new();
    for path in files().into_iter().filter(|p| p.ends_with(".md")) {
        let text = std::fs::read_to_string(root().join(&path)).unwrap();
        let folder = root().join(&path).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !folder.join(target).exists() {
                broken.push(format!("{path}: {link}"));
            }
        }
    }
    none("links lead to files that are there", &broken);
}

/// What only one machine has does not belong into what everybody clones.
#[test]
fn nothing_knows_the_machine_it_was_written_on() {
    let places =
        [concat!("/wo", "rk/"), concat!("/tmp", "/wt"), concat!("/ro", "ot/."), concat!("/ho", "me/")];
    let mut broken = Vec::new();
    for path in files() {
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue };
        for (number, line) in text.lines().enumerate() {
            let hosts = line.match_indices("://").map(|(at, _)| host(&line[at + 3..]));
            let strange = hosts.filter(|host| !is_known(host)).map(str::to_owned);
            let here = places.iter().filter(|place| line.contains(**place)).map(|place| (*place).to_owned());
            broken.extend(strange.chain(here).map(|what| format!("{path}:{}: {what}", number + 1)));
        }
    }
    none("no paths of a machine, no hosts beside those of standards and examples", &broken);
}

fn host(rest: &str) -> &str {
    let authority =
        rest.split(|c: char| !(c.is_ascii_alphanumeric() || "-._@".contains(c))).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

/// A host without a dot is no host of the internet (`https://broker`), nor is a gap in a template.
fn is_known(host: &str) -> bool {
    !host.contains('.')
        || host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback() || ip.is_private())
        || HOSTS.iter().any(|known| host == *known || host.ends_with(&format!(".{known}")))
}
