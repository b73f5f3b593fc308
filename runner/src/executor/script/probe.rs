//! Health probes: whether a component does its work. One probe is one run of its command `health`, given up
//! after its time; a job repeats it until one passes, as long as another whole one fits into the job's time.

use std::time::{Duration, Instant};

use remit_seal::document::UNHEALTHY;

use super::{Done, Exit, Tail, Undone, Work, call, command, failure, nothing_to_do, unusual};
use crate::outcome::{Class, Failure};
use crate::stop::{Reason, Stop};

/// How long until the next probe.
const PAUSE: Duration = Duration::from_secs(1);

/// Probes until one passes or the time is over.
pub(super) async fn probe(work: &Work) -> Result<Done, Undone> {
    let Some((program, args)) = command(work, &work.operation) else { return nothing_to_do(work) };
    let timeout = timeout(work);
    let began = Instant::now();
    let mut probes = 1_u32;
    loop {
        let words = match once(work, program, args, timeout).await? {
            Ok(()) => {
                let summary = format!("it does its work, says probe {probes}");
                return Ok(Done { summary, ..Done::default() });
            }
            Err(failure) => failure,
        };
        if began.elapsed() + PAUSE + timeout > work.longest_run {
            return Err(Undone::Failed(words));
        }
        work.log.line(&format!("probe {probes} did not pass; another follows"));
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            reason = work.supervisor.stop.asked() => return Err(over(reason, words)),
        }
        probes = probes.saturating_add(1);
    }
}

/// How long one probe may take: as the signed release says.
fn timeout(work: &Work) -> Duration {
    let said = work.component.health.and_then(|health| u64::try_from(health.timeout_ms).ok());
    said.map_or(work.longest_run, Duration::from_millis)
}

/// One probe: passed, or why not.
async fn once(
    work: &Work,
    program: &str,
    args: &[String],
    timeout: Duration,
) -> Result<Result<(), Failure>, Undone> {
    let (outer, inner) = (&work.supervisor.stop, Stop::default());
    let mut probing = work.clone();
    probing.supervisor.stop = inner.clone();
    let mut tail = Tail::default();
    let exit = {
        let running = call(&probing, "health", program, args, |_, bytes| tail.push(bytes));
        tokio::select! {
            exit = running => exit?,
            never = hand_on(outer, &inner, timeout) => match never {},
        }
    };
    match exit {
        Exit::Code(0) => Ok(Ok(())),
        Exit::Code(code) => Ok(Err(unhealthy(failure(program, code, &tail.text())))),
        Exit::Stopped(Reason::Timeout) if outer.reason().is_none_or(|reason| reason == Reason::Timeout) => {
            let words = format!("{program} did not end within {} s. {}", timeout.as_secs(), tail.text());
            let hint = "find out what the component waits for; `timeout` says how long one probe may take";
            Ok(Err(Failure::new(Class::Timeout, UNHEALTHY, words, hint)))
        }
        Exit::Stopped(_) | Exit::Killed(_) => {
            let reason = outer.reason().unwrap_or(Reason::Timeout);
            Err(unusual(program, &exit, &tail.text()).unwrap_or(Undone::Stopped(reason)))
        }
    }
}

/// Ends one probe when its own time is over, or the attempt's.
async fn hand_on(outer: &Stop, inner: &Stop, timeout: Duration) -> std::convert::Infallible {
    tokio::select! {
        reason = outer.asked() => inner.ask(reason),
        () = tokio::time::sleep(timeout) => inner.ask(Reason::Timeout),
    }
    outer.forced().await;
    inner.ask(Reason::Forced);
    std::future::pending().await
}

/// The attempt was stopped between two probes: when only its time is over, the last probe's words count.
fn over(reason: Reason, words: Failure) -> Undone {
    if reason == Reason::Timeout { Undone::Failed(words) } else { Undone::Stopped(reason) }
}

/// The same class, words and hint by the code of every failed probe.
fn unhealthy(failure: Failure) -> Failure {
    let Failure { class, message, hint, .. } = failure;
    let message = format!("it does not do its work: {message}");
    Failure::new(class, UNHEALTHY, message, hint)
}
