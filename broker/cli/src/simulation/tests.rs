//! Simulations that say what they must.

use super::*;
use remit_loops::release::ReleaseComponent;
use remit_loops::scenario::{Fails, Scenario, Span, StepRule};
use remit_loops::window::{Day, Late, Window};

fn release(version: &str, counter: u64) -> Release {
    let component = |name: &str, needs: &[&str]| ReleaseComponent {
        name: name.into(),
        kind: "terraform".into(),
        adopts: false,
        digest: format!("sha256:{name}{counter}"),
        needs: needs.iter().map(|n| (*n).to_owned()).collect(),
        longest_run_ms: 600_000,
        sandbox: false,
        recipe: None,
        health: None,
    };
    Release {
        digest: format!("sha256:{version}"),
        counter,
        version: version.into(),
        rollback_floor: 0,
        permits: vec![],
        channel: "stable".into(),
        inputs: vec![],
        approvals: BTreeMap::new(),
        terms: Default::default(),
        healing: Default::default(),
        components: vec![component("network", &[]), component("web", &["network"])],
    }
}

fn plan(installs: u32, rules: Vec<StepRule>) -> Plan {
    Plan {
        org: "demo".into(),
        app: "shop".into(),
        releases: [release("1.0.0", 1), release("2.0.0", 2)],
        fleet: Fleet::of(group("all", installs, rules)),
        seed: 7,
        capacity: 4,
        people_after_ms: Some(3_600_000),
        update_at_ms: 86_400_000,
        until_ms: 7 * 86_400_000,
    }
}

fn group(name: &str, installs: u32, rules: Vec<StepRule>) -> Group {
    let scenario = Scenario { seed: 7, steps: rules, ..Scenario::default() };
    Group { name: name.into(), installs, scenario, ..Group::default() }
}

fn rule(percent: u8, class: FailureClass) -> StepRule {
    let fails = Some(Fails { class, message: "no".into(), code: None, hint: None });
    StepRule { percent, fails, attempts: vec![1], ..StepRule::default() }
}

#[test]
fn all_goes_well_where_nothing_goes_wrong() {
    let takes = StepRule { percent: 100, takes: Some(Span::exactly(60_000)), ..StepRule::default() };
    let report = run(&plan(50, vec![takes])).unwrap();
    assert_eq!((report.phases[0].done, report.phases[1].done), (50, 50));
    assert_eq!(report.phases[1].p50_ms, 120_000, "two components, one after the other");
    assert!(report.failures.is_empty() && report.waited.is_empty());
    assert_eq!(report.series.last().unwrap().counts[&State::Updated], 50);
}

#[test]
fn the_same_plan_gives_the_same_report() {
    let rules = || vec![rule(20, FailureClass::Quota), rule(30, FailureClass::Transient)];
    let (one, two) = (run(&plan(40, rules())).unwrap(), run(&plan(40, rules())).unwrap());
    assert_eq!(one, two);
    assert!(one.failures.contains_key(&FailureClass::Quota));
}

#[test]
fn people_end_what_is_held_and_without_them_it_stays() {
    let quota = || vec![rule(100, FailureClass::Quota)];
    let helped = run(&plan(10, quota())).unwrap();
    assert_eq!((helped.phases[1].done, helped.held), (10, 0));
    assert!(helped.waited.iter().any(|w| w.what.contains("person") && w.longest_ms == 3_600_000));
    let alone = run(&Plan { people_after_ms: None, ..plan(10, quota()) }).unwrap();
    assert_eq!((alone.phases[1].done, alone.held), (0, 10));
}

/// Two groups, the second in a nightly window, and a rollout that brings the release to one after the other.
fn rolled_out(rules: Vec<StepRule>, failures_max: u32) -> Plan {
    let mut plan = plan(0, vec![]);
    let nights = Window {
        zone: "Europe/Berlin".into(),
        days: Day::ALL.into_iter().collect(),
        start: "22:00".into(),
        length_minutes: 240,
        late: Late::Start,
    };
    let (first, mut second) = (group("staging", 5, rules), group("prod", 20, vec![]));
    second.policy = install::Policy::Window(nights);
    let wave = |group: &Group| app::Wave {
        name: group.name.clone(),
        installs: (0..group.installs).map(|n| group.install(n)).collect(),
        bake_ms: 3_600_000,
    };
    let rollout = app::Plan {
        version: "2.0.0".into(),
        waves: vec![wave(&first), wave(&second)],
        failures_max,
        at_once: 10,
        leaves_waiting: false,
        rollback: false,
    };
    let begins = Timestamp(1_767_571_200_000);
    plan.fleet = Fleet { groups: vec![first, second], rollout: Some(rollout), begins, ..Fleet::default() };
    plan
}

#[test]
fn a_rollout_goes_in_waves_and_keeps_to_windows() {
    let report = run(&rolled_out(vec![], 0)).unwrap();
    assert_eq!(report.phases[1].done, 25);
    let rollout = report.rollout.unwrap();
    assert_eq!((rollout.state.as_str(), rollout.halts), ("done", 0));
    let [first, second] = &rollout.waves[..] else { panic!("{:?}", rollout.waves) };
    let baked = first.through_ms.unwrap() + 3_600_000;
    assert_eq!(second.began_ms, Some(baked), "the next wave begins when the first was watched");
    // The beginning is a Monday, midnight UTC: the window opens at 21:00 UTC, the release comes out a day later.
    let window = report.waited.iter().find(|waited| waited.what.contains("window")).unwrap();
    assert_eq!((window.times, window.longest_ms), (20, 45 * 3_600_000 - baked));
    assert!(report.waited.iter().any(|waited| waited.what.contains("wave")));
    assert_eq!(report.groups.iter().map(|group| group.done).collect::<Vec<_>>(), [5, 20]);
}

#[test]
fn a_rollout_over_its_budget_halts_and_reaches_nobody_else() {
    let update_only = |class| StepRule { action: None, ..rule(100, class) };
    let mut plan = rolled_out(vec![update_only(FailureClass::Quota)], 2);
    plan.people_after_ms = None;
    // What is made first fails too, and is held: the update is what makes it well, or not.
    let report = run(&plan).unwrap();
    let rollout = report.rollout.unwrap();
    assert_eq!((rollout.state.as_str(), rollout.halts), ("halted", 1));
    assert_eq!(report.groups[1].done, 0, "the second wave was never told");
    plan.fleet.resume_after_ms = Some(3_600_000);
    let rollout = run(&plan).unwrap().rollout.unwrap();
    assert_ne!(rollout.state, "halted", "{rollout:?}");
}
