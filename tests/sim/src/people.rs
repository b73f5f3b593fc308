//! What people do: vendor engineers, operators and customers, at random and with repeats.

pub(crate) mod wishes;

use std::collections::BTreeSet;

use remit_loops::approval::Policy;
use remit_loops::health::Probe;
use remit_loops::job::{Action, FailureClass, Mode};
use remit_loops::release::{Healing, Recipe, Release, ReleaseComponent};
use remit_loops::remediation::{Budget, Match, Remedy, Rule};
use remit_loops::values::Values;
use remit_loops::{Signal, app, install};

const MINUTE_MS: i64 = 60_000;

/// A release of a product with a diamond in it; later ones drop and add a component.
pub(crate) fn release(counter: u64) -> Release {
    let component = |name: &str, needs: &[&str]| ReleaseComponent {
        name: name.into(),
        kind: "script".into(),
        adopts: false,
        digest: format!("sha256:{name}.{}", counter / 2),
        needs: needs.iter().map(|n| (*n).to_owned()).collect(),
        longest_run_ms: 600_000,
        sandbox: false,
        // Every other release changes nothing of it: a deploy may leave it out then.
        recipe: Some(Recipe {
            digest: format!("{name}.{}.{needs:?}", counter / 2),
            inputs: if name == "seed" { vec!["size".into()] } else { vec![] },
            outputs: vec![],
            customer: false,
        }),
        health: probe(counter, name),
    };
    let mut components = vec![
        component("network", &[]),
        component("database", &["network"]),
        component("queue", &["network"]),
        component("seed", &["database", "queue"]),
    ];
    if counter.is_multiple_of(3) {
        components.remove(2);
        components[2] = component("seed", &["database"]);
    }
    if counter.is_multiple_of(4) {
        components.push(component("cache", &["network"]));
    }
    Release {
        digest: format!("sha256:{counter}"),
        counter,
        version: format!("1.0.{counter}"),
        channel: "stable".into(),
        // Two back is as far as an install of it can go.
        rollback_floor: counter.saturating_sub(2),
        permits: vec![],
        inputs: vec!["size".into()],
        approvals: std::collections::BTreeMap::new(),
        terms: Default::default(),
        healing: Healing { drift: None, rules: rules() },
        components,
    }
}

/// The components that have a probe, in some release.
pub(crate) const PROBED: [&str; 3] = ["database", "queue", "cache"];

/// What a probe says of what does not do its work.
pub(crate) const NO_ANSWER: &str = "it gives no answer";

/// How a component is probed by a release: some always, some in some releases only.
pub(crate) fn probe(counter: u64, component: &str) -> Option<Probe> {
    let probe = |within, timeout_ms, every: Option<i64>, failures| Probe {
        within_ms: within * MINUTE_MS,
        timeout_ms,
        every_ms: every.map(|every| every * MINUTE_MS),
        failures,
    };
    match component {
        "database" => Some(probe(4, 10_000, Some(300), 2)),
        "queue" if counter % 4 < 2 => Some(probe(3, 20_000, None, 1)),
        "cache" => Some(probe(5, 15_000, None, 3)),
        _ => None,
    }
}

/// How many of its probes in a row must fail before a component is unwell.
pub(crate) fn enough_failures(component: &str) -> u32 {
    let by = |counter| probe(counter, component).map(|probe| probe.failures);
    (0..4).find_map(by).unwrap_or(1)
}

/// What every release says is done about failures, as far as rules go: the rest waits for people.
pub(crate) fn rules() -> Vec<Rule> {
    let rule = |name: &str, class, actions, (times, per), cool_down| Rule {
        name: name.into(),
        on: Match { classes: vec![class], ..Match::default() },
        actions,
        budget: Budget { times, per_ms: per * MINUTE_MS },
        cool_down_ms: cool_down * MINUTE_MS,
    };
    let says = Remedy::Notify { text: "somebody took something away".into() };
    let again = vec![says, Remedy::Retry { after_ms: MINUTE_MS }];
    let of_health = Match { operations: vec![Action::Health], ..Match::default() };
    let wake = rule("wake", FailureClass::Bug, vec![Remedy::ReApply {}], (2, 240), 20);
    vec![
        Rule { on: of_health, ..wake },
        rule("again", FailureClass::Permission, again, (3, 120), 10),
        rule("anew", FailureClass::Bug, vec![Remedy::RePlan {}], (1, 30), 5),
    ]
}

/// What a component needs by a release.
pub(crate) fn needs(counter: u64, component: &str) -> BTreeSet<String> {
    let found = release(counter).components.into_iter().find(|c| c.name == component);
    found.map(|c| c.needs.into_iter().collect()).unwrap_or_default()
}

/// The recipe of a component by a release.
pub(crate) fn recipe(counter: u64, component: &str) -> Option<String> {
    let found = release(counter).components.into_iter().find(|c| c.name == component)?;
    found.recipe.map(|recipe| recipe.digest)
}

pub(crate) fn create() -> Signal {
    Signal::Install(install::Signal::Create {
        inputs: Values::new(),
        mode: Mode::Real,
        labels: Values::new(),
        rehearsal: None,
        approval: Policy::default(),
    })
}

/// One of three people.
pub(crate) fn name(number: u64) -> &'static str {
    ["ann", "bob", "cat"][(number % 3) as usize]
}

/// Something that somebody asks of an install; most of it sensible, some of it not.
pub(crate) fn something(rng: &mut fastrand::Rng, deleting: bool) -> Signal {
    let reason = || "for a reason".to_owned();
    Signal::Install(match rng.u32(0..100) {
        0..20 => install::Signal::Deploy { version: None },
        20..31 => install::Signal::CheckDrift {},
        31..35 => install::Signal::CheckHealth {},
        35..45 => install::Signal::Heal {},
        45..50 => install::Signal::Pause { reason: reason() },
        50..60 => install::Signal::Resume {},
        60..67 => install::Signal::Cancel { operation: None, reason: reason() },
        67..78 => install::Signal::Retry { component: None },
        78..80 => install::Signal::CancelStep { component: "database".into(), reason: reason() },
        80..82 => install::Signal::Reprovision {},
        82..85 if !deleting => install::Signal::Skip { component: "seed".into(), reason: reason() },
        85..88 => install::Signal::Deploy { version: Some("9.9.9".into()) },
        88..93 => install::Signal::SetInputs { inputs: Values::from([("size".into(), "3".into())]) },
        93..97 => install::Signal::Delete {},
        _ => return create(),
    })
}

pub(crate) fn publish(counter: u64, hold: bool) -> Signal {
    Signal::App(app::Signal::Publish { release: release(counter), hold })
}
