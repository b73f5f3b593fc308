//! The brokers of a world: one with a database of its own, or several on one PostgreSQL database.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use remit_postgres::{Database, free_port};

use super::front::Front;
use super::{Api, Process, programs, wait_for};

/// The brokers. They share a data directory, as on a network file system.
pub struct Brokers {
    directory: PathBuf,
    all: Vec<Broker>,
    shared: Option<Shared>,
    settings: Vec<(String, String)>,
}

struct Broker {
    api_port: u16,
    rpc_port: u16,
    process: Option<Process>,
}

/// What stands behind several brokers and before them.
struct Shared {
    database: Database,
    api: Front,
    rpc: Front,
}

impl Brokers {
    pub(super) fn one(directory: &Path, settings: Vec<(String, String)>) -> Result<Brokers> {
        let (directory, all) = (directory.to_owned(), vec![Broker::new()?]);
        let mut brokers = Brokers { directory, all, shared: None, settings };
        brokers.start(0)?;
        Ok(brokers)
    }

    pub(super) fn several(directory: &Path, count: usize) -> Result<Brokers> {
        let all = (0..count).map(|_| Broker::new()).collect::<Result<Vec<_>>>()?;
        let ports = |of: fn(&Broker) -> u16| all.iter().map(of).collect::<Vec<_>>();
        let (api, rpc) = (Front::start(&ports(|b| b.api_port))?, Front::start(&ports(|b| b.rpc_port))?);
        let shared = Some(Shared { database: Database::create()?, api, rpc });
        let mut brokers = Brokers { directory: directory.to_owned(), all, shared, settings: vec![] };
        // All at once, as they come up after an outage.
        for number in 0..count {
            brokers.spawn(number)?;
        }
        (0..count).try_for_each(|number| brokers.wait(number))?;
        Ok(brokers)
    }

    /// Starts a broker that is not there, on its ports, and waits until it is ready.
    ///
    /// # Errors
    /// It ended, or was not ready in time; its log is in the message.
    pub fn start(&mut self, number: usize) -> Result<()> {
        self.spawn(number)?;
        self.wait(number)?;
        self.fronts().for_each(|front| front.put_in(number));
        Ok(())
    }

    /// Sets a variable of the environment for brokers that are started from now on.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.settings.push((name.into(), value.into()));
    }

    fn spawn(&mut self, number: usize) -> Result<()> {
        let mut command = Command::new(programs::path("remit-broker")?);
        command.arg("serve").arg("--data-dir").arg(self.directory.join("broker"));
        command.envs(self.settings.iter().cloned());
        let broker = &self.all[number];
        command.args(["--api-listen", &format!("127.0.0.1:{}", broker.api_port)]);
        command.args(["--rpc-listen", &format!("127.0.0.1:{}", broker.rpc_port)]);
        if let Some(shared) = &self.shared {
            command.args(["--store", &shared.database.url()]);
        }
        let process = Process::spawn(command, &self.log(number))?;
        self.all[number].process = Some(process);
        Ok(())
    }

    fn wait(&mut self, number: usize) -> Result<()> {
        let mut process = self.all[number].process.take().context("it was started")?;
        let ready = || self.api_of(number, "readiness").ok()?.get("/readyz").ok().filter(|a| a.status == 200);
        let outcome = wait_for("the broker's readiness", || match process.ended()? {
            Some(status) => Ok(Some(Err(anyhow!("the broker ended with {status}")))),
            None => Ok(ready().map(|_| Ok(()))),
        });
        let log = || fs::read_to_string(self.log(number)).unwrap_or_default();
        outcome.and_then(|ended| ended).with_context(log)?;
        self.all[number].process = Some(process);
        Ok(())
    }

    /// `kill -9` of one broker, and nothing else.
    ///
    /// # Errors
    /// It is not there.
    pub fn kill(&mut self, number: usize) -> Result<()> {
        self.all[number].process.take().context("there is no such broker")?.kill()?;
        self.fronts().for_each(|front| front.take_out(number));
        Ok(())
    }

    /// Stops one broker in the middle of whatever it does; the load balancer finds out.
    ///
    /// # Errors
    /// It is not there.
    pub fn pause(&mut self, number: usize) -> Result<()> {
        self.all[number].process.as_ref().context("there is no such broker")?.signal("STOP")?;
        self.fronts().for_each(|front| front.take_out(number));
        Ok(())
    }

    /// Lets a stopped broker go on.
    ///
    /// # Errors
    /// It is not there.
    pub fn resume(&mut self, number: usize) -> Result<()> {
        self.all[number].process.as_ref().context("there is no such broker")?.signal("CONT")?;
        self.fronts().for_each(|front| front.put_in(number));
        Ok(())
    }

    /// The API of one broker, past the load balancer.
    ///
    /// # Errors
    /// No broker has written its certificate authority yet.
    pub fn api_of(&self, number: usize, token: &str) -> Result<Api> {
        self.api_at(self.all[number].api_port, token)
    }

    pub(super) fn api(&self, token: &str) -> Result<Api> {
        self.api_at(self.api_port(), token)
    }

    fn api_at(&self, port: u16, token: &str) -> Result<Api> {
        let ca = fs::read(self.directory.join("broker/ca.pem"))?;
        Api::new(&format!("https://127.0.0.1:{port}"), &ca, token)
    }

    pub(super) fn api_port(&self) -> u16 {
        self.shared.as_ref().map_or(self.all[0].api_port, |shared| shared.api.port)
    }

    pub(super) fn rpc_port(&self) -> u16 {
        self.shared.as_ref().map_or(self.all[0].rpc_port, |shared| shared.rpc.port)
    }

    fn fronts(&self) -> impl Iterator<Item = &Front> {
        self.shared.iter().flat_map(|shared| [&shared.api, &shared.rpc])
    }

    fn log(&self, number: usize) -> PathBuf {
        let name = if number == 0 { "broker.log".to_owned() } else { format!("broker{number}.log") };
        self.directory.join(name)
    }
}

impl Broker {
    fn new() -> Result<Broker> {
        // A broker that is started again needs the ports that it had.
        Ok(Broker { api_port: free_port()?, rpc_port: free_port()?, process: None })
    }
}
