//! Made-up sources, read by our reader and by the real terraform: where both take a source, both see the same
//! blocks; what only we refuse is no harm. `REMIT_TERRAFORM_TRIES` makes it longer.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use remit_terraform::{Inventory, What};
use serde_json::Value;

use crate::read;

const TRIES: u32 = 120;
/// Data is read when it is applied: the plan waits for what it depends on.
const DATA: &str =
    "backend = \"local\"\n  config = { path = \"none\" }\n  depends_on = [terraform_data.base]";
const BASE: &str = "resource \"terraform_data\" \"base\" {}\n";
/// Says nothing: our reader also reads modules that nothing calls.
const MODULE: &str = "locals {}\n";

/// What a source says, in one notation for both readers.
type Seen = BTreeSet<String>;

fn terraform(dir: &Path, args: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new("terraform")
        .args(args)
        .current_dir(dir)
        .env("CHECKPOINT_DISABLE", "1")
        .env("TF_INPUT", "0")
        .env("TF_CLI_CONFIG_FILE", dir.join("terraform.rc"))
        .stdin(Stdio::null())
        .output()
        .expect("terraform is on the PATH: `cargo verify` sees to it");
    output.status.success().then_some(output.stdout)
}

/// What terraform makes of it; `None` if it does not take it.
fn theirs(files: &[(&str, &str)]) -> Option<Seen> {
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("terraform.rc"), "").unwrap();
    for (path, text) in files {
        let path = temp.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    if files.iter().any(|(_, text)| text.contains("module")) {
        terraform(temp.path(), &["init", "-backend=false", "-input=false"])?;
    }
    terraform(temp.path(), &["plan", "-refresh=false", "-input=false", "-out=plan"])?;
    let json = terraform(temp.path(), &["show", "-json", "plan"])?;
    let plan: Value = serde_json::from_slice(&json).unwrap();
    let mut seen = Seen::new();
    module(&plan["configuration"]["root_module"], &mut seen);
    Some(seen)
}

fn module(json: &Value, seen: &mut Seen) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for resource in json["resources"].as_array().into_iter().flatten() {
        let (mode, kind, name) = (text(&resource["mode"]), text(&resource["type"]), text(&resource["name"]));
        seen.insert(format!("{mode} {kind}.{name}"));
        for provisioner in resource["provisioners"].as_array().into_iter().flatten() {
            seen.insert(format!("provisioner {}", text(&provisioner["type"])));
        }
    }
    for name in json["outputs"].as_object().into_iter().flatten().map(|(name, _)| name) {
        seen.insert(format!("output {name}"));
    }
    for (_, call) in json["module_calls"].as_object().into_iter().flatten() {
        seen.insert(format!("module {}", text(&call["source"])));
        module(&call["module"], seen);
    }
}

fn ours(inventory: &Inventory) -> Seen {
    let each = inventory.items.iter().filter_map(|item| match &item.what {
        What::Resource(kind, name) => Some(format!("managed {kind}.{name}")),
        What::Data(kind, name) => Some(format!("data {kind}.{name}")),
        What::Provisioner(kind) => Some(format!("provisioner {kind}")),
        What::Output(name) => Some(format!("output {name}")),
        What::Module(source) => Some(format!("module {source}")),
        _ => None,
    });
    each.collect()
}

fn blank() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        " ",
        "  ",
        "\t",
        " /* c */ ",
        " /* \" */ ",
        " /**/ ",
        "/* } */",
        " /* { \n */ ",
        " /* ${ */ ",
    ])
}

fn comment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "# resource \"terraform_data\" \"no\" {\n",
        "// \"\n",
        "/* <<EOT\n*/\n",
        "/* */ # */\n",
        "#\r\n",
        "/** * / */\n",
        "// ${\n",
        "\n",
    ])
}

