//! Asking for work: only when there is a free slot, one envelope at a time, verified before
//! the next is asked for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use remit_proto::convert::{Lease, LeaseAnswer};
use remit_proto::limit;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::attempt;
use crate::attempt::admission::{self, Rejection};
use crate::attempt::report;
use crate::attempt::runner::Runner;
use crate::backoff::Backoff;
use crate::broker::connection::{Error, Marks};
use crate::error::Coded;
use crate::executor::gate::record_wait;
use crate::outcome::{Attempt, Outcome, cut};
use crate::storage::journal::Entry;

/// How long the next poll waits for the broker to know that an attempt has started, so that
/// it does not offer it again.
const CONFIRM_WAIT: Duration = Duration::from_secs(5);
/// An answer that comes sooner is not one to a wait.
const EARLY: Duration = Duration::from_secs(1);
/// Rests after refusals, one after the other: a broker that sends nothing but what is refused
/// must not fill the journal.
const REFUSAL_REST_MIN: Duration = Duration::from_millis(50);
const REFUSAL_REST_MAX: Duration = Duration::from_secs(1);
/// How long a refusal is tried to be told before asking for the next work.
const REFUSAL_WAIT: Duration = Duration::from_secs(10);

/// Takes work until the runner drains, and returns when nothing is in hand any more.
pub async fn run(runner: Arc<Runner>) {
    let slots = Arc::new(Semaphore::new(runner.config.capacity));
    let mut backoff = Backoff::broker();
    let mut patience = Backoff::new(REFUSAL_REST_MIN, REFUSAL_REST_MAX);
    while let Some(slot) = next_slot(&runner, &slots).await {
        if !runner.journal.has_room().await {
            tracing::error!("the journal cannot be written; asking for no work until it can");
            rest(&runner, &mut backoff).await;
            continue;
        }
        let asked = Instant::now();
        // The first word after a silence is a short one, so that it is known to be over.
        let wait_ms = if runner.hears_broker() { limit::POLL_MAX_MS } else { 0 };
        let Some(polled) = poll(&runner, wait_ms).await else { continue };
        runner.heard(polled.as_ref().err());
        match polled {
            Ok(LeaseAnswer { trust_news: true, lease: None }) => follow(&runner, &mut backoff).await,
            // A broker that is going down answers at once.
            Ok(LeaseAnswer { lease: None, .. }) if wait_ms > 0 && asked.elapsed() < EARLY => {
                rest(&runner, &mut backoff).await;
            }
            Ok(LeaseAnswer { lease: None, .. }) => backoff.reset(),
            Ok(LeaseAnswer { lease: Some(lease), .. }) => match take(&runner, lease, slot).await {
                Taken::Begun => {
                    backoff.reset();
                    patience.reset();
                }
                Taken::Refused => rest(&runner, &mut patience).await,
                Taken::Not => rest(&runner, &mut backoff).await,
            },
            Err(error) => {
                if matches!(error, Error::Away(_)) {
                    tracing::warn!(%error, "waiting for the broker");
                } else {
                    tracing::error!(%error, "the broker gives this runner no work");
                }
                rest(&runner, &mut backoff).await;
            }
        }
    }
    // Every slot free again: nothing is in hand. The semaphore is never closed.
    let all = u32::try_from(runner.config.capacity).unwrap_or(u32::MAX);
    let _ = slots.acquire_many(all).await;
}

/// What came of an offer.
enum Taken {
    /// It is in hand.
    Begun,
    /// It was refused, and the broker knows.
    Refused,
    /// Nothing came of it.
    Not,
}

/// A free slot, when work may be taken; `None` when the runner drains.
async fn next_slot(runner: &Runner, slots: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    let mut mode = runner.follow_mode();
    loop {
        let draining = mode.wait_for(|m| m.draining || !(m.paused || m.halted)).await.ok()?.draining;
        if draining {
            return None;
        }
        tokio::select! {
            slot = slots.clone().acquire_owned() => return slot.ok(),
            changed = mode.changed() => changed.ok()?,
        }
    }
}

/// One poll; `None` when the runner was paused or drained meanwhile. What the broker may
/// just have offered is offered again, because nothing of it was confirmed.
async fn poll(runner: &Runner, wait_ms: u32) -> Option<Result<LeaseAnswer, Error>> {
    runner.reset_marks().await;
    let mut mode = runner.follow_mode();
    let held: Vec<Attempt> = runner.active().into_keys().collect();
    runner.metrics.polls.inc();
    let (install, info) = (runner.config.install.id(), runner.info());
    let marks = {
        let state = runner.journal.state();
        let (root_version, status_ms) = runner.trust.marks();
        let (view, marks) = (runner.trust.view(), &state.ledger.marks);
        let since_ms = view.since_ms.max(marks.reset_ms);
        // Where the locks lie elsewhere, they remember what a lost journal does not.
        let (seq, fence) = runner.locks.high(since_ms);
        let seq_high = marks.seq_high(view.root.get().dispatch.keys.iter()).max(seq);
        let fence_high = marks.fence_high(since_ms).max(fence);
        Marks { seq_high, fence_high, root_version, status_ms }
    };
    tokio::select! {
        answer = runner.link.lease(&install, &info, &held, marks, wait_ms) => Some(answer),
        _ = mode.wait_for(|m| m.draining || m.paused || m.halted) => None,
    }
}

