//! A confirmed attempt: its source unpacked, its inputs resolved, its executor run, its
//! outputs kept; what leaves the account is redacted here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use remit_proto::limit;
use remit_seal::document::{Side, Value};

use super::watch::watch;
use super::{Hand, saved_plan, stopped};
use crate::attempt::artifact;
use crate::attempt::inputs::{self, Resolved};
use crate::attempt::ship::ship;
use crate::backoff::Backoff;
use crate::error::{Coded, chain};
use crate::executor::{Action, Done, Gate, Held, Hold, Stage, Work};
use crate::outcome::Undone;
use crate::outcome::{Class, Failure, MESSAGE_LEN_MAX, Outcome, Plan, Planned, Success, cut};
use crate::process::Places;
use crate::process::{GRACE, Mark, Supervisor};
use crate::storage::data_dir::{make_dir, remove_dir};
use crate::storage::logs::{Log, Redactor};
use crate::storage::outputs::{self, Realm};

/// How long the secrets of one attempt may take to be fetched.
const FETCH_MAX: Duration = Duration::from_secs(5 * 60);

/// Carries it out, under its lease and its time.
pub(super) async fn execute(hand: &mut Hand) -> Outcome {
    let resolved = tokio::select! {
        resolved = Box::pin(resolve(hand)) => resolved,
        reason = hand.stop.asked() => return stopped(reason),
        () = watch(hand, FETCH_MAX) => return stopped(crate::stop::Reason::Timeout),
    };
    let log = match begin_log(hand, resolved.as_ref().ok()) {
        Ok(log) => log,
        Err(failure) => return Outcome::Failed(failure),
    };
    let ship = {
        let (runner, attempt, log) = (hand.runner.clone(), hand.admitted.attempt.clone(), log.clone());
        async move { ship(&runner.link, &attempt, &log).await }
    };
    hand.shipping = Some(tokio::spawn(ship));
    let hand = &*hand;
    let longest_run = longest_run(hand);
    let outcome = tokio::select! {
        outcome = work(hand, resolved, &log) => outcome,
        () = watch(hand, longest_run) => stopped(crate::stop::Reason::Timeout),
    };
    say_outcome(&log, &outcome);
    log.end();
    outcome
}

/// How long the attempt may take.
fn longest_run(hand: &Hand) -> Duration {
    let bound = &hand.admitted.bound;
    let longest_ms = bound.job.longest_run_ms.min(bound.component.longest_run_ms);
    Duration::from_millis(u64::try_from(longest_ms).unwrap_or(0))
}

/// Secrets are fetched here and now, so that a changed one counts at once and none is kept.
async fn resolve(hand: &Hand) -> Result<Resolved, inputs::Error> {
    let (runner, bound) = (&hand.runner, &hand.admitted.bound);
    let fetched = inputs::fetch(bound, &runner.config, &runner.secrets).await?;
    inputs::resolve(bound, &runner.config, &runner.outputs, hand.admitted.realm, &fetched)
}

/// The log knows every sensitive value before the first line is written.
fn begin_log(hand: &Hand, resolved: Option<&Resolved>) -> Result<Log, Failure> {
    let component = &hand.admitted.bound.component;
    let given = hand.runner.outputs.of(hand.admitted.realm, component).ok().flatten();
    let given = given.unwrap_or_default();
    let secrets = resolved.into_iter().flat_map(|r| &r.secrets).chain(given.secrets());
    let redactor = Redactor::new(secrets);
    Log::begin(&hand.runner.dir, hand.attempt(), redactor).map_err(|e| Failure::disk(&e))
}

fn say_outcome(log: &Log, outcome: &Outcome) {
    match outcome {
        Outcome::Succeeded(success) => log.line(&format!("done: {}", success.summary)),
        Outcome::Failed(failure) => log.line(&format!(
            "failed [{}]: {}",
            failure.code,
            failure.message.lines().next().unwrap_or_default()
        )),
        Outcome::Cancelled { message } => log.line(&format!("stopped: {message}")),
        Outcome::Refused { code, .. } => log.line(&format!("refused [{code}]")),
    }
}

