//! What is too large, too many or too deep is refused, and soon.

use std::time::{Duration, Instant};

use remit_terraform::{Code, FILE_LEN_MAX, FILES_MAX, Reader};

use crate::read;

fn refused(name: &str, text: &str) -> Code {
    read(&[(name, text)]).unwrap_err()[0].code
}

#[test]
fn nesting_overflows_no_stack() {
    for (open, close) in
        [("[", "]"), ("(", ")"), ("{ a = ", "}"), ("\"${", "}\""), ("f(", ")"), ("!", ""), ("-", "")]
    {
        for depth in [60, 10_000] {
            let text = format!("locals {{\n  a = {}1{}\n}}\n", open.repeat(depth), close.repeat(depth));
            let read = read(&[("a.tf", &text)]);
            assert!(depth < 100 || read.is_err(), "{open}");
        }
    }
    let blocks = format!("x {{\n{}{}}}\n", "y {\n".repeat(5_000), "}\n".repeat(5_000));
    assert_eq!(refused("a.tf", &blocks), Code::Syntax);
    let lists = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(refused("a.tf.json", &format!("{{\"locals\": {{\"a\": {lists}}}}}")), Code::Syntax);
}

#[test]
fn the_largest_file_takes_seconds_at_most() {
    let line = "  a = \"${join(\",\", [for x in [\"}\"] : x])} /* \\\" */\"\n";
    let block = |at: usize| format!("resource \"x\" \"y{at}\" {{\n{line}}}\n");
    let mut text = String::new();
    while text.len() + 200 < FILE_LEN_MAX {
        text.push_str(&block(text.len()));
    }
    let began = Instant::now();
    let inventory = read(&[("a.tf", &text)]).unwrap();
    assert!(
        inventory.items.len() > 5_000 && began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn sizes_and_counts_are_bounded() {
    assert_eq!(refused("a.tf", &" ".repeat(FILE_LEN_MAX + 1)), Code::Large);
    assert_eq!(refused(&format!("{}x.tf", "a/".repeat(20)), ""), Code::Large);
    let mut reader = Reader::of_package();
    for at in 0..=FILES_MAX {
        reader.file(&format!("{at}.tf"), b"");
    }
    assert_eq!(reader.finish().unwrap_err()[0].code, Code::Large);
    let mut reader = Reader::of_package();
    for at in 0..17 {
        reader.file(&format!("{at}.tf"), " ".repeat(FILE_LEN_MAX).as_bytes());
    }
    assert_eq!(reader.finish().unwrap_err()[0].code, Code::Large);
}
