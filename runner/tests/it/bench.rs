//! A broker, a data directory and a runner process, and waiting for what should happen.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use remit_proto::convert::Outcome;
use serde_json::Value;

use crate::broker::{Broker, INSTALL, TOKEN};

/// How long anything may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// Waits for something to be there.
pub(crate) fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) struct Bench {
    pub(crate) broker: Broker,
    pub(crate) temp: tempfile::TempDir,
    pub(crate) data: PathBuf,
    pub(crate) install: String,
    /// How the token is given.
    pub(crate) token: Vec<String>,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    /// What starts the runner, where it is not started straight.
    pub(crate) within: Vec<String>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Broker::start())
    }

    pub(crate) fn with(broker: Broker) -> Self {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("ca.pem"), &broker.shared.ca.pem).unwrap();
        std::fs::write(temp.path().join("token"), format!("{TOKEN}\n")).unwrap();
        std::fs::write(temp.path().join("inputs.toml"), "secret = \"swordfish-42\"\n").unwrap();
        std::fs::write(temp.path().join("remit.cedar"), remit_runner::policy::DEMO).unwrap();
        std::fs::create_dir(temp.path().join("site")).unwrap();
        let data = temp.path().join("data");
        let token = vec!["--token-file".to_owned(), temp.path().join("token").display().to_string()];
        let (args, env, within) = (Vec::new(), Vec::new(), Vec::new());
        Self { broker, temp, data, install: INSTALL.to_owned(), token, args, env, within }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    /// A file of what stands in for the customer's account: jobs may change it.
    pub(crate) fn site(&self, name: &str) -> PathBuf {
        self.path("site").join(name)
    }

    pub(crate) fn command(&self) -> Command {
        let program = env!("CARGO_BIN_EXE_remit-runner");
        let mut command = match self.within.split_first() {
            None => Command::new(program),
            Some((first, words)) => {
                let mut command = Command::new(first);
                command.args(words).arg(program);
                command
            }
        };
        command
            .args(["run", "--install", &self.install, "--status-listen", "127.0.0.1:0"])
            .args(["--broker", &self.broker.url(), "--root-sha256", &self.broker.root_digest.hex()])
            .arg("--ca-file")
            .arg(self.path("ca.pem"))
            .args(&self.token)
            .arg("--inputs-file")
            .arg(self.path("inputs.toml"))
            .arg("--policy")
            .arg(self.path("remit.cedar"))
            // Tests of other things run on any kernel; what confinement does is tested apart.
            .args(["--confinement", "best", "--allow-write"])
            .arg(self.path("site"))
            .arg("--data-dir")
            .arg(&self.data)
            .args(&self.args)
            .env("PATH", remit_tofu::path())
            .envs(self.env.iter().map(|(k, v)| (k, v)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts the runner and waits until it runs.
    pub(crate) fn runner(&self) -> Runner {
        let mut child = self.command().spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut err = child.stderr.take().unwrap();
        // Its log is only shown when a test fails.
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = err.read_to_string(&mut text);
            print!("{text}");
            text
        });
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let addr = line.trim().rsplit("http://").next().unwrap().to_owned();
        if !line.contains("http://") {
            let _ = child.wait();
            panic!("the runner did not start: {line}{}", log.join().unwrap());
        }
        let token = read(&self.data.join("status.token"));
        Runner { child, addr, token, log: Some(log) }
    }

    /// Runs a program that is expected not to start, for its exit code and complaint.
    pub(crate) fn complaint(&self) -> (i32, String) {
        let output = self.command().output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    pub(crate) fn outcome(&self, job: &str) -> Outcome {
        wait(&format!("the outcome of {job}"), || self.broker.outcomes(job).pop())
    }

    pub(crate) fn verify(&self) -> bool {
        let mut command = Command::new(env!("CARGO_BIN_EXE_remit-runner"));
        command.arg("verify").arg("--data-dir").arg(&self.data);
        command.output().unwrap().status.success()
    }

    /// The journal as text.
    pub(crate) fn journal(&self) -> String {
        std::fs::read_to_string(self.data.join("journal/000001.log")).unwrap()
    }
}

pub(crate) struct Runner {
    pub(crate) child: Child,
    pub(crate) addr: String,
    token: String,
    log: Option<std::thread::JoinHandle<String>>,
}

impl Runner {
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// As the kernel would: no chance to do anything.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Lets it finish; all that it said.
    pub(crate) fn drain(mut self) -> String {
        self.signal(rustix::process::Signal::TERM);
        self.exit();
        self.log.take().map(|log| log.join().unwrap()).unwrap_or_default()
    }

    pub(crate) fn exit(&mut self) -> i32 {
        let status = wait("the runner to end", || self.child.try_wait().unwrap());
        status.code().unwrap_or(-1)
    }

    pub(crate) fn ask(&self, method: &str, path: &str) -> (u16, String) {
        ask(&self.addr, &self.token, method, path)
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path);
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(log) = self.log.take() {
            let _ = log.join();
        }
    }
}

/// Without a token where it is empty.
pub(crate) fn ask(addr: &str, token: &str, method: &str, path: &str) -> (u16, String) {
    let mut tcp = TcpStream::connect(addr).unwrap();
    let given = if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") };
    write!(tcp, "{method} {path} HTTP/1.1\r\nhost: {addr}\r\n{given}connection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    tcp.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Processes that carry this text in their environment or are called so.
pub(crate) fn alive(needle: &str) -> Vec<i32> {
    let has = |pid: &i32, file: &str| {
        std::fs::read(format!("/proc/{pid}/{file}"))
            .is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(needle))
    };
    let zombie = |pid: &i32| {
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .map_or(true, |stat| stat.rsplit_once(')').is_none_or(|(_, rest)| rest.starts_with(" Z")))
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid: &i32| !zombie(pid) && (has(pid, "environ") || has(pid, "cmdline")))
        .collect()
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
