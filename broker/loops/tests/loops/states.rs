//! What was ever stored stays readable: states and events of each format, kept as files.
//!
//! `tests/states/vN` holds what was written in one format, the newest is today's. A change of
//! shape needs a default for what old ones do not say, and a further directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::world::{World, id, release, with_recipes};
use crate::{attestation, golden};
use remit_loops::install::{self, ToInstall};
use remit_loops::job::Outcome;
use remit_loops::runner::{self, Report};
use remit_loops::{Actor, Body, Event, Object, Signal, Timestamp, app, component, org};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

const EVENTS: &str = "events";

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/states")
}

/// The formats that are kept, the oldest first.
fn versions() -> Vec<u32> {
    let entries = std::fs::read_dir(directory()).into_iter().flatten().flatten();
    let number = |e: std::fs::DirEntry| e.file_name().to_str()?.strip_prefix('v')?.parse().ok();
    let mut versions: Vec<u32> = entries.filter_map(number).collect();
    versions.sort_unstable();
    versions
}

/// The files of a format: examples by name, by the file's name.
fn kept(version: u32) -> BTreeMap<String, Map<String, Value>> {
    let entries = std::fs::read_dir(directory().join(format!("v{version}"))).unwrap();
    let file = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, serde_json::from_str(&text).unwrap())
    };
    entries.map(file).collect()
}

/// Worlds in which all kinds of things have happened.
fn worlds() -> Vec<(&'static str, World)> {
    let mut worlds = golden::worlds();
    worlds.extend(golden::rollouts());
    worlds.push(("a deploy waits for its probe", crate::health::probing()));
    worlds.push(("a rule acts on what is unwell", crate::health::unwell()));
    worlds.push(("its glass is broken", crate::break_glass::broken()));
    let mut world = worlds.iter().find(|(name, _)| *name == "active").unwrap().1.clone();
    world.publish(with_recipes(release("1.0.1", 2))).unwrap();
    world.work_off();
    world.install(install::Signal::Deploy { version: Some("9.9.9".into()) }).unwrap();
    let mut third = release("1.0.2", 3);
    third.components[3].digest = "sha256:other".into();
    world.publish(with_recipes(third)).unwrap();
    world.start("seed");
    let reason = || "for a reason".to_owned();
    world.install(install::Signal::CancelStep { component: "seed".into(), reason: reason() }).unwrap();
    worlds.push(("a step is stopping", world.clone()));
    world.complete("seed", Outcome::Cancelled { message: "killed".into() });
    world.install(install::Signal::Deploy { version: None }).unwrap();
    world.install(install::Signal::CheckDrift {}).unwrap();
    world.install(install::Signal::Pause { reason: reason() }).unwrap();
    world.report(Report::Lost { generation: 1 }).unwrap();
    world.signal("run_demo.shop.acme", Signal::Runner(runner::Signal::Drain { reason: reason() })).unwrap();
    let quotas = org::Signal::SetQuotas { apps: Some(7), installs_per_app: Some(8), weight: None };
    world.signal("org_demo", Signal::Org(quotas)).unwrap();
    world.signal("org_demo", Signal::Org(org::Signal::Pause { reason: reason() })).unwrap();
    world.signal("app_demo.shop", Signal::App(app::Signal::Pause { reason: reason() })).unwrap();
    worlds.push(("held up by everybody", world.clone()));
    world.signal("app_demo.shop", Signal::App(app::Signal::Delete {})).unwrap();
    world.signal("org_demo", Signal::Org(org::Signal::Delete {})).unwrap();
    worlds.push(("parents are deleting", world.clone()));
    world.install(install::Signal::Forget { reason: reason() }).unwrap();
    worlds.push(("forgotten", world));
    let mut proven = attestation::declared(attestation::place());
    proven.report(attestation::enrolment()).unwrap();
    worlds.push(("proven", proven));
    worlds
}

/// One rich example of each state that an object of each kind can be in, and of each event.
fn examples() -> BTreeMap<String, Map<String, Value>> {
    let mut files = BTreeMap::new();
    let kinds = [
        ("org", "org_demo"),
        ("app", "app_demo.shop"),
        ("install", "ins_demo.shop.acme"),
        ("component", "cmp_demo.shop.acme.network"),
        ("runner", "run_demo.shop.acme"),
    ];
    for (kind, of) in kinds {
        let mut seen = BTreeSet::new();
        let mut states = Map::new();
        for (name, world) in worlds() {
            let state = serde_json::to_value(golden::object(&world, of)).unwrap();
            if seen.insert(shape(&state)) {
                states.insert(name.to_owned(), state);
            }
        }
        files.insert(kind.to_owned(), states);
    }
    let asking = serde_json::to_value(golden::asking()).unwrap();
    files.get_mut("install").unwrap().insert("asking".to_owned(), asking);
    files.insert(EVENTS.to_owned(), events());
    files
}

