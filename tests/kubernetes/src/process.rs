//! A program that ends when its owner does, however that ends.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// Says the program's id, then waits for the end of its input, which comes when the test's process ends.
const KEEPER: &str =
    r#""$@" >"$LOG" 2>&1 <&- & pid=$!; echo "$pid"; read -r _; kill -KILL "$pid"; wait "$pid""#;

/// A program that runs. Dropped, it is killed and gone.
#[derive(Debug)]
pub(crate) struct Process {
    keeper: Child,
    pid: Pid,
    log: PathBuf,
}

impl Process {
    pub(crate) fn start(program: &Path, flags: &[String], log: &Path) -> io::Result<Self> {
        let mut keeper = Command::new("/bin/sh");
        keeper.args(["-c", KEEPER, "keeper"]).arg(program).args(flags);
        keeper.env_clear().env("PATH", "/usr/bin:/bin").env("LOG", log).current_dir("/");
        let mut keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let out = keeper.stdout.take().expect("its output was asked for");
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let pid = line.trim().parse().ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other(format!("no process id: {line}")))?;
        Ok(Self { keeper, pid, log: log.to_owned() })
    }

    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(self.pid, signal)?)
    }

    pub(crate) fn has_ended(&self) -> bool {
        // The keeper has not yet waited for it: what has ended is a zombie.
        let stat =
            fs::read_to_string(format!("/proc/{}/stat", self.pid.as_raw_nonzero())).unwrap_or_default();
        test_kill_process(self.pid).is_err()
            || stat.rsplit_once(')').is_some_and(|(_, s)| s.starts_with(" Z"))
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The end of its input tells the keeper to kill the program and to wait for that.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
