//! What people wish about updates: policies, freezes, answers to plans, rollouts; most of it sensible.

use std::collections::BTreeSet;

use remit_loops::app::{Plan as Rollout, RolloutView, Wave};
use remit_loops::approval::{Ask, Policy as Approval};
use remit_loops::freeze::{AddFreeze, RemoveFreeze};
use remit_loops::install::{Policy, Signal as Install};
use remit_loops::plan::Asking;
use remit_loops::view::{Detail, View};
use remit_loops::window::{Day, Late, Window};
use remit_loops::{Signal, Timestamp, app, org};

const MINUTE_MS: i64 = 60_000;
const ZONES: [&str; 5] = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia"];

/// The plans that wait for somebody's yes, by component.
pub(crate) fn plans(view: &View) -> impl Iterator<Item = (&str, &Asking)> {
    let steps = view.operation.iter().flat_map(|op| &op.steps);
    steps.filter_map(|step| Some((step.component.as_str(), step.asking.as_ref()?)))
}

/// Whether a rollout is not over.
pub(crate) fn is_open(rollout: &RolloutView) -> bool {
    !matches!(rollout.state.as_str(), "done" | "aborted")
}

fn reason() -> String {
    "for a reason".to_owned()
}

/// Something that somebody of an install says about its updates.
pub(crate) fn about_updates(
    rng: &mut fastrand::Rng,
    view: &View,
    at: Timestamp,
    seen: &[String],
    name: String,
) -> Option<Install> {
    let waiting: Vec<&Asking> = plans(view).map(|(_, asking)| asking).collect();
    if !waiting.is_empty() && rng.u32(0..10) < 7 {
        return Some(answer(rng, view, &waiting, seen));
    }
    let Detail::Install { updates, release, .. } = &view.detail else { return None };
    Some(match rng.u32(0..112) {
        0..22 => Install::SetPolicy { policy: policy(rng) },
        22..32 => {
            let (from, until) = time(rng, at);
            Install::Freeze(AddFreeze { name, from, until, reason: reason() })
        }
        32..44 => {
            let own = updates.freezes.iter().find(|freeze| freeze.of == view.id)?;
            Install::Unfreeze(RemoveFreeze { name: own.name.clone(), reason: reason() })
        }
        44..54 => Install::OptIn { version: None },
        54..59 => Install::Decline { version: None, reason: reason() },
        59..67 => Install::Snooze { version: None, until: at.plus_ms(rng.i64(10..360) * MINUTE_MS) },
        67..75 => Install::DeployNow { version: None, reason: reason(), override_freeze: rng.bool() },
        75..83 => {
            let operation = view.queue.first().map(|queued| queued.number).filter(|_| rng.bool());
            Install::Proceed { operation, reason: reason(), override_freeze: rng.bool() }
        }
        83..93 => Install::SetApproval { policy: approval(rng) },
        93..102 => Install::BreakGlass { for_ms: rng.i64(1..60) * MINUTE_MS, reason: reason() },
        102..105 => Install::MendGlass {},
        _ => {
            let counter = release.as_ref()?.counter.saturating_sub(rng.u64(0..5)).max(1);
            Install::Deploy { version: Some(format!("1.0.{counter}")) }
        }
    })
}

/// A word on plans that wait: mostly yes, to what they see now or saw a while ago.
fn answer(rng: &mut fastrand::Rng, view: &View, waiting: &[&Asking], seen: &[String]) -> Install {
    let all = view.operation.as_ref().and_then(|op| op.all_plans.clone());
    let plan = match rng.u32(0..10) {
        0..3 if !seen.is_empty() => seen[rng.usize(0..seen.len())].clone(),
        3..5 if let Some(all) = all => all,
        _ => waiting[rng.usize(0..waiting.len())].plan.digest.clone(),
    };
    let (component, operation) = (None, None);
    match rng.u32(0..10) {
        0 => Install::Deny { plan, component, operation, reason: reason() },
        _ => Install::Approve { plan, component, operation },
    }
}

fn policy(rng: &mut fastrand::Rng) -> Policy {
    match rng.u32(0..10) {
        0..4 => Policy::Latest {},
        4..6 => Policy::Manual {},
        _ => Policy::Window(Window {
            zone: ZONES[rng.usize(0..ZONES.len())].to_owned(),
            days: {
                let chosen = Day::ALL.into_iter().filter(|_| rng.u32(0..10) < 7);
                let days: BTreeSet<Day> = chosen.collect();
                if days.is_empty() { BTreeSet::from([Day::Thu]) } else { days }
            },
            start: format!("{:02}:{:02}", rng.u32(0..24), rng.u32(0..60)),
            length_minutes: rng.u32(30..480),
            late: if rng.bool() { Late::Start } else { Late::Wait },
        }),
    }
}