async fn work(hand: &Hand, resolved: Result<Resolved, inputs::Error>, log: &Log) -> Outcome {
    match try_work(hand, resolved, log).await {
        Ok((done, plan)) => succeeded(hand, done, plan, log),
        Err(Undone::Stopped(reason)) => stopped(reason),
        Err(Undone::Refused { code, message }) => {
            hand.runner.metrics.refuse(code);
            Outcome::Refused { code: code.to_owned(), message: cut(log.redact(&message), MESSAGE_LEN_MAX) }
        }
        Err(Undone::Failed(failure)) => Outcome::Failed(Failure {
            message: log.redact(&failure.message),
            hint: log.redact(&failure.hint),
            ..failure
        }),
    }
}

async fn try_work(
    hand: &Hand,
    resolved: Result<Resolved, inputs::Error>,
    log: &Log,
) -> Result<(Done, Option<Plan>), Undone> {
    let places = places(hand);
    let held = hold(hand, log).await?;
    let is_new = !held.is_made().await && !places.state.exists();
    let action = hand.admitted.action;
    if is_new && action != Action::Deploy {
        // Never deployed here, or destroyed: its inputs need not even be there.
        return nothing_there(hand, &*held, log, &places);
    }
    let work = prepare(hand, resolved.map_err(|e| input_failure(&e))?, log, &places);
    make_dir(&places.state).map_err(|e| Failure::disk(&e))?;
    let done = carry_out(hand, &*held, &work).await;
    let done = held.close().await.and(done);
    if is_new && work.stage == Stage::Plan {
        // A plan changes nothing: what it needed of the place of the state goes with it.
        remove_dir(&places.state).map_err(|e| Failure::disk(&e))?;
    }
    let done = done.and_then(|done| seal(hand, &work, done));
    if let Err(error) = remove_dir(&work_dir(hand)) {
        tracing::warn!(%error, "the attempt's files cannot be removed");
    }
    let (done, plan) = done?;
    keep(hand, &places, &done)?;
    Ok((done, plan))
}

/// What outlives attempts of the component is this one's from here on.
async fn hold(hand: &Hand, log: &Log) -> Result<Arc<dyn Held>, Undone> {
    let component = &hand.admitted.bound.component;
    let rehearse = hand.admitted.realm == Realm::Rehearsal;
    let executor = hand.runner.executors.pick(component.kind, rehearse);
    let executor = executor.expect("admission picked it before");
    let (attempt, counted_ms) = (hand.attempt(), hand.admitted.since_ms);
    let held = tokio::select! {
        held = executor.hold(Hold { component: &component.name, attempt, counted_ms }) => held?,
        reason = hand.stop.asked() => return Err(Undone::Stopped(reason)),
    };
    held.secrets().iter().for_each(|secret| log.hide(secret));
    Ok(held)
}

fn nothing_there(
    hand: &Hand,
    held: &dyn Held,
    log: &Log,
    places: &Places,
) -> Result<(Done, Option<Plan>), Undone> {
    let component = &hand.admitted.bound.component;
    let was_deployed =
        hand.runner.outputs.of(hand.admitted.realm, component).is_ok_and(|kept| kept.is_some());
    if let Some(lost) = held.is_lost().filter(|_| was_deployed) {
        return Err(lost);
    }
    let done = Done { summary: "nothing is deployed".to_owned(), ..Done::default() };
    if hand.admitted.stage != Stage::Plan {
        forget(hand, places)?;
        let swept = if hand.admitted.action == Action::Destroy { "nothing was made here" } else { "" };
        return Ok((Done { swept: swept.to_owned(), ..done }, None));
    }
    let work = prepare(hand, Resolved::default(), log, places);
    saved_plan::prepare(&work, hand.runner.dir.secret())?;
    seal(hand, &work, Done { planned: Some(Planned::default()), ..done })
}

/// Gives what was planned its digest.
fn seal(hand: &Hand, work: &Work, mut done: Done) -> Result<(Done, Option<Plan>), Undone> {
    let sides = hand.admitted.bound.operation.approval.sides();
    let wants_customer = done.wants_customer || sides.contains(&Side::Customer);
    let planned = done.planned.take();
    let seal = |planned| saved_plan::seal(work, hand.runner.dir.secret(), planned, wants_customer);
    let plan = planned.map(seal).transpose()?;
    Ok((done, plan))
}

