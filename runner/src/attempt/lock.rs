//! An attempt's lock: waiting for it, saying who has it, taking it.

use std::time::Duration;

use super::{Hand, START_SLACK_MS, stopped};
use crate::account::lock::record::Record;
use crate::account::lock::{Error, Held};
use crate::backoff::Backoff;
use crate::error::{Coded, chain, now_ms};
use crate::executor::gate::record_wait;
use crate::outcome::{Class, Failure, Outcome};

/// How often a lock that another runner holds is looked at.
const LOOK_MIN: Duration = Duration::from_millis(250);
const LOOK_MAX: Duration = Duration::from_secs(10);

impl Hand {
    /// Takes the lock; waits for it as long as the attempt may still start.
    pub(super) async fn take_lock(&self) -> Result<Held, Outcome> {
        let reason = tokio::select! {
            taken = self.wait_for_lock() => return taken.map_err(|error| self.not_taken(&error)),
            reason = self.stop.asked() => reason,
        };
        // It may have been taken in the moment of the stop.
        let component = &self.admitted.bound.component.name;
        if let Err(error) = self.runner.locks.free(component, self.attempt()).await {
            tracing::warn!(error = %chain(&error), "the lock's release cannot be recorded");
        }
        Err(stopped(reason))
    }

    async fn wait_for_lock(&self) -> Result<Held, Error> {
        let bound = &self.admitted.bound;
        let turn = self.runner.locks.turn(&bound.component.name).await;
        let counted = (bound.job.seq, self.admitted.since_ms);
        let mut backoff = Backoff::new(LOOK_MIN, LOOK_MAX);
        let mut broken = None;
        loop {
            let taken = turn.take(self.attempt(), counted, |held| broken.as_deref() == Some(held));
            match taken.await {
                Err(Error::Elsewhere(record)) if self.may_start_later() => {
                    broken = self.break_word(&record).await;
                    if broken.is_none() {
                        self.tell_holder(&Error::Elsewhere(record)).await;
                        backoff.wait().await;
                    }
                }
                taken => return taken,
            }
        }
    }

    fn may_start_later(&self) -> bool {
        now_ms() <= self.admitted.bound.job.not_after_ms + START_SLACK_MS
    }

    /// The holding that the customer has signed to be over; on record before anything is done about it.
    async fn break_word(&self, record: &Record) -> Option<String> {
        let holding = record.holding();
        let word = self.runner.approvals.breaks(&holding)?;
        let words = format!(
            "{} says that {} is gone, which held the lock of `{}` for {}; it is taken over",
            word.by, record.owner, record.component, record.attempt
        );
        record_wait(&self.runner, self.attempt(), "runner.lock_broken", &words).await;
        Some(holding)
    }

    /// People on both sides are told who has it; the record says it once.
    async fn tell_holder(&self, error: &Error) {
        let words = format!("{error}; {}", error.hint());
        if self.runner.is_news(self.attempt(), &words) {
            tracing::warn!(attempt = %self.attempt(), words, "waiting for a lock");
            record_wait(&self.runner, self.attempt(), error.code(), &words).await;
        }
        self.progress.say(words.clone(), 0, 0);
        let told = self.runner.link.report_progress(self.attempt(), format!("waiting: {words}"), 0, 0).await;
        if let Err(error) = told {
            tracing::debug!(%error, "the broker was not told what is waited for");
        }
    }

    /// The outcome of an attempt that did not get its lock, or lost it before it began.
    pub(super) fn not_taken(&self, error: &Error) -> Outcome {
        let (code, words) = (error.code(), format!("{}; nothing was begun", chain(error)));
        self.runner.metrics.refuse(code);
        let class = match error {
            Error::Stale { .. } => return Outcome::Refused { code: code.to_owned(), message: words },
            Error::Elsewhere(_) | Error::Lost(_) => Class::Conflict,
            Error::Io { .. } => Class::Transient,
        };
        Outcome::Failed(Failure::new(class, code, words, error.hint()))
    }
}
