//! Programs that are started by hand: where they are, whether they ended well, what Debian can install.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The first program of this name on the PATH.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// Runs a program to its end; anything but success is an error.
pub(crate) fn done(command: &mut Command) -> Result<()> {
    let name = Path::new(command.get_program()).display().to_string();
    let status = command.status().with_context(|| format!("{name} could not be started"))?;
    if !status.success() {
        bail!("{name} failed ({status})");
    }
    Ok(())
}

/// The same for what it prints on its standard output.
pub(crate) fn printed(command: &mut Command) -> Result<String> {
    let name = Path::new(command.get_program()).display().to_string();
    let out = command.output().with_context(|| format!("{name} could not be started"))?;
    if !out.status.success() {
        bail!("{name} failed ({}): {}", out.status, String::from_utf8_lossy(&out.stderr));
    }
    Ok(String::from_utf8(out.stdout)?)
}

/// Makes sure that something is there which this Debian package brings.
pub(crate) fn debian(package: &str, what: &str, is_there: impl Fn() -> bool) -> Result<()> {
    if !is_there() {
        install(package);
    }
    if !is_there() {
        bail!("{what} is needed for the tests (Debian: {package})");
    }
    Ok(())
}

/// Installs a Debian package. Without the right to, this fails, and whoever needs it says what is missing.
pub(crate) fn install(package: &str) {
    if on_path("apt-get").is_none() {
        return;
    }
    let install =
        || apt_get(Command::new("apt-get").args(["install", "--yes", "--no-install-recommends", package]));
    // A bare machine may never have asked what packages there are.
    if !install() && apt_get(Command::new("apt-get").arg("update")) {
        install();
    }
}

/// Downloads these packages into a directory, as the machine's own apt trusts them.
pub(crate) fn download(packages: &[&str], directory: &Path) -> Result<()> {
    let download = || apt_get(Command::new("apt-get").arg("download").args(packages).current_dir(directory));
    // A bare machine may never have asked what packages there are.
    if !download() {
        apt_get(Command::new("apt-get").arg("update"));
        if !download() {
            bail!("these packages cannot be had: {}", packages.join(", "));
        }
    }
    Ok(())
}

/// Unpacks every package of a directory below another.
pub(crate) fn unpack(directory: &Path, root: &Path) -> Result<()> {
    for file in std::fs::read_dir(directory)?.flatten().map(|entry| entry.path()) {
        if file.extension().is_some_and(|ending| ending == "deb") {
            done(Command::new("dpkg-deb").arg("--extract").arg(&file).arg(root))?;
        }
    }
    Ok(())
}

/// Whether apt did it. It talks for pages; what it has against a package, it says on standard error.
fn apt_get(command: &mut Command) -> bool {
    let command =
        command.arg("-qq").env("DEBIAN_FRONTEND", "noninteractive").stdout(std::process::Stdio::null());
    done(command).is_ok()
}
