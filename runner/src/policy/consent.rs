//! What the policy says once the customer's words are heard. Of nothing but what it is given: the runner asks it at
//! the door and on the way, the hostile suite attacks it.

use std::collections::BTreeSet;

use remit_seal::customer::{Subject, Word};

use super::approval::Believed;
use super::approval::judge::{Asked, judge};
use super::approval::waiting::Waiting;
use super::{Answer, Decision, Policy, Program, Question};
use crate::storage::journal::{Consented, Used};

/// What comes of it.
#[derive(Clone, Debug)]
pub enum Consent {
    /// The customer denied it.
    Denied(String),
    /// The policy's word, and of which question.
    Decided {
        /// With what the customer says in it.
        question: Box<Question>,
        /// The answer.
        decision: Decision,
    },
}

/// Asks the policy about a job of this content, with the customer's words that count.
pub fn consent(policy: &Policy, words: &[Believed], question: &Question, asked: &Asked) -> Consent {
    let said = judge(words, &asked.about());
    if let Some(word) = said.denied {
        return Consent::Denied(format!("{} denied it", word.said.by));
    }
    let mut question = question.clone();
    question.approved = said.approved.is_some();
    if let Some(program) = &mut question.program {
        program.approved = said.program.is_some();
    }
    let mut decision = policy.decide(&question);
    if decision.answer == Answer::NeedsApproval
        && said.unplanned.is_some()
        && is_enough(policy, &question, &decision)
    {
        question.approved = true;
        decision = policy.decide(&question);
    }
    Consent::Decided { question: Box::new(question), decision }
}

/// Whether the approval of a job that had no plan yet is enough for the plan that it made: a destroy removes what
/// there is; of a change nothing may ask that did not ask before.
fn is_enough(policy: &Policy, question: &Question, decision: &Decision) -> bool {
    let ids = |decision: &Decision| -> BTreeSet<String> {
        decision.rules.iter().filter(|rule| rule.forbids).map(|rule| rule.id.clone()).collect()
    };
    let before = Question { plan: None, ..question.clone() };
    question.class == "destroy" || ids(decision).is_subset(&ids(&policy.decide(&before)))
}

/// The words that end with this job's success: every approval of this very content.
pub fn used(words: &[Believed], asked: &Asked) -> Vec<Used> {
    let contents = asked.contents();
    let is_of_it = |word: &&Believed| {
        word.said.word == Word::Approved
            && matches!(&word.said.subject, Subject::Content(of) if contents.contains(of))
    };
    let used = |word: &Believed| Used { word: word.digest.hex(), until_ms: word.said.until_ms };
    words.iter().filter(is_of_it).map(used).collect()
}

/// What goes on record of a job's content and of the customer's approvals of it.
pub fn consented(words: &[Believed], asked: &Asked) -> Consented {
    let content = asked.contents().first().map(remit_seal::Digest::hex).unwrap_or_default();
    Consented { content, approvals: used(words, asked) }
}

/// What the customer would approve to let a job go on that needs an approval: every run of its program, where
/// it only looks and nothing else asks; else its content.
pub fn wanted(policy: &Policy, question: &Question, asked: &Asked) -> Waiting {
    let looks = matches!(question.class.as_str(), "read" | "plan");
    if let (Some(program), Some(fact)) = (asked.program.as_ref().filter(|_| looks), &question.program) {
        let approved =
            Question { program: Some(Program { approved: true, ..fact.clone() }), ..question.clone() };
        if policy.decide(&approved).answer != Answer::NeedsApproval {
            return Waiting::program(program, &question.job);
        }
    }
    let counted = question.plan.as_ref().map(|plan| {
        format!(
            "{} made, {} changed, {} removed, {} made anew",
            plan.create, plan.update, plan.delete, plan.replace
        )
    });
    Waiting::content(asked, &question.job, &question.release, counted.as_deref())
}

#[cfg(test)]
mod tests {
    use remit_seal::Digest;
    use remit_seal::customer::{Content, CustomerApproval};
    use remit_seal::document::{Class, ComponentKind};

    use super::*;
    use crate::outcome::PlanFacts;
    use crate::policy::{Clock, DEFAULT, Release};

