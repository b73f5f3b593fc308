//! Where an attempt meets the policy: at the door, once its source is there, and once it is planned.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use remit_seal::Digest;
use remit_seal::customer::Program;
use remit_seal::document::Class as OperationClass;
use remit_seal::verify::Bound;

use crate::attempt::runner::Runner;
use crate::error::now_ms;
use crate::outcome::Undone;
use crate::outcome::{Attempt, Class, Failure, SavedPlan, SourceFacts};
use crate::policy::approval::Believed;
use crate::policy::approval::judge::{Asked, judge};
use crate::policy::approval::waiting::Waiting;
use crate::policy::consent::{Consent, consent, consented, wanted};
use crate::policy::{self, Answer, Clock, Decision, Question, class_word};
use crate::progress::Progress;
use crate::stop::{Reason, Stop};
use crate::storage::journal::{self, Entry, Planned};
use crate::storage::logs::Log;

/// How often one that waits for the customer looks again.
const LOOK: Duration = Duration::from_secs(1);
const HINT: &str =
    "the customer looks at it with `remit-runner policy explain`, and changes the policy or approves";

/// What the policy says at the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may begin.
    Go,
    /// Not now.
    Wait {
        /// The stable code of what it waits for.
        code: &'static str,
        /// In words.
        message: String,
    },
    /// No.
    No {
        /// The stable code.
        code: &'static str,
        /// Why.
        message: String,
    },
}

/// Asks before anything of an attempt is begun.
pub fn at_the_door(runner: &Runner, words: &[Believed], bound: &Bound, asked: &Asked) -> Verdict {
    let question = question(runner, bound, asked);
    let seq = bound.job.seq;
    match consent(&runner.policy, words, &question, asked) {
        Consent::Denied(message) => {
            runner.waits.gone(&asked.contents());
            Verdict::No { code: "policy.denied", message }
        }
        Consent::Decided { question, decision } => match decision.answer {
            Answer::Permitted => {
                runner.past.keep((seq, "1-job"), &question, &decision, runner.policy.reference());
                Verdict::Go
            }
            Answer::Held | Answer::NeedsApproval => {
                let message = waits_for(runner, &question, &decision, asked);
                Verdict::Wait { code: decision.answer.code(), message }
            }
            answer @ (Answer::Undeclared | Answer::Forbidden | Answer::NotPermitted | Answer::Unclear) => {
                runner.past.keep((seq, "1-job"), &question, &decision, runner.policy.reference());
                Verdict::No { code: answer.code(), message: decision.words() }
            }
        },
    }
}

/// What it waits for, in words: where that is an approval, what exactly is to be approved, and how.
fn waits_for(runner: &Runner, question: &Question, decision: &Decision, asked: &Asked) -> String {
    if decision.answer != Answer::NeedsApproval {
        return decision.words();
    }
    let wanted = wanted(&runner.policy, question, asked);
    let words = format!("`{}` lets it go on: {}; {}", wanted.command(), wanted.what, decision.words());
    tell_customer(runner, &wanted);
    words
}

/// Takes note of what waits for the customer, and says once how they let it go on.
pub fn tell_customer(runner: &Runner, wanted: &Waiting) {
    if runner.waits.note(wanted.clone()) {
        let here = wanted.command_here(runner.dir.root());
        tracing::warn!(what = wanted.what, "the customer is asked: {here}");
    }
}

fn question(runner: &Runner, bound: &Bound, asked: &Asked) -> Question {
    let now = now_ms();
    let removed = runner.journal.state().removed_since(now - DAY_MS);
    Question::of(bound, asked, Clock::at(now, &runner.config.timezone), removed)
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What of an attempt asks on its way.
#[derive(Clone)]
pub struct Gate {
    runner: Arc<Runner>,
    attempt: Attempt,
    seq: u64,
    question: Question,
    asked: Asked,
    /// What the operation is when it is carried out, and what it then runs.
    applied: (OperationClass, Option<Program>),
    source: Arc<Mutex<Option<SourceFacts>>>,
    stop: Stop,
    progress: Progress,
    log: Log,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gate({})", self.attempt)
    }
}

