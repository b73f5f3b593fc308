//! When an install is changed: windows, freezes, the inbox, and who may pass them.

use remit_loops::Actor;
use remit_loops::event::Body;
use remit_loops::freeze::{AddFreeze, RemoveFreeze};
use remit_loops::install::{Answer, Policy, Signal};
use remit_loops::view::Detail;
use remit_loops::window::{Day, Late, Window};
use remit_loops::{Object, RejectedCode, Timestamp, app, install, org};

use crate::world::{World, id, release, success};

const INSTALL: &str = "ins_demo.shop.acme";
const HOUR_MS: i64 = 3_600_000;
/// A Monday, noon UTC.
const NOON: i64 = 1_795_435_200_000;
/// That evening, when the window opens, and when it closes.
const OPENS: i64 = NOON + 10 * HOUR_MS;
const CLOSES: i64 = OPENS + 4 * HOUR_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// An install on release 1.0.0, at noon; its window is open from 22:00 to 02:00 UTC.
fn active(policy: Policy) -> World {
    let mut world = World::default();
    world.now = NOON - DAY_MS;
    world.signal("org_demo", remit_loops::Signal::Org(org::Signal::Create {})).unwrap();
    world.signal("app_demo.shop", remit_loops::Signal::App(app::Signal::Create {})).unwrap();
    world.publish(release("1.0.0", 1)).unwrap();
    let (inputs, labels) = Default::default();
    world
        .install(Signal::Create {
            inputs,
            mode: Default::default(),
            labels,
            rehearsal: None,
            approval: Default::default(),
        })
        .unwrap();
    world.install(Signal::SetPolicy { policy }).unwrap();
    world.enrol();
    // The first deploy waits for no window: there is nothing yet that it could disturb.
    assert_eq!(world.work_off().len(), 4);
    world.now = NOON;
    world
}

fn nights(late: Late) -> Policy {
    let days = Day::ALL.into_iter().collect();
    Policy::Window(Window { zone: "UTC".into(), days, start: "22:00".into(), length_minutes: 240, late })
}

fn changed(version: &str, counter: u64) -> remit_loops::release::Release {
    let mut release = release(version, counter);
    release.components.iter_mut().for_each(|c| c.digest = format!("{}@{version}", c.digest));
    release
}

fn deadline(world: &World) -> Option<i64> {
    world.objects[&id(INSTALL)].deadline().map(|at| at.0)
}

fn version(world: &World) -> String {
    let Detail::Install { release, .. } = world.view(INSTALL).detail else { panic!("no install") };
    release.unwrap().version
}

fn inbox(world: &World) -> Vec<(String, Answer)> {
    let Detail::Install { updates, .. } = world.view(INSTALL).detail else { panic!("no install") };
    updates.inbox.into_iter().map(|offer| (offer.release.version, offer.answer)).collect()
}

fn reasons(world: &World) -> Vec<String> {
    world.why(INSTALL).into_iter().map(|w| w.code).collect()
}

/// The time comes, and the install's tick with it.
fn at(world: &mut World, at: i64) {
    world.now = at - 1;
    world.send(INSTALL, Actor::Clock, Body::Tick).unwrap();
}

fn refused(world: &mut World, signal: Signal) -> RejectedCode {
    world.install(signal).unwrap_err().code
}

#[test]
fn a_release_waits_for_its_window_and_begins_when_it_opens() {
    let mut world = active(nights(Late::Start));
    world.publish(changed("1.1.0", 2)).unwrap();
    assert!(world.offers().is_empty(), "nothing begins outside the window");
    let why = world.why(INSTALL);
    assert_eq!(why[0].code, "waiting.window");
    assert!(
        why[0].reason.contains("Mon 2026-11-23 22:00 UTC, then Tue 2026-11-24 22:00 UTC"),
        "{}",
        why[0].reason
    );
    assert!(why[0].remedy.contains("proceed"), "{}", why[0].remedy);
    assert_eq!(why[0].since, Timestamp(NOON + 1));
    assert_eq!(deadline(&world), Some(OPENS), "it looks again when the window opens");
    // A newer one takes its place.
    world.publish(changed("1.2.0", 3)).unwrap();
    at(&mut world, OPENS);
    assert_eq!(world.work_off(), ["network", "database", "queue", "seed"]);
    assert_eq!(version(&world), "1.2.0");
    assert_eq!((inbox(&world), deadline(&world)), (vec![], None));
}