    fn asked(class: Class) -> Asked {
        let content = Content {
            component: "network".to_owned(),
            kind: ComponentKind::Terraform,
            operation: "deploy".to_owned(),
            class,
            rehearsal: false,
            break_glass: false,
            release: Digest::of(b"a release"),
            inputs: Default::default(),
            plan: None,
        };
        Asked { content, program: None, counter: 3, own_plan: None }
    }

    fn question(class: &str, plan: Option<PlanFacts>) -> Question {
        Question {
            vendor: "demo".to_owned(),
            job: "job_a".to_owned(),
            component: "network".to_owned(),
            kind: "terraform".to_owned(),
            operation: "deploy".to_owned(),
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
            plan,
        }
    }

    fn approved(digest: Digest) -> Believed {
        let said = CustomerApproval {
            install: String::new(),
            subject: Subject::Content(digest),
            word: Word::Approved,
            what: String::new(),
            by: "ann".to_owned(),
            at_ms: 1,
            until_ms: 2,
        };
        Believed { said, digest }
    }

    fn answer(policy: &str, words: &[Believed], question: &Question, asked: &Asked) -> Answer {
        match consent(&Policy::parse("test", policy).unwrap(), words, question, asked) {
            Consent::Decided { decision, .. } => decision.answer,
            Consent::Denied(words) => panic!("{words}"),
        }
    }

    fn deletes() -> Option<PlanFacts> {
        Some(PlanFacts { delete: 1, removes: ["aws_db_instance".to_owned()].into(), ..PlanFacts::default() })
    }

    #[test]
    fn a_yes_before_there_is_a_plan_is_no_yes_to_what_only_the_plan_shows() {
        // Whoever wants to be asked of every change is asked once, not once more of its plan.
        let door = "@id(\"door\") @effect(\"approve\") forbid (principal, action, resource) \
                    when { context.class == \"change\" && !context.approved };";
        let policy = format!("{DEFAULT}{door}");
        let (job, planned) =
            (asked(Class::Change), asked(Class::Change).with_own_plan(Digest::of(b"a plan")));
        let word = [approved(job.content.digest())];
        let harmless = question("change", Some(PlanFacts { create: 1, ..PlanFacts::default() }));
        assert_eq!(answer(&policy, &[], &question("change", None), &job), Answer::NeedsApproval);
        assert_eq!(answer(&policy, &word, &question("change", None), &job), Answer::Permitted);
        assert_eq!(answer(&policy, &word, &harmless, &planned), Answer::Permitted);
        // What deletes data was not what was approved; the plan itself is.
        let deleting = question("change", deletes());
        assert_eq!(answer(&policy, &word, &deleting, &planned), Answer::NeedsApproval);
        let plan = [approved(planned.contents()[0])];
        assert_eq!(answer(&policy, &plan, &deleting, &planned), Answer::Permitted);
        let other = asked(Class::Change).with_own_plan(Digest::of(b"another plan"));
        assert_eq!(answer(&policy, &plan, &deleting, &other), Answer::NeedsApproval);
    }

    #[test]
    fn who_approves_that_something_is_removed_approves_its_plan() {
        let planned = asked(Class::Destroy).with_own_plan(Digest::of(b"a plan"));
        let word = [approved(planned.content.digest())];
        assert_eq!(answer(DEFAULT, &word, &question("destroy", deletes()), &planned), Answer::Permitted);
        assert_eq!(answer(DEFAULT, &[], &question("destroy", deletes()), &planned), Answer::NeedsApproval);
    }

    #[test]
    fn what_ends_with_a_success_is_every_approval_of_that_content() {
        let planned = asked(Class::Change).with_own_plan(Digest::of(b"a plan"));
        let contents = planned.contents();
        let words = [approved(contents[0]), approved(contents[1]), approved(Digest::of(b"another"))];
        let used: Vec<String> = used(&words, &planned).into_iter().map(|used| used.word).collect();
        assert_eq!(used, [contents[0].hex(), contents[1].hex()]);
        assert_eq!(consented(&words, &planned).content, contents[0].hex());
    }
}
