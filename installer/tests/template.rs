//! The rendered template: the golden copy that a reviewer reads, its size, its form, and that no secret
//! is or can be in it.
#![allow(clippy::unwrap_used)]

#[path = "example/facts.rs"]
mod facts;

use remit_installer::{
    CustomerInput, Error, InputKind, InstallFacts, Region, TEMPLATE_LEN_MAX, TOKEN_PARAMETER, Template,
    TemplateUrl, quick_create_link, render,
};
use serde_json::Value;

fn example() -> (Template, Value) {
    rendered(&facts::example())
}

fn rendered(facts: &InstallFacts) -> (Template, Value) {
    let template = render(facts).unwrap();
    let json = serde_json::from_str(template.as_str()).unwrap();
    (template, json)
}

fn user_data(template: &Value) -> &str {
    let launch = &template["Resources"]["RunnerTemplate"]["Properties"]["LaunchTemplateData"];
    launch["UserData"]["Fn::Base64"]["Fn::Sub"].as_str().unwrap()
}

/// Places in the tree where `{"Ref": name}` or `${name}` stands, as paths.
fn uses(tree: &Value, name: &str, path: &str, found: &mut Vec<String>) {
    match tree {
        Value::Object(map) if map.get("Ref").is_some_and(|to| to == name) => found.push(path.to_owned()),
        Value::Object(map) => map.iter().for_each(|(k, v)| uses(v, name, &format!("{path}/{k}"), found)),
        Value::Array(list) => list.iter().for_each(|v| uses(v, name, path, found)),
        Value::String(text) if text.contains(&format!("${{{name}}}")) => found.push(path.to_owned()),
        _ => {}
    }
}

#[test]
fn the_templates_are_the_golden_ones() {
    for (name, facts) in
        [("install.template.json", facts::example()), ("role.template.json", facts::by_role())]
    {
        let (template, _) = rendered(&facts);
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/").to_owned() + name;
        if std::env::var_os("REMIT_UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, template.as_str()).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            golden == template.as_str(),
            "{name} changed: look at it, then REMIT_UPDATE_GOLDEN=1 cargo test -p remit-installer"
        );
    }
}

#[test]
fn a_declared_role_leaves_nothing_of_the_token() {
    let (template, json) = rendered(&facts::by_role());
    for word in ["EnrolmentToken", "enrolment-token", "token_from", "consume_token", "ssm:", "Lambda"] {
        assert!(!template.as_str().contains(word), "{word}");
    }
    assert_eq!(json["Resources"]["RunnerRole"]["Properties"]["RoleName"], "remit-acme");
    assert!(json["Resources"]["RunnerTemplate"].get("DependsOn").is_none());
    let shell = user_data(&json);
    for line in ["aws_account = \"${AWS::AccountId}\"", "aws_region = \"${AWS::Region}\""] {
        assert!(shell.contains(line), "{shell}");
    }
}

/// Before anything is made, and in words that say what to do.
#[test]
fn elsewhere_than_declared_the_stack_is_refused() {
    for facts in [facts::example(), facts::by_role()] {
        let (_, json) = rendered(&facts);
        let assertions = json["Rules"]["Place"]["Assertions"].as_array().unwrap();
        let rules: Vec<(&Value, &Value)> = assertions
            .iter()
            .map(|a| (&a["Assert"]["Fn::Equals"][0]["Ref"], &a["Assert"]["Fn::Equals"][1]))
            .collect();
        let expected = [("AWS::AccountId", "111122223333"), ("AWS::Region", "eu-central-1")];
        assert_eq!(
            rules,
            expected
                .map(|(of, is)| (Value::from(of), Value::from(is)))
                .iter()
                .map(|(a, b)| (a, b))
                .collect::<Vec<_>>()
        );
        assert!(
            assertions.iter().all(|a| a["AssertDescription"].as_str().unwrap().contains("launch it there"))
        );
    }
    let anywhere = InstallFacts { place: None, ..facts::example() };
    assert!(rendered(&anywhere).1.get("Rules").is_none());
}

#[test]
fn it_fits_into_a_direct_call_and_its_user_data_into_a_machine() {
    let (template, json) = example();
    assert!(template.as_str().len() <= TEMPLATE_LEN_MAX);
    assert!(user_data(&json).len() <= 16 * 1024 * 3 / 4, "base64 of it must stay below 16 KiB");
    let function = json["Resources"]["TokenFunction"]["Properties"]["Code"]["ZipFile"].as_str().unwrap();
    assert!(function.len() <= 4096, "CloudFormation takes 4,096 characters of inline code");
}

#[test]
fn too_many_inputs_are_refused_by_size() {
    let mut facts = facts::example();
    facts.inputs = (0..200)
        .map(|n| CustomerInput::new(&format!("input_{n}"), InputKind::Text, &"x".repeat(400), None).unwrap())
        .collect();
    assert!(matches!(render(&facts), Err(Error::TooLarge { .. })));
}

#[test]
fn two_inputs_cannot_share_a_parameter() {
    let mut facts = facts::example();
    for name in ["a_b", "a__b"] {
        facts.inputs.push(CustomerInput::new(name, InputKind::Text, "", None).unwrap());
    }
    assert_eq!(render(&facts).unwrap_err(), Error::SameParameter("InputAB".to_owned()));
}

#[test]
fn the_token_goes_to_the_one_place_that_encrypts_it() {
    let (_, json) = example();
    let parameter = &json["Parameters"][TOKEN_PARAMETER];
    assert_eq!(parameter["NoEcho"], true);
    assert!(parameter.get("Default").is_none());
    let mut found = Vec::new();
    uses(&json, TOKEN_PARAMETER, "", &mut found);
    assert_eq!(found, ["/Resources/Token/Properties/Token"]);
}

