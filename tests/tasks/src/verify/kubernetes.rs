//! A Kubernetes API server for the tests. Nobody packs one that an ordinary package registry has, so it is built
//! from Debian's source, once for each user of a machine: minutes on two cores.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::House;
use crate::command::{done, download, on_path, unpack};
use crate::kept::{Kept, remove};

/// By the version of the server and of this recipe.
const SERVER: Kept = Kept {
    name: "kubernetes-1.20.2-1",
    programs: &PROGRAMS,
    build: |place| Build { place: place.to_owned() }.run(),
};
/// The newest source with everything that it is built from; Debian's later ones build only the client.
const SOURCE: &str = "pool/main/k/kubernetes/kubernetes_1.20.5+really1.20.2.orig.tar.gz";
const SOURCE_SHA256: &str = "b83c0780efb182d928dc63d46488a847f161f04e40a94b96bf5247dd671ecdfc";
/// The toolchain, its library, the store that the server needs, and the one library of the source that is too old
/// for this toolchain.
const PACKAGES: [&str; 4] =
    ["golang-1.19-go", "golang-1.19-src", "etcd-server", "golang-github-modern-go-reflect2-dev"];
const GO: &str = "usr/lib/go-1.19";
const TOO_OLD: &str = "github.com/modern-go/reflect2";
const PROGRAMS: [&str; 2] = ["kube-apiserver", "etcd"];

/// The tests find both programs on the PATH, or by a link below the target directory.
pub(crate) fn is_there(_: &House) -> bool {
    is_on_path() || SERVER.is_whole()
}

fn is_on_path() -> bool {
    PROGRAMS.iter().all(|name| on_path(name).is_some())
}

pub(crate) fn set_up(house: &House) -> Result<()> {
    if is_on_path() {
        return Ok(());
    }
    SERVER.link(house, "kubernetes").context(
        "a Kubernetes API server is needed for the tests: it is built on Debian 12 from Debian's packages; \
         elsewhere put kube-apiserver and etcd on the PATH",
    )
}

/// Everything but the result is thrown away afterwards.
struct Build {
    place: PathBuf,
}

impl Build {
    fn run(&self) -> Result<()> {
        let kept = self.place.join("kept");
        self.fetch()?;
        self.unpack()?;
        self.describe()?;
        let server = kept.join("kube-apiserver");
        // Without the clouds' own parts, which are a third of it; small, and the same wherever it is built.
        let flags = ["build", "-tags", "providerless", "-trimpath", "-ldflags", "-s -w", "-o"];
        done(self.go(flags).arg(&server).arg("./cmd/kube-apiserver"))?;
        fs::copy(self.place.join("root/usr/bin/etcd"), kept.join("etcd"))?;
        Ok(())
    }

    /// Packages as the machine's own apt trusts them; the source by its digest.
    fn fetch(&self) -> Result<()> {
        download(&PACKAGES, &self.place)?;
        let source = format!("{}{SOURCE}", self.mirror()?);
        let mut helper = Command::new("/usr/lib/apt/apt-helper");
        helper.args(["-q", "download-file", &source]).arg(self.place.join("source.tar.gz"));
        done(helper.arg(format!("SHA256:{SOURCE_SHA256}")))
    }

    /// Where this machine gets Debian's packages from; asked elsewhere, as what is there already is not named.
    fn mirror(&self) -> Result<String> {
        let mut ask = Command::new("apt-get");
        ask.args(["download", "--print-uris", PACKAGES[0]]).current_dir("/");
        let text = String::from_utf8(ask.output()?.stdout)?;
        let mirror = text.trim_start_matches('\'').split_once("pool/").map(|(mirror, _)| mirror.to_owned());
        mirror.context("apt does not say where it gets packages from")
    }

    fn unpack(&self) -> Result<()> {
        let root = self.place.join("root");
        unpack(&self.place, &root)?;
        let source = self.source();
        fs::create_dir_all(&source)?;
        let mut tar = Command::new("tar");
        tar.args(["--extract", "--strip-components=1", "--file"]).arg(self.place.join("source.tar.gz"));
        done(tar.arg("--directory").arg(&source))?;
        let old = source.join("vendor").join(TOO_OLD);
        remove(&old)?;
        fs::rename(root.join("usr/share/gocode/src").join(TOO_OLD), old).context("the newer library")
    }

    /// The server describes its API from a file that the source leaves to be generated.
    fn describe(&self) -> Result<()> {
        let mut grep = Command::new("grep");
        grep.args([
            "-rl",
            "--include=*.go",
            "--exclude-dir=code-generator",
            "--exclude-dir=sample-apiserver",
        ]);
        grep.args(["^// +k8s:openapi-gen=", "pkg", "staging/src/k8s.io"]).current_dir(self.source());
        let files = String::from_utf8(grep.output()?.stdout)?;
        let mut packages: Vec<String> = files.lines().filter_map(package).collect();
        packages.sort();
        packages.dedup();
        let program = self.place.join("openapi-gen");
        let generator = "./vendor/k8s.io/kube-openapi/cmd/openapi-gen";
        done(self.go(["build", "-o"]).arg(&program).arg(generator))?;
        let mut generate = self.with_go(&program);
        generate.args(["-i", &packages.join(","), "-p", "k8s.io/kubernetes/pkg/generated/openapi"]);
        generate.args([
            "-O",
            "zz_generated.openapi",
            "-h",
            "vendor/k8s.io/code-generator/hack/boilerplate.go.txt",
        ]);
        done(generate.arg("-r").arg(self.place.join("violations")))
    }

    /// Where Go looks for a package of this name.
    fn source(&self) -> PathBuf {
        self.place.join("go/src/k8s.io/kubernetes")
    }

    fn go<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = self.with_go(&self.place.join("root").join(GO).join("bin/go"));
        command.args(args);
        command
    }

    /// A program in the source, with this toolchain and nothing of another.
    fn with_go(&self, program: &Path) -> Command {
        let root = self.place.join("root").join(GO);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(root.join("bin")).chain(std::env::split_paths(&path));
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GO")) {
            command.env_remove(name);
        }
        command
            .current_dir(self.source())
            .env("PATH", std::env::join_paths(path).unwrap_or_default())
            .env("GOROOT", root)
            .env("GOPATH", self.place.join("go"))
            .env("GOCACHE", self.place.join("cache"))
            .env("GO111MODULE", "off")
            .env("CGO_ENABLED", "0");
        command
    }
}

/// The name by which the source imports the package of a file.
fn package(file: &str) -> Option<String> {
    let (folder, _) = file.rsplit_once('/')?;
    let folder = folder.strip_prefix("staging/src/").map_or(folder.to_owned(), |own| format!("vendor/{own}"));
    Some(format!("k8s.io/kubernetes/{folder}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_named_as_it_is_imported() {
        let staged = package("staging/src/k8s.io/api/core/v1/doc.go").unwrap();
        assert_eq!(staged, "k8s.io/kubernetes/vendor/k8s.io/api/core/v1");
        assert_eq!(package("pkg/apis/abac/v0/doc.go").unwrap(), "k8s.io/kubernetes/pkg/apis/abac/v0");
    }
}