impl Gate {
    /// For one attempt.
    pub fn new(
        (runner, attempt): (Arc<Runner>, &Attempt),
        (bound, asked): (&Bound, Asked),
        (stop, progress, log): (&Stop, &Progress, &Log),
    ) -> Self {
        let question = question(&runner, bound, &asked);
        let program = Program::of(&bound.release, &bound.component, &bound.job.operation);
        let applied = (bound.operation.class, program.filter(|_| !asked.content.rehearsal));
        Self {
            runner,
            attempt: attempt.clone(),
            seq: bound.job.seq,
            question,
            asked,
            applied,
            source: Arc::default(),
            stop: stop.clone(),
            progress: progress.clone(),
            log: log.clone(),
        }
    }

    /// Before anything of the source is run: what in it no plan would show.
    pub async fn source(&self, facts: SourceFacts) -> Result<(), Undone> {
        *self.source.lock().unwrap_or_else(PoisonError::into_inner) = Some(facts);
        self.pass("2-source", None).await
    }

    /// Before the saved plan is applied; on record when this lets it through.
    pub async fn plan(&self, saved: &SavedPlan) -> Result<(), Undone> {
        self.pass("3-plan", Some(saved)).await?;
        let plan = saved.facts.clone();
        let planned = Planned { attempt: self.attempt.clone(), digest: saved.digest.clone(), plan };
        self.runner.journal.append(Entry::Planned(planned)).await.map_err(|error| unwritten(&error))
    }

    /// Whether the customer would have to approve if this plan, or what has none, were to be carried out.
    pub fn needs_customer(&self, saved: Option<&SavedPlan>) -> bool {
        let (class, program) = &self.applied;
        let asked = Asked { program: program.clone(), ..self.asked.clone() };
        let approved = |program: &Program| {
            let words = self.runner.words(&self.attempt);
            let approved = judge(&words, &asked.about()).program.is_some();
            policy::Program { digest: program.digest().hex(), approved }
        };
        let program = program.as_ref().map(approved);
        let question = Question { class: class_word(*class).to_owned(), program, ..self.asked_now(saved) };
        self.runner.policy.decide(&question).answer == Answer::NeedsApproval
    }

    /// What the customer is asked of a plan that is kept, to be carried out by another job.
    pub fn to_apply(&self, plan: Digest) -> (Asked, policy::Release) {
        let (class, program) = self.applied.clone();
        (self.asked.to_apply(class, program, plan), self.question.release.clone())
    }

    /// Takes note of what waits for the customer.
    pub fn tell_customer(&self, wanted: &Waiting) {
        tell_customer(&self.runner, wanted);
    }

    /// What the customer's words may be about: with the plan, once a job that names none has made one.
    fn asked_with(&self, saved: Option<&SavedPlan>) -> Asked {
        let plan = saved.and_then(|saved| Digest::from_hex(&saved.digest).ok());
        match plan.filter(|_| self.asked.content.plan.is_none()) {
            Some(plan) => self.asked.with_own_plan(plan),
            None => self.asked.clone(),
        }
    }

    fn asked_now(&self, saved: Option<&SavedPlan>) -> Question {
        let now = now_ms();
        let mut question = self.question.clone();
        question.now = Clock::at(now, &self.runner.config.timezone);
        question.removed_24h = self.runner.journal.state().removed_since(now - DAY_MS);
        question.set_source(self.source.lock().unwrap_or_else(PoisonError::into_inner).clone());
        question.plan = saved.map(|saved| saved.facts.clone());
        question
    }

    /// Goes on when it may, waits while it must, ends when it may not.
    async fn pass(&self, stage: &'static str, saved: Option<&SavedPlan>) -> Result<(), Undone> {
        let asked = self.asked_with(saved);
        let done = self.wait(stage, saved, &asked).await;
        self.runner.waits.gone(&asked.contents());
        done
    }

