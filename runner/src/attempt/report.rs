//! Telling the broker how an attempt ended: the log first, then the terminal word, until it
//! has both. Survives restarts, because the ending is in the journal.

use std::time::Duration;

use tokio::task::JoinHandle;

use crate::attempt::runner::Runner;
use crate::attempt::ship::{Shipped, ship_file};
use crate::backoff::Backoff;
use crate::broker::connection::Error;
use crate::outcome::{Attempt, Outcome};
use crate::storage::data_dir::remove_file;
use crate::storage::journal::{Entry, Taken, Told};
use crate::storage::logs;

/// How long a denied report waits before it is tried again: somebody must act first.
const DENIED_WAIT: Duration = Duration::from_secs(60);

/// Puts the ending on record, however long the disk refuses. Nothing of it runs any more.
pub async fn record_end(runner: &Runner, attempt: &Attempt, outcome: &Outcome) {
    let mut backoff = Backoff::broker();
    loop {
        let (approvals, outcome) = (runner.relied_on(attempt), outcome.clone());
        let entry = Entry::Ended { attempt: attempt.clone(), outcome, approvals };
        match runner.journal.append(entry).await {
            Ok(()) => return runner.forget_used(),
            Err(error) => {
                tracing::error!(error = %crate::error::chain(&error), %attempt, "the ending cannot be put on record yet");
                backoff.wait().await;
            }
        }
    }
}

/// Sends the rest of the log and the outcome until the broker has them, then forgets the spool.
pub async fn report(
    runner: &Runner,
    attempt: &Attempt,
    outcome: &Outcome,
    shipping: Option<JoinHandle<Shipped>>,
) {
    let path = logs::path(&runner.dir, attempt);
    if let Some(shipping) = shipping {
        if let Err(error) = shipping.await {
            tracing::error!(%error, %attempt, "sending the log ended unexpectedly");
        }
    } else if path.exists() {
        ship_file(&runner.link, attempt, &path).await;
    }
    let taken = send(runner, attempt, outcome).await;
    let entry = Entry::Reported { attempt: attempt.clone(), taken };
    if let Err(error) = runner.journal.append(entry).await {
        // It is sent once more after a restart, which is harmless.
        tracing::warn!(error = %crate::error::chain(&error), %attempt, "the report cannot be put on record");
        return;
    }
    if let Err(error) = remove_file(&path) {
        tracing::warn!(%error, path = %path.display(), "a spooled log cannot be removed");
    }
}

/// Sends the terminal word until there is an answer to it.
pub async fn send(runner: &Runner, attempt: &Attempt, outcome: &Outcome) -> bool {
    let mut backoff = Backoff::broker();
    loop {
        let answer = {
            // One after the other: the broker takes a number that goes back for a changed journal.
            let _turn = runner.telling.lock().await;
            match runner.journal.told().await {
                Ok(told) => {
                    let answer = runner.link.complete(attempt, outcome, &told).await;
                    take_in(runner, &told, &answer).await;
                    answer.map(|(taken, _)| taken)
                }
                Err(error) => Err(Error::Away(crate::error::chain(&error))),
            }
        };
        runner.heard(answer.as_ref().err());
        match answer {
            Ok(taken) => {
                tracing::info!(%attempt, outcome = outcome.word(), taken, "reported");
                return taken;
            }
            Err(error @ Error::Away(_)) => {
                tracing::debug!(%error, %attempt, "the report waits for the broker");
                backoff.wait().await;
            }
            Err(error @ Error::Denied(_)) => {
                tracing::error!(%error, %attempt, "the broker does not take reports from this runner");
                tokio::time::sleep(DENIED_WAIT).await;
            }
            Err(error @ (Error::Refused(_) | Error::Malformed(_))) => {
                tracing::error!(%error, %attempt, "the broker will not take this report");
                return false;
            }
        }
    }
}

/// Keeps what the broker signed of the journal. Nothing else depends on it.
async fn take_in(runner: &Runner, told: &Told, answer: &Result<(bool, Vec<u8>), Error>) {
    let Ok((_, seen)) = answer else { return };
    if seen.is_empty() {
        return;
    }
    let place = (runner.config.install.id(), told.records, told.head);
    match runner.journal.acknowledged(runner.trust.view().root, place, seen.clone()).await {
        Ok(Taken::Kept) => {}
        Ok(Taken::Forked) => tracing::error!(
            "the broker's audit log went back or was changed: what proves it is in journal/broker-forked.json, \
             for `remit audit judge`"
        ),
        Err(error) => {
            tracing::warn!(error = %crate::error::chain(&error), "what the broker signed of the journal is not kept");
        }
    }
}