#[test]
fn the_roles_may_touch_this_installs_token_and_no_other() {
    let (_, json) = example();
    for role in ["TokenFunctionRole", "RunnerRole"] {
        let policies = json["Resources"][role]["Properties"]["Policies"].as_array().unwrap();
        for statement in policies.iter().flat_map(|p| p["PolicyDocument"]["Statement"].as_array().unwrap()) {
            let text = statement.to_string();
            assert!(!text.contains(r#":*""#) && !text.contains(r#""*""#), "{role} is too wide: {text}");
            if text.contains("ssm:") {
                assert!(text.contains("parameter/remit/demo/shop/acme/enrolment-token\""), "{text}");
            }
        }
    }
}

/// What looks like a secret: private keys, AWS keys, our own tokens, long random words.
fn secrets(text: &str) -> Vec<String> {
    let mut found: Vec<String> = ["PRIVATE KEY", "AKIA", "ASIA", "aws_secret", "Bearer "]
        .iter()
        .filter(|w| text.contains(**w))
        .map(|w| (*w).to_owned())
        .collect();
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-');
    for candidate in text.split(word).filter(|w| w.len() >= 43) {
        let hex = candidate.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
        let mixed = candidate.bytes().any(|b| b.is_ascii_uppercase())
            && candidate.bytes().any(|b| b.is_ascii_lowercase())
            && candidate.bytes().any(|b| b.is_ascii_digit());
        if !hex && mixed {
            found.push(candidate.to_owned());
        }
    }
    found
}

#[test]
fn nothing_in_it_looks_like_a_secret() {
    let facts = facts::example();
    let template = render(&facts).unwrap();
    // The certificate is public; its base64 is the one thing here that looks random.
    let ca = facts.ca.unwrap().to_string();
    let json: Value = serde_json::from_str(template.as_str()).unwrap();
    let text = serde_json::to_string(&json)
        .unwrap()
        .replace(&serde_json::to_string(&ca).unwrap().replace('"', ""), "");
    assert_eq!(secrets(&text), Vec::<String>::new());
    // The scan itself is able to find some.
    for planted in [
        "remit_acme_Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cX1",
        "-----BEGIN EC PRIVATE KEY-----",
        "AKIAIOSFODNN7EXAMPLE",
    ] {
        assert!(!secrets(&format!("{text} {planted}")).is_empty(), "{planted}");
    }
}

#[test]
fn the_shell_of_the_machine_and_the_function_parse() {
    for facts in [facts::example(), facts::by_role()] {
        let (_, json) = rendered(&facts);
        // CloudFormation fills these in before a shell sees them.
        let shell = user_data(&json).replace("${", "").replace("}", "");
        run("bash", &["-n", "-s"], &shell);
    }
    let (_, json) = example();
    let function = json["Resources"]["TokenFunction"]["Properties"]["Code"]["ZipFile"].as_str().unwrap();
    run("python3", &["-c", "import ast, sys; ast.parse(sys.stdin.read())"], function);
}

/// The function, run with stand-ins for AWS: it stores, forgets, refuses another account, prints nothing.
#[test]
fn the_function_keeps_the_token_and_says_nothing() {
    let (_, json) = example();
    let function = json["Resources"]["TokenFunction"]["Properties"]["Code"]["ZipFile"].as_str().unwrap();
    let harness = include_str!("example/token_harness.py");
    let out = run("python3", &["-", function], harness);
    assert_eq!(out, "");
}

fn run(program: &str, args: &[&str], input: &str) -> String {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} is needed by this test: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{program}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

fn link(parameters: &[(&str, &str)]) -> Result<String, Error> {
    let region: Region = "eu-central-1".parse().unwrap();
    let url: TemplateUrl =
        "https://shop-installs.s3.eu-central-1.amazonaws.com/acme/install.json".parse().unwrap();
    quick_create_link(&region, &url, &"ins_demo.shop.acme".parse().unwrap(), &example().0, parameters)
}

#[test]
fn the_link_opens_the_console_with_everything_filled_in() {
    assert_eq!(
        link(&[("InputSiteDir", "/srv/my shop&co")]).unwrap(),
        "https://eu-central-1.console.aws.amazon.com/cloudformation/home?region=eu-central-1#/stacks/quickcreate\
         ?templateURL=https%3A%2F%2Fshop-installs.s3.eu-central-1.amazonaws.com%2Facme%2Finstall.json\
         &stackName=remit-demo-shop-acme&param_InputSiteDir=%2Fsrv%2Fmy%20shop%26co"
    );
}

#[test]
fn no_secret_gets_into_the_link() {
    assert_eq!(link(&[(TOKEN_PARAMETER, "x")]).unwrap_err().code(), "installer.secret_in_link");
    assert_eq!(link(&[("Nothing", "x")]).unwrap_err().code(), "installer.unknown_parameter");
    for url in [
        "https://shop.example/install.json",
        "https://bucket.s3.amazonaws.com.evil.example/install.json",
        "https://s3.example/install.json",
    ] {
        assert_eq!(url.parse::<TemplateUrl>().unwrap_err().code(), "installer.bad_template_url", "{url}");
    }
    let signed = "https://b.s3.eu-central-1.amazonaws.com/i.json?X-Amz-Signature=abc";
    assert_eq!(signed.parse::<TemplateUrl>().unwrap_err().code(), "installer.bad_url");
}