#[test]
fn at_the_end_of_a_window_what_runs_is_finished_and_nothing_new_begins() {
    let mut world = active(nights(Late::Start));
    world.publish(changed("1.1.0", 2)).unwrap();
    at(&mut world, OPENS);
    world.complete("network", success());
    world.start("database");
    assert_eq!(deadline(&world), Some(CLOSES), "what is given out and not begun is taken back then");
    // Whoever is late with the word that it begins does not begin.
    let mut late = world.clone();
    late.now = CLOSES - 1;
    let offer = late.offers().remove(0);
    let started =
        remit_loops::runner::Report::Started { generation: 1, attempt: offer.spec.id, fence: offer.fence };
    assert_eq!(late.report(started).unwrap_err().code, RejectedCode::Stale);
    late.tick();
    assert!(late.offers().is_empty());
    assert_eq!(late.view(INSTALL).operation.unwrap().steps[2].state, "ready", "queue");
    at(&mut world, CLOSES);
    assert!(world.offers().is_empty(), "queue was given out and not begun");
    assert!(reasons(&world).contains(&"waiting.window".to_owned()), "{:?}", reasons(&world));
    world.complete("database", success());
    assert!(world.offers().is_empty());
    assert_eq!(world.status(INSTALL), "updating", "it is held to the next window, not given up");
    assert_eq!(deadline(&world), Some(OPENS + DAY_MS));
    at(&mut world, OPENS + DAY_MS);
    assert_eq!(world.work_off(), ["queue", "seed"]);
    assert_eq!(world.status(INSTALL), "active");
}

#[test]
fn a_person_passes_a_window_with_a_reason() {
    for signal in [
        Signal::DeployNow { version: None, reason: "a hole".into(), override_freeze: false },
        Signal::Proceed { operation: None, reason: "a hole".into(), override_freeze: false },
    ] {
        let mut world = active(nights(Late::Start));
        world.publish(changed("1.1.0", 2)).unwrap();
        world.install(signal).unwrap();
        assert_eq!(world.work_off().len(), 4);
        assert_eq!(version(&world), "1.1.0");
        assert_eq!(inbox(&world), []);
    }
    // What was held in the middle goes on before the deploy that is wanted now.
    let mut world = active(nights(Late::Start));
    world.publish(changed("1.1.0", 2)).unwrap();
    at(&mut world, OPENS);
    world.start("network");
    at(&mut world, CLOSES);
    world.complete("network", success());
    let now =
        Signal::DeployNow { version: Some("1.0.0".into()), reason: "back".into(), override_freeze: false };
    world.install(now).unwrap();
    world.work_off();
    assert_eq!((version(&world), world.status(INSTALL).as_str()), ("1.0.0".into(), "active"));
    let proceed = Signal::Proceed { operation: None, reason: "x".into(), override_freeze: false };
    assert_eq!(refused(&mut world, proceed), RejectedCode::Conflict, "nothing waits");
    let silent = Signal::DeployNow { version: None, reason: " ".into(), override_freeze: false };
    assert_eq!(refused(&mut world, silent), RejectedCode::Invalid);
}

#[test]
fn older_deploys_give_way_to_one_that_passes_as_much() {
    let mut world = active(Policy::Latest {});
    world.install(Signal::Reprovision {}).unwrap();
    let now = |override_freeze| Signal::DeployNow { version: None, reason: "a hole".into(), override_freeze };
    for signal in [Signal::Deploy { version: None }, now(true), now(true)] {
        world.install(signal).unwrap();
    }
    let waiting = |world: &World| world.view(INSTALL).queue.iter().map(|q| q.number).collect::<Vec<_>>();
    assert_eq!(waiting(&world), [5], "one deploy waits behind the reprovisioning");
    // What passes less waits beside it: it may have to wait where the other need not.
    world.install(now(false)).unwrap();
    world.install(Signal::Deploy { version: None }).unwrap();
    assert_eq!(waiting(&world), [5, 6, 7]);
}

#[test]
fn a_plain_deploy_keeps_to_the_window_and_a_mend_by_hand_does_not() {
    let mut world = active(nights(Late::Start));
    world.install(Signal::Deploy { version: Some("1.0.0".into()) }).unwrap();
    assert_eq!(world.view(INSTALL).queue.len(), 1);
    world.install(Signal::Reprovision {}).unwrap();
    assert_eq!(world.work_off().len(), 4, "the deploy lets it go first");
    world.install(Signal::CheckDrift {}).unwrap();
    assert_eq!(world.work_off().len(), 4);
    assert_eq!(world.view(INSTALL).queue.len(), 1);
    world.install(Signal::Delete {}).unwrap();
    assert_eq!(world.work_off().len(), 4, "a teardown waits for nothing");
    assert_eq!(world.status(INSTALL), "deleted");
}

