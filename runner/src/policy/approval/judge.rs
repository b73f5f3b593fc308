//! What the customer's words come to for one job: approved, denied, or nothing said. Of nothing but what it is given.
//!
//! A denial wins over every approval but a later one of the very same or of less: what was denied in general may
//! be approved in particular, and nothing that was denied in particular is undone by a general word.

use remit_seal::Digest;
use remit_seal::customer::{Content, Program, Subject, Word};
use remit_seal::document::Class;
use remit_seal::verify::Bound;
use serde::{Deserialize, Serialize};

use super::Believed;

/// What is asked of the customer's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What the job does.
    pub content: Content,
    /// The program of the vendor's that it runs, if it runs one.
    pub program: Option<Program>,
    /// The counter of its release.
    pub counter: u64,
    /// The plan that it made itself, once it is made; the content names none then.
    pub own_plan: Option<Digest>,
}

/// What the words come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer<'a> {
    /// It is denied, whatever is approved.
    pub denied: Option<&'a Believed>,
    /// This very content is approved, with its plan where it has one; or every job of some that this one is of.
    pub approved: Option<&'a Believed>,
    /// The job was approved before it had made its plan.
    pub unplanned: Option<&'a Believed>,
    /// Every run of its program is approved.
    pub program: Option<&'a Believed>,
}

/// How much a subject is of, from the least; only what is about the job at hand has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Breadth {
    /// The content with the plan that the job made.
    Planned,
    /// The content.
    Content,
    /// Every run of the program.
    Program,
    /// Every job of some.
    Every,
}

impl Asked {
    /// Of a job that was verified and bound. A job that only plans runs no program.
    pub fn of(bound: &Bound, rehearsal: bool) -> Self {
        let content = Content::of(&bound.job, bound.component.kind, rehearsal);
        let plans = bound.job.class == Class::Plan && bound.job.class != bound.operation.class;
        let program = (!rehearsal && !plans)
            .then(|| Program::of(&bound.release, &bound.component, &bound.job.operation))
            .flatten();
        Self { content, program, counter: bound.release.counter, own_plan: None }
    }

    /// What is asked when the plan that this job makes is to be carried out: by another job.
    pub fn to_apply(&self, class: Class, program: Option<Program>, plan: Digest) -> Self {
        let content = Content { class, plan: Some(plan), ..self.content.clone() };
        Self { content, program, counter: self.counter, own_plan: None }
    }

    /// The same, when it has made this plan.
    pub fn with_own_plan(&self, plan: Digest) -> Self {
        Self { own_plan: Some(plan), ..self.clone() }
    }

    /// The digests of its content: with the plan that it made first, if it made one.
    pub fn contents(&self) -> Vec<Digest> {
        let About { planned, content, .. } = self.about();
        planned.into_iter().chain([content]).collect()
    }

    /// What a word must be about to be about this.
    pub fn about(&self) -> About {
        About {
            operation: self.content.operation.clone(),
            component: self.content.component.clone(),
            counter: self.counter,
            planned: self.own_plan.map(|plan| self.content.with_plan(plan).digest()),
            content: self.content.digest(),
            program: self.program.as_ref().map(Program::digest),
        }
    }
}

/// The names of a job for the customer's words: its digests, and what general words go by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    operation: String,
    component: String,
    counter: u64,
    planned: Option<Digest>,
    /// Of its content; with the plan that the broker named, if it named one.
    pub content: Digest,
    program: Option<Digest>,
}

impl About {
    fn breadth(&self, subject: &Subject) -> Option<Breadth> {
        match subject {
            Subject::Content(of) if Some(*of) == self.planned => Some(Breadth::Planned),
            Subject::Content(of) if *of == self.content => Some(Breadth::Content),
            Subject::Content(of) if Some(*of) == self.program => Some(Breadth::Program),
            Subject::Every(every) => {
                every.covers(&self.operation, &self.component, self.counter).then_some(Breadth::Every)
            }
            Subject::Content(_) | Subject::Lock(_) | Subject::Word(_) | Subject::Marks => None,
        }
    }
}

