//! `remit-broker`: the vendor's side as a program.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use remit_broker::backup;
use remit_broker::config::{self, Config, Flags};
use remit_broker::serve::{self, Listeners, Running, serve};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Bad usage, as in sysexits.h.
const EXIT_USAGE: u8 = 64;

/// The broker: keeps every install's event loop, hands signed jobs to runners, answers the CLI.
#[derive(Debug, Parser)]
#[command(name = "remit-broker", version, after_help = "Start with: remit-broker serve --data-dir ./broker")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the broker until SIGTERM or SIGINT; what to export next is printed first.
    Serve(Box<Flags>),
    /// Back up the data directory of a broker with the embedded store, while it runs.
    Backup {
        /// The broker's data directory.
        #[arg(long, env = "REMIT_DATA_DIR", value_name = "DIR")]
        data_dir: PathBuf,
        /// A new directory for the backup. It will hold the broker's keys: keep it as safe as them.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// Check a backup: digests, pages, and that its log gives its states.
    Check {
        /// The backup.
        backup: PathBuf,
    },
    /// Make a data directory from a backup; runners are then asked how far they had got, and repeat nothing.
    Restore {
        /// The backup.
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
        /// A new data directory.
        #[arg(long, env = "REMIT_DATA_DIR", value_name = "DIR")]
        data_dir: PathBuf,
    },
    /// Print the OpenAPI document of the HTTP API.
    Openapi,
    /// Print a completion script for a shell.
    Completion {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { EXIT_USAGE } else { 0 };
            // Where help cannot be printed there is nobody to tell.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    match cli.command {
        Command::Serve(flags) => run(&flags),
        Command::Backup { data_dir, to } => told("backed up to", &to, backup::take(&data_dir, &to)),
        Command::Check { backup } => told("whole:", &backup, backup::check(&backup)),
        Command::Restore { from, data_dir } => {
            told("restored to", &data_dir, backup::restore(&from, &data_dir))
        }
        Command::Openapi => {
            anstream::println!("{}", remit_broker::api::document());
            ExitCode::SUCCESS
        }
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "remit-broker", &mut std::io::stdout());
            ExitCode::SUCCESS
        }
    }
}

/// Says what became of a backup.
fn told(what: &str, place: &Path, done: Result<backup::Manifest, backup::Error>) -> ExitCode {
    match done {
        Ok(manifest) => {
            let backup::Manifest { taken, events, objects, .. } = manifest;
            let place = place.display();
            anstream::println!("{what} {place}: {objects} objects and {events} events, as of {taken}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            anstream::eprintln!("{}: {error}", error.code());
            ExitCode::FAILURE
        }
    }
}

fn config(flags: &Flags) -> Result<(Config, EnvFilter), config::Error> {
    let text = match &flags.config {
        Some(path) => Some(
            std::fs::read_to_string(path)
                .map_err(|e| config::Error::new(format!("cannot read {}: {e}", path.display())))?,
        ),
        None => None,
    };
    let config = Config::merge(flags, text.as_deref())?;
    let filter = EnvFilter::try_new(&config.log)
        .map_err(|e| config::Error::new(format!("log filter `{}`: {e}", config.log)))?;
    Ok((config, filter))
}

fn run(flags: &Flags) -> ExitCode {
    let (config, filter) = match config(flags) {
        Ok(config) => config,
        Err(error) => {
            anstream::eprintln!("{}: {error}\nsee `remit-broker serve --help`", error.code());
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    logs.with_ansi(std::io::stderr().is_terminal()).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            anstream::eprintln!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(until_told(&config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn start(config: &Config) -> Result<Running, serve::Error> {
    serve(config, Listeners::bind(config).await?).await
}

async fn until_told(config: &Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let running = start(config).await.map_err(|error| {
        let hint = error.hint().map(|hint| format!("\n  {hint}")).unwrap_or_default();
        anyhow::anyhow!("{}: {error}{hint}", error.code())
    })?;
    greet(&running);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("going down: answers under way are finished; a second signal cuts them off");
    tokio::select! {
        () = running.stop() => {}
        _ = terminate.recv() => tracing::warn!("cut off by a second signal"),
        _ = interrupt.recv() => tracing::warn!("cut off by a second signal"),
    }
    Ok(())
}

fn greet(running: &Running) {
    anstream::println!(
        "The broker is up; runners call https://{}. Next, in another terminal:",
        running.rpc_addr
    );
    anstream::println!("  export REMIT_BROKER=https://{}", running.api_addr);
    anstream::println!("  export REMIT_CA_FILE={}", running.ca_file.display());
    anstream::println!("  export REMIT_TOKEN_FILE={}", running.operator_token_file.display());
}