#[test]
fn a_late_update_waits_where_that_is_wished() {
    let mut world = active(nights(Late::Wait));
    // A deploy takes two hours here.
    world.now = OPENS;
    world.publish(changed("1.1.0", 2)).unwrap();
    world.now += 2 * HOUR_MS;
    world.work_off();
    let fits = OPENS + DAY_MS + HOUR_MS;
    let mut in_time = world.clone();
    in_time.now = fits;
    in_time.publish(changed("1.2.0", 3)).unwrap();
    assert_eq!(in_time.work_off().len(), 4);
    world.now = fits + 2 * HOUR_MS;
    world.publish(changed("1.2.0", 3)).unwrap();
    assert!(world.offers().is_empty());
    assert_eq!(deadline(&world), Some(OPENS + 2 * DAY_MS));
    assert!(world.why(INSTALL)[0].reason.contains("not for as long as a deploy took here"));
    at(&mut world, OPENS + 2 * DAY_MS);
    assert_eq!(world.work_off().len(), 4);
}

#[test]
fn what_takes_longer_than_its_window_begins_with_it() {
    let mut world = active(nights(Late::Wait));
    world.now = OPENS;
    world.publish(changed("1.1.0", 2)).unwrap();
    world.start("network");
    world.now += 9 * HOUR_MS;
    world
        .install(Signal::Proceed { operation: None, reason: "go on".into(), override_freeze: false })
        .unwrap();
    world.work_off_started("network");
    world.publish(changed("1.2.0", 3)).unwrap();
    at(&mut world, OPENS + DAY_MS);
    assert_eq!(world.work_off().len(), 4);
}

#[test]
fn a_freeze_above_holds_every_change_until_it_ends() {
    for (of, freeze) in [
        (
            "org_demo",
            remit_loops::Signal::Org(org::Signal::Freeze(AddFreeze {
                name: "year-end".into(),
                from: None,
                until: Timestamp(NOON + DAY_MS),
                reason: "sales".into(),
            })),
        ),
        (
            "app_demo.shop",
            remit_loops::Signal::App(app::Signal::Freeze(AddFreeze {
                name: "year-end".into(),
                from: None,
                until: Timestamp(NOON + DAY_MS),
                reason: "sales".into(),
            })),
        ),
        (
            INSTALL,
            remit_loops::Signal::Install(Signal::Freeze(AddFreeze {
                name: "year-end".into(),
                from: None,
                until: Timestamp(NOON + DAY_MS),
                reason: "sales".into(),
            })),
        ),
    ] {
        let mut world = active(Policy::Latest {});
        world.signal(of, freeze).unwrap();
        world.publish(changed("1.1.0", 2)).unwrap();
        world.install(Signal::Reprovision {}).unwrap();
        assert!(world.offers().is_empty(), "{of}");
        let why = world.why(INSTALL);
        assert_eq!(why[0].code, "waiting.freeze", "{of}");
        assert!(why[0].reason.contains("until 2026-11-24T12:00:00Z: freeze year-end"), "{}", why[0].reason);
        let pass = |override_freeze| Signal::Proceed { operation: None, reason: "x".into(), override_freeze };
        assert_eq!(refused(&mut world, pass(false)), RejectedCode::Conflict, "{of}");
        let mut overridden = world.clone();
        overridden.install(pass(true)).unwrap();
        assert_eq!(overridden.work_off().len(), 4, "{of}: the reprovisioning, and nothing else");
        at(&mut world, NOON + DAY_MS);
        world.work_off();
        assert_eq!(version(&world), "1.1.0", "{of}");
        assert_eq!(world.status(INSTALL), "active");
    }
}

#[test]
fn what_runs_when_a_freeze_begins_is_finished() {
    let mut world = active(Policy::Latest {});
    let (from, until) = (Some(Timestamp(NOON + HOUR_MS)), Timestamp(NOON + 2 * HOUR_MS));
    let (name, reason) = ("audit".into(), "x".into());
    world.install(Signal::Freeze(AddFreeze { name, from, until, reason })).unwrap();
    world.publish(changed("1.1.0", 2)).unwrap();
    world.start("network");
    at(&mut world, NOON + HOUR_MS);
    world.complete("network", success());
    assert!(world.offers().is_empty());
    world.install(Signal::Unfreeze(RemoveFreeze { name: "audit".into(), reason: "done".into() })).unwrap();
    assert_eq!(world.work_off().len(), 3);
}

