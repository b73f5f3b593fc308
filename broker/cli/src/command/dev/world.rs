//! The world of the journey: an embedded broker, the vendor's keys and client, and later the runner.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use remit_broker::config::Config;
use remit_broker::{Listeners, Running, serve};
use remit_loops::{Kind, ObjectId};
use zeroize::Zeroizing;

use super::dir::DevDir;
use super::prepare::{Prepared, find_program, prepare};
use super::runner::Runner;
use super::{checked, step};
use crate::args::DevArgs;
use crate::client::{Client, Options};
use crate::command::release::{Made, Maker, load};
use crate::failure::{Exit, Failure, Result};
use crate::keys::KeysDir;
use crate::output::{BOLD, DIM, Format};
use crate::release::Wish;
use crate::watch::{Until, watch};

/// The install that the journey is about.
const INSTALL: &str = "acme";

/// All that the journey needs.
pub(super) struct World {
    pub(super) dir: DevDir,
    pub(super) prepared: Prepared,
    pub(super) client: Client,
    pub(super) keys: KeysDir,
    pub(super) app: ObjectId,
    pub(super) install: ObjectId,
    pub(super) runner: Option<Runner>,
    broker: Option<Running>,
    exports: Vec<(&'static str, String)>,
}

impl World {
    /// Looks whether all is there and starts the broker.
    pub(super) async fn set(args: &DevArgs, dir: &DevDir) -> Result<Self> {
        let prepared = prepare(args, dir)?;
        step("A broker, in this process");
        let running = start_broker(dir.broker()).await?;
        let broker = format!("https://{}", running.api_addr);
        let read = |path: &PathBuf| std::fs::read(path).map_err(|e| Failure::file("read", path, &e));
        let token =
            Zeroizing::new(String::from_utf8_lossy(&read(&running.operator_token_file)?).into_owned());
        let client =
            Client::new(&Options { broker: broker.clone(), ca_pem: read(&running.ca_file)?, token })?;
        client.ready().await?;
        checked(&format!("it answers at {broker}, with a certificate authority of its own"));
        let keys = KeysDir::new(dir.keys());
        let exports = vec![
            ("REMIT_BROKER", broker),
            ("REMIT_CA_FILE", running.ca_file.display().to_string()),
            ("REMIT_TOKEN_FILE", running.operator_token_file.display().to_string()),
            ("REMIT_KEYS_DIR", keys.path().display().to_string()),
        ];
        let exports = path_export().into_iter().chain(exports).collect();
        let wrong = |e: remit_loops::id::IdError| Failure::usage(e.to_string(), "");
        let app = ObjectId::new(Kind::App, &[&prepared.product.org, &prepared.product.app]).map_err(wrong)?;
        let install = app.child(INSTALL).map_err(wrong)?;
        let (dir, broker) = (dir.clone(), Some(running));
        Ok(Self { dir, prepared, client, keys, app, install, runner: None, broker, exports })
    }

    /// Cuts releases as `remit release create` does.
    pub(super) fn maker(&self) -> Maker {
        Maker { client: self.client.clone(), keys: self.keys.clone(), format: Format::Text }
    }

    /// What to try while it stays up.
    pub(super) fn print_next(&self) {
        anstream::println!("\n{BOLD}It stays up until Ctrl-C. In another terminal:{BOLD:#}\n");
        for (name, value) in &self.exports {
            anstream::println!("  export {name}={value}");
        }
        anstream::println!("  cd {}\n", self.dir.product().display());
        let site = self.dir.site();
        for (command, what) in [
            (format!("remit install show {INSTALL}"), "the install, whole"),
            (format!("remit install outputs {INSTALL}"), "what its components gave"),
            (format!("remit logs {INSTALL} -f"), "what the tools say"),
            (format!("remit timeline {INSTALL}"), "what happened"),
            (format!("ls {}", site.display()), "what stands in for the customer's account"),
            (format!("remit signal {INSTALL} check_drift"), "after you changed a file there"),
            (format!("remit why {INSTALL}"), "what it found"),
            (format!("remit signal {INSTALL} heal"), "and mend it"),
            ("remit release create".into(), "after you changed the product here"),
            (format!("remit install watch {INSTALL}"), "the install takes it by itself"),
            (format!("remit install delete {INSTALL} --yes --watch"), "tear it down"),
        ] {
            anstream::println!("  {command:<44} {DIM}# {what}{DIM:#}");
        }
        anstream::println!();
    }