fn approval(rng: &mut fastrand::Rng) -> Approval {
    let ask = [Ask::Never, Ask::Never, Ask::Always, Ask::ByRule][rng.usize(0..4)];
    Approval {
        ask,
        no_destroy: ask == Ask::ByRule,
        quorum: rng.u32(1..3),
        not_asker: rng.u32(0..4) == 0,
        valid_ms: rng.i64(5..600) * MINUTE_MS,
        plan_age_ms: rng.i64(30..600) * MINUTE_MS,
        ..Approval::default()
    }
}

/// From when until when nothing is to be changed.
fn time(rng: &mut fastrand::Rng, at: Timestamp) -> (Option<Timestamp>, Timestamp) {
    let later = at.plus_ms(rng.i64(0..180) * MINUTE_MS);
    let from = rng.bool().then_some(later);
    (from, from.unwrap_or(at).plus_ms(rng.i64(5..300) * MINUTE_MS))
}

/// Something that somebody of the vendor says to the app or the org.
pub(crate) fn of_the_vendor(
    rng: &mut fastrand::Rng,
    (app, org): (&View, &View),
    at: Timestamp,
    name: String,
) -> Option<Signal> {
    let (Detail::App { freezes, .. }, Detail::Org { freezes: of_org, .. }) = (&app.detail, &org.detail)
    else {
        return None;
    };
    let (from, until) = time(rng, at);
    let until = until.min(from.unwrap_or(at).plus_ms(90 * MINUTE_MS));
    Some(match rng.u32(0..100) {
        0..7 => Signal::App(app::Signal::Freeze(AddFreeze { name, from, until, reason: reason() })),
        7..10 => Signal::Org(org::Signal::Freeze(AddFreeze { name, from, until, reason: reason() })),
        10..16 => {
            let own = freezes.iter().find(|freeze| freeze.of == app.id)?;
            Signal::App(app::Signal::Unfreeze(RemoveFreeze { name: own.name.clone(), reason: reason() }))
        }
        16..20 => {
            let own = of_org.first()?;
            Signal::Org(org::Signal::Unfreeze(RemoveFreeze { name: own.name.clone(), reason: reason() }))
        }
        _ => Signal::App(about_rollouts(rng, &app.detail)?),
    })
}

fn about_rollouts(rng: &mut fastrand::Rng, detail: &Detail) -> Option<app::Signal> {
    let Detail::App { releases, installs, held, rollout, .. } = detail else { return None };
    let dice = rng.u32(0..100);
    if let Some(rollout) = rollout.as_ref().filter(|rollout| is_open(rollout)) {
        let stopped = matches!(rollout.state.as_str(), "halted" | "paused");
        return Some(match dice {
            0..40 if stopped => {
                let failures_max = rng.bool().then_some(rollout.failed + rng.u32(0..2));
                app::Signal::ResumeRollout { failures_max }
            }
            0..15 => app::Signal::PauseRollout { reason: reason() },
            40..50 => app::Signal::AbortRollout { reason: reason() },
            50..55 => back(rng, rollout.release.counter, installs)?,
            _ => return None,
        });
    }
    let newest = releases.iter().rev().find(|release| held.contains(&release.version));
    match (dice, newest) {
        (0..60, Some(newest)) => Some(app::Signal::StartRollout {
            plan: Rollout { version: newest.version.clone(), ..waves(rng, installs) },
        }),
        (60..70, Some(newest)) => Some(app::Signal::Promote { version: newest.version.clone() }),
        (70..80, _) => back(rng, releases.last()?.counter, installs),
        _ => None,
    }
}

/// Back to one of the releases before, sometimes to one that is too old.
fn back(rng: &mut fastrand::Rng, from: u64, installs: &[remit_loops::ObjectId]) -> Option<app::Signal> {
    let counter = from.checked_sub(rng.u64(1..5)).filter(|counter| *counter > 0)?;
    let plan = Rollout { version: format!("1.0.{counter}"), rollback: true, ..waves(rng, installs) };
    Some(app::Signal::StartRollout { plan })
}

fn waves(rng: &mut fastrand::Rng, installs: &[remit_loops::ObjectId]) -> Rollout {
    let mut names: Vec<String> = installs.iter().map(|install| install.name().to_owned()).collect();
    rng.shuffle(&mut names);
    let size = rng.usize(1..3);
    let wave = |(n, installs): (usize, &[String])| Wave {
        name: format!("w{n}"),
        installs: installs.to_vec(),
        bake_ms: rng.i64(1..60) * MINUTE_MS,
    };
    Rollout {
        version: String::new(),
        waves: names.chunks(size).enumerate().map(wave).collect(),
        failures_max: rng.u32(0..2),
        at_once: rng.u32(1..4),
        leaves_waiting: rng.u32(0..4) > 0,
        rollback: false,
    }
}