/// What these words, those that count, say of a job.
pub fn judge<'a>(words: &'a [Believed], about: &About) -> Answer<'a> {
    let of_it: Vec<(Breadth, &Believed)> =
        words.iter().filter_map(|word| Some((about.breadth(&word.said.subject)?, word))).collect();
    let with = |wanted: Word| of_it.iter().filter(move |(_, word)| word.said.word == wanted);
    let stands = |approval: &&(Breadth, &Believed)| {
        with(Word::Denied)
            .all(|denial| approval.1.said.at_ms > denial.1.said.at_ms && is_no_wider(**approval, *denial))
    };
    let best = |fits: &dyn Fn(Breadth) -> bool| {
        let standing = with(Word::Approved).filter(stands).filter(|(breadth, _)| fits(*breadth));
        standing.min_by_key(|(breadth, _)| *breadth).map(|(_, word)| *word)
    };
    let exact = if about.planned.is_some() { Breadth::Planned } else { Breadth::Content };
    let answer = Answer {
        denied: None,
        approved: best(&|breadth| breadth == exact || breadth == Breadth::Every),
        unplanned: best(&|breadth| breadth == Breadth::Content && exact == Breadth::Planned),
        program: best(&|breadth| breadth == Breadth::Program),
    };
    let is_approved = answer.approved.or(answer.unplanned).or(answer.program).is_some();
    let denied = with(Word::Denied).max_by_key(|(_, word)| word.said.at_ms).map(|(_, word)| *word);
    Answer { denied: denied.filter(|_| !is_approved), ..answer }
}

/// Whether an approval is of nothing that a denial is not of.
fn is_no_wider(approval: (Breadth, &Believed), denial: (Breadth, &Believed)) -> bool {
    match (&approval.1.said.subject, &denial.1.said.subject) {
        (Subject::Every(own), Subject::Every(other)) => own.is_within(other),
        // A program runs by releases that a denial of some does not name.
        (_, Subject::Every(other)) if approval.0 == Breadth::Program => other.releases.is_none(),
        _ => approval.0 <= denial.0,
    }
}

#[cfg(test)]
mod tests {
    use remit_seal::customer::{CustomerApproval, Every, Releases};
    use remit_seal::document::ComponentKind;

    use super::*;

    fn asked() -> Asked {
        let content = Content {
            component: "network".to_owned(),
            kind: ComponentKind::Script,
            operation: "destroy".to_owned(),
            class: Class::Destroy,
            rehearsal: false,
            break_glass: false,
            release: Digest::of(b"a release"),
            inputs: Default::default(),
            plan: None,
        };
        let program = Program {
            component: "network".to_owned(),
            kind: ComponentKind::Script,
            operation: "destroy".to_owned(),
            source: Digest::of(b"a source"),
            command: vec!["sh".to_owned()],
            inputs: Default::default(),
            declared: Default::default(),
        };
        Asked { content, program: Some(program), counter: 5, own_plan: None }
    }

    fn content() -> Subject {
        Subject::Content(asked().content.digest())
    }

    fn program() -> Subject {
        Subject::Content(asked().program.unwrap().digest())
    }

    fn every(component: Option<&str>, releases: Option<(u64, u64)>) -> Subject {
        Subject::Every(Every {
            operation: "destroy".to_owned(),
            component: component.map(str::to_owned),
            releases: releases.map(|(from, to)| Releases { from, to }),
        })
    }

    fn planned() -> Subject {
        Subject::Content(asked().content.with_plan(Digest::of(b"a plan")).digest())
    }