    /// Waits until the runner ends by itself, which it must not.
    pub(super) async fn runner_ended(&mut self) -> Failure {
        match &mut self.runner {
            Some(runner) => runner.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Drains the runner and stops the broker, whatever came before.
    pub(super) async fn clear(mut self, within: Duration) -> Result<()> {
        let drained = match self.runner.take() {
            Some(runner) => runner.drain(within).await.and_then(|status| {
                if status.success() {
                    return Ok(());
                }
                let message = format!("the runner ended with {status} when it was asked to finish");
                Err(Failure::new(Exit::Local, "cli.dev_runner", message, ""))
            }),
            None => Ok(()),
        };
        if let Some(broker) = self.broker.take() {
            broker.stop().await;
        }
        drained
    }
}

/// Cuts and publishes a release of the product as it is now.
pub(super) async fn release(world: &World, what: &str) -> Result<String> {
    step(what);
    let loaded = load(&world.dir.product())?;
    match world.maker().create(loaded, &Wish::default()).await? {
        Made::Published(made) => {
            let release = made.release;
            let count = release.components.len();
            checked(&format!("release {} with {count} components: {}", release.version, release.digest));
            Ok(release.version)
        }
        Made::Dry { .. } | Made::Saved { .. } => Err(failed("the release was not published")),
    }
}

/// Watches the install until it rests; a runner that ends meanwhile is the reason given.
pub(super) async fn settle(world: &mut World, well: &'static [&'static str]) -> Result<()> {
    let until = Until::Rests(well);
    let client = world.client.clone();
    let install = world.install.clone();
    let watching = watch(&client, &install, Format::Text, &until);
    tokio::select! {
        outcome = watching => outcome.map(|_| ()),
        failure = world.runner_ended() => Err(failure),
    }
}

/// A check that did not hold.
pub(super) fn failed(message: impl Into<String>) -> Failure {
    Failure::new(Exit::Failed, "cli.dev_check", message, "")
}

/// Every file below a folder, with its content.
pub(super) fn files(dir: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut left = vec![dir.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|e| Failure::file("read", &folder, &e))? {
            let path = entry.map_err(|e| Failure::file("read", &folder, &e))?.path();
            if path.is_dir() {
                left.push(path);
                continue;
            }
            let content = std::fs::read(&path).map_err(|e| Failure::file("read", &path, &e))?;
            found.insert(path.strip_prefix(dir).unwrap_or(&path).to_owned(), content);
        }
    }
    Ok(found)
}

/// What makes `remit` this program in another terminal, unless it is that already.
fn path_export() -> Option<(&'static str, String)> {
    let this = std::env::current_exe().ok()?;
    let found = find_program("remit").and_then(|path| path.canonicalize().ok());
    if found == this.canonicalize().ok() {
        return None;
    }
    Some(("PATH", format!("{}:$PATH", this.parent()?.display())))
}

async fn start_broker(dir: PathBuf) -> Result<Running> {
    let failed = |e: &dyn std::error::Error| {
        let message = crate::failure::chain(e);
        Failure::new(Exit::Local, "cli.dev_broker", message, "")
    };
    let config = Config::local(dir);
    let listeners = Listeners::bind(&config).await.map_err(|e| failed(&e))?;
    serve(&config, listeners).await.map_err(|e| failed(&e))
}
