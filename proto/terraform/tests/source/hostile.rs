//! Sources that were once read as harmless and ran programs, and others of their kinds.

use remit_terraform::{Code, What};

use crate::read;

/// The escapes that are found in one file, or the code that it is refused with.
fn check(name: &str, text: &str, wanted: Result<&[&str], Code>) {
    let found = read(&[(name, text), ("inner/main.tf", ""), ("inner/x.tf", "")]);
    let found = found.map(|inventory| inventory.escapes().into_iter().collect::<Vec<_>>());
    let found = found.map_err(|refused| refused[0].code);
    let wanted = wanted.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    assert_eq!(found, wanted, "{text}");
}

#[test]
fn quotes_in_comments_of_templates_hide_nothing() {
    let text = "locals {\n  a = \"${1 /* \" */}\"\n}\nresource terraform_data x {\n  provisioner local-exec {\n    command = \"id\"\n  }\n}\n";
    check("a.tf", text, Ok(&["local-exec"]));
    check("a.tofu", text, Ok(&["local-exec"]));
    let text = "x = 1";
    check("a.tf", text, Err(Code::Block));
}

#[test]
fn json_has_one_reading() {
    let twice =
        r#"{"resource": {"terraform_data": {"a": {"provisioner": {"local-exec": {}}}}}, "resource": {}}"#;
    check("a.tf.json", twice, Err(Code::Syntax));
    let list = r#"[{"module": {"m": {"source": "http://a.test/mod.tar.gz"}}}]"#;
    check("a.tf.json", list, Err(Code::Syntax));
    let deep = r#"{"resource": [{"a": [{"b": [{"provisioner": [{"local-exec": [{}]}]}]}]}]}"#;
    check("a.tf.json", deep, Ok(&["local-exec"]));
    check("a.tofu.json", deep, Ok(&["local-exec"]));
    check("a.tf.json", r#"{"resource": {"a": {"b": {"provisioner": "local-exec"}}}}"#, Err(Code::Syntax));
    check(
        "a.tf.json",
        r#"{"data": [{"external": {"x": {}}}, {"http": {"y": {}}}]}"#,
        Ok(&["external", "http"]),
    );
    check(
        "a.tf.json",
        r#"{"resource": {"a": {"b": {"provisioner": {"x": {}, "x": {}}}}}}"#,
        Err(Code::Syntax),
    );
}

#[test]
fn what_reads_by_program_or_address_is_found_in_every_block() {
    let text = "data \"terraform_remote_state\" \"x\" {\n  backend = \"s3\"\n}\n";
    check("a.tf", text, Ok(&["terraform_remote_state"]));
    let text = "check \"c\" {\n  data \"http\" \"x\" {\n    url = \"http://a.test\"\n  }\n  assert {\n    condition = true\n    error_message = \"no\"\n  }\n}\n";
    check("a.tf", text, Ok(&["http"]));
    check("a.tf", "action \"local_command\" \"x\" {}\n", Ok(&["local_command"]));
    check("a.tf", "ephemeral \"external\" \"x\" {}\n", Ok(&["external"]));
    let text =
        "removed {\n  from = terraform_data.x\n  provisioner \"local-exec\" {\n    when = destroy\n  }\n}\n";
    check("a.tf", text, Ok(&["local-exec"]));
}

#[test]
fn what_tells_a_provider_where_credentials_come_from_is_found() {
    for body in [
        "exec {\n    command = \"sh\"\n  }",
        "kubernetes = {\n    exec = { command = \"sh\" }\n  }",
        "kubernetes = { \"exec\" = {} }",
        "shared_config_files = [\"a.cfg\"]",
        "dynamic \"exec\" {\n    for_each = [1]\n    content {}\n  }",
    ] {
        check("a.tf", &format!("provider \"x\" {{\n  {body}\n}}\n"), Ok(&["provider-credentials"]));
    }
    check("a.tf", "provider \"aws\" {\n  region = \"eu-central-1\"\n}\n", Ok(&[]));
}

#[test]
fn modules_stay_in_the_package_or_are_named() {
    check("a.tf", "module \"m\" {\n  source = \"../x\"\n}\n", Err(Code::Outside));
    check("a.tf", "module \"m\" {\n  source = \"./inner/../../x\"\n}\n", Err(Code::Outside));
    check("a.tf", "module \"m\" {\n  source = \"./nothing\"\n}\n", Err(Code::Missing));
    check("a.tf", "module \"m\" {\n  source = \"./inner\"\n}\n", Ok(&[]));
    check("inner/x.tf", "module \"m\" {\n  source = \"../inner\"\n}\n", Ok(&[]));
    check("a.tf", "module \"m\" {\n  source = \"a/b/c\"\n}\n", Ok(&["module:a/b/c"]));
    check("a.tf", "module \"m\" {\n  source = local.where\n}\n", Err(Code::Dynamic));
    check("a.tf", "module \"m\" {\n  source = \"${1}\"\n}\n", Err(Code::Dynamic));
    check("a.tf.json", r#"{"module": {"m": {"source": "${1}"}}}"#, Err(Code::Dynamic));
    let test = "run \"r\" {\n  module {\n    source = \"git::http://a.test/x\"\n  }\n}\n";
    check("tests/a.tftest.hcl", test, Ok(&["module:git::http://a.test/x"]));
}

#[test]
fn where_the_state_is_no_source_says() {
    check("a.tf", "terraform {\n  backend \"http\" {}\n}\n", Err(Code::Backend));
    check("a.tf", "terraform {\n  cloud {}\n}\n", Err(Code::Backend));
    check("a.tf", "terraform {\n  encryption {}\n}\n", Err(Code::Backend));
    check("a.tf.json", r#"{"terraform": [{"backend": {"local": {}}}]}"#, Err(Code::Backend));
    check("inner/a.tf", "terraform {\n  backend \"s3\" {}\n}\n", Err(Code::Backend));
    check("zz_override.tf", "", Err(Code::Override));
    check("terraform.d/plugins/x", "", Err(Code::File));
    check("a.tf", "terraform {\n  required_version = \">= 1.5\"\n}\n", Ok(&[]));
}

#[test]
fn what_two_parsers_could_read_differently_is_refused() {
    for text in [
        "locals {\n  a = <<EOT\n x\n\u{a0}EOT\n y\nEOT\n}\n",
        "locals {\n  a = <<EOT\nEOTX\nEOT\n}\n",
        "locals {\n  a = \"$$${1}\"\n}\n",
        "locals {\n  a = 1\r  b = 2\n}\n",
        "\u{feff}locals {}\n",
        "resource \"\u{212a}\" \"x\" {}\n",
        "locals {\n  a = 1\n",
        "locals { a = 1 } resource x y {}\n",
    ] {
        check("a.tf", text, Err(Code::Syntax));
    }
    check("a.tf", "list \"x\" \"y\" {}\n", Err(Code::Block));
    check("a.tf", "resource \"x\" {}\n", Err(Code::Block));
}

#[test]
fn each_thing_has_its_file_and_line() {
    let inventory =
        read(&[("a/b.tf", "# one\n\nresource \"x\" \"y\" {\n  provisioner \"local-exec\" {}\n}\n")]);
    let items = inventory.unwrap().items;
    let place = |what: &What| items.iter().find(|item| item.what == *what).unwrap().place.to_string();
    assert_eq!(place(&What::Resource("x".to_owned(), "y".to_owned())), "a/b.tf:3");
    assert_eq!(place(&What::Provisioner("local-exec".to_owned())), "a/b.tf:4");
    let refused = read(&[("m.tf", "locals {}\n\nmodule \"m\" {\n  source = \"../../x\"\n}\n")]).unwrap_err();
    assert_eq!(refused[0].to_string(), "m.tf:3: the module `../../x` is outside of what is packed");
}
