//! Vectors kept as files: the bytes of version 1, which must be answered the same for ever.
//!
//! `cargo test -p remit-seal -- --ignored write_vectors` writes them anew from the cases;
//! do that only to add some.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use remit_seal::Digest;
use remit_seal::document::Audience;
use remit_seal::verify::Context;
use serde::{Deserialize, Serialize};

use crate::cases;
use crate::world::{Signed, run, world};

/// Larger documents are cases only: they are slow to read for what they show.
const SIZE_MAX: usize = 16 << 10;

/// One vector: three files beside the index, what the runner knows, and the answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    name: String,
    root: String,
    release: String,
    job: String,
    pin: Digest,
    audience: Audience,
    now_ms: i64,
    seq_high: u64,
    #[serde(default, skip_serializing_if = "is_none")]
    fence_high: u64,
    counter_floor: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    made_by: Option<Digest>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_fresh: bool,
    expect: String,
}

/// None was accepted before.
fn is_none(fence: &u64) -> bool {
    *fence == 0
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn index() -> Vec<Vector> {
    serde_json::from_slice(&fs::read(folder().join("index.json")).unwrap()).unwrap()
}

#[test]
fn every_vector_is_answered_as_its_index_says() {
    let vectors = index();
    assert!(vectors.len() > 100, "the index was cut");
    for vector in vectors {
        let read = |file: &str| fs::read(folder().join(file)).unwrap();
        let signed = Signed {
            root: read(&vector.root),
            pin: vector.pin,
            release: read(&vector.release),
            job: read(&vector.job),
        };
        let context = Context {
            audience: &vector.audience,
            now_ms: vector.now_ms,
            seq_high: vector.seq_high,
            fence_high: vector.fence_high,
            counter_floor: vector.counter_floor,
            made_by: vector.made_by,
            is_fresh: vector.is_fresh,
        };
        let found = match run(&signed, &context) {
            Ok(_) => "ok",
            Err(refusal) => refusal.code(),
        };
        assert_eq!(found, vector.expect, "{}", vector.name);
    }
}

#[test]
fn every_small_case_is_a_vector() {
    let kept: BTreeSet<String> = index().into_iter().map(|vector| vector.name).collect();
    let made: BTreeSet<String> = made().0.into_iter().map(|vector| vector.name).collect();
    assert_eq!(kept, made, "run the ignored test write_vectors");
}

#[test]
#[ignore = "writes files: run it to add vectors"]
fn write_vectors() {
    let (vectors, files) = made();
    for (name, bytes) in files {
        fs::write(folder().join(name), bytes).unwrap();
    }
    let json = serde_json::to_string_pretty(&vectors).unwrap();
    fs::write(folder().join("index.json"), json + "\n").unwrap();
}

/// The vectors of all cases, and their files. A document like the good one shares its file.
fn made() -> (Vec<Vector>, BTreeMap<String, Vec<u8>>) {
    let (mut vectors, mut files) = (Vec::new(), BTreeMap::new());
    for (name, spoil, expect) in cases::all() {
        let mut world = world();
        spoil(&mut world);
        let signed = world.signed();
        if [&signed.root, &signed.release, &signed.job].iter().any(|bytes| bytes.len() > SIZE_MAX) {
            continue;
        }
        let mut keep = |kind: &str, bytes: Vec<u8>| {
            let same = files
                .iter()
                .find(|(file, kept): &(&String, &Vec<u8>)| file.starts_with(kind) && **kept == bytes);
            let file = same.map_or_else(|| format!("{kind}.{name}.json"), |(file, _)| file.clone());
            files.insert(file.clone(), bytes);
            file
        };
        vectors.push(Vector {
            name: name.to_owned(),
            root: keep("root", signed.root),
            release: keep("release", signed.release),
            job: keep("job", signed.job),
            pin: signed.pin,
            audience: world.audience,
            now_ms: world.now_ms,
            seq_high: world.seq_high,
            fence_high: world.fence_high,
            counter_floor: world.counter_floor,
            made_by: world.made_by,
            is_fresh: world.is_fresh,
            expect: expect.to_owned(),
        });
    }
    (vectors, files)
}
