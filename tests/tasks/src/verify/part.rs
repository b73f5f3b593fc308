//! Parts that the checks need beside the Rust toolchain: used where present, else set up from their registry,
//! pinned, beside what is compiled meanwhile. A part that cannot be had fails whatever needs it, loudly.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::House;
use crate::command::{debian, done, install, on_path};
use crate::kept::Kept;
use crate::{kubernetes, opentofu};

/// Checks licences, bans and sources; the one version that `deny.toml` is written for.
const CARGO_DENY: &str = "0.20.2";
const DENY: Kept = Kept { name: "cargo-deny-0.20.2", programs: &["cargo-deny"], build: build_cargo_deny };
/// Knows the CloudFormation resource specification.
const CFN_LINT: &str = "1.58.0";
/// A real AWS API on loopback.
const MOTO: &str = "5.2.1";

/// One part.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    is_there: fn(&House) -> bool,
    set_up: fn(&House) -> Result<()>,
    /// Whether the tests need it; the others are of one stage.
    is_for_tests: bool,
}

/// Every part, in the order in which they are set up: the tests' first.
const PARTS: [Part; 8] = [
    Part {
        name: "postgresql",
        is_there: |_| has_postgres(),
        set_up: |_| debian("postgresql", "a PostgreSQL server", has_postgres),
        is_for_tests: true,
    },
    Part {
        name: "tinyproxy",
        is_there: |_| on_path("tinyproxy").is_some(),
        set_up: |_| debian("tinyproxy", "an HTTP proxy", || on_path("tinyproxy").is_some()),
        is_for_tests: true,
    },
    Part {
        name: "iproute2",
        is_there: |_| on_path("ip").is_some(),
        set_up: |_| debian("iproute2", "`ip`, for networks of the tests' own", || on_path("ip").is_some()),
        is_for_tests: true,
    },
    Part { name: "moto", is_there: has_moto, set_up: moto, is_for_tests: true },
    Part {
        name: "kubernetes",
        is_there: kubernetes::is_there,
        set_up: kubernetes::set_up,
        is_for_tests: true,
    },
    Part { name: "terraform", is_there: opentofu::is_there, set_up: opentofu::set_up, is_for_tests: true },
    Part { name: "cfn-lint", is_there: has_cfn_lint, set_up: cfn_lint, is_for_tests: false },
    Part { name: "cargo-deny", is_there: has_cargo_deny, set_up: cargo_deny, is_for_tests: false },
];

/// The names of the parts that the tests need.
pub(crate) fn for_tests() -> Vec<&'static str> {
    PARTS.iter().filter(|part| part.is_for_tests).map(|part| part.name).collect()
}

/// How it went with each part so far.
#[derive(Clone, Default)]
pub(crate) struct Parts(Arc<(Mutex<BTreeMap<&'static str, SetUp>>, Condvar)>);

/// How a part was set up.
struct SetUp {
    took: Duration,
    was_there: bool,
    error: Option<String>,
}

impl Parts {
    /// Sets these parts up, one after the other, beside whatever is done meanwhile.
    pub(crate) fn begin(house: &House, names: &[&str]) -> Self {
        let parts = Self::default();
        let wanted: Vec<&Part> = PARTS.iter().filter(|part| names.contains(&part.name)).collect();
        let (ours, house) = (parts.clone(), house.clone());
        std::thread::spawn(move || wanted.into_iter().for_each(|part| ours.set_up(&house, part)));
        parts
    }

    fn set_up(&self, house: &House, part: &Part) {
        let began = Instant::now();
        let was_there = (part.is_there)(house);
        if !was_there {
            println!("       setting up {}", part.name);
        }
        // Also of what is there: links below the target directory are made anew.
        let error = (part.set_up)(house).err().map(|error| format!("{error:#}"));
        let took = began.elapsed();
        if !was_there {
            let word = if error.is_none() { "ready" } else { "FAILED" };
            println!("{word:<6} {:<9} {:>7.1} s  beside the other work", part.name, took.as_secs_f64());
        }
        self.lock().insert(part.name, SetUp { took, was_there, error });
        self.0.1.notify_all();
    }

    /// Waits for these parts.
    ///
    /// # Errors
    /// The first that could not be set up, with the reason.
    pub(crate) fn wait(&self, names: &[&str]) -> Result<()> {
        for name in names {
            let missing = |all: &mut BTreeMap<&'static str, SetUp>| !all.contains_key(name);
            let all = self.0.1.wait_while(self.lock(), missing).unwrap_or_else(PoisonError::into_inner);
            if let Some(error) = all.get(name).and_then(|part| part.error.as_ref()) {
                bail!("{name}: {error}");
            }
        }
        Ok(())
    }

    /// What had to be set up, and how long each took.
    pub(crate) fn report(&self) -> String {
        let all = self.lock();
        let new = all.iter().filter(|(_, part)| !part.was_there && part.error.is_none());
        let words: Vec<String> =
            new.map(|(name, part)| format!("{name} {:.0} s", part.took.as_secs_f64())).collect();
        if words.is_empty() {
            "every part was there".to_owned()
        } else {
            format!("set up: {}", words.join(", "))
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, SetUp>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn has_postgres() -> bool {
    let mut versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    on_path("postgres").is_some() || versions.any(|version| version.path().join("bin/postgres").is_file())
}

/// The tests find it on the PATH, or here.
fn has_moto(house: &House) -> bool {
    on_path("moto_server").is_some() || house.tools().join("python/bin/moto_server").is_file()
}

fn moto(house: &House) -> Result<()> {
    if has_moto(house) { Ok(()) } else { python(house, &format!("moto[server]=={MOTO}")) }
}

fn has_cfn_lint(house: &House) -> bool {
    house.tools().join("python/bin/cfn-lint").is_file()
}

fn cfn_lint(house: &House) -> Result<()> {
    if has_cfn_lint(house) { Ok(()) } else { python(house, &format!("cfn-lint=={CFN_LINT}")) }
}

/// Installs a package of Python's into an environment of our own.
fn python(house: &House, package: &str) -> Result<()> {
    let place = house.tools().join("python");
    let make = |place: &Path| done(Command::new("python3").args(["-m", "venv"]).arg(place));
    if !place.join("bin/pip").is_file() && make(&place).is_err() {
        // Debian keeps python's venv in a package of its own; whoever may, installs it.
        install("python3-venv");
        make(&place).context("python3 with its venv module (Debian: python3-venv) is needed")?;
    }
    done(Command::new(place.join("bin/pip")).args(["install", "--quiet", package]))
}

fn has_cargo_deny(_: &House) -> bool {
    on_path("cargo-deny").is_some() || DENY.is_whole()
}

fn cargo_deny(house: &House) -> Result<()> {
    if on_path("cargo-deny").is_some() { Ok(()) } else { DENY.link(house, "cargo-deny") }
}

/// In the gaps that the other work leaves: nothing waits for it before the end.
fn build_cargo_deny(place: &Path) -> Result<()> {
    let mut install = Command::new("nice");
    install.args(["-n", "19", "cargo", "install", "--locked", "--quiet", "cargo-deny"]);
    install.args(["--version", CARGO_DENY, "--root"]).arg(place);
    done(install.env("CARGO_TARGET_DIR", place.join("target")))?;
    let program = "cargo-deny";
    Ok(std::fs::rename(place.join("bin").join(program), place.join("kept").join(program))?)
}
