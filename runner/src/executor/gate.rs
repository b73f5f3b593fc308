//! Where an attempt meets the policy: at the door, once its source is there, and once it is planned.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use remit_seal::document::Subject;
use remit_seal::verify::Bound;

use crate::attempt::admission::gate as admission;
use crate::attempt::runner::Runner;
use crate::error::now_ms;
use crate::outcome::Undone;
use crate::outcome::{Attempt, Class, Failure, SavedPlan, SourceFacts};
use crate::policy::approval;
use crate::policy::{Answer, Clock, Decision, Question};
use crate::progress::Progress;
use crate::stop::{Reason, Stop};
use crate::storage::journal::{Entry, Planned};
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
    Wait(Decision),
    /// No.
    No {
        /// The stable code.
        code: &'static str,
        /// Why.
        message: String,
    },
}

/// Asks before anything of an attempt is begun.
pub fn at_the_door(runner: &Runner, bound: &Bound, rehearsal: bool) -> Verdict {
    let question = question(runner, bound, rehearsal);
    let seq = bound.job.seq;
    match ask(runner, &question, &admission::subjects(bound)) {
        Asked::Denied(message) => Verdict::No { code: "policy.denied", message },
        Asked::Decided(question, decision) => match decision.answer {
            Answer::Permitted => {
                runner.past.keep((seq, "1-job"), &question, &decision, runner.policy.reference());
                Verdict::Go
            }
            Answer::Held | Answer::NeedsApproval => Verdict::Wait(decision),
            answer @ (Answer::Undeclared | Answer::Forbidden | Answer::NotPermitted | Answer::Unclear) => {
                runner.past.keep((seq, "1-job"), &question, &decision, runner.policy.reference());
                Verdict::No { code: answer.code(), message: decision.words() }
            }
        },
    }
}

fn question(runner: &Runner, bound: &Bound, rehearsal: bool) -> Question {
    let now = now_ms();
    let removed = runner.journal.state().removed_since(now - DAY_MS);
    Question::of(bound, rehearsal, Clock::at(now, &runner.config.timezone), removed)
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

enum Asked {
    Denied(String),
    Decided(Box<Question>, Decision),
}

/// Asks the policy, with the customer's own word.
fn ask(runner: &Runner, question: &Question, subjects: &[Subject]) -> Asked {
    let mut question = question.clone();
    match runner.approvals.word(subjects) {
        Some(word) if approval::approves(&word) => question.approved = true,
        Some(word) => return Asked::Denied(format!("{} denied it", word.by)),
        None => {}
    }
    let decision = runner.policy.decide(&question);
    Asked::Decided(Box::new(question), decision)
}

/// What of an attempt asks on its way.
#[derive(Clone)]
pub struct Gate {
    runner: Arc<Runner>,
    attempt: Attempt,
    seq: u64,
    question: Question,
    subjects: Vec<Subject>,
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
        (bound, rehearsal): (&Bound, bool),
        (stop, progress, log): (&Stop, &Progress, &Log),
    ) -> Self {
        let question = question(&runner, bound, rehearsal);
        Self {
            runner,
            attempt: attempt.clone(),
            seq: bound.job.seq,
            question,
            subjects: admission::subjects(bound),
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
        self.runner.journal.append(Entry::Planned(planned)).await.map_err(|error| {
            let words = crate::error::chain(&error);
            Undone::Failed(Failure::new(
                Class::Transient,
                "journal.write_failed",
                words,
                "make room on the runner's disk; nothing was applied",
            ))
        })
    }

    /// Whether the customer would have to approve if this plan, or what has none, were to be carried out.
    pub fn needs_customer(&self, saved: Option<&SavedPlan>) -> bool {
        let question = self.asked_now(saved);
        self.runner.policy.decide(&question).answer == Answer::NeedsApproval
    }

    /// What the customer's words may be about: the file of the plan is what `--policy` shows of it.
    fn subjects(&self, plan: Option<&str>) -> Vec<Subject> {
        let plan = plan.map(|digest| Subject::Plan(digest.to_owned()));
        self.subjects.iter().cloned().chain(plan).collect()
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
        let digest = saved.map(|saved| saved.digest.as_str());
        let mut told = None;
        loop {
            let question = self.asked_now(saved);
            let (question, decision) = match ask(&self.runner, &question, &self.subjects(digest)) {
                Asked::Denied(message) => return Err(no("policy.denied", message)),
                Asked::Decided(question, decision) => (question, decision),
            };
            let halted = self.runner.mode().halted;
            match decision.answer {
                Answer::Permitted if halted => {}
                Answer::Permitted => {
                    self.runner.past.keep(
                        (self.seq, stage),
                        &question,
                        &decision,
                        self.runner.policy.reference(),
                    );
                    return Ok(());
                }
                Answer::Held | Answer::NeedsApproval => {}
                answer
                @ (Answer::Undeclared | Answer::Forbidden | Answer::NotPermitted | Answer::Unclear) => {
                    self.runner.past.keep(
                        (self.seq, stage),
                        &question,
                        &decision,
                        self.runner.policy.reference(),
                    );
                    return Err(refused(answer, &decision));
                }
            }
            let words = self.waits_for(&decision, halted, digest);
            if told.as_ref() != Some(&words) {
                let code = if halted { "runner.halted" } else { decision.answer.code() };
                self.tell(&words, code).await;
                told = Some(words);
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                reason = self.stop.asked() => return Err(undone(reason)),
            }
        }
    }

    fn waits_for(&self, decision: &Decision, halted: bool, digest: Option<&str>) -> String {
        if halted && decision.answer == Answer::Permitted {
            return "the customer halted the runner".to_owned();
        }
        let what = digest.unwrap_or(&self.question.job);
        match decision.answer {
            Answer::NeedsApproval => format!("{}; `remit-runner approve {what}`", decision.words()),
            _ => decision.words(),
        }
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
