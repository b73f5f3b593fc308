//! The commands, one file for each noun.

mod app;
mod audit;
mod bulk;
mod dev;
mod drift;
mod freeze;
mod glass;
mod init;
pub(crate) mod install;
pub mod keys;
pub(crate) mod link;
mod logs;
mod object;
pub(crate) mod org;
mod place;
mod plan;
pub(crate) mod release;
mod release_file;
pub(crate) mod rollout;
mod rules;
mod scenario;
pub mod signal;
mod simulate;
mod tell;
mod token;
mod updates;
mod webhooks;
mod why;

use std::time::{Duration, Instant};

use clap::CommandFactory as _;

use crate::args::{Cli, Command};
use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::product;

pub(crate) use init::write_example;

/// How long to wait before asking again whether the broker is ready.
const READY_PAUSE: Duration = Duration::from_millis(200);

/// Does what the command line says.
pub async fn run(cli: Cli) -> Result<()> {
    let cwd = std::env::current_dir().map_err(|e| Failure::file("find", ".".as_ref(), &e))?;
    let context = Context::new(cli.globals, &cwd);
    match cli.command {
        Command::Init { dir } => init::init(&context, &dir),
        Command::Check { dir } => check(&context, dir.as_deref()),
        Command::Keys(command) => keys::run(&context, &command).await,
        Command::Org(command) => org::run(&context, command).await,
        Command::App(command) => app::run(&context, command).await,
        Command::Release(command) => release::run(&context, command).await,
        Command::Install(command) => install::run(&context, command).await,
        Command::Scenario(command) => scenario::run(&context, command),
        Command::Simulate(args) => simulate::run(&context, &args),
        Command::Signal(args) => signal::run(&context, args).await,
        Command::Drift(command) => drift::run(&context, command).await,
        Command::Plan(command) => plan::run(&context, command).await,
        Command::Approve(answer) => plan::approve(&context, answer).await,
        Command::Deny { answer, reason } => plan::deny(&context, answer, reason).await,
        Command::Why { target, all: _, limit } => why::why(&context, target.as_deref(), limit.into()).await,
        Command::Queue { target } => object::queue(&context, &target).await,
        Command::Timeline { target, limit } => object::timeline(&context, &target, limit.into()).await,
        Command::Logs(args) => logs::run(&context, args).await,
        Command::Updates { install } => updates::updates(&context, &install).await,
        Command::OptIn(waiting) => updates::opt_in(&context, waiting).await,
        Command::Decline { waiting, reason } => updates::decline(&context, waiting, reason).await,
        Command::Snooze { waiting, until, zone } => updates::snooze(&context, waiting, &until, &zone).await,
        Command::Deploy(args) => updates::deploy(&context, args).await,
        Command::BreakGlass(args) => glass::break_glass(&context, args).await,
        Command::Unlock(args) => glass::unlock(&context, args).await,
        Command::Freeze(command) => freeze::run(&context, command).await,
        Command::Rollout(command) => rollout::run(&context, command).await,
        Command::Bulk(args) => bulk::run(&context, args).await,
        Command::Token(command) => token::run(&context, command).await,
        Command::Webhooks(command) => webhooks::run(&context, command).await,
        Command::Audit(command) => audit::run(&context, command).await,
        Command::Ready { timeout } => ready(&context, Duration::from_secs(timeout)).await,
        Command::Dev(args) => dev::run(context.format(), args).await,
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "remit", &mut std::io::stdout());
            Ok(())
        }
    }
}

fn check(context: &Context, dir: Option<&std::path::Path>) -> Result<()> {
    let dir = match dir {
        Some(dir) => dir,
        None => context.product_dir()?,
    };
    let loaded = release::load(dir)?;
    release::print_notes(context.format(), &loaded);
    let product = release::checked(loaded)?;
    let names: Vec<&str> = product.components.iter().map(|c| c.name.as_str()).collect();
    let answer = serde_json::json!({ "org": product.org, "app": product.app, "components": names });
    context.format().answer(&answer, || {
        format!("{} is right: {} components: {}", product::FILE_NAME, names.len(), names.join(", "))
    });
    Ok(())
}

async fn ready(context: &Context, timeout: Duration) -> Result<()> {
    let client = context.client()?;
    let end = Instant::now() + timeout;
    loop {
        match client.ready().await {
            Ok(()) => {
                let answer = serde_json::json!({ "ready": true });
                context.format().answer(&answer, || format!("{} is ready", client.base()));
                return Ok(());
            }
            Err(failure) if failure.exit != Exit::Unavailable || Instant::now() >= end => {
                return Err(failure);
            }
            Err(_) => tokio::time::sleep(READY_PAUSE).await,
        }
    }
}
