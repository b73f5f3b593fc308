//! The first half: from an empty folder to an active install.

use std::path::Path;
use std::time::Duration;

use remit_loops::view::Detail;
use tokio::process::Command;

use super::runner::{Runner, Start, status_addr};
use super::world::{World, failed, files, release, settle};
use super::{checked, step};
use crate::command::install::create;
use crate::command::link::trusted::{self, Source};
use crate::command::org;
use crate::failure::{Failure, Result};
use crate::keys::write_private;
use crate::output::DIM;

/// How long the runner may take to say where its status API listens.
const STATUS_WITHIN: Duration = Duration::from_secs(20);

/// How many of a log's last bytes are looked at, and how many lines of them are shown.
const LOG_TAIL_LEN: u64 = 2048;
const LOG_LINES: usize = 2;
/// The longest line that is shown, in characters.
const LINE_LEN_MAX: usize = 110;

/// Keys, org, release, install, runner; then watches until the install is active.
pub(super) async fn first(world: &mut World) -> Result<()> {
    step("The vendor's keys and org");
    world.keys.init(None).await?;
    let made = org::create(&world.client, &world.keys, &world.prepared.product.org).await?;
    checked(&format!("{} trusts root {}…", made.org, &made.root_sha256[..16]));
    release(world, "A release: checked, packed, signed").await?;
    step("An install, and a one-time token for its runner");
    let signal = create(&[], &[], world.prepared.sandbox, None, None)?;
    world.client.signal(&world.install, &signal, None).await?;
    checked(&format!("{} is made", world.install));
    start_runner(world).await?;
    step("The components, in the order of their needs");
    settle(world, &[]).await?;
    show(world).await
}

async fn start_runner(world: &mut World) -> Result<()> {
    let token = world.client.runner_token(&world.install).await?;
    let source = Source::Keys(&world.keys);
    let root = trusted::root(&world.client, world.install.org_name(), source, &token.root_sha256).await?;
    checked("the broker names the root that lies beside the vendor's keys; the runner pins that one");
    let file = |name: &str| world.dir.path().join(name);
    let (token_file, ca_file, inputs_file) =
        (file("runner.token"), file("runner.ca.pem"), file("inputs.json"));
    write_private(&token_file, token.token.unwrap_or_default().as_bytes())?;
    write_private(&ca_file, token.ca_pem.as_bytes())?;
    let inputs = serde_json::to_vec(&world.prepared.inputs).unwrap_or_default();
    write_private(&inputs_file, &inputs)?;
    step("The runner: a program of its own, as in the customer's account");
    write_policy(&world.prepared.runner, &world.dir.policy()).await?;
    let mut args = Vec::new();
    for (flag, value) in [
        ("--broker", token.broker.clone()),
        ("--install", world.install.to_string()),
        ("--root-sha256", root.hex()),
        ("--channel", world.prepared.product.channel.clone()),
        ("--ca-file", ca_file.display().to_string()),
        ("--token-file", token_file.display().to_string()),
        ("--data-dir", world.dir.runner().display().to_string()),
        ("--policy", world.dir.policy().display().to_string()),
        ("--allow-write", world.dir.site().display().to_string()),
        // A product is tried out on any machine, also on one that cannot confine.
        ("--confinement", "best".to_owned()),
        ("--inputs-file", inputs_file.display().to_string()),
        ("--status-listen", "127.0.0.1:0".to_owned()),
    ] {
        args.extend([flag.to_owned(), value]);
    }
    let start = Start { program: &world.prepared.runner, log: world.dir.runner_log(), args };
    let data_dir = world.dir.runner();
    let runner = world.runner.insert(Runner::start(start)?);
    let address = tokio::select! {
        failure = runner.ended() => return Err(failure),
        address = status_addr(&data_dir, STATUS_WITHIN) => address,
    };
    match address {
        Some(address) => checked(&format!(
            "it dials out; its status is at http://{address}/v1/status, for who has its token"
        )),
        None => return Err(failed("the runner does not say where its status API is")),
    }
    Ok(())
}

/// The outputs, and the files in what stands in for the customer's account.
async fn show(world: &World) -> Result<()> {
    let view = world.client.object(&world.install).await?.view;
    let Detail::Install { components, .. } = &view.detail else { return Err(failed("it is no install")) };
    step("What came of it");
    for component in components {
        let outputs: Vec<String> =
            component.facts.outputs.iter().map(|(n, v)| format!("{n} = {v}")).collect();
        let outputs = if outputs.is_empty() { "no outputs".to_owned() } else { outputs.join(", ") };
        anstream::println!("  {:<12} {:<11} {outputs}", component.name, component.kind);
    }
    logs(world).await?;
    let files = files(&world.dir.site())?;
    if !files.is_empty() {
        let names: Vec<String> = files.keys().map(|f| f.display().to_string()).collect();
        checked(&format!("in {}: {}", world.dir.site().display(), names.join(", ")));
    }
    checked(&format!("{} is {}", world.install.name(), view.status.word));
    Ok(())
}

/// The last words of each job: all of them are in `remit logs`.
async fn logs(world: &World) -> Result<()> {
    let mut attempts = world.client.logs(&world.install).await?.attempts;
    attempts.sort_by_key(|a| a.began);
    step(&format!("What the tools said last (all of it: `remit logs {}`)", world.install.name()));
    for attempt in attempts {
        let from = (attempt.size.saturating_sub(LOG_TAIL_LEN), 0);
        let part = world.client.log(&world.install, &attempt.job, attempt.attempt, from).await?;
        let lines: Vec<&str> = part.text.lines().filter(|line| !line.trim().is_empty()).collect();
        for line in &lines[lines.len().saturating_sub(LOG_LINES)..] {
            let line: String = line.chars().take(LINE_LEN_MAX).collect();
            anstream::println!("  {:<12} {DIM}{line}{DIM:#}", attempt.component);
        }
    }
    Ok(())
}

/// What the customer lets the vendor do: in a demo everything, and it says so.
async fn write_policy(runner: &Path, to: &Path) -> Result<()> {
    let shown = Command::new(runner).args(["policy", "show", "demo"]).output().await;
    let shown = shown.map_err(|e| Failure::file("run", runner, &e))?;
    std::fs::write(to, shown.stdout).map_err(|e| Failure::file("write", to, &e))?;
    anstream::println!("The customer's policy permits everything, as this is a trial: {}", to.display());
    Ok(())
}
