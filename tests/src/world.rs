//! A world of real processes in a directory of its own: a broker, runners, the command line, a copy of
//! an example product. What is killed here is killed with -9, and nothing of it outlives the world.

mod api;
pub mod aws;
mod brokers;
mod front;
mod process;
pub mod programs;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

pub use api::{Answer, Api};
pub use brokers::Brokers;
pub use process::{Process, alive_with};

/// The longest that anything is waited for; a loaded machine of two cores needs a tenth of it.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Waits until `look` finds something; says what it was waiting for if that never happens.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(Some(found)) => return Ok(found),
            outcome if Instant::now() > deadline => {
                let last = outcome.err().map(|error| format!(": {error:#}")).unwrap_or_default();
                bail!("{what} did not happen in {} s{last}", PATIENCE.as_secs());
            }
            _ => std::thread::sleep(LOOK_EVERY),
        }
    }
}

/// One broker, or several that share a database, and what belongs to them.
pub struct World {
    directory: tempfile::TempDir,
    brokers: Brokers,
    remit_env: Vec<(String, String)>,
    runners: BTreeMap<String, Process>,
    runner_path: Option<OsString>,
    runner_args: Vec<String>,
    runner_env: Vec<(String, String)>,
    runner_proxy: Option<String>,
}

impl World {
    /// A broker that answers, and a copy of `tests/products/<product>`.
    ///
    /// # Errors
    /// A program that does not build or start.
    pub fn start(product: &str) -> Result<World> {
        Self::start_with(product, vec![])
    }

    /// The same with these variables in the environment of the broker.
    ///
    /// # Errors
    /// A program that does not build or start.
    pub fn start_with(product: &str, settings: Vec<(String, String)>) -> Result<World> {
        Self::with(product, |directory| Brokers::one(directory, settings))
    }

    /// Brokers that answer, on one PostgreSQL database with a load balancer before them, and a copy of
    /// `tests/products/<product>`.
    ///
    /// # Errors
    /// A program that does not build or start; there is no PostgreSQL server.
    pub fn start_shared(product: &str, brokers: usize) -> Result<World> {
        Self::with(product, |directory| Brokers::several(directory, brokers))
    }

    fn with(product: &str, brokers: impl FnOnce(&Path) -> Result<Brokers>) -> Result<World> {
        let directory = tempfile::Builder::new().prefix("remit-world-").tempdir()?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("products").join(product);
        copy(&source, &directory.path().join("product"))?;
        fs::create_dir(directory.path().join("site"))?;
        let brokers = brokers(directory.path())?;
        let (runner_path, runner_args, runner_env, runner_proxy) = (None, Vec::new(), Vec::new(), None);
        let (remit_env, runners) = (Vec::new(), BTreeMap::new());
        Ok(World {
            directory,
            brokers,
            remit_env,
            runners,
            runner_path,
            runner_args,
            runner_env,
            runner_proxy,
        })
    }

    /// Starts the one broker again, and waits until it is ready.
    ///
    /// # Errors
    /// It ended, or was not ready in time; its log is in the message.
    pub fn start_broker(&mut self) -> Result<()> {
        self.brokers.start(0)
    }

    /// `kill -9` of the one broker, and nothing else.
    ///
    /// # Errors
    /// There is no broker.
    pub fn kill_broker(&mut self) -> Result<()> {
        self.brokers.kill(0)
    }

    /// The brokers, one by one.
    pub fn brokers(&mut self) -> &mut Brokers {
        &mut self.brokers
    }

    /// Where files of this world are: `site` is the customer's account.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The broker's data directory.
    pub fn broker_dir(&self) -> PathBuf {
        self.path("broker")
    }

    /// The operator's token.
    ///
    /// # Errors
    /// The broker has not written it yet.
    pub fn operator_token(&self) -> Result<String> {
        Ok(fs::read_to_string(self.broker_dir().join("operator.token"))?.trim().to_owned())
    }

    /// The API with a token.
    ///
    /// # Errors
    /// The broker has not written its certificate authority yet.
    pub fn api(&self, token: &str) -> Result<Api> {
        self.brokers.api(token)
    }

