//! A hostile broker: it holds the dispatch key and everything that was ever signed, and
//! mixes, replays and re-addresses. Nothing is bound but what the rules, said a second time
//! here, allow; and what they allow is bound.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use remit_seal::Digest;
use remit_seal::document::{Audience, Class, Component, Job, Part, Release, Source, Value};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::verify::{self, Context, SKEW_MAX_MS, START_WINDOW_MAX_MS, Verified};

use crate::world::{
    DISPATCH, NOW, RELEASE, ROOT, STRANGER, Signed, World, payload_digest, run, sign, text, world,
};

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn one_changed_byte_is_refused_or_says_the_same(
        document in 0..3_usize,
        at in any::<Index>(),
        flip in 1_u8..,
    ) {
        let world = world();
        let mut signed = GOOD.clone();
        let bytes = [&mut signed.root, &mut signed.release, &mut signed.job].into_iter().nth(document).unwrap();
        let kind = [PayloadType::Root, PayloadType::Release, PayloadType::Job][document];
        let before = payload_digest(bytes, kind);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let changed = bytes.clone();
        if run(&signed, &world.context()).is_ok() {
            prop_assert_eq!(payload_digest(&changed, kind), before);
        }
    }

    #[test]
    fn noise_is_refused_without_a_panic(
        noise in proptest::collection::vec(any::<u8>(), 0..300),
        at in any::<Index>(),
        cut in any::<Index>(),
    ) {
        let world = world();
        let mut spliced = GOOD.job.clone();
        let at = at.index(spliced.len());
        let end = at + cut.index(spliced.len() - at + 1);
        let same = spliced[at..end] == noise[..];
        spliced.splice(at..end, noise.iter().copied());
        for job in [noise, spliced] {
            prop_assert!(same || run(&with_job(job), &world.context()).is_err());
        }
    }
}

/// Everything in order, signed once: signing is the slow part of these tests.
static GOOD: LazyLock<Signed> = LazyLock::new(|| world().signed());
static RELEASES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| releases(&world()));

fn with_job(job: Vec<u8>) -> Signed {
    Signed { job, ..GOOD.clone() }
}

/// What the vendor ever signed: for two apps, older and newer ones.
fn releases(world: &World) -> Vec<Vec<u8>> {
    let change = |change: fn(&mut Release)| {
        let mut release = world.release.clone();
        change(&mut release);
        sign(PayloadType::Release, &release, &[RELEASE])
    };
    vec![
        change(|_| {}),
        change(|r| (r.counter, r.version) = (6, "1.5.0".to_owned())),
        change(|r| (r.counter, r.rollback_floor) = (3, 1)),
        change(|r| r.app = "other".to_owned()),
        change(|r| r.channel = "beta".to_owned()),
        change(|r| r.operations.retain(|name, _| name != "destroy")),
        change(|r| r.components.truncate(1)),
        change(|r| r.inputs.retain(|name, _| name == "size")),
        change(|r| r.expires_ms = NOW + 1),
    ]
}

fn any_audience() -> impl Strategy<Value = Audience> {
    let names = (
        select(vec!["demo", "demo", "demo", "other"]),
        select(vec!["shop", "shop", "shop", "other"]),
        select(vec!["stable", "stable", "stable", "beta"]),
    );
    let install = select(vec!["acme", "acme", "acme", "acme2"]);
    let account = select(vec![None, None, None, None, Some("123456789012".to_owned())]);
    (names, install, select(vec![1, 1, 1, 2]), select(vec![3, 3, 3, 2, 4]), account).prop_map(
        |((org, app, channel), install, epoch, generation, account)| Audience {
            org: org.to_owned(),
            app: app.to_owned(),
            channel: channel.to_owned(),
            install: install.to_owned(),
            epoch,
            generation,
            account,
            region: None,
        },
    )
}