fn work_dir(hand: &Hand) -> PathBuf {
    hand.runner.dir.path("work").join(&hand.admitted.bound.component.name)
}

fn places(hand: &Hand) -> Places {
    let component = &hand.admitted.bound.component.name;
    let state = match hand.admitted.realm {
        Realm::Real => hand.runner.dir.path("state"),
        Realm::Rehearsal => hand.runner.dir.path("rehearsal"),
    };
    let work = work_dir(hand);
    let plan = match (hand.admitted.stage, hand.admitted.realm) {
        (Stage::Whole, _) => work.join("plan"),
        (Stage::Plan | Stage::Apply(_), realm) => kept_plan(hand, realm),
    };
    Places { source: work.join("source"), temp: work.join("temp"), state: state.join(component), plan }
}

/// Where a component's plan is kept.
fn kept_plan(hand: &Hand, realm: Realm) -> PathBuf {
    let plans = match realm {
        Realm::Real => hand.runner.dir.path("plans/real"),
        Realm::Rehearsal => hand.runner.dir.path("plans/rehearsal"),
    };
    plans.join(&hand.admitted.bound.component.name)
}

/// Unpacks the source, waiting for the broker where it must.
async fn fetch(hand: &Hand, places: &Places) -> Result<(), Undone> {
    remove_dir(&work_dir(hand)).and_then(|()| make_dir(&places.temp)).map_err(|e| Failure::disk(&e))?;
    hand.progress.say("fetching the component's source", 0, 0);
    let component = &hand.admitted.bound.component;
    let mut backoff = Backoff::broker();
    loop {
        let unpacked = tokio::select! {
            unpacked = hand.runner.cache.unpack(&hand.runner.link, component, &places.source) => unpacked,
            reason = hand.stop.asked() => return Err(Undone::Stopped(reason)),
        };
        match unpacked {
            Ok(()) => return Ok(()),
            Err(error) if error.is_away() => {
                tokio::select! {
                    () = backoff.wait() => {}
                    reason = hand.stop.asked() => return Err(Undone::Stopped(reason)),
                }
            }
            Err(error) => return Err(artifact_failure(&error).into()),
        }
    }
}

fn prepare(hand: &Hand, mut resolved: Resolved, log: &Log, places: &Places) -> Work {
    let bound = &hand.admitted.bound;
    let runner = &hand.runner;
    let given = runner.outputs.of(hand.admitted.realm, &bound.component);
    let environment = runner.environment.at_home(&places.temp);
    let mark = Mark { attempt: hand.attempt().mark(), runner: runner.dir.id().to_owned() };
    let mut confined = runner.confinement.of(Some(places), &environment, &mark);
    if hand.admitted.asked.program.is_some() && matches!(hand.admitted.action, Action::Health | Action::Drift)
    {
        confined.bounds.only_look(&places.temp);
    }
    Work {
        action: hand.admitted.action,
        stage: hand.admitted.stage,
        operation: bound.job.operation.clone(),
        is_there: given.is_ok_and(|given| given.is_some()),
        install: runner.config.install.id(),
        component: bound.component.clone(),
        tools: bound.release.tools.clone(),
        release: bound.job.release.hex(),
        inputs: std::mem::take(&mut resolved.values),
        longest_run: longest_run(hand),
        rehearsal: bound.job.rehearsal.clone(),
        places: places.clone(),
        supervisor: Supervisor {
            attempt: hand.attempt().clone(),
            confined,
            mark,
            journal: runner.journal.clone(),
            stop: hand.stop.clone(),
            grace: GRACE,
        },
        gate: Gate::new(
            (runner.clone(), hand.attempt()),
            (bound, hand.admitted.asked.clone()),
            (&hand.stop, &hand.progress, log),
        ),
        environment,
        log: log.clone(),
        progress: hand.progress.clone(),
    }
}

async fn carry_out(hand: &Hand, held: &dyn Held, work: &Work) -> Result<Done, Undone> {
    fetch(hand, &work.places).await?;
    saved_plan::prepare(work, hand.runner.dir.secret())?;
    held.run(work).await
}

