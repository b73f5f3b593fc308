//! One stage: commands run one after another with their words in a log file, shown when one fails.
//! A stage that takes too long is killed with everything that it started.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::House;
use crate::tally::Outcome;

/// The longest that one command may take; a cold build on two cores takes a quarter of it.
const COMMAND_MAX: Duration = Duration::from_secs(40 * 60);
/// How often a running command is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How many lines of a failed stage's log are shown.
const LOG_LINES_SHOWN: usize = 150;

/// A program and its arguments.
#[derive(Clone)]
pub(crate) struct Call {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
    directory: Option<PathBuf>,
}

impl Call {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Call {
        Call { program: program.as_ref().to_owned(), args: Vec::new(), env: Vec::new(), directory: None }
    }

    pub(crate) fn cargo<'a>(args: impl IntoIterator<Item = &'a str>) -> Call {
        Call::new("cargo").args(args)
    }

    /// The same in the gaps that other work leaves.
    pub(crate) fn nice(self) -> Call {
        let nice = ["-n", "19"].map(OsString::from);
        let args = nice.into_iter().chain([self.program]).chain(self.args).collect();
        Call { program: "nice".into(), args, env: self.env, directory: self.directory }
    }

    pub(crate) fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Call {
        self.args.extend(args.into_iter().map(OsString::from));
        self
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Call {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Call {
        self.env.push((name, value.as_ref().to_owned()));
        self
    }

    /// Elsewhere than in the workspace's folder.
    pub(crate) fn within(mut self, directory: &Path) -> Call {
        self.directory = Some(directory.to_owned());
        self
    }

    /// Runs it to its end; none if that was good, else the reason.
    pub(crate) fn run(&self, house: &House, log: &File) -> Result<Option<String>> {
        let name = self.program.to_string_lossy().into_owned();
        let mut command = Command::new(&self.program);
        // What the outer cargo says of this package would look like a change to build scripts.
        let of_this_package =
            |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_this_package)) {
            command.env_remove(name);
        }
        let mut child = command
            .args(&self.args)
            .current_dir(self.directory.as_ref().unwrap_or(&house.root))
            .env("CARGO_TARGET_DIR", &house.target)
            .env("CARGO_TERM_COLOR", "never")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?)
            .process_group(0)
            .spawn()
            .with_context(|| format!("{name} could not be started"))?;
        Ok(match wait(&mut child)? {
            Some(status) if status.success() => None,
            Some(status) => Some(format!("{name}: {status}")),
            None => {
                Some(format!("{name} took more than {} minutes and was killed", COMMAND_MAX.as_secs() / 60))
            }
        })
    }
}

/// A stage whose log is being written.
pub(crate) struct Running<'a> {
    house: &'a House,
    name: &'static str,
    path: PathBuf,
    log: File,
    began: Instant,
}

impl<'a> Running<'a> {
    pub(crate) fn begin(house: &'a House, name: &'static str) -> Result<Self> {
        let directory = house.target.join("verify");
        std::fs::create_dir_all(&directory).context("the directory of the logs")?;
        let path = directory.join(format!("{name}.log"));
        let log = File::create(&path).context("the log of a stage")?;
        Ok(Self { house, name, path, log, began: Instant::now() })
    }

    /// Runs the commands until one fails, and ends the stage.
    pub(crate) fn commands(self, commands: &[Call]) -> Result<Outcome> {
        for command in commands {
            if let Some(reason) = command.run(self.house, &self.log)? {
                return self.end(Some(&reason));
            }
        }
        self.end(None)
    }

    /// Ends the stage; of one that failed the end of its log is shown.
    pub(crate) fn end(self, failure: Option<&str>) -> Result<Outcome> {
        let log = String::from_utf8_lossy(&std::fs::read(&self.path)?).into_owned();
        if let Some(reason) = failure {
            show(&log, reason, &self.path);
        }
        Ok(Outcome { stage: self.name, failed: failure.is_some(), took: self.began.elapsed(), log })
    }

    pub(crate) fn log(&self) -> &File {
        &self.log
    }
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
