//! The programs under test: built once per test program, found beside it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

const PROGRAMS_OF_BENCHES: [&str; 10] = [
    "--profile",
    "bench",
    "--bin",
    "remit",
    "--bin",
    "remit-broker",
    "--bin",
    "remit-runner",
    "--bin",
    "remit-sim",
];

static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();

/// Where a program of the workspace is, freshly built.
///
/// # Errors
/// The build failed.
pub fn path(name: &str) -> Result<PathBuf> {
    let directory = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    match directory {
        Ok(directory) => Ok(directory.join(name)),
        Err(error) => bail!("{error}"),
    }
}

/// Whoever has just built them says where: `cargo verify`, for all tests at once.
const BUILT_ALREADY: &str = "REMIT_PROGRAMS";

/// The same call as in `cargo verify`, so that after it this is a look at time stamps.
fn build() -> Result<PathBuf> {
    if let Some(directory) = std::env::var_os(BUILT_ALREADY) {
        return Ok(directory.into());
    }
    let this = std::env::current_exe().context("the path of this program")?;
    let directory = this.ancestors().nth(2).context("tests lie in target/debug/deps")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = directory.parent().context("target/debug lies in target")?;
    let mut command = Command::new(cargo);
    // What the outer cargo says of this test's package would look like a change to build scripts, and
    // everything would be built again.
    let of_this_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_this_package)) {
        command.env_remove(name);
    }
    // Beside the benches only what they start, built as they are: a release would take minutes more to link.
    let what: &[&str] = if directory.ends_with("release") { &PROGRAMS_OF_BENCHES } else { &["--bins"] };
    let status = command
        .args(["build", "--workspace", "--quiet"])
        .args(what)
        .env("CARGO_TARGET_DIR", target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .context("cargo could not be started")?;
    if !status.success() {
        bail!("the programs do not build");
    }
    Ok(directory.to_owned())
}
