//! The table of failures, held against its own examples, and the page that is made from it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::table::{Part, gaps, plain};
use super::{PLAIN, TABLE, classify, failed, failed_as, recognise};
use crate::outcome::Class;

#[test]
fn each_example_is_a_sign_of_its_own_failure_and_of_no_other() {
    for (place, failure) in TABLE.failures.iter().enumerate() {
        for (number, sign) in failure.signs.iter().enumerate() {
            let words = plain(&sign.example);
            let which = format!("{} sign {}", failure.code, number + 1);
            let first = failure.signs.iter().position(|s| s.pattern.is_match(words.as_bytes()));
            assert_eq!(first, Some(number), "{which}: another sign of the same failure comes first");
            for (other_place, other) in TABLE.failures.iter().enumerate().filter(|(i, _)| *i != place) {
                let allowed = other_place > place && other.after.contains(&failure.code);
                assert!(allowed || other.find(&words).is_none(), "{which} is a sign of {} too", other.code);
            }
            assert_eq!(recognise(&sign.example).code, failure.code, "{which}");
        }
    }
}

#[test]
fn signs_catch_what_they_say_and_hints_have_no_gap_that_nothing_fills() {
    for failure in &TABLE.failures {
        for sign in &failure.signs {
            let words = plain(&sign.example);
            let found = failure.find(&words).unwrap();
            let names: BTreeSet<&str> = sign.pattern.capture_names().flatten().collect();
            for name in names {
                let want = sign.names.get(name).map(String::as_str);
                assert_eq!(found.caught(name).as_deref(), want, "{}: {name}", failure.code);
            }
            assert!(!found.hint().contains(['{', '}', '|']), "{}", found.hint());
        }
        let all: BTreeSet<&str> =
            failure.signs.iter().flat_map(|s| s.pattern.capture_names().flatten()).collect();
        for part in gaps(&failure.hint) {
            if let Part::Gap { name, otherwise } = part {
                let always = failure.signs.iter().all(|s| s.names.contains_key(name));
                assert!(always || otherwise.is_some(), "{}: {name} may be missing", failure.code);
                assert!(
                    all.contains(name) || otherwise.is_some(),
                    "{}: nothing catches {name}",
                    failure.code
                );
            }
        }
    }
}

#[test]
fn codes_are_unique_and_each_after_names_one_further_up() {
    let mut seen = BTreeSet::new();
    for failure in &TABLE.failures {
        assert!(failure.after.iter().all(|code| seen.contains(code)), "{}", failure.code);
        assert!(failure.code.starts_with("tool.") && seen.insert(failure.code.clone()), "{}", failure.code);
        assert!(failure.signs.iter().all(|s| !s.source.is_empty()), "{}", failure.code);
    }
    let classes: BTreeSet<String> = TABLE.failures.iter().map(|f| format!("{:?}", f.class)).collect();
    assert_eq!(classes.len(), 8, "each class is recognised by something: {classes:?}");
}

#[test]
fn words_of_the_last_resort_are_lower_case_and_not_hidden() {
    let all: Vec<(&str, Class)> =
        TABLE.words.iter().flat_map(|w| w.any.iter().map(|sign| (sign.as_str(), w.class))).collect();
    for (n, (sign, class)) in all.iter().enumerate() {
        assert_eq!(*sign, sign.to_lowercase());
        let hidden = all[..n].iter().find(|(earlier, _)| sign.contains(earlier));
        assert!(hidden.is_none_or(|(_, other)| other == class), "{sign} is hidden");
    }
}

#[test]
fn words_decide() {
    for (words, class) in [
        ("Error: AccessDenied: User is not authorized", Class::Permission),
        ("mkdir: cannot create: Permission denied", Class::Permission),
        ("VcpuLimitExceeded: more vCPU", Class::Quota),
        ("ThrottlingException: Rate exceeded", Class::Transient),
        ("dial tcp: i/o timeout", Class::Transient),
        ("Error: Error acquiring the state lock", Class::Conflict),
        ("Error: Invalid reference", Class::Bug),
        ("something nobody has seen before", Class::Bug),
        ("", Class::Bug),
    ] {
        assert_eq!(classify(words), class, "{words}");
    }
}

