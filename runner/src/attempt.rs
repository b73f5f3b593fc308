//! One attempt from its admission to its report: lock, journal, confirmation, execution.
//!
//! Whatever happens, it ends with an outcome on record, nothing of it running, its lock
//! free, and a report on its way.

pub mod admission;
mod approved;
pub mod artifact;
mod execute;
pub mod inputs;
mod lock;
pub mod metrics;
pub mod pin;
pub mod plan_answers;
pub mod report;
pub mod runner;
mod saved_plan;
pub mod ship;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::task::JoinHandle;

use crate::account::lock::Held;
use crate::attempt::admission::Admitted;
use crate::attempt::runner::{Active, Runner};
use crate::attempt::ship::Shipped;
use crate::backoff::Backoff;
use crate::broker::connection::{Error, Verdict};
use crate::error::{Coded, chain, now_ms};
use crate::outcome::{Attempt, Class, Failure, Outcome};
use crate::progress::Progress;
use crate::stop::{Reason, Stop};
use crate::storage::journal::Entry;

/// How far clocks may be apart when the last moment to start is judged.
const START_SLACK_MS: i64 = 60_000;

/// An attempt in hand.
struct Hand {
    runner: Arc<Runner>,
    admitted: Admitted,
    stop: Stop,
    progress: Progress,
    shipping: Option<JoinHandle<Shipped>>,
}

/// Carries an admitted attempt through. The slot is free again when it has ended; the
/// report goes on without one.
pub async fn run(
    runner: Arc<Runner>,
    admitted: Admitted,
    confirmed: oneshot::Sender<()>,
    slot: OwnedSemaphorePermit,
) {
    let (stop, progress) = (Stop::default(), Progress::default());
    let attempt = admitted.attempt.clone();
    runner.enter(
        attempt.clone(),
        Active {
            component: admitted.bound.component.name.clone(),
            operation: admitted.bound.job.operation.clone(),
            break_glass: admitted.bound.job.break_glass.clone(),
            phase: "waiting for the component's lock",
            since_ms: now_ms(),
            stop: stop.clone(),
            progress: progress.clone(),
        },
    );
    let mut hand = Hand { runner: runner.clone(), admitted, stop, progress, shipping: None };
    let (outcome, held) = hand.carry(confirmed).await;
    report::record_end(&runner, &attempt, &outcome).await;
    release(&runner, held).await;
    runner.metrics.end(hand.admitted.action.as_str(), outcome.word());
    tracing::info!(%attempt, outcome = outcome.word(), "ended");
    runner.phase(&attempt, "ended, waiting to be reported");
    let shipping = hand.shipping.take();
    runner.reports.clone().spawn(async move {
        report::report(&runner, &attempt, &outcome, shipping).await;
        runner.leave(&attempt);
    });
    drop(slot);
}

async fn release(runner: &Runner, held: Option<Held>) {
    let Some(held) = held else { return };
    let component = &held.record().component;
    if runner.executors.is_unsent(component) {
        tracing::error!(
            component,
            "its state has not arrived where it belongs: its lock stays held until it has"
        );
        return;
    }
    if let Err(error) = Box::pin(held.release()).await {
        // The fence is on record, and that is what later attempts are measured by.
        tracing::warn!(error = %chain(&error), "the lock's release cannot be recorded");
    }
}

impl Hand {
    fn attempt(&self) -> &Attempt {
        &self.admitted.attempt
    }

    /// To an outcome; the lock, when it was taken, is the caller's to release.
    async fn carry(&mut self, confirmed: oneshot::Sender<()>) -> (Outcome, Option<Held>) {
        let mut held = match Box::pin(self.take_lock()).await {
            Ok(held) => held,
            Err(outcome) => return (outcome, None),
        };
        if let Err(outcome) = self.begin().await {
            return (outcome, Some(held));
        }
        if let Err(outcome) = self.confirm().await {
            return (outcome, Some(held));
        }
        drop(confirmed);
        // Whoever was given up on meanwhile learns it here at the latest, before anything is changed.
        if let Err(error) = Box::pin(held.begin()).await {
            return (self.not_taken(&error), Some(held));
        }
        self.runner.phase(&self.admitted.attempt, "running");
        (execute::execute(self).await, Some(held))
    }

    /// On record before there can be any effect; a disk that does not take it means that
    /// nothing is started.
    async fn begin(&self) -> Result<(), Outcome> {
        let entry = Entry::Begun { attempt: self.attempt().clone() };
        self.runner.journal.append(entry).await.map_err(|error| {
            self.runner.metrics.refuse(error.code());
            let message = format!("{}; nothing was begun", chain(&error));
            Outcome::Refused { code: error.code().to_owned(), message }
        })
    }

    /// Asks the broker whether it may start, until there is an answer or its time to start is over.
    async fn confirm(&self) -> Result<(), Outcome> {
        self.runner.phase(self.attempt(), "waiting for the broker to confirm the start");
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            let answer = tokio::select! {
                answer = self.runner.link.confirm_start(self.attempt()) => answer,
                reason = self.stop.asked() => return Err(stopped(reason)),
            };
            self.runner.heard(answer.as_ref().err());
            match answer {
                Ok(Verdict::Continue) => return Ok(()),
                Ok(Verdict::Stop(message)) => return Err(Outcome::Cancelled { message }),
                Err(error @ (Error::Denied(_) | Error::Refused(_))) => {
                    let message = format!("not started: {error}");
                    return Err(Outcome::Cancelled { message });
                }
                Err(error @ (Error::Away(_) | Error::Malformed(_))) => {
                    if now_ms() > self.admitted.bound.job.not_after_ms + START_SLACK_MS {
                        return Err(unconfirmed(&error));
                    }
                }
            }
            tokio::select! {
                () = backoff.wait() => {}
                reason = self.stop.asked() => return Err(stopped(reason)),
            }
        }
    }
}

fn unconfirmed(error: &Error) -> Outcome {
    Outcome::Failed(Failure::new(
        Class::Transient,
        "runner.start_unconfirmed",
        format!("nothing was started, because the broker did not confirm it in time: {error}"),
        "the next attempt is made when the broker is back",
    ))
}

/// The outcome of an attempt that was stopped.
fn stopped(reason: Reason) -> Outcome {
    match reason {
        Reason::Cancelled(message) => Outcome::Cancelled { message },
        Reason::Timeout => Outcome::Failed(Failure::new(
            Class::Timeout,
            "executor.timeout",
            "it ran longer than it may; all its processes were ended",
            "give the component a longer `longest_run` in remit.toml, or find out what it waits for",
        )),
        Reason::Forced => Outcome::Failed(Failure::new(
            Class::Transient,
            "runner.forced",
            "the runner was told to end at once; all processes of the attempt were ended",
            "start the runner again; a new attempt goes on from what was recorded",
        )),
    }
}
