//! After a restart on the same host: what the journal says was in hand is ended, proven to be
//! gone, and reported, before anything new begins.

use std::fs::OpenOptions;
use std::io::Write;
use std::sync::Arc;

use crate::attempt::report;
use crate::attempt::runner::Runner;
use crate::error::chain;
use crate::outcome::{Attempt, Class, Failure, Outcome};
use crate::process::{Group, Mark, boot_id, end_all};
use crate::storage::data_dir::remove_dir;
use crate::storage::journal::Open;
use crate::storage::logs;

/// Deals with every attempt that an earlier process of this runner left open.
pub async fn recover(runner: &Arc<Runner>) {
    runner.confinement.end_leftovers().await;
    let open = runner.journal.state().open.clone();
    for (attempt, open) in open {
        let outcome = match &open.outcome {
            Some(outcome) => {
                // It had ended, and may not have come to say that the component is free.
                free(runner, &attempt, &open.accepted.task.component).await;
                outcome.clone()
            }
            None => end(runner, &attempt, &open).await,
        };
        let runner = runner.clone();
        runner.reports.clone().spawn(async move {
            report::report(&runner, &attempt, &outcome, None).await;
        });
    }
}

/// Kills what is left of it, waits until it is gone, and puts its ending on record.
async fn end(runner: &Runner, attempt: &Attempt, open: &Open) -> Outcome {
    let boot = boot_id();
    let mark = Mark { attempt: attempt.mark(), runner: runner.dir.id().to_owned() };
    let cgroup = runner.confinement.cgroup(&mark);
    let mut killed = end_all(None, &mark, &cgroup).await;
    for process in open.processes.iter().filter(|p| p.boot == boot) {
        let group = Group { pgid: process.pgid, start_ticks: process.start_ticks };
        killed += end_all(Some(group), &mark, &cgroup).await;
    }
    let outcome = outcome(open.begun, killed);
    tracing::warn!(%attempt, killed, begun = open.begun, "ended after a restart of the runner");
    say(runner, attempt, killed);
    report::record_end(runner, attempt, &outcome).await;
    free(runner, attempt, &open.accepted.task.component).await;
    if let Err(error) = remove_dir(&runner.dir.path("work").join(&open.accepted.task.component)) {
        tracing::warn!(%error, "the attempt's files cannot be removed");
    }
    runner.metrics.end(&open.accepted.task.operation, outcome.word());
    outcome
}

/// What its tool recorded last arrives where it belongs, and only then the component is free.
async fn free(runner: &Runner, attempt: &Attempt, component: &str) {
    if let Err(failure) = runner.executors.settle(component).await {
        tracing::error!(error = failure.message, component, "its lock stays held");
        return;
    }
    if let Err(error) = runner.locks.free(component, attempt).await {
        tracing::warn!(error = %chain(&error), "the lock's release cannot be recorded");
    }
}

fn outcome(begun: bool, killed: usize) -> Outcome {
    let words = match (begun, killed) {
        (false, _) => "the runner was restarted before the attempt began".to_owned(),
        (true, 0) => "the runner was restarted during the attempt; none of its processes was left".to_owned(),
        (true, n) => {
            format!("the runner was restarted during the attempt; {n} processes left of it were ended")
        }
    };
    let hint = "a new attempt goes on from what was recorded; look for what ended the runner if this repeats";
    Outcome::Failed(Failure::new(Class::Transient, "runner.restarted", words, hint))
}

fn say(runner: &Runner, attempt: &Attempt, killed: usize) {
    let path = logs::path(&runner.dir, attempt);
    let line = format!(
        "\n[remit: the runner was restarted here; {killed} processes left of the attempt were ended]\n"
    );
    let said =
        OpenOptions::new().append(true).open(&path).and_then(|mut file| file.write_all(line.as_bytes()));
    if let Err(error) = said {
        tracing::debug!(%error, "the attempt has no log to end");
    }
}
