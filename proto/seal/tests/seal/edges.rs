//! What lies just within a bound and what just beyond it: of inputs here, and of all that a release declares.

use remit_seal::document::{Authority, Tool, Value, ValueType};

use crate::cases::Case;
use crate::world::{Key, World, input, map, text};

/// The longest text.
const TEXT_LEN: usize = 65_536;

pub(crate) const EDGES: &[Case] = &[
    ("input_256_choices", |w| declare(w, |i| i.choices = vec![text("a"); 256], "a"), "ok"),
    ("input_description_longest", |w| declare(w, |i| i.description = "x".repeat(TEXT_LEN), "a"), "ok"),
    (
        "input_description_too_long",
        |w| declare(w, |i| i.description = "x".repeat(TEXT_LEN + 1), "a"),
        "seal.input_spec",
    ),
    ("input_default_plain_of_broker", |w| declare(w, |_| {}, "a.b"), "ok"),
    ("input_default_shell_of_broker", |w| declare(w, |_| {}, "a b"), "seal.input_text"),
    ("input_default_shell_of_customer", |w| declare(w, |i| i.authority = Authority::Customer, "a b"), "ok"),
    ("input_default_with_nul", |w| declare(w, |i| i.authority = Authority::Fixed, "a\0"), "seal.input_text"),
    ("input_entry_longest", |w| entry(w, TEXT_LEN), "ok"),
    ("input_entry_too_long", |w| entry(w, TEXT_LEN + 1), "seal.input_bounds"),
    ("input_entry_choice_with_nul", |w| choice(w, "a\0"), "seal.input_text"),
    ("input_entry_choice", |w| choice(w, "a b"), "ok"),
    ("input_entries_of_choices", |w| chosen(w, &["b", "a"]), "ok"),
    ("input_entry_of_no_choice", |w| chosen(w, &["a", "c"]), "seal.input_choice"),
    ("release_floor_at_counter", |w| w.release.rollback_floor = 5, "ok"),
    ("release_cut_at_the_beginning", |w| w.release.created_ms = 0, "ok"),
    ("release_cut_before_the_beginning", |w| w.release.created_ms = -1, "seal.release_invalid"),
    ("release_notes_longest", |w| w.release.notes = "x".repeat(16_384), "ok"),
    ("release_notes_too_long", |w| w.release.notes = "x".repeat(16_385), "seal.release_invalid"),
    ("release_version_longest", |w| w.release.version = "x".repeat(128), "ok"),
    ("release_version_too_long", |w| w.release.version = "x".repeat(129), "seal.release_limit"),
    ("release_tool_version_too_long", |w| tool(w, "terraform", 129), "seal.release_limit"),
    ("release_tool_name", |w| tool(w, "Terraform", 1), "seal.name"),
    ("release_arguments_most", |w| arguments(w, 128), "ok"),
    ("release_arguments_too_many", |w| arguments(w, 129), "seal.release_limit"),
    ("release_source_largest", |w| w.release.components[0].size = 1 << 30, "ok"),
    ("release_source_too_large", |w| w.release.components[0].size = (1 << 30) + 1, "seal.release_limit"),
    ("release_runs_shortest", |w| runs(w, 1_000), "ok"),
    ("release_runs_a_day", |w| runs(w, 86_400_000), "ok"),
    ("release_runs_over_a_day", |w| runs(w, 86_400_001), "seal.release_limit"),
    ("root_made_at_the_beginning", |w| w.root.created_ms = 0, "ok"),
    ("root_made_before_the_beginning", |w| w.root.created_ms = -1, "seal.root_invalid"),
    ("root_64_keys", |w| keys(w, 64), "ok"),
    ("root_65_keys", |w| keys(w, 65), "seal.root_invalid"),
];

fn tool(world: &mut World, name: &str, len: usize) {
    world.release.tools.extend(map([(name, Tool { version: "1".repeat(len) })]));
}

/// The script `seed` deployed with so many words.
fn arguments(world: &mut World, count: usize) {
    world.release.components[1].commands.insert("deploy".to_owned(), vec!["x".to_owned(); count]);
}

/// How long the component of the job may run, and does.
fn runs(world: &mut World, ms: i64) {
    (world.release.components[0].longest_run_ms, world.job.longest_run_ms) = (ms, ms.min(600_000));
}

/// So many keys in the root, most of them of no role.
fn keys(world: &mut World, count: u8) {
    for seed in (100..).take(usize::from(count) - world.root.keys.len()) {
        let key = Key::Ed(seed);
        world.root.keys.insert(key.id(), key.signing().public());
    }
}

/// One more input, a text of the broker's, with this default.
fn declare(world: &mut World, change: impl FnOnce(&mut remit_seal::document::Input), default: &str) {
    let mut spec = input(ValueType::String, Authority::Broker, 100);
    spec.default = Some(text(default));
    change(&mut spec);
    world.release.inputs.insert("edge".to_owned(), spec);
}

/// One more input, a list of the customer's with one entry of this length.
fn entry(world: &mut World, len: usize) {
    let mut spec = input(ValueType::StringList, Authority::Customer, 3);
    spec.default = Some(Value::List(vec![Value::String("x".repeat(len))]));
    world.release.inputs.extend(map([("edge", spec)]));
}

/// One more input, a list whose entries can only be this.
fn choice(world: &mut World, choice: &str) {
    let mut spec = input(ValueType::StringList, Authority::Customer, 3);
    spec.choices = vec![text(choice)];
    world.release.inputs.extend(map([("edge", spec)]));
}

/// One more input, a list whose entries can be `a` and `b`, with this default.
fn chosen(world: &mut World, default: &[&str]) {
    let mut spec = input(ValueType::StringList, Authority::Customer, 3);
    spec.choices = vec![text("a"), text("b")];
    spec.default = Some(Value::List(default.iter().map(|entry| text(entry)).collect()));
    world.release.inputs.extend(map([("edge", spec)]));
}
