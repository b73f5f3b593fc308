//! The fuzz targets' bodies on the stable toolchain: over the seeds, the vectors and what is nearly one of
//! them. `cargo test -p remit-seal -- --ignored write_seeds` writes the seeds anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::Index;

use crate::bodies;

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn every_target_believes_each_of_its_seeds() {
    let mut without: BTreeSet<&str> = bodies::ALL.iter().map(|(name, _)| *name).collect();
    for (target, name, bytes) in bodies::seeds() {
        let file = folder("fuzz/seeds").join(target).join(name);
        assert_eq!(fs::read(&file).unwrap_or_default(), bytes, "{}: run write_seeds", file.display());
        let (_, body) = bodies::ALL.iter().find(|(known, _)| *known == target).unwrap();
        assert!(body(&bytes), "{target} no longer believes its seed {name}");
        without.remove(target);
    }
    assert!(without.is_empty(), "without seeds: {without:?}");
}

#[test]
fn no_vector_breaks_a_rule_of_any_target() {
    let vectors = files(&folder("tests/vectors"));
    assert!(vectors.len() > 100);
    let believed = vectors.iter().filter(|bytes| bodies::container(bytes)).count();
    assert!(believed > 100, "{believed}");
    for bytes in vectors.iter().step_by(7) {
        for (_, body) in bodies::ALL {
            body(bytes);
        }
    }
}

#[test]
fn every_target_is_built_by_the_fuzzer() {
    let manifest = fs::read_to_string(folder("fuzz/Cargo.toml")).unwrap();
    for (name, _) in bodies::ALL {
        assert!(manifest.contains(&format!("path = \"targets/{name}.rs\"")), "{name}");
        let target = fs::read_to_string(folder("fuzz/targets").join(format!("{name}.rs"))).unwrap();
        assert!(target.contains(&format!("bodies::{name}(bytes)")), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_nearly_a_seed_breaks_no_rule(
        which in any::<Index>(), at in any::<Index>(), len in 0_usize..9, put in prop::collection::vec(any::<u8>(), 0..9),
    ) {
        let seeds = bodies::seeds();
        let (target, _, mut bytes) = seeds[which.index(seeds.len())].clone();
        let from = at.index(bytes.len());
        let to = (from + len).min(bytes.len());
        bytes.splice(from..to, put);
        let (_, body) = bodies::ALL.iter().find(|(known, _)| *known == target).unwrap();
        body(&bytes);
    }
}

#[test]
#[ignore = "writes files: run it to add seeds"]
fn write_seeds() {
    for (target, name, bytes) in bodies::seeds() {
        let folder = folder("fuzz/seeds").join(target);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
    }
}
