//! What `cargo verify` looks at, in its order, and what each stage needs.

use anyhow::Result;

use crate::House;
use crate::part;
use crate::stage::{Call, Running};
use crate::tally::Outcome;
use crate::test_run;

/// A named part of `cargo verify`.
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    /// The parts without which it cannot begin.
    pub(crate) needs: Vec<&'static str>,
    pub(crate) plan: Plan,
}

/// How a stage goes.
pub(crate) enum Plan {
    /// By these commands, one after the other.
    Commands(fn(&House) -> Vec<Call>),
    /// The same, while the stages after it go on: it has a target directory of its own, or none.
    Beside(fn(&House) -> Vec<Call>),
    /// By code of its own.
    Own(fn(&House, Running<'_>) -> Result<Outcome>),
}

/// Every stage, cheap ones first.
///
/// All that tests run is compiled in one call of cargo, with one set of features. What clippy has to look at it looks
/// at while tests run, which wait more than they work; it has its own target directory, since cargo lets nobody else
/// build while it builds.
pub(crate) fn all() -> Vec<Stage> {
    let stage = |name, needs: &[&'static str], plan| Stage { name, needs: needs.to_vec(), plan };
    vec![
        stage("fmt", &[], Plan::Commands(|_| vec![Call::cargo(["fmt", "--all", "--check"])])),
        stage("build", &[], Plan::Commands(build)),
        stage("clippy", &[], Plan::Beside(clippy)),
        Stage { name: "parts", needs: part::for_tests(), plan: Plan::Commands(|_| Vec::new()) },
        Stage { name: "test", needs: part::for_tests(), plan: Plan::Own(test_run::run) },
        stage("sim", &[], Plan::Commands(|house| built(house, "remit-sim", ["--seeds", "10", "--stats"]))),
        stage("hostile", &[], Plan::Commands(|house| built(house, "remit-hostile", ["--tries", "20000"]))),
        stage("template", &["cfn-lint"], Plan::Commands(template)),
        stage("deny", &["cargo-deny"], Plan::Commands(deny)),
    ]
}

/// Programs, tests and examples at once: what one waits for, another works in.
fn build(_: &House) -> Vec<Call> {
    vec![test_run::compile().args(["--quiet"]), programs()]
}

/// The same call as in `cargo demo`, so that neither builds again what the other has built.
fn programs() -> Call {
    Call::cargo(["build", "--workspace", "--bins", "--quiet"])
}

fn clippy(house: &House) -> Vec<Call> {
    let check = ["clippy", "--workspace", "--all-targets", "--quiet", "--target-dir"];
    let all = Call::cargo(check).arg(house.target.join("clippy")).args(["--", "-D", "warnings"]);
    vec![all.nice()]
}

/// A program of the workspace as all of it was built: alone it would be built with other features, once more.
fn built<'a>(house: &House, name: &str, args: impl IntoIterator<Item = &'a str>) -> Vec<Call> {
    vec![programs(), Call::new(house.target.join("debug").join(name)).args(args)]
}

/// Renders the template of an install as the vendor's CLI does, and lints it.
fn template(house: &House) -> Vec<Call> {
    let template = |name: &str| house.target.join("verify").join(name);
    let both = [template("install.template.json"), template("role.template.json")];
    vec![
        Call::cargo(["build", "--workspace", "--example", "render", "--quiet"]),
        Call::new(house.target.join("debug/examples/render")).arg(&both[0]).arg(&both[1]),
        Call::new(house.tools().join("python/bin/cfn-lint"))
            .args(["--regions", "eu-central-1", "us-east-1", "--template"])
            .arg(&both[0])
            .arg(&both[1]),
    ]
}

/// The advisory database is not asked: it is no part of this check, so that the check needs no network.
fn deny(house: &House) -> Vec<Call> {
    let own = house.tools().join("cargo-deny/cargo-deny");
    let program = crate::command::on_path("cargo-deny").unwrap_or(own);
    let check = ["--offline", "check", "licenses", "bans", "sources"];
    // Offline, cargo wants every locked crate on disk, those for other systems among them.
    vec![Call::cargo(["fetch", "--locked", "--quiet"]), Call::new(program).args(check)]
}
