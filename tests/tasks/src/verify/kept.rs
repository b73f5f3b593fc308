//! What takes minutes to build is built once for each user of a machine, and is there for the next checkout.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::House;

/// Something with these programs in it, by a name that changes with its version and with how it is built.
pub(crate) struct Kept {
    pub(crate) name: &'static str,
    pub(crate) programs: &'static [&'static str],
    /// Builds below a directory that is thrown away, and leaves the programs in `kept` there.
    pub(crate) build: fn(&Path) -> Result<()>,
}

impl Kept {
    /// Where it lies, built or not.
    pub(crate) fn place(&self) -> Result<PathBuf> {
        Ok(cache()?.join("remit-tools").join(self.name))
    }

    pub(crate) fn is_whole(&self) -> bool {
        let place = self.place();
        place.is_ok_and(|place| self.programs.iter().all(|name| place.join(name).is_file()))
    }

    /// Builds it if nobody has, and links it below the target directory, where the tests look.
    pub(crate) fn link(&self, house: &House, name: &str) -> Result<()> {
        let place = self.place()?;
        let folder = place.parent().context("it was joined of two")?;
        fs::create_dir_all(folder)?;
        // Whoever else builds it is waited for.
        let lock = File::create(folder.join(format!("{}.lock", self.name)))?;
        lock.lock()?;
        if !self.is_whole() {
            let build = folder.join(format!("{}.build", self.name));
            remove(&build)?;
            fs::create_dir_all(build.join("kept"))?;
            let built = (self.build)(&build).and_then(|()| {
                remove(&place)?;
                Ok(fs::rename(build.join("kept"), &place)?)
            });
            remove(&build)?;
            built?;
        }
        link(&place, &house.tools().join(name))
    }
}

/// Outlives the checkout: what took minutes is there for the next one.
fn cache() -> Result<PathBuf> {
    let named = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    named.or_else(home).context("neither XDG_CACHE_HOME nor HOME is set")
}

fn link(kept: &Path, link: &Path) -> Result<()> {
    if fs::read_link(link).is_ok_and(|to| to == kept) {
        return Ok(());
    }
    remove(link)?;
    fs::create_dir_all(link.parent().context("it lies below the target directory")?)?;
    symlink(kept, link).with_context(|| format!("linking {}", link.display()))
}

/// Takes a file, a link or a folder away, if it is there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Err(_) => return Ok(()),
        Ok(at) if at.is_dir() => remove_folder(path),
        Ok(_) => fs::remove_file(path),
    }
    .with_context(|| format!("removing {}", path.display()))
}

/// Go keeps what it downloads without the right to write, so that nobody changes it by mistake.
fn remove_folder(path: &Path) -> std::io::Result<()> {
    if fs::remove_dir_all(path).is_ok() {
        return Ok(());
    }
    let _ = std::process::Command::new("chmod").args(["-R", "u+w"]).arg(path).status();
    fs::remove_dir_all(path)
}
