//! Drift: looked for by a schedule, mended or told, adopted or brought back by people.

use remit_loops::drift::{Choice, Details, Difference, EVERY_MS_MAX, EVERY_MS_MIN, Schedule, Then};
use remit_loops::job::{Action, FailureClass, Outcome, Success};
use remit_loops::plan::ChangeAction;
use remit_loops::release::Healing;
use remit_loops::runner::Report;
use remit_loops::view::Detail;
use remit_loops::{RejectedCode, Timestamp, install};

use crate::golden;
use crate::world::{World, failure, release, success};

const INSTALL: &str = "ins_demo.shop.acme";
const HOUR: i64 = 3_600_000;

fn active() -> World {
    golden::worlds().into_iter().find(|(name, _)| *name == "active").unwrap().1
}

fn every(then: Then) -> Choice {
    Choice::Every(Schedule { every_ms: 6 * HOUR, then })
}

fn scheduled(then: Then) -> World {
    let mut world = active();
    world.install(install::Signal::SetDrift { choice: every(then) }).unwrap();
    world
}

/// A look that finds this; the same words are the same difference.
pub(crate) fn differs(words: &str) -> Outcome {
    let difference =
        Difference { address: "thing.one".into(), action: ChangeAction::Update, attributes: vec![] };
    let differences = Box::new(Details { fingerprint: words.to_owned(), list: vec![difference], more: 0 });
    let summary = format!("drifted: {words}");
    Outcome::Succeeded(Success { drifted: true, summary, differences, ..Success::default() })
}

impl World {
    fn next_look(&self) -> Option<Timestamp> {
        let Detail::Install { drift, .. } = self.view(INSTALL).detail else { panic!() };
        drift.unwrap().next
    }

    /// Lets the time for a look come; the components that are looked at.
    fn look(&mut self) -> Vec<String> {
        let next = self.next_look().expect("a look is scheduled");
        self.now = self.now.max(next.0);
        self.tick();
        let looks = self.offers().into_iter().filter(|o| o.spec.action == Action::Drift);
        looks.map(|o| o.spec.component).collect()
    }

    /// The next look finds these to differ, by these words, and everything else as it was.
    fn look_finds(&mut self, found: &[(&str, &str)]) {
        for component in self.look() {
            let words = found.iter().find(|(name, _)| *name == component);
            self.complete(&component, words.map_or_else(success, |(_, words)| differs(words)));
        }
    }

    fn drifted(&self) -> Vec<String> {
        let Detail::Install { components, .. } = self.view(INSTALL).detail else { panic!() };
        components.into_iter().filter(|c| c.facts.drift.is_some()).map(|c| c.name).collect()
    }

    fn adopt(&mut self, component: &str) {
        let (components, reason) = (vec![component.to_owned()], "it is fine".to_owned());
        self.install(install::Signal::Adopt { components, reason }).unwrap();
    }
}

#[test]
fn a_look_comes_by_itself_and_never_later_than_said() {
    let mut world = scheduled(Then::Report);
    let (from, next) = (world.now, world.next_look().unwrap());
    assert!((from..=from + 6 * HOUR).contains(&next.0), "{next:?}");
    world.now = next.0 - 2;
    world.send(INSTALL, remit_loops::Actor::Clock, remit_loops::Body::Tick).unwrap();
    assert_eq!(world.offers().len(), 0, "it is not time yet");
    assert_eq!(world.look(), ["database", "network", "queue", "seed"]);
    assert_eq!(world.next_look(), None, "one look at a time");
    world.work_off();
    assert!(world.next_look().unwrap().0 > world.now, "and then the next");
    world.install(install::Signal::SetDrift { choice: Choice::Never }).unwrap();
    assert_eq!(world.next_look(), None);
}

#[test]
fn the_release_says_how_often_where_nobody_else_does() {
    let mut world = active();
    assert_eq!(world.next_look(), None);
    let schedule = Schedule { every_ms: HOUR, then: Then::Report };
    let healing = Healing { drift: Some(schedule), ..Healing::default() };
    world.publish(remit_loops::release::Release { healing, ..release("2.0.0", 2) }).unwrap();
    world.work_off();
    assert!(world.next_look().is_some());
}

#[test]
fn nothing_is_looked_at_while_it_could_not_be() {
    let waits = |how: fn(&mut World)| {
        let mut world = scheduled(Then::Report);
        how(&mut world);
        assert_eq!(world.next_look(), None);
    };
    waits(|world| world.install(install::Signal::Pause { reason: "x".into() }).unwrap());
    waits(|world| world.report(Report::Lost { generation: 1 }).unwrap());
    waits(|world| world.install(install::Signal::Reprovision {}).unwrap());
    waits(|world| world.install(install::Signal::Delete {}).unwrap());
}

#[test]
fn what_is_only_to_be_reported_is_left_alone() {
    let mut world = scheduled(Then::Report);
    world.look_finds(&[("queue", "a port is open")]);
    assert_eq!((world.status(INSTALL).as_str(), world.offers().len()), ("drifted", 0));
    let why = world.why(INSTALL).remove(0);
    assert_eq!(why.code, "attention.drift");
    assert!(why.remedy.contains("remit drift adopt acme --component queue"), "{why:?}");
}