#[test]
fn boxes_and_broken_lines_of_a_terminal_do_not_matter() {
    let words = "╷\n│ Error: Saved plan is\n│ stale\n│\n╵\n";
    assert_eq!(recognise(words).code, "tool.terraform_plan_stale");
}

#[test]
fn a_hint_names_what_is_missing() {
    let words = "api error AccessDenied: User: arn:aws:iam::1:role/remit is not authorized to perform: s3:CreateBucket on resource: \"arn:aws:s3:::logs\" because no identity-based policy allows the s3:CreateBucket action";
    let failure = failed("terraform", 1, words);
    assert_eq!(failure.code, "tool.aws_access_denied");
    let want = "grant `s3:CreateBucket` on arn:aws:s3:::logs to arn:aws:iam::1:role/remit, then retry";
    assert_eq!(failure.hint, want);
    assert!(failure.message.starts_with("terraform ended with 1: api error"));
}

#[test]
fn what_a_tool_says_of_itself_counts_more_than_its_words() {
    let words = "psql: error: connection refused";
    assert_eq!(failed_as(Class::Permission, "sh", 77, words).class, Class::Permission);
    assert_eq!(failed_as(Class::Permission, "sh", 77, words).code, PLAIN);
    let denied = "An error occurred (AccessDenied) when calling the PutObject operation: Access Denied";
    assert_eq!(failed_as(Class::Permission, "sh", 77, denied).code, "tool.aws_access_denied");
}

/// The longest words there can be, made to fit each pattern as badly as possible.
#[test]
fn long_words_are_looked_up_all_the_same() {
    let nasty = "User: x is not authorized to perform: ".repeat(2000);
    assert_eq!(classify(&nasty), Class::Permission);
    assert_eq!(classify(&"Error while installing ".repeat(100_000)), Class::Bug);
}

/// `docs/errors/tool.md` is made from the table: `UPDATE_GOLDEN=1` writes it anew.
#[test]
fn the_page_says_what_the_table_says() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/errors/tool.md");
    let page = page();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(there, page, "run this test with UPDATE_GOLDEN=1 and look at what changed");
}

fn page() -> String {
    let mut page = String::from(
        "# tool\n\nWhat the tools that carry out components say when they fail: terraform, the APIs that it and scripts call,\n\
         kubernetes, helm, registries. The runner recognises their own words by tables, a kind's own first and then\n\
         [`common.toml`](../../runner/src/executor/classify/common.toml), from which a test makes this page. What they do\n\
         not know has the code [executor.tool_failed](executor.md) and a class by single words; where no word\n\
         speaks for anything, it is a `bug`: that holds for a person, and repeats no mistake.\n\n\
         The class says what ends a failure. `transient`, `timeout` and `interference` are tried again by themselves;\n\
         the others wait for somebody. Words in `<…>` are what the message names.\n",
    );
    for failure in &TABLE.failures {
        let class = serde_json::to_value(failure.class).unwrap();
        let class = class.as_str().unwrap();
        page.push_str(&format!("\n## {}\n\n{} Class: `{class}`.\n\n", failure.code, failure.about));
        let hint: String = gaps(&failure.hint)
            .into_iter()
            .map(|part| match part {
                Part::Text(text) => text.to_owned(),
                Part::Gap { name, .. } => format!("<{name}>"),
            })
            .collect();
        page.push_str(&format!("What to do: {hint}.\n\nIt is recognised by words such as:\n"));
        for sign in &failure.signs {
            let words = crate::outcome::cut(plain(&sign.example), 300);
            page.push_str(&format!("\n- `{}`\n  ({})\n", words.replace('`', "'"), sign.source));
        }
    }
    page
}