fn any_inputs() -> impl Strategy<Value = BTreeMap<String, Value>> {
    let value = select(vec![
        Value::Boolean(true),
        Value::Integer(3),
        Value::Integer(11),
        text("gold"),
        text("$(id)"),
        Value::List(vec![text("a-1")]),
        Value::List(vec![text("../x")]),
    ]);
    let good = select(vec![
        ("debug", Value::Boolean(false)),
        ("size", Value::Integer(-9)),
        ("tier", text("a; rm -rf /")),
        ("zones", Value::List(vec![text("b")])),
    ]);
    let wild = (select(vec!["debug", "size", "tier", "zones", "email", "region", "nothing"]), value);
    let debug = Just(("debug", Value::Boolean(true)));
    proptest::collection::vec(prop_oneof![4 => debug, 4 => good, 1 => wild], 0..5)
        .prop_map(|entries| entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn any_times() -> impl Strategy<Value = (i64, i64, i64)> {
    let near =
        select(vec![0, 0, 0, 1, -1_000, SKEW_MAX_MS, -SKEW_MAX_MS, SKEW_MAX_MS + 1, -START_WINDOW_MAX_MS]);
    let length =
        select(vec![START_WINDOW_MAX_MS, START_WINDOW_MAX_MS, 60_000, 1, 0, START_WINDOW_MAX_MS + 1]);
    (near.clone(), near, length)
        .prop_map(|(issued, from, length)| (NOW + issued, NOW + from, NOW + from + length))
}

type What = (&'static str, &'static str, Class);

fn any_what() -> impl Strategy<Value = What> {
    let component = select(vec!["network", "network", "network", "seed", "web", "nothing"]);
    let operation = select(vec!["deploy", "deploy", "deploy", "destroy", "drift", "wipe", "dance"]);
    let class = select(vec![Class::Change, Class::Change, Class::Destroy, Class::Read, Class::Plan]);
    (component, operation, class)
}

/// A job of the attacker's making; its release digest and counter may be of two releases.
fn any_job(digests: Vec<Digest>) -> impl Strategy<Value = Job> {
    let release = (select(digests), select(vec![5, 5, 5, 6, 3]));
    let numbers = (select(vec![7, 7, 8, 6, 1]), any::<bool>(), select(vec![600_000, 600_000, 600_001, 1]));
    (any_audience(), any_inputs(), any_times(), any_what(), release, numbers).prop_map(
        |(
            audience,
            inputs,
            times,
            (component, operation, class),
            release,
            (seq, sandbox, longest_run_ms),
        )| Job {
            audience,
            seq,
            sandbox,
            class,
            inputs,
            longest_run_ms,
            component: component.to_owned(),
            operation: operation.to_owned(),
            release: release.0,
            release_counter: release.1,
            issued_ms: times.0,
            not_before_ms: times.1,
            not_after_ms: times.2,
            ..world().job
        },
    )
}

/// The rules once more, as plainly as they can be said.
fn allowed(job: &Job, release: &Release, digest: Digest, context: &Context<'_>) -> bool {
    let now = context.now_ms;
    let start = job.not_before_ms..job.not_after_ms;
    let in_time = !start.is_empty()
        && start.end - start.start <= START_WINDOW_MAX_MS
        && job.issued_ms - now <= SKEW_MAX_MS
        && now >= start.start - SKEW_MAX_MS
        && now <= start.end + SKEW_MAX_MS;
    let component = release.components.iter().find(|component| component.name == job.component);
    // A change may be planned, whoever must approve it; of what needs an approval, no more than that.
    let classes = [
        ("deploy", Class::Change),
        ("deploy", Class::Plan),
        ("destroy", Class::Destroy),
        ("destroy", Class::Plan),
        ("drift", Class::Read),
        ("wipe", Class::Plan),
    ];
    job.audience == *context.audience
        && in_time
        && job.seq > context.seq_high
        && job.release == digest
        && release.app == context.audience.app
        && release.channel == context.audience.channel
        && now < release.expires_ms
        && job.release_counter == release.counter
        && release.counter >= context.counter_floor
        && component.is_some_and(|component| job.sandbox || !component.sandbox)
        && release.operations.contains_key(&job.operation)
        && classes.contains(&(&*job.operation, job.class))
        && job.longest_run_ms <= 600_000
        && (job.inputs.contains_key("debug") || !release.inputs.contains_key("debug"))
        && release
            .components
            .iter()
            .all(|component| refers(component).all(|name| release.inputs.contains_key(name)))
        && job
            .inputs
            .iter()
            .all(|(name, value)| release.inputs.contains_key(name) && input_allowed(name, value))
}

/// The inputs of the release that a component takes.
fn refers(component: &Component) -> impl Iterator<Item = &str> {
    component.inputs.values().flat_map(|source| match source {
        Source::Input(name) => vec![&**name],
        Source::Text(parts) => parts.iter().filter_map(input_of).collect(),
        Source::Literal(_) | Source::Output(_) => vec![],
    })
}

fn input_of(part: &Part) -> Option<&str> {
    match part {
        Part::Input(name) => Some(name),
        Part::Literal(_) | Part::Output(_) => None,
    }
}

fn input_allowed(name: &str, value: &Value) -> bool {
    match (name, value) {
        ("debug", Value::Boolean(_)) => true,
        ("size", Value::Integer(size)) => (-10..=10).contains(size),
        ("tier", Value::String(tier)) => ["gold", "a; rm -rf /"].contains(&&**tier),
        ("zones", Value::List(zones)) => !zones.contains(&text("../x")),
        _ => false,
    }
}

proptest! {
    #![proptest_config(config(1_000))]

    #[test]
    fn a_taken_over_broker_starts_only_what_is_allowed(
        (job, given) in {
            let digests: Vec<Digest> =
                RELEASES.iter().map(|release| payload_digest(release, PayloadType::Release)).collect();
            // Twice the good release: about one try in a few is allowed.
            let digests = [vec![digests[0]; 8], digests].concat();
            (any_job(digests), prop_oneof![4 => Just(None), 1 => (0..8_usize).prop_map(Some)])
        },
        audience in prop_oneof![6 => Just(world().audience), 1 => any_audience()],
    ) {
        let world = world();
        let named = |bytes: &&Vec<u8>| payload_digest(bytes, PayloadType::Release) == job.release;
        let release = given.map_or_else(|| RELEASES.iter().find(named).unwrap(), |at| &RELEASES[at]);
        let context = Context { audience: &audience, ..world.context() };
        let job_bytes = sign(PayloadType::Job, &job, &[DISPATCH]);
        let signed = Signed { release: release.clone(), ..with_job(job_bytes) };
        let digest = payload_digest(release, PayloadType::Release);
        let parsed: Release =
            remit_seal::strict::from_slice(&Envelope::parse(release, PayloadType::Release).unwrap().payload).unwrap();
        let expect = job.audience.org == "demo" && allowed(&job, &parsed, digest, &context);
        let found = run(&signed, &context);
        prop_assert_eq!(found.is_ok(), expect, "{:?}", found.err());
    }

    #[test]
    fn parts_of_valid_containers_do_not_make_another(
        payload in 0..6_usize,
        signature in 0..6_usize,
        label in 0..6_usize,
    ) {
        let world = world();
        let mut later = world.job.clone();
        later.seq += 1;
        let good = world.signed();
        let all: Vec<(PayloadType, Vec<u8>)> = vec![
            (PayloadType::Job, good.job.clone()),
            (PayloadType::Job, sign(PayloadType::Job, &later, &[DISPATCH])),
            (PayloadType::Job, sign(PayloadType::Job, &world.job, &[STRANGER])),
            (PayloadType::Release, good.release.clone()),
            (PayloadType::Release, sign(PayloadType::Release, &world.job, &[DISPATCH])),
            (PayloadType::Root, sign(PayloadType::Root, &world.job, &[ROOT, DISPATCH])),
        ];
        let part = |at: usize| Envelope::parse(&all[at].1, all[at].0).unwrap();
        let mixed = Envelope {
            payload_type: part(label).payload_type,
            payload: part(payload).payload,
            signatures: part(signature).signatures,
        };
        let root = verify::root(&good.root, Some(&good.pin), NOW).unwrap();
        let found: Result<Verified<Job>, _> = verify::job(&root, &mixed.to_bytes(), &world.context());
        let whole = payload == signature && payload < 2 && label < 3;
        prop_assert_eq!(found.is_ok(), whole, "{} {} {}", payload, signature, label);
    }
}

#[test]
fn an_envelope_is_accepted_once() {
    let mut world = world();
    let signed = world.signed();
    let seq = run(&signed, &world.context()).unwrap().job.seq;
    world.seq_high = seq;
    assert_eq!(run(&signed, &world.context()).unwrap_err().code(), "seal.replayed");
}