fn events() -> Map<String, Value> {
    let mut log: Vec<Event> = worlds().into_iter().flat_map(|(_, world)| world.log).collect();
    let signals = [
        Signal::Component(component::Signal::RetryNow {}),
        Signal::Org(org::Signal::Resume {}),
        Signal::App(app::Signal::Resume {}),
    ];
    let all =
        golden::install_signals().into_iter().chain(golden::runner_signals()).chain(golden::app_signals());
    let by = || Actor::Person("ann".into());
    log.extend(all.map(|s| Event { at: Timestamp(1), by: s.by, body: s.body }));
    log.extend(signals.map(|s| Event { at: Timestamp(1), by: by(), body: Body::Signal(s) }));
    log.push(Event { at: Timestamp(1), by: Actor::Clock, body: Body::Tick });
    let (mut seen, mut events) = (BTreeSet::new(), Map::new());
    for event in log {
        let value = serde_json::to_value(event).unwrap();
        if seen.insert(shape(&value)) {
            events.insert(format!("{:02}", events.len() + 1), value);
        }
    }
    events
}

/// What a value is like without what it says: names of fields and variants, kinds of values.
fn shape(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "text".to_owned(),
        Value::Array(items) => {
            let shapes: BTreeSet<String> = items.iter().map(shape).collect();
            format!("[{}]", shapes.into_iter().collect::<Vec<_>>().join("|"))
        }
        Value::Object(map) => {
            let field = |(name, value): (&String, &Value)| match value.as_str() {
                // A notice that says no more than its name.
                Some(text) if name == "notice" => format!("{name}:{text}"),
                Some(_) | None => format!("{name}:{}", shape(value)),
            };
            let fields: Vec<String> = map.iter().map(field).collect();
            format!("{{{}}}", fields.join(","))
        }
    }
}

/// One example on each line.
fn written(examples: &Map<String, Value>) -> String {
    let lines: Vec<String> = examples.iter().map(|(name, value)| format!("{name:?}: {value}")).collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

fn read_back<T: DeserializeOwned + serde::Serialize + PartialEq + std::fmt::Debug>(what: &str, kept: &Value) {
    let read: T = serde_json::from_value(kept.clone()).unwrap_or_else(|e| {
        panic!("{what} cannot be read any more: {e}; give what it does not say a default")
    });
    let again = serde_json::to_vec(&read).unwrap();
    assert_eq!(serde_json::from_slice::<T>(&again).unwrap(), read, "{what} does not read back");
}

#[test]
fn what_was_stored_is_still_read() {
    assert!(!versions().is_empty(), "no format is kept in {}", directory().display());
    for version in versions() {
        for (file, examples) in kept(version) {
            for (name, value) in examples {
                let what = format!("v{version}/{file}.json, {name}");
                match file.as_str() {
                    EVENTS => read_back::<Event>(&what, &value),
                    _ => read_back::<Object>(&what, &value),
                }
            }
        }
    }
}

/// A state that was read goes on like one that was never stored.
#[test]
fn what_was_stored_can_go_on() {
    for version in versions() {
        for (name, value) in kept(version).remove("install").unwrap() {
            let mut install: Object = serde_json::from_value(value).unwrap();
            let body = Body::Notice(remit_loops::Notice::Install(ToInstall::RunnerIs(
                remit_loops::runner::Presence::Expected,
            )));
            let by = Actor::Object(id("run_demo.shop.acme"));
            let taken = install.apply(&Event { at: Timestamp(9_000_000), by, body });
            assert_eq!(taken.is_ok(), install.is_known(), "v{version}, {name}");
            assert!(!install.view().status.word.is_empty());
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "only on request, and only in the source tree")]
fn the_newest_format_is_what_is_stored_today() {
    let newest = versions().last().copied().unwrap_or(0);
    let today = examples();
    if newest > 0 && kept(newest) == today {
        return;
    }
    if std::env::var_os("UPDATE_STATES").is_some() {
        let next = directory().join(format!("v{}", newest + 1));
        std::fs::create_dir_all(&next).unwrap();
        for (file, examples) in &today {
            std::fs::write(next.join(format!("{file}.json")), written(examples)).unwrap();
        }
        return;
    }
    let differs = |file: &String| kept(newest).get(file) != today.get(file);
    let files: Vec<&String> = today.keys().filter(|file| newest == 0 || differs(file)).collect();
    panic!(
        "what is stored today is not what tests/states/v{newest} holds: {files:?} differ.\n\
         Leave those files as they are: somebody's database holds them. Give each new field a default, \
         keep the names of old ones, then write today's format beside them: \
         UPDATE_STATES=1 cargo test -p remit-loops states"
    );
}
