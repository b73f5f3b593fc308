//! One stage: commands run one after another with their words in a log file, shown when one fails.
//! A stage that takes too long is killed with everything that it started.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::tally::Outcome;
use crate::{House, part};

/// The longest that one command may take; a cold build on two cores takes a quarter of it.
const COMMAND_MAX: Duration = Duration::from_secs(40 * 60);
/// How often a running command is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How many lines of a failed stage's log are shown.
const LOG_LINES_SHOWN: usize = 150;

/// A named part of `cargo verify`.
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    pub(crate) plan: Plan,
}

/// What a stage runs.
pub(crate) enum Plan {
    /// These commands.
    Run(Vec<Call>),
    /// What a part gives that may have to be set up first.
    Part(fn(&House) -> Result<Vec<Call>>),
}

/// A program and its arguments.
pub(crate) struct Call {
    program: OsString,
    args: Vec<OsString>,
}

impl Call {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Call {
        Call { program: program.as_ref().to_owned(), args: Vec::new() }
    }

    pub(crate) fn cargo<'a>(args: impl IntoIterator<Item = &'a str>) -> Call {
        Call::new("cargo").args(args)
    }

    pub(crate) fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Call {
        self.args.extend(args.into_iter().map(OsString::from));
        self
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Call {
        self.args.push(arg.as_ref().to_owned());
        self
    }
}

/// Every stage, cheap ones first. The tests run once, with one set of features.
pub(crate) fn all() -> Vec<Stage> {
    let cargo =
        |name, args: &[&str]| Stage { name, plan: Plan::Run(vec![Call::cargo(args.iter().copied())]) };
    vec![
        cargo("fmt", &["fmt", "--all", "--check"]),
        cargo("clippy", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]),
        Stage { name: "deny", plan: Plan::Part(part::cargo_deny) },
        cargo("build", &["build", "--workspace", "--bins", "--quiet"]),
        Stage { name: "parts", plan: Plan::Part(part::parts) },
        Stage { name: "test", plan: Plan::Part(part::tests) },
        Stage { name: "sim", plan: Plan::Part(part::simulator) },
        Stage { name: "hostile", plan: Plan::Part(part::hostile) },
        Stage { name: "template", plan: Plan::Part(part::cfn_lint) },
    ]
}

impl Stage {
    /// Runs the commands until one fails; its log is shown then.
    pub(crate) fn run(&self, house: &House, commands: &[Call]) -> Result<Outcome> {
        let directory = house.target.join("verify");
        std::fs::create_dir_all(&directory).context("the directory of the logs")?;
        let path = directory.join(format!("{}.log", self.name));
        let log = File::create(&path).context("the log of a stage")?;
        let began = Instant::now();
        let mut failure = None;
        for command in commands {
            failure = run_one(house, command, &log)?;
            if failure.is_some() {
                break;
            }
        }
        let text = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
        if let Some(reason) = &failure {
            show(&text, reason, &path);
        }
        Ok(Outcome { stage: self.name, failed: failure.is_some(), took: began.elapsed(), log: text })
    }
}

/// None if it went well, else the reason.
fn run_one(house: &House, call: &Call, log: &File) -> Result<Option<String>> {
    let name = call.program.to_string_lossy().into_owned();
    let mut command = Command::new(&call.program);
    // What the outer cargo says of this package would look like a change to build scripts.
    let of_this_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_this_package)) {
        command.env_remove(name);
    }
    let mut child = command
        .args(&call.args)
        .current_dir(&house.root)
        .env("CARGO_TARGET_DIR", &house.target)
        .env("CARGO_TERM_COLOR", "never")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        .process_group(0)
        .spawn()
        .with_context(|| format!("{name} could not be started"))?;
    Ok(match wait(&mut child)? {
        Some(status) if status.success() => None,
        Some(status) => Some(format!("{name}: {status}")),
        None => Some(format!("{name} took more than {} minutes and was killed", COMMAND_MAX.as_secs() / 60)),
    })
}

/// None if it had to be killed.
fn wait(child: &mut Child) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + COMMAND_MAX;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        sleep(LOOK_EVERY);
    }
    // The child leads a process group of its own: this reaches what it started, too.
    Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]).status()?;
    child.wait()?;
    Ok(None)
}

fn show(log: &str, reason: &str, path: &Path) {
    let lines: Vec<&str> = log.lines().collect();
    for line in &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..] {
        println!("      | {line}");
    }
    println!("      {reason}; the whole log: {}", path.display());
}
