//! The README's journey by hand, with the very commands that stand there: what a stranger pastes must work.
//!
//! Other ports and another directory of the customer's are put in, since tests run beside each other; of the
//! vendor's last commands the one that follows a log for ever is left out.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use remit_tests::world::{Process, programs, wait_for};

/// The blocks of commands under "The journey by hand".
fn blocks() -> Vec<String> {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let (_, journey) = readme.split_once("## The journey by hand").unwrap();
    let (journey, _) = journey.split_once("\n## ").unwrap();
    let block = |text: &str| text.split_once("```").map(|(commands, _)| commands.to_owned());
    journey.split("```sh\n").skip(1).map(|text| block(text).unwrap()).collect()
}

/// A directory in which the commands are given.
struct Place {
    directory: tempfile::TempDir,
    exports: String,
    path: OsString,
}

impl Place {
    fn new() -> Place {
        let programs = programs::path("remit").unwrap().parent().unwrap().to_owned();
        let rest = remit_tofu::path();
        let all = std::iter::once(programs).chain(std::env::split_paths(&rest));
        let path = std::env::join_paths(all).unwrap();
        let directory = tempfile::Builder::new().prefix("remit-readme-").tempdir().unwrap();
        Place { directory, exports: String::new(), path }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn shell(&self, folder: &str, commands: &str) -> Command {
        let mut command = Command::new("bash");
        command
            .args(["-euo", "pipefail", "-c", &format!("{}\n{commands}", self.exports)])
            .current_dir(self.file(folder))
            .env("PATH", &self.path)
            .env("NO_COLOR", "1");
        command
    }

    fn run(&self, folder: &str, commands: &str) -> String {
        let out = self.shell(folder, commands).output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{commands}\n{text}");
        text
    }

    /// In the background, in the shell's own place, so that it ends with the test.
    fn start(&self, folder: &str, log: &str, command: &str) -> Process {
        Process::spawn(self.shell(folder, &format!("exec {command}")), &self.file(log)).unwrap()
    }
}

#[test]
fn what_the_readme_says_by_hand_works() {
    let blocks = blocks();
    let [_build, broker, vendor, customer, vendor_again] = &blocks[..] else {
        panic!("the journey has five blocks of commands, not {}", blocks.len());
    };
    let mut place = Place::new();
    let (api, rpc) = (remit_postgres::free_port().unwrap(), remit_postgres::free_port().unwrap());
    let listen = format!("--api-listen 127.0.0.1:{api} --rpc-listen 127.0.0.1:{rpc}");
    let _broker = place.start("", "broker.log", &format!("{} {listen}", broker.trim()));
    place.exports = wait_for("what to export", || {
        let said = fs::read_to_string(place.file("broker.log"))?;
        let exports: Vec<&str> = said.lines().filter(|l| l.trim().starts_with("export REMIT_")).collect();
        Ok((exports.len() == 3).then(|| exports.join("\n")))
    })
    .unwrap();
    let said = place.run("", vendor);

    let site = place.file("acme-site").display().to_string();
    let here = |text: &str| text.replace("/tmp/acme-site", &site);
    let (_, root) = said.split_once("--root-sha256 ").unwrap();
    let customer = here(customer)
        .replace("HEX", root.split_whitespace().next().unwrap())
        .replace("https://127.0.0.1:7451", &format!("https://127.0.0.1:{rpc}"));
    let (before, runner) = customer.split_once("remit-runner run").unwrap();
    place.run("shop", before);
    let status = format!("--status-listen 127.0.0.1:{}", remit_postgres::free_port().unwrap());
    let runner = format!("remit-runner run {status} {}", runner.trim());
    let mut started = place.start("shop", "runner.log", &runner);
    let cannot_confine = wait_for("the runner's first words", || {
        let log = fs::read_to_string(place.file("runner.log"))?;
        Ok((log.contains("http://") || started.ended()?.is_some())
            .then(|| log.contains("runner.confinement_missing")))
    })
    .unwrap();
    let _started = if cannot_confine {
        place.start("shop", "runner.log", &format!("{runner} --confinement best"))
    } else {
        started
    };

    let forever = |line: &&str| !line.contains("logs acme -f");
    let commands: Vec<&str> = vendor_again.lines().filter(forever).collect();
    let said = place.run("shop", &here(&commands.join("\n")));
    for words in ["acme is active", "network", "amqp://", "drift", "nothing is left of it"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let left: Vec<_> = fs::read_dir(&site).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}