    /// What comes of these words, said one after the other: `+` approved, `-` denied.
    fn said(words: &[(char, Subject)], asked: &Asked) -> &'static str {
        let believed = |(n, (sign, subject)): (usize, &(char, Subject))| {
            let at_ms = i64::try_from(n).unwrap();
            let word = if *sign == '+' { Word::Approved } else { Word::Denied };
            let said = CustomerApproval {
                install: String::new(),
                subject: subject.clone(),
                word,
                what: String::new(),
                by: "ann".to_owned(),
                at_ms,
                until_ms: i64::MAX,
            };
            Believed { said, digest: Digest::of(&at_ms.to_be_bytes()) }
        };
        let words: Vec<Believed> = words.iter().enumerate().map(believed).collect();
        match judge(&words, &asked.about()) {
            Answer { denied: Some(_), .. } => "denied",
            Answer { approved: Some(_), .. } => "approved",
            Answer { unplanned: Some(_), .. } => "unplanned",
            Answer { program: Some(_), .. } => "program",
            Answer { .. } => "nothing",
        }
    }

    #[test]
    fn a_job_is_approved_by_what_is_of_it() {
        let other = || Subject::Content(Digest::of(b"another"));
        let rows = [
            (vec![('+', content())], "approved"),
            (vec![('+', every(None, None))], "approved"),
            (vec![('+', every(Some("network"), Some((5, 5))))], "approved"),
            (vec![('+', program())], "program"),
            (vec![('+', other())], "nothing"),
            (vec![('+', planned())], "nothing"),
            (vec![('+', every(Some("web"), None))], "nothing"),
            (vec![('+', every(None, Some((6, 9))))], "nothing"),
            (vec![('+', Subject::Marks), ('+', Subject::Lock("x".to_owned()))], "nothing"),
            (vec![('-', other()), ('-', every(Some("web"), None))], "nothing"),
            (vec![('-', content())], "denied"),
            (vec![('-', program())], "denied"),
            (vec![('-', every(None, None))], "denied"),
        ];
        for (words, expect) in rows {
            assert_eq!(said(&words, &asked()), expect, "{words:?}");
        }
    }

    #[test]
    fn a_denial_wins_over_whatever_is_wider_and_over_what_came_before_it() {
        let rows = [
            // The same: the later counts.
            (vec![('-', content()), ('+', content())], "approved"),
            (vec![('+', content()), ('-', content())], "denied"),
            // Wider, and later all the same.
            (vec![('-', content()), ('+', every(None, None))], "denied"),
            (vec![('-', content()), ('+', program())], "denied"),
            (vec![('-', program()), ('+', every(Some("network"), None))], "denied"),
            (vec![('-', every(Some("network"), None)), ('+', every(None, None))], "denied"),
            (vec![('-', every(None, Some((5, 6)))), ('+', every(None, Some((4, 6))))], "denied"),
            (vec![('-', every(None, Some((5, 6)))), ('+', program())], "denied"),
            // Narrower and later.
            (vec![('-', every(None, None)), ('+', content())], "approved"),
            (vec![('-', every(None, None)), ('+', every(Some("network"), None))], "approved"),
            (vec![('-', every(None, None)), ('+', program())], "program"),
            (vec![('-', program()), ('+', content())], "approved"),
            // Narrower and earlier.
            (vec![('+', content()), ('-', every(None, None))], "denied"),
            (vec![('+', program()), ('-', every(Some("network"), None))], "denied"),
            // One approval that stands is enough, and each denial must be met.
            (vec![('+', every(None, None)), ('-', content()), ('+', content())], "approved"),
            (vec![('-', every(None, None)), ('-', content()), ('+', every(Some("network"), None))], "denied"),
        ];
        for (words, expect) in rows {
            assert_eq!(said(&words, &asked()), expect, "{words:?}");
        }
    }

    #[test]
    fn a_plan_is_approved_by_itself_or_with_every_job() {
        let asked = asked().with_own_plan(Digest::of(b"a plan"));
        let rows = [
            (vec![('+', planned())], "approved"),
            (vec![('+', content())], "unplanned"),
            (vec![('+', every(None, None))], "approved"),
            (vec![('+', content()), ('-', planned())], "denied"),
            (vec![('-', planned()), ('+', content())], "denied"),
            (vec![('-', content()), ('+', planned())], "approved"),
            (vec![('+', planned()), ('-', content())], "denied"),
        ];
        for (words, expect) in rows {
            assert_eq!(said(&words, &asked), expect, "{words:?}");
        }
        assert_eq!(said(&[('+', planned())], &asked.with_own_plan(Digest::of(b"another plan"))), "nothing");
    }
}