#[test]
fn an_install_that_comes_into_a_frozen_app_is_frozen_too() {
    let mut world = active(Policy::Latest {});
    let (name, reason) = ("year-end".into(), "sales".into());
    let freeze = org::Signal::Freeze(AddFreeze { name, from: None, until: Timestamp(NOON + DAY_MS), reason });
    world.signal("org_demo", remit_loops::Signal::Org(freeze)).unwrap();
    let (inputs, labels) = Default::default();
    let create = install::Signal::Create {
        inputs,
        mode: Default::default(),
        labels,
        rehearsal: None,
        approval: Default::default(),
    };
    world.signal("ins_demo.shop.other", remit_loops::Signal::Install(create)).unwrap();
    assert_eq!(world.why("ins_demo.shop.other")[0].code, "waiting.freeze");
}

#[test]
fn by_hand_a_release_waits_for_a_persons_word() {
    let mut world = active(Policy::Manual {});
    world.publish(changed("1.1.0", 2)).unwrap();
    world.publish(changed("1.2.0", 3)).unwrap();
    assert!(world.offers().is_empty());
    assert_eq!(reasons(&world), ["waiting.opt_in", "waiting.opt_in"]);
    let mut older = world.clone();
    older.install(Signal::OptIn { version: Some("1.1.0".into()) }).unwrap();
    older.work_off();
    assert_eq!(version(&older), "1.1.0");
    assert_eq!(inbox(&older), [("1.2.0".into(), Answer::Open)]);
    world.install(Signal::OptIn { version: None }).unwrap();
    world.work_off();
    assert_eq!((version(&world), inbox(&world)), ("1.2.0".into(), vec![]));
    assert_eq!(refused(&mut world, Signal::OptIn { version: None }), RejectedCode::Conflict);
}

#[test]
fn what_was_declined_never_comes_and_what_was_put_off_comes_later() {
    let mut world = active(nights(Late::Start));
    world.publish(changed("1.1.0", 2)).unwrap();
    world.install(Signal::Decline { version: None, reason: "we skip it".into() }).unwrap();
    at(&mut world, OPENS);
    assert!(world.offers().is_empty());
    assert_eq!(deadline(&world), None);
    world.publish(changed("1.2.0", 3)).unwrap();
    let mut put_off = world.clone();
    world.work_off();
    assert_eq!((version(&world), inbox(&world)), ("1.2.0".into(), vec![]));
    // Put off in time, it waits for the first window after that.
    put_off.install(Signal::SetPolicy { policy: Policy::Manual {} }).unwrap();
    put_off.work_off();
    put_off.publish(changed("1.3.0", 4)).unwrap();
    let until = Timestamp(OPENS + 3 * DAY_MS + HOUR_MS);
    assert_eq!(
        refused(&mut put_off, Signal::Snooze { version: None, until: Timestamp(1) }),
        RejectedCode::Conflict
    );
    put_off.install(Signal::Snooze { version: None, until }).unwrap();
    assert_eq!((reasons(&put_off), deadline(&put_off)), (vec!["waiting.snoozed".into()], Some(until.0)));
    put_off.install(Signal::SetPolicy { policy: nights(Late::Start) }).unwrap();
    at(&mut put_off, OPENS + DAY_MS);
    assert!(put_off.offers().is_empty());
    at(&mut put_off, until.0);
    put_off.work_off();
    assert_eq!(version(&put_off), "1.3.0");
}

#[test]
fn an_install_follows_one_channel() {
    let mut world = active(Policy::Latest {});
    world.install(Signal::SetChannel { channel: Some("stable".into()) }).unwrap();
    let mut beta = changed("2.0.0-beta", 1);
    beta.channel = "beta".into();
    world.publish(beta).unwrap();
    assert!(world.offers().is_empty());
    world.install(Signal::Deploy { version: None }).unwrap();
    world.work_off();
    assert_eq!(version(&world), "1.0.0", "its newest is that of its channel");
    world.publish(changed("1.1.0", 2)).unwrap();
    world.work_off();
    assert_eq!(version(&world), "1.1.0");
}

#[test]
fn a_stale_tick_and_an_early_start_change_nothing() {
    let mut world = active(nights(Late::Start));
    world.publish(changed("1.1.0", 2)).unwrap();
    let before: Object = world.objects[&id(INSTALL)].clone();
    at(&mut world, OPENS - 1);
    assert_eq!(world.objects[&id(INSTALL)], before);
}