/// Expressions in which a careless reader loses its way.
fn expression() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "1",
        "\"plain\"",
        "\"${1 /* \" */}\"",
        "\"${\"}\"}\"",
        "\"${\"${\"\\\"\"}\"}\"",
        "\"\\\" provisioner local-exec {\"",
        "\"$${ } ${1}\"",
        "\"%%{ if } %{ if true }a\\\"%{ else }b%{ endif }\"",
        "\"$$\"",
        "\"$\"",
        "\"${{a = \"}\"}[\"a\"]}\"",
        "<<EOT\n \" ${1} /* \nEOT\n",
        "<<-EOT\n  resource x y {\n  # ${\"EOT\"}\n  EOT\n",
        "<<E\n${\"a\" /* \n E \n */}\nE\n",
        "[\"a\", # \"\n \"b\"]",
        "{ a = \"}\", \"b\" : 2 }",
        "{\n  provisioner = \"x\" // }\n}",
        "true ? \"a\" : \"b\"",
        "[for x in [\"}\"] : x if x != \"{\"]",
        "{ for k, v in { a = 1 } : k => v... }",
        "(\n1\n)",
        "-1 + 2 * 3",
        "format(\"%s%%\", \"x\")",
        "\"\\u0022\\\\\"",
        "[1, 2][*]",
        "<<EOT\nEOTX\nEOT\n",
        "<<EOT\n$${\n%%{\nEOT\n",
        "\"$$${1}\"",
    ])
}

fn label() -> impl Strategy<Value = (bool, bool)> {
    (any::<bool>(), any::<bool>())
}

fn quoted(name: &str, is_quoted: bool) -> String {
    if is_quoted { format!("\"{name}\"") } else { name.to_owned() }
}

/// One block of the language, with a name of its own.
fn native(at: usize) -> impl Strategy<Value = String> {
    let parts = (0..7_u8, label(), expression(), (blank(), blank(), blank()), comment());
    parts.prop_map(move |(which, (first, second), expression, (a, b, c), comment)| {
        let kind = quoted("terraform_data", first);
        let name = quoted(&format!("n{at}"), second);
        let exec = quoted("local-exec", first);
        match which {
            0 => format!("locals{a}{{\n  l{at}{b}={c}{expression}\n}}\n"),
            1 => format!("resource{a}{kind}{b}{name}{c}{{\n  input = {expression}\n}}\n"),
            2 => format!(
                "resource{a}{kind}{b}{name} {{\n{comment}  provisioner{c}{exec} {{\n    command = \"true\"\n  }}\n}}\n"
            ),
            3 => format!("output{a}{name}{b}{{\n  value = {expression}\n}}\n"),
            4 => format!("data{a}terraform_remote_state{b}{name}{c}{{\n  {DATA}\n}}\n"),
            5 => format!("module{a}{name}{b}{{{c}source = \"./m\" }}\n"),
            _ => format!("{comment}variable{a}{name}{b}{{{c}default = 1 }}\n"),
        }
    })
}

/// What is put into a text at some place.
fn insertion() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "\"", "#", "//", "/*", "*/", "${", "}", "{", "\n", "<<EOT\n", "EOT\n", "\\", "$", "%{", "\r",
        "\u{b}", "\u{a0}", "\u{feff}", "\0", "=", "[", "]", ",",
    ])
}

fn natives() -> impl Strategy<Value = String> {
    let blocks = (native(0), native(1), native(2), native(3));
    let change = prop::option::weighted(0.4, (any::<prop::sample::Index>(), insertion()));
    (blocks, change).prop_map(|((a, b, c, d), change)| {
        let mut text = [a, b, c, d].concat();
        if let Some((at, inserted)) = change {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            text.insert_str(places[at.index(places.len())], inserted);
        }
        text
    })
}

