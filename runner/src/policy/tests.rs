//! The policies that come with the runner, and policies that must not be taken.

use std::collections::BTreeSet;

use super::*;
use crate::outcome::{PlanFacts, SourceFacts};

fn question(class: &str, kind: &str) -> Question {
    Question {
        vendor: "demo".to_owned(),
        job: "job_demo.shop.acme.network.e1.o1".to_owned(),
        component: "network".to_owned(),
        kind: kind.to_owned(),
        operation: if class == "destroy" { "destroy" } else { "deploy" }.to_owned(),
        class: class.to_owned(),
        release: Release { version: "1.0.0".to_owned(), counter: 3, channel: "stable".to_owned() },
        rehearsal: false,
        approved: false,
        break_glass: false,
        now: Clock { hour: 12, minute: 0, weekday: "Mon".to_owned() },
        removed_24h: 0,
        declares: BTreeSet::new(),
        program: None,
        escapes: None,
        source: None,
        plan: None,
    }
}

fn planned(change: impl FnOnce(&mut PlanFacts)) -> Question {
    let mut plan = PlanFacts { create: 1, ..PlanFacts::default() };
    change(&mut plan);
    Question { plan: Some(plan), escapes: Some(BTreeSet::new()), ..question("change", "terraform") }
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// What the default answers, and by which rule.
fn check(question: &Question, answer: Answer, rule: &str) {
    let decision = Policy::parse("default", DEFAULT).unwrap().decide(question);
    let rules: Vec<&str> = decision.rules.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!((decision.answer, rules), (answer, vec![rule]), "{question:?}: {:?}", decision.errors);
}

#[test]
fn the_default_lets_the_vendor_look_and_change() {
    check(&question("read", "terraform"), Answer::Permitted, "look");
    check(&question("plan", "terraform"), Answer::Permitted, "look");
    check(&question("change", "terraform"), Answer::Permitted, "change");
    check(&planned(|_| {}), Answer::Permitted, "change");
    let none = Policy::parse("default", DEFAULT).unwrap().decide(&question("wipe", "terraform"));
    assert_eq!(none.answer, Answer::NotPermitted, "a class that nothing permits");
}

#[test]
fn the_default_wants_approval_of_what_cannot_be_undone() {
    let destroy = question("destroy", "terraform");
    check(&destroy, Answer::NeedsApproval, "destroy-needs-approval");
    check(&Question { approved: true, ..destroy.clone() }, Answer::Permitted, "destroy");
    check(&Question { rehearsal: true, ..destroy }, Answer::Permitted, "destroy");
    let data = planned(|plan| plan.removes = names(&["aws_db_instance"]));
    check(&data, Answer::NeedsApproval, "data-needs-approval");
    check(&Question { approved: true, ..data }, Answer::Permitted, "change");
    check(
        &planned(|plan| plan.updates = names(&["aws_kms_key"])),
        Answer::NeedsApproval,
        "data-needs-approval",
    );
    check(&planned(|plan| plan.removes = names(&["aws_vpc"])), Answer::Permitted, "change");
    check(&planned(|plan| plan.iam = 1), Answer::NeedsApproval, "access-needs-approval");
    check(&planned(|plan| plan.public = 1), Answer::NeedsApproval, "public-needs-approval");
    check(&planned(|plan| plan.delete = 20), Answer::Permitted, "change");
    check(&planned(|plan| plan.replace = 21), Answer::NeedsApproval, "removals-budget");
    let spent = Question { removed_24h: 20, ..planned(|plan| plan.delete = 1) };
    check(&spent, Answer::NeedsApproval, "removals-budget");
    check(&Question { removed_24h: 90, ..planned(|_| {}) }, Answer::Permitted, "change");
    // A program is asked for in every class, and goes on when it or this run of it is approved.
    for class in ["read", "plan", "change"] {
        let asks = |approved| {
            let program = Program { digest: "ab".to_owned(), approved };
            Question { program: Some(program), ..question(class, "script") }
        };
        check(&asks(false), Answer::NeedsApproval, "program-needs-approval");
        let permits = if class == "change" { "change" } else { "look" };
        check(&asks(true), Answer::Permitted, permits);
        check(&Question { approved: true, ..asks(false) }, Answer::Permitted, permits);
        check(&Question { rehearsal: true, ..asks(false) }, Answer::Permitted, permits);
    }
    // An approved program may still not remove anything by that.
    let program = Program { digest: "ab".to_owned(), approved: true };
    let destroys = Question { program: Some(program), ..question("destroy", "script") };
    check(&destroys, Answer::NeedsApproval, "destroy-needs-approval");
}

#[test]
fn the_default_asks_for_what_it_does_not_know() {
    let carriers = [
        "aws_cloudformation_stack",
        "aws_cloudcontrolapi_resource",
        "kubernetes_manifest",
        "helm_release",
        "kubectl_manifest",
        "aws_eks_addon",
        "azapi_resource",
        "nobody_knows",
    ];
    for kind in carriers {
        let made = planned(|plan| plan.changes = names(&["aws_vpc", kind]));
        check(&made, Answer::NeedsApproval, "types-need-approval");
        check(&Question { approved: true, ..made }, Answer::Permitted, "change");
    }
    let holders = ["aws_elasticache_cluster", "aws_mq_broker", "aws_keyspaces_table", "aws_glacier_vault"];
    for kind in holders.into_iter().chain(["aws_instance", "aws_cloudwatch_log_group", "aws_ebs_snapshot"]) {
        check(&planned(|plan| plan.changes = names(&[kind])), Answer::Permitted, "change");
        check(&planned(|plan| plan.removes = names(&[kind])), Answer::NeedsApproval, "data-needs-approval");
    }
    check(&planned(|plan| plan.imports = 1), Answer::NeedsApproval, "imports-need-approval");
    check(&planned(|plan| plan.forgets = 1), Answer::NeedsApproval, "forgets-need-approval");
    check(&planned(|plan| plan.other = 1), Answer::NeedsApproval, "unknown-needs-approval");
    check(&planned(|plan| plan.deferred = 1), Answer::NeedsApproval, "unknown-needs-approval");
    check(&planned(|plan| (plan.moves, plan.outputs) = (1, 1)), Answer::Permitted, "change");
}

#[test]
fn the_default_asks_for_providers_and_reads_that_it_does_not_name() {
    let source = |class: &str, change: &dyn Fn(&mut SourceFacts)| {
        let mut facts = SourceFacts::default();
        change(&mut facts);
        let mut asked = question(class, "terraform");
        asked.set_source(Some(facts));
        asked
    };
    // Looking runs them, too.
    for class in ["read", "plan", "change"] {
        let evil = source(class, &|facts| facts.providers = names(&["registry.terraform.io/evil/evil"]));
        check(&evil, Answer::NeedsApproval, "providers-need-approval");
        let invokes = source(class, &|facts| facts.data = names(&["aws_lambda_invocation"]));
        check(&invokes, Answer::NeedsApproval, "reads-need-approval");
    }
    let known = source("change", &|facts| {
        facts.providers = names(&["registry.terraform.io/hashicorp/aws"]);
        facts.data = names(&["aws_caller_identity"]);
    });
    check(&known, Answer::Permitted, "change");
}

#[test]
fn the_default_refuses_escape_hatches_also_with_approval() {
    let mut local = planned(|_| {});
    (local.declares, local.escapes) = (names(&["local-exec"]), Some(names(&["local-exec"])));
    check(&local, Answer::Forbidden, "escape-hatches");
    local.approved = true;
    check(&local, Answer::Forbidden, "escape-hatches");
    local.rehearsal = true;
    check(&local, Answer::Permitted, "change");
}

#[test]
fn what_a_release_does_not_declare_no_policy_permits() {
    let mut asked = Question { approved: true, ..planned(|_| {}) };
    asked.declares = names(&["http", "local-exec"]);
    asked.escapes = Some(names(&["external", "local-exec", "module:git::x"]));
    let decide = |policy, asked: &Question| Policy::parse("test", policy).unwrap().decide(asked);
    let demo = decide(DEMO, &asked);
    assert_eq!((demo.answer, demo.rules.len()), (Answer::Undeclared, 1));
    assert!(demo.words().contains("does: external, module:git::x [undeclared]"), "{}", demo.words());
    // Where the customer's policy forbids it as well, both reasons are said.
    let both = decide(DEFAULT, &asked);
    let rules: Vec<&str> = both.rules.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!((both.answer, rules), (Answer::Undeclared, vec!["undeclared", "escape-hatches"]));
    asked.escapes = Some(names(&["local-exec"]));
    assert_eq!(decide(DEMO, &asked).answer, Answer::Permitted);
    assert_eq!(decide(DEFAULT, &asked).answer, Answer::Forbidden);
    // What the default suggests to who wants to allow some.
    let some = "!context.escapes.isEmpty()";
    assert_eq!(DEFAULT.matches(&format!("{some} }};")).count(), 1);
    let some = DEFAULT.replace(&format!("{some} }};"), "![\"local-exec\"].containsAll(context.escapes) };");
    assert_eq!(decide(&some, &asked).answer, Answer::Permitted);
    asked.declares.insert("external".to_owned());
    asked.escapes = Some(names(&["external", "local-exec"]));
    assert_eq!(decide(&some, &asked).answer, Answer::Forbidden);
    // At the door, a policy can already see what is declared.
    let door = "// version: 1\npermit (principal, action, resource) when { !context.declares.contains(\"external\") };";
    asked.escapes = None;
    assert_eq!(decide(door, &asked).answer, Answer::NotPermitted);
}

#[test]
fn the_demo_permits_everything() {
    let demo = Policy::parse("demo", DEMO).unwrap();
    let mut worst = planned(|plan| plan.removes = names(&["aws_db_instance"]));
    (worst.declares, worst.escapes) = (names(&["local-exec"]), Some(names(&["local-exec"])));
    for asked in [worst, question("destroy", "script")] {
        assert_eq!(demo.decide(&asked).answer, Answer::Permitted);
    }
}

#[test]
fn the_window_of_the_default_holds_when_it_is_uncommented() {
    let from = DEFAULT.find("// @id(\"window\")").unwrap();
    let window =
        DEFAULT[from..].lines().map(|line| line.trim_start_matches("//")).collect::<Vec<_>>().join("\n");
    let policy = Policy::parse("window", &format!("{}{window}", &DEFAULT[..from])).unwrap();
    let at = |hour, weekday: &str| {
        let now = Clock { hour, minute: 0, weekday: weekday.to_owned() };
        policy.decide(&Question { now, ..question("change", "terraform") }).answer
    };
    assert_eq!(at(3, "Tue"), Answer::Permitted);
    assert_eq!(at(5, "Tue"), Answer::Held);
    assert_eq!(at(3, "Mon"), Answer::Held);
    // What needs approval as well waits for the window first; what is forbidden does not wait.
    let now = Clock { hour: 3, minute: 0, weekday: "Mon".to_owned() };
    let both = Question { now: now.clone(), ..question("destroy", "terraform") };
    assert_eq!(policy.decide(&both).answer, Answer::Held);
    let mut forbidden = Question { now, ..question("change", "terraform") };
    (forbidden.declares, forbidden.escapes) = (names(&["external"]), Some(names(&["external"])));
    assert_eq!(policy.decide(&forbidden).answer, Answer::Forbidden);
}

#[test]
fn a_policy_that_is_not_sound_is_not_taken() {
    let permit = "permit (principal, action, resource)";
    for (text, code) in [
        ("permit (principal, action, resource);".to_owned(), "policy.version_missing"),
        ("// version: x\n".to_owned(), "policy.version_missing"),
        (format!("// version: 1\n{permit} when {{ "), "policy.invalid"),
        (format!("// version: 1\n{permit} when {{ context.klass == \"read\" }};"), "policy.invalid"),
        (format!("// version: 1\n{permit} when {{ context.plan.delete == 0 }};"), "policy.invalid"),
        (format!("// version: 1\n{permit} when {{ context.removed_24h == \"0\" }};"), "policy.invalid"),
        (
            "// version: 1\n@effect(\"hodl\") forbid (principal, action, resource);".to_owned(),
            "policy.invalid",
        ),
        (format!("// version: 1\n@effect(\"hold\") {permit};"), "policy.invalid"),
    ] {
        assert_eq!(Policy::parse("test", &text).unwrap_err().code(), code, "{text}");
    }
    let error = Policy::parse("test", &format!("// version: 1\n\n{permit} when {{ ) }};")).unwrap_err();
    assert!(error.to_string().contains("line 3"), "{error}");
}

#[test]
fn what_cannot_be_evaluated_is_refused() {
    let overflow = "// version: 1\npermit (principal, action, resource);\n@effect(\"approve\") forbid (principal, action, resource) when { context.removed_24h + 9223372036854775807 < 0 };";
    let policy = Policy::parse("test", overflow).unwrap();
    assert_eq!(policy.decide(&question("read", "terraform")).answer, Answer::Permitted);
    let asked = Question { removed_24h: 1, ..question("read", "terraform") };
    assert_eq!(policy.decide(&asked).answer, Answer::Unclear, "the forbidding rule overflows");
}

#[test]
fn a_policy_follows_only_one_of_a_lower_version() {
    let text =
        |version, more: &str| format!("// version: {version}\npermit (principal, action, resource);{more}");
    let parse = |version, more| Policy::parse("test", &text(version, more)).unwrap();
    let kept = parse(2, "").reference().clone();
    assert!(parse(1, "").check_follows(None).is_ok());
    assert!(parse(2, "").check_follows(Some(&kept)).is_ok());
    assert!(parse(3, "").check_follows(Some(&kept)).is_ok());
    for (version, more) in [(1, ""), (2, "\n")] {
        let error = parse(version, more).check_follows(Some(&kept)).unwrap_err();
        assert_eq!(error.code(), "policy.version_old");
    }
}
