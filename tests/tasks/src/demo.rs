//! `cargo demo`: builds the programs and runs `remit dev` on the example
//! product with the arguments given. It has no logic of its own: the journey is `remit dev`.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let root = workspace_root();
    build(&root)?;
    let programs = programs_directory()?;
    let error = Command::new(programs.join("remit"))
        .arg("dev")
        .arg("--product")
        .arg(root.join("tests/products/shop"))
        .args(std::env::args_os().skip(1))
        .env("PATH", path_with_tofu(&programs)?)
        .exec();
    Err(error).context("remit could not be started")
}

/// Where there is no terraform, OpenTofu is taken if `cargo verify` has set it up here.
fn path_with_tofu(programs: &Path) -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let target = programs.parent().context("programs lie in target/debug")?;
    // The last to be asked: what the machine has of its own comes before.
    let all = std::env::split_paths(&path).chain([target.join("tools/opentofu")]);
    Ok(std::env::join_paths(all)?)
}

/// The same call as in `cargo verify`, so that neither builds again what the other has built; `remit dev`
/// looks for the runner beside itself.
fn build(root: &Path) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // What the outer cargo says of this package would look like a change to build scripts.
    let of_this_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_this_package)) {
        command.env_remove(name);
    }
    let status = command
        .current_dir(root)
        .args(["build", "--workspace", "--bins"])
        .status()
        .context("cargo could not be started")?;
    if !status.success() {
        bail!("the build failed (its messages are above)");
    }
    Ok(())
}

fn workspace_root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.expect("this crate lies two folders below the workspace").to_owned()
}

/// Where cargo put this very program: its neighbours are the programs just built.
fn programs_directory() -> Result<PathBuf> {
    let this = std::env::current_exe().context("the path of this program")?;
    Ok(this.parent().context("a program always lies in a directory")?.to_owned())
}