/// One member of the root of a JSON file.
fn json(at: usize) -> impl Strategy<Value = String> {
    let wrap = |text: String, is_list: bool| if is_list { format!("[{text}]") } else { text };
    let parts = (0..7_u8, any::<(bool, bool, bool)>(), 0..8_u8);
    parts.prop_map(move |(which, (outer, middle, inner), twice)| {
        let name = if twice == 0 { "n0".to_owned() } else { format!("n{at}") };
        let body = match which {
            0 => "{\"input\": \"${1 /* \\\" */}\"}",
            1 | 2 => "{\"provisioner\": {\"local-exec\": {\"command\": \"true\"}}}",
            3 => "{\"provisioner\": [{\"local-exec\": [{\"command\": \"true\"}]}], \"//\": \"x\"}",
            4 => "{\"input\": {\"provisioner\": {\"local-exec\": 1}}}",
            _ => "{}",
        };
        match which {
            5 => format!("\"output\": {}", wrap(format!("{{\"{name}\": {{\"value\": 1}}}}"), outer)),
            6 => format!("\"module\": {}", wrap(format!("{{\"{name}\": {{\"source\": \"./m\"}}}}"), outer)),
            _ => {
                let bodies = wrap(body.to_owned(), inner);
                let names = wrap(format!("{{\"{name}\": {bodies}}}"), middle);
                let kinds = wrap(format!("{{\"terraform_data\": {names}}}"), outer);
                format!("\"resource\": {kinds}")
            }
        }
    })
}

fn jsons() -> impl Strategy<Value = String> {
    let change = prop::option::weighted(0.1, (any::<prop::sample::Index>(), insertion()));
    let shape = (json(0), json(1), json(2), 0..6_u8, change);
    shape.prop_map(|(a, b, c, shape, change)| {
        let mut text = match shape {
            0 => format!("[{{{a}}}, {{{b}, \"//\": 1}}]"),
            1 => format!("{{{a}, {b}, {c}}}"),
            2 => format!("{{{a}, \"//\": {{{b}}}}}"),
            _ => format!("{{{a}}}"),
        };
        if let Some((at, inserted)) = change {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            text.insert_str(places[at.index(places.len())], inserted);
        }
        text
    })
}

#[derive(Default)]
struct Counts {
    same: Cell<u32>,
    ours: Cell<u32>,
    theirs: Cell<u32>,
    both: Cell<u32>,
}

fn one_more(cell: &Cell<u32>) {
    cell.set(cell.get() + 1);
}

fn compare(files: &[(&str, &str)], counts: &Counts) -> Result<(), TestCaseError> {
    match (read(files), theirs(files)) {
        (Ok(inventory), Some(theirs)) => {
            let ours = ours(&inventory);
            prop_assert_eq!(&ours, &theirs, "ours and terraform's of {:?}", files);
            one_more(&counts.same);
        }
        (Err(_), Some(_)) => one_more(&counts.ours),
        (Ok(_), None) => one_more(&counts.theirs),
        (Err(_), None) => one_more(&counts.both),
    }
    Ok(())
}

fn run(name: &str, source: &impl Strategy<Value = String>) {
    let tries = std::env::var("REMIT_TERRAFORM_TRIES").ok().map_or(TRIES, |n| n.parse().unwrap());
    let counts = Counts::default();
    let config =
        Config { cases: tries, max_shrink_iters: 300, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(source, |text| {
        let files = [(name, text.as_str()), ("base.tf", BASE), ("m/main.tf", MODULE)];
        compare(&files, &counts)
    });
    println!(
        "{name}: {} the same, {} refused by us alone, {} by terraform alone, {} by both",
        counts.same.get(),
        counts.ours.get(),
        counts.theirs.get(),
        counts.both.get()
    );
    if let Err(error) = result {
        panic!("{error}");
    }
    // Were all refused, nothing would have been compared.
    assert!(counts.same.get() * 4 >= tries, "only {} of {tries} were compared", counts.same.get());
}

#[test]
fn what_both_take_says_the_same_to_both() {
    run("main.tf", &natives());
}

#[test]
fn what_both_take_in_json_says_the_same_to_both() {
    run("main.tf.json", &jsons());
}
