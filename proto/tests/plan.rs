//! Plans and the customer's word on them, there and back, and every way in which one can break the protocol.
#![allow(clippy::unwrap_used)]

use remit_proto::convert::{ChangeAction, ChangeCounts, Plan, PlanAnswer, PlanReply, PlannedChange};
use remit_proto::{limit, v1};
use remit_seal::Digest;

fn plan() -> Plan {
    use ChangeAction::{Create, Delete, Replace, Update};
    let change = |action| PlannedChange { address: "module.web.thing.one[\"a\"]".to_owned(), action };
    Plan {
        digest: Digest::of(b"a plan"),
        changes: ChangeCounts {
            create: 1,
            update: 2,
            delete: 3,
            replace: 4,
            import: 5,
            forget: 6,
            moved: 7,
            other: 8,
            outputs: 9,
        },
        list: [Create, Update, Delete, Replace].map(change).to_vec(),
        more: 6,
        customer_approval_needed: true,
    }
}

fn answer(reply: PlanReply) -> PlanAnswer {
    PlanAnswer { component: "network".to_owned(), digest: Digest::of(b"a plan"), reply }
}

fn approved() -> PlanAnswer {
    answer(PlanReply::Approved { by: "admin".to_owned(), until_ms: 5 })
}

fn denied() -> PlanAnswer {
    answer(PlanReply::Denied { by: "admin".to_owned(), reason: "not now".to_owned() })
}

#[test]
fn plans_and_answers_read_back_as_they_were_written() {
    assert_eq!(Plan::try_from(v1::Plan::from(plan())).unwrap(), plan());
    for answer in [approved(), denied()] {
        let wire = v1::AnswerPlanRequest::from(answer.clone());
        assert_eq!(PlanAnswer::try_from(wire).unwrap(), answer);
    }
}

#[test]
fn a_long_plan_is_cut_and_says_how_much_of_it() {
    let mut long = plan();
    long.list = vec![long.list[0].clone(); limit::PLAN_LIST_MAX + 7];
    let back = Plan::try_from(v1::Plan::from(long)).unwrap();
    assert_eq!((back.list.len(), back.more), (limit::PLAN_LIST_MAX, 13));
}

#[test]
fn a_plan_that_breaks_a_rule_is_refused() {
    type Row = (&'static str, fn(&mut v1::Plan), &'static str);
    let rows: [Row; 8] = [
        ("no digest", |w| w.digest.clear(), "wire.malformed"),
        ("long digest", |w| w.digest.push(0), "wire.malformed"),
        ("no changes", |w| w.changes = None, "wire.missing"),
        ("no address", |w| w.list[0].address.clear(), "wire.missing"),
        ("long address", |w| w.list[0].address = "x".repeat(257), "wire.too_long"),
        ("no action", |w| w.list[0].action = 0, "wire.unspecified"),
        ("unknown action", |w| w.list[0].action = 99, "wire.unknown_value"),
        ("long list", |w| w.list = vec![w.list[0].clone(); 101], "wire.too_many"),
    ];
    for (name, spoil, code) in rows {
        let mut wire = v1::Plan::from(plan());
        spoil(&mut wire);
        assert_eq!(Plan::try_from(wire).unwrap_err().code(), code, "{name}");
    }
}

#[test]
fn an_answer_that_breaks_a_rule_is_refused() {
    use v1::answer_plan_request::Answer;
    type Row = (&'static str, fn(&mut v1::AnswerPlanRequest), &'static str);
    let approver = |w: &mut v1::AnswerPlanRequest, name: &str| {
        w.answer = Some(Answer::Approved(v1::PlanApproved { by: name.to_owned(), until_ms: 5 }));
    };
    let rows: [Row; 5] = [
        ("no component", |w| w.component.clear(), "wire.malformed"),
        ("component like a path", |w| w.component = "../x".to_owned(), "wire.malformed"),
        ("no digest", |w| w.digest.clear(), "wire.malformed"),
        ("no answer", |w| w.answer = None, "wire.missing"),
        (
            "denied without a reason",
            |w| {
                w.answer =
                    Some(Answer::Denied(v1::PlanDenied { by: "admin".to_owned(), reason: String::new() }));
            },
            "wire.missing",
        ),
    ];
    for (name, spoil, code) in rows {
        let mut wire = v1::AnswerPlanRequest::from(approved());
        spoil(&mut wire);
        assert_eq!(PlanAnswer::try_from(wire).unwrap_err().code(), code, "{name}");
    }
    for (name, code) in [("", "wire.missing"), ("a\u{1b}[2J", "wire.malformed")] {
        let mut wire = v1::AnswerPlanRequest::from(approved());
        approver(&mut wire, name);
        assert_eq!(PlanAnswer::try_from(wire).unwrap_err().code(), code, "{name:?}");
    }
    let mut wire = v1::AnswerPlanRequest::from(approved());
    wire.answer = Some(Answer::Approved(v1::PlanApproved { by: "admin".to_owned(), until_ms: 0 }));
    assert_eq!(PlanAnswer::try_from(wire).unwrap_err().code(), "wire.out_of_range");
}