    /// The API as its operator.
    ///
    /// # Errors
    /// The broker has not written what it takes.
    pub fn operator(&self) -> Result<Api> {
        self.api(&self.operator_token()?)
    }

    /// Where runners call.
    pub fn rpc_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.brokers.rpc_port())
    }

    /// `remit` with these arguments in the product's folder; its standard output.
    ///
    /// # Errors
    /// It ended with another code than 0; both its outputs are in the message.
    pub fn remit(&self, args: &[&str]) -> Result<String> {
        let out = self.try_remit(args)?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let errors = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.success(), "remit {}: {}\n{text}{errors}", args.join(" "), out.status);
        Ok(text)
    }

    /// The same, whatever it ends with.
    ///
    /// # Errors
    /// It could not be started.
    pub fn try_remit(&self, args: &[&str]) -> Result<Output> {
        let mut command = Command::new(programs::path("remit")?);
        command
            .args(args)
            .current_dir(self.path("product"))
            .env("REMIT_BROKER", format!("https://127.0.0.1:{}", self.brokers.api_port()))
            .env("REMIT_CA_FILE", self.broker_dir().join("ca.pem"))
            .env("REMIT_TOKEN_FILE", self.broker_dir().join("operator.token"))
            .env("NO_COLOR", "1")
            .envs(self.remit_env.iter().cloned());
        command.output().context("remit could not be started")
    }

    /// Enrols a runner for an install of the product's app, with `site_dir` as this world's site.
    ///
    /// # Errors
    /// No token, or the runner did not start.
    pub fn start_runner(&mut self, install: &str) -> Result<()> {
        self.expect_runner(install)?;
        self.restart_runner(install)
    }

    /// Gets a one-time token for the runner of an install, with what else it needs to enrol.
    ///
    /// # Errors
    /// The broker does not give one.
    pub fn expect_runner(&self, install: &str) -> Result<()> {
        let token = self.operator()?.post(&format!("/v1/objects/{install}/runner-token"), &Value::Null)?;
        ensure!(token.status == 200 || token.status == 201, "runner-token: {token:?}");
        let text = |name: &str| token.body[name].as_str().map(str::to_owned).context("a field of the token");
        // None where the runner proves a declared role instead.
        if let Ok(token) = text("token") {
            fs::write(self.path(&format!("{install}.token")), token)?;
        }
        fs::write(self.path(&format!("{install}.ca")), text("ca_pem")?)?;
        fs::write(self.path(&format!("{install}.root")), text("root_sha256")?)?;
        Ok(())
    }

    /// Starts the runner of an install that has enrolled before, on the same data directory.
    ///
    /// # Errors
    /// It did not start.
    pub fn restart_runner(&mut self, install: &str) -> Result<()> {
        let mut command = Command::new(programs::path("remit-runner")?);
        command
            .args(["run", "--broker", &self.rpc_url(), "--install", install])
            .args(["--root-sha256", &fs::read_to_string(self.path(&format!("{install}.root")))?])
            .arg("--ca-file")
            .arg(self.path(&format!("{install}.ca")))
            .arg("--data-dir")
            .arg(self.runner_dir(install))
            .arg("--policy")
            .arg(self.policy()?)
            .arg("--input")
            .arg(format!("site_dir={}", self.path("site").display()))
            // As the README says for a kernel that cannot confine.
            .args(["--confinement", "best", "--allow-write"])
            .arg(self.path("site"))
            .args(["--status-listen", &format!("127.0.0.1:{}", remit_postgres::free_port()?)]);
        let token = self.path(&format!("{install}.token"));
        if token.exists() {
            command.arg("--token-file").arg(token);
        }
        command.args(&self.runner_args).envs(self.runner_env.iter().cloned());
        command.env("PATH", self.runner_path.clone().unwrap_or_else(remit_tofu::path));
        if let Some(proxy) = &self.runner_proxy {
            command.args(["--proxy", proxy]);
        }
        let process = Process::spawn(command, &self.path(&format!("{install}.log")))?;
        self.runners.insert(install.to_owned(), process);
        Ok(())
    }

    /// The policy that runners keep to: everything is permitted, where a test has not written another.
    fn policy(&self) -> Result<PathBuf> {
        let path = self.path("remit.cedar");
        if !path.exists() {
            let shown =
                Command::new(programs::path("remit-runner")?).args(["policy", "show", "demo"]).output()?;
            fs::write(&path, shown.stdout)?;
        }
        Ok(path)
    }

    /// From now on `remit` has these variables in its environment, too.
    pub fn tell_remit(&mut self, env: Vec<(String, String)>) {
        self.remit_env.extend(env);
    }

    /// From now on runners reach the broker by this proxy.
    pub fn runners_go_by(&mut self, proxy: &str) {
        self.runner_proxy = Some(proxy.to_owned());
    }

    /// From now on runners are started with these arguments, too.
    pub fn tell_runners(&mut self, args: &[String]) {
        self.runner_args.extend_from_slice(args);
    }

    /// From now on runners find these variables in their environment.
    pub fn tell_runners_by_environment(&mut self, variables: Vec<(String, String)>) {
        self.runner_env.extend(variables);
    }

    /// From now on runners find this program before all others of its name.
    ///
    /// # Errors
    /// It could not be written.
    pub fn put_before_runners(&mut self, name: &str, script: &str) -> Result<()> {
        let bin = self.path("bin");
        fs::create_dir_all(&bin)?;
        fs::write(bin.join(name), script)?;
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755))?;
        let rest = remit_tofu::path();
        let all = std::iter::once(bin).chain(std::env::split_paths(&rest));
        self.runner_path = Some(std::env::join_paths(all)?);
        Ok(())
    }

    /// From now on runners find no program at all.
    ///
    /// # Errors
    /// An empty directory could not be made.
    pub fn take_programs_from_runners(&mut self) -> Result<()> {
        let empty = self.path("empty");
        fs::create_dir_all(&empty)?;
        self.runner_path = Some(empty.into());
        Ok(())
    }

    /// The data directory of an install's runner.
    pub fn runner_dir(&self, install: &str) -> PathBuf {
        self.path(&format!("{install}.data"))
    }

    /// `kill -9` of the runner alone: its tools go on, as they do when a program is killed.
    ///
    /// # Errors
    /// There is no such runner.
    pub fn kill_runner(&mut self, install: &str) -> Result<()> {
        self.runners.remove(install).context("there is no such runner")?.kill()
    }

    /// Asks the runner to drain and waits until it has ended.
    ///
    /// # Errors
    /// It did not end, or not with code 0.
    pub fn drain_runner(&mut self, install: &str) -> Result<()> {
        let mut runner = self.runners.remove(install).context("there is no such runner")?;
        runner.terminate()?;
        let status = wait_for("the runner's end", || runner.ended())?;
        ensure!(status.success(), "the runner ended with {status}: {}", self.log_of(install));
        Ok(())
    }

    /// Waits until a view of an object is as wanted; the log of the broker is in the message if not.
    ///
    /// # Errors
    /// It never was.
    pub fn until(&self, id: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let operator = self.operator()?;
        let mut last = Value::Null;
        let found = wait_for(&format!("{id}: {what}"), || {
            last = operator.view(id)?;
            Ok(wanted(&last).then(|| last.clone()))
        });
        found.with_context(|| format!("{id} was {last:#}\n{}", self.log_of(id)))
    }

    /// Waits until the status of an object has this word.
    ///
    /// # Errors
    /// It never had.
    pub fn until_status(&self, id: &str, word: &str) -> Result<Value> {
        self.until(id, word, |view| view["status"]["word"] == word)
    }

    /// A file of the customer's account.
    pub fn site(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path("site").join(name)).ok()
    }

    /// The last words of a process of this world.
    pub fn log_of(&self, name: &str) -> String {
        let text = fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        format!("the end of {name}.log:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"))
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