/// What a later component needs is durable before the ending is.
fn keep(hand: &Hand, places: &Places, done: &Done) -> Result<(), Undone> {
    let component = &hand.admitted.bound.component.name;
    if hand.admitted.stage == Stage::Plan {
        return Ok(());
    }
    match (hand.admitted.action, &done.outputs) {
        (Action::Deploy | Action::Adopt, Some(outputs)) => hand
            .runner
            .outputs
            .keep(hand.admitted.realm, component, outputs)
            .map_err(|e| Undone::Failed(outputs_failure(&e))),
        (Action::Destroy, _) => forget(hand, places),
        (Action::Deploy | Action::Drift | Action::Adopt | Action::Run | Action::Health, _) => Ok(()),
    }
}

fn forget(hand: &Hand, places: &Places) -> Result<(), Undone> {
    if hand.admitted.action != Action::Destroy {
        return Ok(());
    }
    let component = &hand.admitted.bound.component.name;
    let forgotten = hand.runner.outputs.forget(hand.admitted.realm, component);
    forgotten.map_err(|e| outputs_failure(&e))?;
    remove_dir(&places.state).map_err(|e| Failure::disk(&e))?;
    remove_dir(&kept_plan(hand, hand.admitted.realm)).map_err(|e| Failure::disk(&e))?;
    Ok(())
}

fn succeeded(hand: &Hand, done: Done, plan: Option<Plan>, log: &Log) -> Outcome {
    let outputs = done.outputs.unwrap_or_default();
    for secret in outputs.secrets() {
        log.hide(secret);
    }
    let open = outputs.open().into_iter();
    let open = open.map(|(name, value)| (name, log.redact_value(&value)));
    let outputs: std::collections::BTreeMap<String, Value> = open.collect();
    let size = serde_json::to_vec(&outputs).map_or(usize::MAX, |json| json.len());
    if outputs.len() > limit::OUTPUTS_MAX || size > limit::OUTPUTS_SIZE_MAX {
        let words = format!(
            "it gave {} outputs of {size} bytes; at most {} of {} bytes are reported",
            outputs.len(),
            limit::OUTPUTS_MAX,
            limit::OUTPUTS_SIZE_MAX
        );
        let hint =
            "the vendor gives fewer or smaller outputs, or marks them sensitive so that they stay here";
        return Outcome::Failed(Failure::new(Class::Bug, "executor.outputs_too_large", words, hint));
    }
    let line = |text: &str| cut(log.redact(text), limit::LINE_LEN_MAX);
    let (summary, swept) = (line(&done.summary), line(&done.swept));
    hand.progress.say(summary.clone(), 1, 1);
    let plan = plan.map(|mut plan| {
        for change in &mut plan.planned.list {
            change.address = log.redact(&change.address);
        }
        plan
    });
    let mut differences = done.differences;
    differences.seal(hand.runner.dir.secret());
    differences.redact(|text| log.redact(text));
    let (changes, drifted) = (done.changes, done.drifted);
    Outcome::Succeeded(Success { outputs, changes, drifted, summary, plan, swept, differences })
}

fn outputs_failure(error: &outputs::Error) -> Failure {
    Failure::new(Class::Transient, error.code(), chain(error), error.hint())
}

fn input_failure(error: &inputs::Error) -> Undone {
    let class = match error {
        inputs::Error::InputMissing(_)
        | inputs::Error::InputInvalid(..)
        | inputs::Error::InputExposed(_)
        | inputs::Error::InputOpen(_) => Class::Permission,
        inputs::Error::Secret { source, .. } => source.class(),
        inputs::Error::InputUnknown(_) | inputs::Error::OutputMissing { .. } => Class::Bug,
        inputs::Error::Outputs(_) => Class::Transient,
    };
    Undone::Failed(Failure::new(class, error.code(), chain(error), error.hint()))
}

fn artifact_failure(error: &artifact::Error) -> Failure {
    let class = match error {
        artifact::Error::Mismatch { .. } => Class::Interference,
        artifact::Error::Io { .. } | artifact::Error::Archive(crate::storage::archive::Error::Io(_)) => {
            Class::Transient
        }
        artifact::Error::Fetch { .. }
        | artifact::Error::TooLarge { .. }
        | artifact::Error::Release(_)
        | artifact::Error::Archive(_) => Class::Bug,
    };
    Failure::new(class, error.code(), chain(error), error.hint())
}