    async fn wait(
        &self,
        stage: &'static str,
        saved: Option<&SavedPlan>,
        asked: &Asked,
    ) -> Result<(), Undone> {
        let mut told = None;
        loop {
            let words = self.runner.words(&self.attempt);
            let (question, decision) =
                match consent(&self.runner.policy, &words, &self.asked_now(saved), asked) {
                    Consent::Denied(message) => return Err(no("policy.denied", message)),
                    Consent::Decided { question, decision } => (question, decision),
                };
            let halted = self.runner.mode().halted;
            match decision.answer {
                Answer::Permitted if halted => {}
                Answer::Permitted => {
                    self.keep(stage, &question, &decision);
                    return self.relies(&words, asked).await;
                }
                Answer::Held | Answer::NeedsApproval => {}
                answer
                @ (Answer::Undeclared | Answer::Forbidden | Answer::NotPermitted | Answer::Unclear) => {
                    self.keep(stage, &question, &decision);
                    return Err(refused(answer, &decision));
                }
            }
            let (code, words) = match decision.answer {
                Answer::Permitted => ("runner.halted", "the customer halted the runner".to_owned()),
                answer => (answer.code(), waits_for(&self.runner, &question, &decision, asked)),
            };
            if told.as_ref() != Some(&words) {
                self.tell(&words, code).await;
                told = Some(words);
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                reason = self.stop.asked() => return Err(undone(reason)),
            }
        }
    }

    fn keep(&self, stage: &'static str, question: &Question, decision: &Decision) {
        self.runner.past.keep((self.seq, stage), question, decision, self.runner.policy.reference());
    }

    /// What the customer approved on the way is on record before anything is done by it: it ends with the success.
    async fn relies(&self, words: &[Believed], asked: &Asked) -> Result<(), Undone> {
        let consent = consented(words, asked);
        if consent.approvals.is_empty() {
            return Ok(());
        }
        let entry = Entry::Approved { attempt: self.attempt.clone(), consent };
        self.runner.journal.append(entry).await.map_err(|error| unwritten(&error))
    }

    async fn tell(&self, words: &str, code: &str) {
        tracing::info!(attempt = %self.attempt, words, "waiting");
        self.log.line(&format!("waiting: {words}"));
        self.progress.say(format!("waiting: {words}"), 0, 0);
        record_wait(&self.runner, &self.attempt, code, words).await;
    }
}

/// A wait is on record before anybody is told to end it; that it cannot be recorded ends nothing.
pub async fn record_wait(runner: &Runner, attempt: &Attempt, code: &str, message: &str) {
    let message = crate::outcome::cut(message.to_owned(), 1024);
    let entry = Entry::Held { attempt: attempt.clone(), code: code.to_owned(), message };
    if let Err(error) = runner.journal.append(entry).await {
        tracing::warn!(error = %crate::error::chain(&error), "a wait cannot be put on record");
    }
}

fn unwritten(error: &journal::Error) -> Undone {
    let words = crate::error::chain(error);
    let hint = "make room on the runner's disk; nothing was applied";
    Undone::Failed(Failure::new(Class::Transient, "journal.write_failed", words, hint))
}

fn no(code: &str, message: String) -> Undone {
    Undone::Failed(Failure::new(Class::Permission, code, message, HINT))
}

/// Nobody but the vendor can mend what their release does not say; the rest is the customer's.
fn refused(answer: Answer, decision: &Decision) -> Undone {
    let (code, message) = (answer.code(), decision.words());
    if answer != Answer::Undeclared {
        return no(code, message);
    }
    let hint = "the vendor declares it (`escapes` of the component in remit.toml) and cuts a release, or does without";
    Undone::Failed(Failure::new(Class::Bug, code, message, hint))
}

fn undone(reason: Reason) -> Undone {
    Undone::Stopped(reason)
}
