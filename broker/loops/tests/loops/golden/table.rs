//! A table of what each event does to each state, beside the one that was kept.

use std::fmt::Write as _;
use std::path::Path;

use remit_loops::view::Detail;
use remit_loops::{Effect, Event, Object, Timestamp};

use super::Sample;

#[expect(clippy::disallowed_methods, reason = "only on request, and only in the source tree")]
pub(super) fn check(file: &str, states: &[(&str, Object)], events: &[Sample]) {
    let mut table = String::new();
    for (state, object) in states {
        writeln!(table, "## {state}: {}{}", word(object), wakes(object)).unwrap();
        for event in events {
            writeln!(table, "  {:<28} {}", event.name, cell(object, event)).unwrap();
        }
        writeln!(table).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/loops/golden").join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &table).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = golden.lines().zip(table.lines()).find(|(a, b)| a != b);
    assert!(golden == table, "{file} differs, first at {differs:?}; UPDATE_GOLDEN=1 writes it anew");
}

/// What wakes the object by time alone, and when.
fn wakes(object: &Object) -> String {
    object.wake().map_or(String::new(), |(at, wake)| format!(", wakes for {} at {}", wake.as_str(), at.0))
}

/// What the event does to the object: the new state and the effects, or the rejection.
fn cell(object: &Object, sample: &Sample) -> String {
    let mut object = object.clone();
    let before = object.clone();
    let event = Event { at: Timestamp(9_000_000), by: sample.by.clone(), body: sample.body.clone() };
    match object.apply(&event) {
        Err(rejected) => {
            assert_eq!(object, before, "a rejection changes nothing");
            format!("✗ {}", rejected.code.as_str())
        }
        Ok(effects) => {
            let state = if object == before { "same".to_owned() } else { word(&object) };
            let effects: Vec<String> = effects.iter().map(effect_word).collect();
            format!("→ {state}  {}", effects.join(", ")).trim_end().to_owned()
        }
    }
}

fn word(object: &Object) -> String {
    let view = object.view();
    let mut word = view.status.word;
    if let Some(op) = view.operation {
        write!(word, " [{}]", op.kind).unwrap();
    }
    if let Some(op) = view.reading {
        write!(word, " [{}]", op.kind).unwrap();
    }
    if !view.queue.is_empty() {
        write!(word, " +{} queued", view.queue.len()).unwrap();
    }
    if let Detail::Runner { jobs, .. } = view.detail {
        let states: Vec<String> = jobs.into_iter().map(|j| j.state).collect();
        if !states.is_empty() {
            write!(word, " ({})", states.join(", ")).unwrap();
        }
    }
    word
}

fn effect_word(effect: &Effect) -> String {
    match effect {
        Effect::Record(entry) => format!("“{}”", entry.code),
        Effect::WakeRunner(_) => "wake".to_owned(),
        Effect::Tell { to, notice } => {
            let text = serde_json::to_value(notice).unwrap();
            let name = match &text {
                serde_json::Value::String(name) => name.clone(),
                other => other.as_object().unwrap().keys().next().unwrap().clone(),
            };
            format!("{name}→{}_{}", to.kind().prefix(), to.name())
        }
    }
}
