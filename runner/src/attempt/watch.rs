//! What goes on beside an attempt that runs: its lease, its time, its progress.

use std::time::{Duration, Instant};

use super::Hand;
use crate::backoff::Backoff;
use crate::broker::connection::Verdict;
use crate::stop::Reason;

/// How long one renewal waits for a reason to stop: the heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// An answer that comes sooner is not one to a wait.
const EARLY: Duration = Duration::from_secs(1);
/// How often progress is reported at most.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Never returns: it is dropped when the attempt has ended.
pub(super) async fn watch(hand: &Hand, longest_run: Duration) {
    tokio::join!(keep_lease(hand), keep_time(hand, longest_run), tell_progress(hand));
}

/// Keeps the lease and hears a stop at once. Losing the lease, or the broker, stops nothing.
async fn keep_lease(hand: &Hand) {
    let mut backoff = Backoff::broker();
    loop {
        let asked = Instant::now();
        let answer = hand.runner.link.keep_lease(hand.attempt(), HEARTBEAT).await;
        hand.runner.heard(answer.as_ref().err());
        match answer {
            // A broker that is going down answers at once.
            Ok(Verdict::Continue) if asked.elapsed() < EARLY => backoff.wait().await,
            Ok(Verdict::Continue) => backoff.reset(),
            Ok(Verdict::Stop(why)) => {
                tracing::info!(attempt = %hand.attempt(), why, "stopping");
                hand.stop.ask(Reason::Cancelled(why));
                return std::future::pending::<()>().await;
            }
            Err(error) => {
                tracing::debug!(%error, "the lease cannot be renewed; the attempt goes on");
                backoff.wait().await;
            }
        }
    }
}

async fn keep_time(hand: &Hand, longest_run: Duration) {
    tokio::time::sleep(longest_run).await;
    tracing::warn!(attempt = %hand.attempt(), "its longest run is over");
    hand.stop.ask(Reason::Timeout);
    std::future::pending::<()>().await;
}

/// The newest word counts; one that cannot be told is not told later.
async fn tell_progress(hand: &Hand) {
    let mut steps = hand.progress.follow();
    while steps.changed().await.is_ok() {
        let step = steps.borrow_and_update().clone();
        let told = hand.runner.link.report_progress(hand.attempt(), step.message, step.done, step.total);
        if let Err(error) = told.await {
            tracing::debug!(%error, "progress was not told");
        }
        tokio::time::sleep(PROGRESS_EVERY).await;
    }
    std::future::pending::<()>().await;
}