#[test]
fn what_is_to_be_mended_is_and_not_for_ever() {
    let mut world = scheduled(Then::Heal);
    for mend in 1..=3 {
        world.look_finds(&[("queue", "a port is open")]);
        assert_eq!(world.work_off(), ["queue"], "mend {mend}");
        assert_eq!(world.status(INSTALL), "active");
    }
    world.look_finds(&[("queue", "a port is open")]);
    assert_eq!(world.offers().len(), 0, "somebody opens it again and again: people decide");
    let why = world.why(INSTALL).remove(0);
    assert!(why.reason.contains("not mended by itself any more"), "{why:?}");
    world.install(install::Signal::Revert { components: vec![], reason: "enough".into() }).unwrap();
    assert_eq!(world.work_off(), ["queue"]);
    world.look_finds(&[]);
    world.look_finds(&[("queue", "a port is open")]);
    assert_eq!(world.work_off(), ["queue"], "it stayed as it should for a while: it counts anew");
}

#[test]
fn a_mend_of_the_schedule_keeps_to_the_window() {
    let mut world = scheduled(Then::Heal);
    world.install(install::Signal::SetPolicy { policy: golden::nights() }).unwrap();
    // The window is open from 22:00 to 02:00; this look comes at noon.
    world.now += 36 * HOUR - (world.now % (24 * HOUR)) - 6 * HOUR;
    world.look_finds(&[("queue", "a port is open")]);
    assert_eq!(world.offers().len(), 0);
    assert!(world.why(INSTALL).iter().any(|w| w.code == "waiting.window"), "{:?}", world.why(INSTALL));
}

#[test]
fn what_was_adopted_is_no_drift_as_long_as_it_is_the_same() {
    let mut world = scheduled(Then::Report);
    world.look_finds(&[("queue", "a port is open"), ("seed", "a row is gone")]);
    assert_eq!(world.drifted(), ["queue", "seed"]);
    world.adopt("queue");
    world.complete("queue", differs("a port is open"));
    assert_eq!(world.drifted(), ["seed"]);
    let Detail::Install { components, .. } = world.view(INSTALL).detail else { panic!() };
    let accepted = components.iter().find_map(|c| c.facts.accepted.clone()).unwrap();
    assert_eq!((accepted.by.as_str(), accepted.reason.as_str()), ("ann", "it is fine"));
    world.look_finds(&[("queue", "a port is open"), ("seed", "a row is gone")]);
    assert_eq!(world.drifted(), ["seed"]);
    world.look_finds(&[("queue", "two ports are open")]);
    assert_eq!(world.drifted(), ["queue"], "that is another difference");
}

#[test]
fn a_deploy_forgets_what_was_adopted() {
    let mut world = scheduled(Then::Report);
    world.look_finds(&[("queue", "a port is open")]);
    world.adopt("queue");
    world.complete("queue", differs("a port is open"));
    world.install(install::Signal::Reprovision {}).unwrap();
    world.work_off();
    world.look_finds(&[("queue", "a port is open")]);
    assert_eq!(world.drifted(), ["queue"]);
}

#[test]
fn an_adoption_that_fails_leaves_it_as_it_was() {
    let mut world = scheduled(Then::Report);
    world.look_finds(&[("queue", "a port is open")]);
    world.adopt("queue");
    world.complete("queue", failure(FailureClass::Permission));
    let reason = "never mind".to_owned();
    world.install(install::Signal::Cancel { operation: None, reason }).unwrap();
    assert_eq!((world.status(INSTALL).as_str(), world.drifted()), ("drifted", vec!["queue".to_owned()]));
}

#[test]
fn only_what_has_drifted_is_brought_back_or_adopted() {
    let mut world = active();
    let revert = |components: &[&str]| install::Signal::Revert {
        components: components.iter().map(|c| (*c).to_owned()).collect(),
        reason: "x".into(),
    };
    assert_eq!(world.install(revert(&[])).unwrap_err().code, RejectedCode::Conflict);
    world.install(install::Signal::SetDrift { choice: every(Then::Report) }).unwrap();
    world.look_finds(&[("queue", "a port is open")]);
    let refused = world.install(revert(&["seed"])).unwrap_err();
    assert!(refused.message.contains("drifted: queue"), "{refused}");
    world.install(revert(&["queue"])).unwrap();
    assert_eq!(world.work_off(), ["queue"]);
}

#[test]
fn a_schedule_is_bounded() {
    let mut world = active();
    let set = |every_ms| install::Signal::SetDrift {
        choice: Choice::Every(Schedule { every_ms, then: Then::Report }),
    };
    for wrong in [0, EVERY_MS_MIN - 1, EVERY_MS_MAX + 1, i64::MAX] {
        assert_eq!(world.install(set(wrong)).unwrap_err().code, RejectedCode::Invalid, "{wrong}");
    }
    world.install(set(EVERY_MS_MIN)).unwrap();
    world.install(set(EVERY_MS_MAX)).unwrap();
}