/// The vendor's keys have changed, or their status is due.
async fn follow(runner: &Runner, backoff: &mut Backoff) {
    match runner.trust.follow(&runner.link).await {
        Ok(()) => backoff.reset(),
        Err(error) => {
            let words = crate::error::chain(&error);
            tracing::error!(
                code = error.code(),
                error = words,
                "what the broker says of the vendor's keys is not believed"
            );
            rest(runner, backoff).await;
        }
    }
}

async fn rest(runner: &Runner, backoff: &mut Backoff) {
    let mut mode = runner.follow_mode();
    tokio::select! {
        () = backoff.wait() => {}
        _ = mode.wait_for(|m| m.draining) => {}
    }
}

async fn take(runner: &Arc<Runner>, lease: Lease, slot: OwnedSemaphorePermit) -> Taken {
    let attempt = Attempt::from(lease.attempt.clone());
    if is_known(runner, &attempt).await {
        return Taken::Not;
    }
    match admission::admit(runner, &attempt, &lease.envelope, &lease.permits).await {
        Ok(admitted) => {
            let (confirmed, wait) = oneshot::channel();
            tokio::spawn(attempt::run(runner.clone(), admitted, confirmed, slot));
            // Confirmed, or over already: either way the sender is gone.
            let _ = tokio::time::timeout(CONFIRM_WAIT, wait).await;
            Taken::Begun
        }
        Err(Rejection::Away(words)) => {
            tracing::warn!(error = words, %attempt, "waiting for what the job needs");
            Taken::Not
        }
        Err(Rejection::Held { code, message }) => {
            hold(runner, &attempt, code, &message).await;
            Taken::Not
        }
        Err(Rejection::Refused { code, message }) => {
            refuse(runner, &attempt, &lease.envelope, code, message).await
        }
    }
}

/// Nothing comes of it now: it stays offered, and is asked about again. People on both sides are told
/// what it waits for, and the record says it once.
async fn hold(runner: &Arc<Runner>, attempt: &Attempt, code: &'static str, words: &str) {
    if runner.is_news(attempt, words) {
        tracing::warn!(%attempt, code, words, "held");
        record_wait(runner, attempt, code, words).await;
    }
    let line = cut(format!("waiting: {words}"), limit::LINE_LEN_MAX);
    let told = runner.link.report_progress(attempt, line, 0, 0).await;
    if let Err(error) = told {
        tracing::debug!(%error, "the broker was not told what is waited for");
    }
}

/// An attempt that is in hand, or is over: offered again, because the broker did not hear. It is
/// never begun a second time; and once refused it is never begun, because its refusal, late or
/// repeated, would end it for the broker while it runs.
async fn is_known(runner: &Arc<Runner>, attempt: &Attempt) -> bool {
    let (open, finished) = {
        let state = runner.journal.state();
        (state.open.contains_key(attempt), state.is_finished(attempt))
    };
    if finished {
        tracing::info!(%attempt, "offered again although it is over; telling its outcome again");
        if let Ok(Some(outcome)) = runner.journal.outcome_of(attempt).await {
            let _ = tokio::time::timeout(REFUSAL_WAIT, report::send(runner, attempt, &outcome)).await;
        }
    }
    open || finished
}

async fn refuse(
    runner: &Arc<Runner>,
    attempt: &Attempt,
    envelope: &[u8],
    code: &'static str,
    message: String,
) -> Taken {
    let message = cut(message, 1024);
    tracing::error!(%attempt, code, message, "refused");
    runner.metrics.refuse(code);
    let outcome = Outcome::Refused { code: code.to_owned(), message: message.clone() };
    let refused = Entry::Refused {
        attempt: attempt.clone(),
        envelope: remit_seal::Digest::of(envelope).hex(),
        code: code.to_owned(),
        message,
    };
    let is_final = admission::is_signed_for(runner, attempt, envelope);
    let ended = is_final.then(|| Entry::Ended {
        attempt: attempt.clone(),
        outcome: outcome.clone(),
        approvals: Vec::new(),
    });
    for entry in [refused].into_iter().chain(ended) {
        if let Err(error) = runner.journal.append(entry).await {
            tracing::error!(error = %crate::error::chain(&error), "the refusal cannot be put on record");
        }
    }
    let told = report::send(runner, attempt, &outcome);
    match tokio::time::timeout(REFUSAL_WAIT, told).await {
        Ok(true) => Taken::Refused,
        Ok(false) | Err(_) => Taken::Not,
    }
}
