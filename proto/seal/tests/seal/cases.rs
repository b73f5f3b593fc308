//! The table: how each thing that can be wrong is answered. The vectors are made of it too.

use remit_seal::document::{
    Approval, Authority, Class, ComponentKind, OutputRef, Part, Root, Source, Value, ValueType,
};
use remit_seal::verify::{COMPONENTS_MAX, LONGEST_RUN_MAX_MS, SKEW_MAX_MS, START_WINDOW_MAX_MS};
use remit_seal::{Digest, document::Algorithm};

use crate::approvals::APPROVALS;
use crate::channels::CHANNELS;
use crate::destroying::DESTROYING;
use crate::edges::EDGES;
use crate::escapes::DECLARING;
use crate::glass::{GLASS, TERMS};
use crate::healing::HEALING;
use crate::health::HEALTH;
use crate::marks::MARKS;
use crate::places::PLACES;
use crate::rehearsals::REHEARSALS;
use crate::world::{
    DAY, DISPATCH, Key, NOW, RELEASE, ROOT, STRANGER, World, component, input, map, run, text, world,
};

/// What is spoilt, how, and the code it is refused with; `ok` where it must still be believed.
pub(crate) type Case = (&'static str, fn(&mut World), &'static str);

#[test]
fn every_case_is_answered_with_its_code() {
    let mut wrong = Vec::new();
    for (name, spoil, code) in all() {
        let mut world = world();
        spoil(&mut world);
        let found = match run(&world.signed(), &world.context()) {
            Ok(_) => "ok",
            Err(refusal) => refusal.code(),
        };
        if found != code {
            wrong.push(format!("{name}: {found} in place of {code}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_bound_is_what_was_signed() {
    let world = world();
    let bound = run(&world.signed(), &world.context()).unwrap();
    assert_eq!(bound.job.job, world.job.job);
    assert_eq!(bound.release, world.release);
    assert_eq!(bound.component, world.release.components[0]);
    assert_eq!(bound.operation.class, Class::Change);
    let zones = Value::List(vec![text("a-1"), text("b_2.x")]);
    let inputs = [
        ("debug", Value::Boolean(true)),
        ("region", text("eu-west-1")),
        ("size", Value::Integer(3)),
        ("tier", text("gold")),
        ("zones", zones),
    ];
    assert_eq!(bound.inputs, map(inputs));
}

pub(crate) fn all() -> Vec<Case> {
    let own = [GOOD, CONTAINER, PAYLOADS, SIGNATURES, ROOTS, RELEASES, SOURCES, INPUTS, JOBS, BINDING];
    let others = [
        DESTROYING, REHEARSALS, APPROVALS, TERMS, GLASS, HEALING, HEALTH, PLACES, CHANNELS, DECLARING, EDGES,
    ];
    [own.concat(), others.concat(), MARKS.to_vec()].concat()
}

const GOOD: &[Case] = &[
    ("good", |_| {}, "ok"),
    ("good_other_algorithms", |w| rekey(w, [Key::P256(21), Key::Ed(22), Key::P256(23)]), "ok"),
    ("good_defaults", |w| w.job.inputs = map([("debug", Value::Boolean(false))]), "ok"),
    ("good_chosen_text", |w| set(w, "tier", text("a; rm -rf /")), "ok"),
    ("good_sandbox", |w| (w.job.sandbox, w.job.component) = (true, "web".to_owned()), "ok"),
    ("good_drift", |w| (w.job.operation, w.job.class) = ("drift".to_owned(), Class::Read), "ok"),
    ("good_skew", |w| w.now_ms -= SKEW_MAX_MS, "ok"),
    ("good_last_moment", |w| w.now_ms += START_WINDOW_MAX_MS + SKEW_MAX_MS, "ok"),
    ("good_negative_integer", |w| set(w, "size", Value::Integer(-10)), "ok"),
];

const CONTAINER: &[Case] = &[
    ("job_too_large", |w| w.job_mangle = |b| pad(b, (64 << 10) + 1), "seal.too_large"),
    ("job_just_not_too_large", |w| w.job_mangle = |b| pad(b, 64 << 10), "ok"),
    ("root_too_large", |w| w.root_mangle = |b| pad(b, (64 << 10) + 1), "seal.too_large"),
    ("release_too_large", |w| w.release_mangle = |b| pad(b, (256 << 10) + 1), "seal.too_large"),
    ("empty", |w| w.job_mangle = |_| Vec::new(), "seal.json_syntax"),
    ("cut_off", |w| w.job_mangle = |b| b[..b.len() - 1].to_vec(), "seal.json_syntax"),
    ("trailing", |w| w.job_mangle = |b| [b, b"{}".to_vec()].concat(), "seal.json_trailing"),
    ("not_utf8", |w| w.job_mangle = |b| [b, b"\xff".to_vec()].concat(), "seal.json_encoding"),
    ("duplicate_key", |w| w.job_mangle = |b| swap(b, "{", "{\"payload\":\"\","), "seal.json_duplicate_key"),
    ("unknown_field", |w| w.job_mangle = |b| swap(b, "{", "{\"alg\":\"none\","), "seal.container_invalid"),
    ("no_payload", |w| w.job_mangle = |b| swap(b, "\"payload\"", "\"payloaf\""), "seal.container_invalid"),
    (
        "url_base64",
        |w| w.job_mangle = |b| swap(b, "\"payload\":\"ey", "\"payload\":\"-_"),
        "seal.container_invalid",
    ),
    ("white_space", |w| w.job_mangle = |b| swap(b, ",", " ,\n"), "ok"),
    ("no_signature", |w| w.job_mangle = |b| without_signatures(&b, 0), "seal.signature_count"),
    ("nine_signatures", |w| w.job_mangle = |b| without_signatures(&b, 9), "seal.signature_count"),
    ("release_as_job", |w| w.job_mangle = |b| swap(b, "remit.job", "remit.release"), "seal.payload_type"),
    ("type_of_next_version", |w| w.job_mangle = |b| swap(b, "job.v1", "job.v2"), "seal.payload_type"),
    ("type_with_parameter", |w| w.job_mangle = |b| swap(b, "+json", "+json;x"), "seal.payload_type"),
];

/// Rightly signed, by a vendor or a broker whose program is careless or hostile.
const PAYLOADS: &[Case] = &[
    ("signed_white_space", |w| w.job_text = |t| format!(" {t}\n"), "ok"),
    ("signed_other_order", |w| w.job_text = |t| reverse(&t), "ok"),
    ("signed_not_json", |w| w.job_text = |t| t.replace("\"seq\":", "\"seq\"="), "seal.json_syntax"),
    ("signed_trailing", |w| w.job_text = |t| t + "0", "seal.json_trailing"),
    ("signed_duplicate", |w| w.job_text = |t| put(&t, "\"seq\":7"), "seal.json_duplicate_key"),
    ("signed_float", |w| w.job_text = |t| t.replace("\"seq\":7", "\"seq\":7.0"), "seal.json_float"),
    (
        "signed_great_integer",
        |w| w.job_text = |t| t.replace("\"seq\":7", "\"seq\":9007199254740992"),
        "seal.json_integer_range",
    ),
    (
        "signed_great_max",
        |w| w.release_text = |t| t.replace("\"max\":10", "\"max\":9007199254740992"),
        "seal.json_integer_range",
    ),
    (
        "signed_depth",
        |w| w.job_text = |t| put(&t, &format!("\"x\":{}{}", "[".repeat(16), "]".repeat(16))),
        "seal.json_depth",
    ),
    ("signed_unknown_field", |w| w.job_text = |t| put(&t, "\"x\":1"), "seal.document_invalid"),
    ("signed_missing_field", |w| w.job_text = |t| t.replace("\"seq\":7,", ""), "seal.document_invalid"),
    ("signed_null", |w| w.job_text = |t| t.replace("\"seq\":7", "\"seq\":null"), "seal.document_invalid"),
    ("signed_negative", |w| w.job_text = |t| t.replace("\"seq\":7", "\"seq\":-7"), "seal.document_invalid"),
    (
        "signed_unknown_class",
        |w| w.job_text = |t| t.replace("\"change\"", "\"improve\""),
        "seal.document_invalid",
    ),
    ("signed_object_as_input", |w| w.job_text = |t| t.replace("\"gold\"", "{}"), "seal.document_invalid"),
    ("signed_release_unknown_field", |w| w.release_text = |t| put(&t, "\"x\":1"), "seal.document_invalid"),
    (
        "signed_release_unknown_kind",
        |w| w.release_text = |t| t.replace("\"helm\"", "\"shell\""),
        "seal.document_invalid",
    ),
    (
        "signed_release_bad_digest",
        |w| w.release_text = |t| t.replace("sha256:", "sha1:"),
        "seal.document_invalid",
    ),
    ("signed_root_unknown_field", |w| w.root_text = |t| put(&t, "\"x\":1"), "seal.document_invalid"),
    (
        "signed_root_unknown_algorithm",
        |w| w.root_text = |t| t.replacen("\"ed25519\"", "\"none\"", 1),
        "seal.document_invalid",
    ),
    ("signed_root_duplicate", |w| w.root_text = |t| put(&t, "\"version\":1"), "seal.json_duplicate_key"),
];

const SIGNATURES: &[Case] = &[
    ("job_by_stranger", |w| w.job_signers = vec![STRANGER], "seal.threshold"),
    ("job_by_release_key", |w| w.job_signers = vec![RELEASE], "seal.threshold"),
    ("job_by_root_key", |w| w.job_signers = vec![ROOT], "seal.threshold"),
    ("job_also_by_stranger", |w| w.job_signers = vec![STRANGER, DISPATCH], "ok"),
    ("release_by_dispatch_key", |w| w.release_signers = vec![DISPATCH], "seal.threshold"),
    ("release_by_root_key", |w| w.release_signers = vec![ROOT], "seal.threshold"),
    ("root_by_stranger", |w| w.root_signers = vec![STRANGER], "seal.threshold"),
    ("stranger_under_dispatch_id", |w| impersonate(w), "seal.signature_invalid"),
    (
        "payload_changed",
        |w| w.job_mangle = |b| swap(b, "\"payload\":\"eyJ", "\"payload\":\"eyK"),
        "seal.signature_invalid",
    ),
    ("signature_empty", |w| w.job_mangle = |b| with_signature(&b, ""), "seal.signature_invalid"),
    (
        "signature_zero",
        |w| w.job_mangle = |b| with_signature(&b, &format!("{}==", "A".repeat(86))),
        "seal.signature_invalid",
    ),
    ("signature_of_other_document", |w| w.job_mangle = |b| stale_signature(&b), "seal.signature_invalid"),
    ("two_of_two", |w| two_of_two(w, vec![DISPATCH, Key::P256(4)]), "ok"),
    ("one_of_two", |w| two_of_two(w, vec![DISPATCH]), "seal.threshold"),
    (
        "one_of_two_twice",
        |w| (two_of_two(w, vec![DISPATCH]), w.job_mangle = |b| without_signatures(&b, 2)).1,
        "seal.threshold",
    ),
];

const ROOTS: &[Case] = &[
    ("root_not_pinned", |w| w.pin = Some(Digest::of(b"another")), "seal.root_pin"),
    ("root_expired", |w| w.root.expires_ms = NOW, "seal.root_expired"),
    ("root_version_zero", |w| w.root.version = 0, "seal.root_invalid"),
    ("root_times_crossed", |w| w.root.created_ms = w.root.expires_ms, "seal.root_invalid"),
    ("root_vendor_name", |w| w.root.vendor = "org_demo".to_owned(), "seal.name"),
    ("root_key_under_other_id", |w| misfile_key(&mut w.root), "seal.key_id"),
    (
        "root_key_of_other_algorithm",
        |w| key(w, DISPATCH).algorithm = Algorithm::EcdsaP256Sha256,
        "seal.key_invalid",
    ),
    ("root_key_garbage", |w| key(w, DISPATCH).spki = "AAAA".to_owned(), "seal.key_invalid"),
    ("root_key_endless", |w| key(w, DISPATCH).spki = "A".repeat(4_000), "seal.key_invalid"),
    ("root_threshold_zero", |w| w.root.dispatch.threshold = 0, "seal.root_invalid"),
    ("root_threshold_unreachable", |w| w.root.release.threshold = 2, "seal.root_invalid"),
    ("root_role_without_keys", |w| w.root.dispatch.keys.clear(), "seal.root_invalid"),
    ("root_role_names_key_twice", |w| w.root.dispatch.keys.push(DISPATCH.id()), "seal.root_invalid"),
    ("root_role_names_unknown_key", |w| w.root.dispatch.keys.push(STRANGER.id()), "seal.root_invalid"),
    ("root_dispatch_signs_releases", |w| w.root.release.keys.push(DISPATCH.id()), "seal.root_invalid"),
    ("root_dispatch_signs_roots", |w| w.root.dispatch.keys = vec![ROOT.id()], "seal.root_invalid"),
];

const RELEASES: &[Case] = &[
    ("release_of_other_vendor", |w| w.release.vendor = "other".to_owned(), "seal.vendor"),
    ("release_expired", |w| w.release.expires_ms = NOW, "seal.release_expired"),
    ("release_times_crossed", |w| w.release.created_ms = w.release.expires_ms, "seal.release_invalid"),
    (
        "release_counter_zero",
        |w| (w.release.counter, w.release.rollback_floor) = (0, 0),
        "seal.release_invalid",
    ),
    ("release_floor_above_counter", |w| w.release.rollback_floor = 6, "seal.release_invalid"),
    ("release_without_version", |w| w.release.version.clear(), "seal.release_invalid"),
    ("release_version_with_escape", |w| w.release.version.push('\u{1b}'), "seal.release_invalid"),
    ("release_version_endless", |w| w.release.version = "1".repeat(129), "seal.release_limit"),
    ("release_app_name", |w| w.release.app = "Shop".to_owned(), "seal.name"),
    ("release_channel_name", |w| w.release.channel = "../x".to_owned(), "seal.name"),
    ("release_component_name", |w| w.release.components[2].name = "we b".to_owned(), "seal.name"),
    ("release_input_name", |w| rename_input(w), "seal.name"),
    ("release_without_components", |w| w.release.components.clear(), "seal.release_invalid"),
    ("release_component_twice", |w| w.release.components[2].name = "seed".to_owned(), "seal.name_duplicate"),
    ("release_500_components", |w| many(w, COMPONENTS_MAX), "ok"),
    ("release_501_components", |w| many(w, COMPONENTS_MAX + 1), "seal.release_limit"),
    ("release_empty_source", |w| w.release.components[0].size = 0, "seal.release_limit"),
    ("release_huge_source", |w| w.release.components[0].size = 1 << 40, "seal.release_limit"),
    ("release_runs_too_short", |w| w.release.components[0].longest_run_ms = 999, "seal.release_limit"),
    (
        "release_runs_too_long",
        |w| w.release.components[0].longest_run_ms = LONGEST_RUN_MAX_MS + 1,
        "seal.release_limit",
    ),
    ("release_needs_unknown", |w| needs(w, 2, "nothing"), "seal.needs_unknown"),
    ("release_needs_itself", |w| needs(w, 2, "web"), "seal.needs_unknown"),
    ("release_needs_twice", |w| needs(w, 2, "seed"), "seal.name_duplicate"),
    ("release_needs_cycle", |w| needs(w, 0, "web"), "seal.needs_cycle"),
    ("release_script_without_commands", |w| w.release.components[1].commands.clear(), "seal.commands"),
    (
        "release_terraform_with_commands",
        |w| w.release.components[1].kind = ComponentKind::Terraform,
        "seal.commands",
    ),
    ("release_command_to_sweep", |w| command(w, "sweep", &["sh", "sweep.sh"]), "ok"),
    ("release_command_of_no_operation", |w| command(w, "dance", &["sh"]), "seal.commands"),
    ("release_command_of_nothing", |w| command(w, "drift", &[]), "seal.commands"),
    ("release_command_with_nul", |w| command(w, "drift", &["sh", "\0"]), "seal.release_invalid"),
];

const SOURCES: &[Case] = &[
    ("source_unknown_input", |w| source(w, 1, Source::Input("nothing".to_owned())), "seal.source_unknown"),
    ("source_unknown_component", |w| source(w, 1, output("nothing", "subnet")), "seal.source_unknown"),
    ("source_unknown_output", |w| source(w, 1, output("network", "nothing")), "seal.source_unknown"),
    ("source_own_output", |w| source(w, 0, output("network", "subnet")), "seal.source_order"),
    (
        "source_not_needed",
        |w| (w.release.components[1].needs.clear(), w.release.components[2].needs.pop()).0,
        "seal.source_order",
    ),
    (
        "source_text_unknown",
        |w| source(w, 1, Source::Text(vec![Part::Input("nothing".to_owned())])),
        "seal.source_unknown",
    ),
    (
        "source_text_of_many_parts",
        |w| source(w, 1, Source::Text(vec![Part::Literal(String::new()); 129])),
        "seal.release_limit",
    ),
    ("source_literal_with_nul", |w| source(w, 1, Source::Literal(text("\0"))), "seal.release_invalid"),
];

const INPUTS: &[Case] = &[
    ("input_fixed_without_default", |w| spec(w, "region").default = None, "seal.input_spec"),
    ("input_sensitive_of_broker", |w| spec(w, "zones").sensitive = true, "seal.input_spec"),
    ("input_default_of_other_type", |w| spec(w, "size").default = Some(text("2")), "seal.input_type"),
    ("input_default_over_max", |w| spec(w, "size").max = 1, "seal.input_bounds"),
    ("input_default_no_choice", |w| spec(w, "tier").default = Some(text("tin")), "seal.input_choice"),
    ("input_choice_of_other_type", |w| spec(w, "tier").choices.push(Value::Integer(1)), "seal.input_type"),
    (
        "input_choice_over_max",
        |w| spec(w, "tier").choices.push(text("123456789012345678901")),
        "seal.input_bounds",
    ),
    ("input_257_choices", |w| spec(w, "tier").choices = vec![text("gold"); 257], "seal.input_spec"),
    ("job_input_unknown", |w| set(w, "nothing", Value::Integer(1)), "seal.input_unknown"),
    ("job_input_of_customer", |w| set(w, "email", text("x")), "seal.input_authority"),
    ("job_input_fixed", |w| set(w, "region", text("eu-west-1")), "seal.input_authority"),
    ("job_input_missing", |w| drop(w.job.inputs.remove("debug")), "seal.input_missing"),
    ("job_input_text_for_boolean", |w| set(w, "debug", text("true")), "seal.input_type"),
    ("job_input_text_for_integer", |w| set(w, "size", text("3")), "seal.input_type"),
    ("job_input_integer_for_text", |w| set(w, "tier", Value::Integer(3)), "seal.input_type"),
    ("job_input_text_for_list", |w| set(w, "zones", text("a")), "seal.input_type"),
    (
        "job_input_list_of_integers",
        |w| set(w, "zones", Value::List(vec![Value::Integer(1)])),
        "seal.input_type",
    ),
    ("job_input_too_great", |w| set(w, "size", Value::Integer(11)), "seal.input_bounds"),
    ("job_input_too_small", |w| set(w, "size", Value::Integer(-11)), "seal.input_bounds"),
    ("job_input_list_too_long", |w| set(w, "zones", Value::List(vec![text("a"); 4])), "seal.input_bounds"),
    ("job_input_no_choice", |w| set(w, "tier", text("tin")), "seal.input_choice"),
    ("job_input_shell", |w| zone(w, "$(id)"), "seal.input_text"),
    ("job_input_path", |w| zone(w, "../../etc"), "seal.input_text"),
    ("job_input_slash", |w| zone(w, "a/b"), "seal.input_text"),
    ("job_input_option", |w| zone(w, "-rf"), "seal.input_text"),
    ("job_input_template", |w| zone(w, "${file}"), "seal.input_text"),
    ("job_input_nul", |w| zone(w, "a\0"), "seal.input_text"),
    ("job_input_line", |w| zone(w, "a\nb"), "seal.input_text"),
];

const JOBS: &[Case] = &[
    ("job_of_other_vendor", |w| w.job.audience.org = "other".to_owned(), "seal.vendor"),
    ("job_runner_of_other_org", |w| w.audience.org = "other".to_owned(), "seal.audience"),
    ("job_for_other_app", |w| w.job.audience.app = "shop2".to_owned(), "seal.audience"),
    ("job_for_other_install", |w| w.job.audience.install = "acme2".to_owned(), "seal.audience"),
    ("job_for_older_epoch", |w| w.job.audience.epoch = 0, "seal.epoch"),
    ("job_for_newer_epoch", |w| w.job.audience.epoch = 2, "seal.epoch"),
    ("job_for_older_generation", |w| w.job.audience.generation = 2, "seal.generation"),
    ("job_for_newer_generation", |w| w.job.audience.generation = 4, "seal.generation"),
    ("job_window_too_long", |w| w.job.not_after_ms += 1, "seal.window"),
    ("job_window_empty", |w| w.job.not_after_ms = w.job.not_before_ms, "seal.window"),
    ("job_window_crossed", |w| w.job.not_after_ms = w.job.not_before_ms - 1, "seal.window"),
    ("job_window_of_all_time", |w| (w.job.not_before_ms, w.job.not_after_ms) = (-MOST, MOST), "seal.window"),
    ("job_issued_in_future", |w| w.job.issued_ms += SKEW_MAX_MS + 1, "seal.issued_in_future"),
    ("job_not_yet", |w| w.now_ms = w.job.not_before_ms - SKEW_MAX_MS - 1, "seal.issued_in_future"),
    (
        "job_not_yet_though_issued",
        |w| (w.job.issued_ms, w.now_ms) = (0, NOW - SKEW_MAX_MS - 1),
        "seal.not_yet",
    ),
    ("job_expired", |w| w.now_ms = w.job.not_after_ms + SKEW_MAX_MS + 1, "seal.expired"),
    ("job_replayed", |w| w.seq_high = 7, "seal.replayed"),
    ("job_older_than_replayed", |w| w.seq_high = 8, "seal.replayed"),
    ("job_seq_zero", |w| w.job.seq = 0, "seal.job_invalid"),
    ("job_attempt_zero", |w| w.job.attempt = 0, "seal.job_invalid"),
    ("job_fence_zero", |w| w.job.fence = 0, "seal.job_invalid"),
    ("job_runs_no_time", |w| w.job.longest_run_ms = 0, "seal.job_invalid"),
    ("job_id_path", |w| w.job.job = "job_../../etc".to_owned(), "seal.job_invalid"),
    ("job_id_dots", |w| w.job.job = "job_a..b".to_owned(), "seal.job_invalid"),
    ("job_id_bare", |w| w.job.job = "job_".to_owned(), "seal.job_invalid"),
    ("job_id_endless", |w| w.job.job = format!("job_{}", "a".repeat(253)), "seal.job_invalid"),
    ("job_component_name", |w| w.job.component = "a/b".to_owned(), "seal.name"),
    ("job_operation_name", |w| w.job.operation = String::new(), "seal.name"),
];

const BINDING: &[Case] = &[
    ("bind_other_release", |w| w.keep_digest = true, "seal.release_mismatch"),
    ("bind_release_of_other_app", |w| w.release.app = "other".to_owned(), "seal.release_audience"),
    ("bind_counter_less", |w| w.job.release_counter = 4, "seal.counter_mismatch"),
    ("bind_counter_more", |w| w.job.release_counter = 6, "seal.counter_mismatch"),
    ("bind_below_floor", |w| w.counter_floor = 6, "seal.rollback"),
    ("bind_at_floor", |w| w.counter_floor = 5, "ok"),
    ("bind_unknown_component", |w| w.job.component = "nothing".to_owned(), "seal.component_unknown"),
    ("bind_unknown_operation", |w| w.job.operation = "dance".to_owned(), "seal.operation_unknown"),
    ("bind_class_less", |w| w.job.class = Class::Read, "seal.class_mismatch"),
    ("bind_class_more", |w| w.job.class = Class::Destroy, "seal.class_mismatch"),
    ("bind_destroy_as_change", |w| w.job.operation = "destroy".to_owned(), "seal.class_mismatch"),
    (
        "bind_unapproved",
        |w| (w.job.operation, w.job.class) = ("wipe".to_owned(), Class::Destroy),
        "seal.approval_missing",
    ),
    ("bind_vendor_unapproved", |w| approval(w, Approval::Vendor), "seal.approval_missing"),
    ("bind_both_unapproved", |w| approval(w, Approval::Both), "seal.approval_missing"),
    ("bind_runs_too_long", |w| w.job.longest_run_ms += 1, "seal.longest_run"),
    ("bind_sandbox_for_real", |w| w.job.component = "web".to_owned(), "seal.sandbox_required"),
];

const MOST: i64 = (1 << 53) - 1;

fn rekey(w: &mut World, keys: [Key; 3]) {
    let specs = keys.map(|key| key.signing().public());
    w.root = Root::one_of_one("demo", specs.each_ref(), NOW - DAY, NOW + DAY).unwrap();
    (w.root_signers, w.release_signers, w.job_signers) = (vec![keys[0]], vec![keys[1]], vec![keys[2]]);
}

fn set(w: &mut World, name: &str, value: Value) {
    w.job.inputs.insert(name.to_owned(), value);
}

fn zone(w: &mut World, zone: &str) {
    set(w, "zones", Value::List(vec![text("a"), text(zone)]));
}

fn pad(mut bytes: Vec<u8>, size: usize) -> Vec<u8> {
    bytes.resize(size, b' ');
    bytes
}

fn swap(bytes: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains(from), "nothing to spoil");
    text.replacen(from, to, 1).into_bytes()
}

/// The object with this before its first field.
fn put(text: &str, field: &str) -> String {
    text.replacen('{', &format!("{{{field},"), 1)
}

/// The same object with its fields in another order: other bytes, the same meaning.
fn reverse(text: &str) -> String {
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap();
    let fields: Vec<String> =
        fields.iter().rev().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

/// The container with its first signature as often as said.
fn without_signatures(bytes: &[u8], count: usize) -> Vec<u8> {
    let mut container: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    let first = container["signatures"][0].clone();
    container["signatures"] = vec![first; count].into();
    container.to_string().into_bytes()
}

fn with_signature(bytes: &[u8], signature: &str) -> Vec<u8> {
    let mut container: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    container["signatures"][0]["sig"] = signature.into();
    container.to_string().into_bytes()
}

/// A valid signature by the right key, but of another job.
fn stale_signature(bytes: &[u8]) -> Vec<u8> {
    let mut other = world();
    other.job.seq += 1;
    let other: serde_json::Value = serde_json::from_slice(&other.signed().job).unwrap();
    with_signature(bytes, other["signatures"][0]["sig"].as_str().unwrap())
}

/// A stranger signs and writes the dispatch key's id.
fn impersonate(w: &mut World) {
    w.job_signers = vec![STRANGER];
    w.job_mangle = |b| swap(b, &STRANGER.id(), &DISPATCH.id());
}

fn two_of_two(w: &mut World, signers: Vec<Key>) {
    let second = Key::P256(4);
    w.root.keys.insert(second.id(), second.signing().public());
    w.root.dispatch.keys.push(second.id());
    w.root.dispatch.threshold = 2;
    w.job_signers = signers;
}

fn key(w: &mut World, key: Key) -> &mut remit_seal::document::KeySpec {
    w.root.keys.get_mut(&key.id()).unwrap()
}

fn misfile_key(root: &mut Root) {
    let spec = root.keys[&DISPATCH.id()].clone();
    root.keys.insert("0".repeat(64), spec);
}

fn rename_input(w: &mut World) {
    let extra = input(ValueType::Boolean, Authority::Customer, 0);
    w.release.inputs.insert("de-bug".to_owned(), extra);
}

fn many(w: &mut World, count: usize) {
    while w.release.components.len() < count {
        let name = format!("c{}", w.release.components.len());
        w.release.components.push(component(&name, ComponentKind::Image, &[]));
    }
}

fn needs(w: &mut World, component: usize, name: &str) {
    w.release.components[component].needs.push(name.to_owned());
}

fn command(w: &mut World, operation: &str, argv: &[&str]) {
    let argv = argv.iter().map(|argument| (*argument).to_owned()).collect();
    w.release.components[1].commands.insert(operation.to_owned(), argv);
}

fn output(component: &str, output: &str) -> Source {
    Source::Output(OutputRef { component: component.to_owned(), output: output.to_owned() })
}

fn source(w: &mut World, component: usize, source: Source) {
    w.release.components[component].inputs.insert("spoilt".to_owned(), source);
}

fn spec<'a>(w: &'a mut World, name: &str) -> &'a mut remit_seal::document::Input {
    w.release.inputs.get_mut(name).unwrap()
}

fn approval(w: &mut World, approval: Approval) {
    w.release.operations.get_mut("deploy").unwrap().approval = approval;
}
