//! `remit-runner`: flags, the log, signals; everything else is in the library.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use remit_runner::command::{approvals, customer};
use remit_runner::config::cli::{Cli, Command, PolicyCommand, RunArgs, StatusArgs, VerifyArgs};
use remit_runner::process::init;
use remit_runner::storage::journal;
use remit_runner::{Coded, Running, config, error};
use remit_seal::customer::Word;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Bad settings: sysexits' EX_USAGE.
const EXIT_USAGE: u8 = 64;
/// Ended by force: something was in hand.
const EXIT_FORCED: u8 = 75;

fn main() -> ExitCode {
    // A file or lock that whoever starts the runner holds open is neither its own nor any job's.
    remit_runner::process::confine::close_the_rest();
    let cli = Cli::parse();
    if let Command::Confine { words } = &cli.command {
        // Before there is anything that could be in the way: another thread would not be confined.
        return remit_runner::process::confine::enter(words);
    }
    // A runner that is a minor process among others needs few threads and little memory.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(16)
        .thread_keep_alive(std::time::Duration::from_secs(2))
        .build();
    match (cli.command, runtime) {
        (_, Err(error)) => {
            anstream::eprintln!("error: cannot start the runtime: {error}");
            ExitCode::FAILURE
        }
        (Command::Run(_), Ok(runtime)) if init::is_wanted() => match runtime.block_on(init::run()) {
            Ok(code) => code,
            Err(error) => {
                anstream::eprintln!("error: process 1 cannot start the runner: {error}");
                ExitCode::FAILURE
            }
        },
        (Command::Run(args), Ok(runtime)) => runtime.block_on(run(*args)),
        (Command::Confine { .. }, Ok(_)) => ExitCode::FAILURE,
        (Command::Verify(args), Ok(_)) => verify(&args),
        (Command::Status(args), Ok(runtime)) => runtime.block_on(status(&args)),
        (Command::Policy(args), Ok(_)) => policy(&args),
        (Command::CustomerKey(args), Ok(_)) => say(customer::make_key(&args)),
        (Command::Approve(args), Ok(_)) => say(approvals::approve(&args, Word::Approved)),
        (Command::Deny(args), Ok(_)) => say(approvals::approve(&args, Word::Denied)),
        (Command::Approvals(command), Ok(_)) => say(approvals::run(&command)),
        (Command::Marks(command), Ok(_)) => say(approvals::marks(&command)),
        (Command::BreakLock(args), Ok(_)) => say(customer::break_lock(&args)),
        (Command::Channel(args), Ok(_)) => say(customer::channel(&args)),
        (Command::Halt(args), Ok(_)) => say(customer::halt(&args)),
        (Command::Resume(args), Ok(_)) => say(customer::resume(&args)),
        (Command::Completion { shell }, Ok(_)) => {
            let mut command = Cli::command();
            clap_complete::generate(shell, &mut command, "remit-runner", &mut std::io::stdout());
            ExitCode::SUCCESS
        }
    }
}

async fn run(args: RunArgs) -> ExitCode {
    start_log();
    let has_token = std::env::var_os("REMIT_RUNNER_TOKEN").is_some();
    let config = match config::load(args, has_token) {
        Ok(config) => config,
        Err(error) => return complain(&error, EXIT_USAGE),
    };
    let (mut term, mut int) = match signals() {
        Ok(signals) => signals,
        Err(error) => {
            anstream::eprintln!("error: cannot listen for signals: {error}");
            return ExitCode::FAILURE;
        }
    };
    let install = config.install.id();
    let started = tokio::select! {
        started = remit_runner::start(config) => started,
        () = asked(&mut term, &mut int) => return ExitCode::SUCCESS,
    };
    match started {
        Ok(running) => {
            anstream::println!("remit-runner for {install}: status on http://{}", running.status_addr);
            until_ended(running, term, int).await
        }
        Err(error) => complain(&error, 1),
    }
}

async fn until_ended(mut running: Running, mut term: Signal, mut int: Signal) -> ExitCode {
    tokio::select! {
        () = running.ended() => return ExitCode::FAILURE,
        () = asked(&mut term, &mut int) => {}
    }
    tracing::info!("draining: nothing new begins; a second signal ends what is in hand");
    running.drain();
    let forced = tokio::select! {
        () = running.ended() => false,
        () = asked(&mut term, &mut int) => true,
    };
    if !forced {
        tracing::info!("drained");
        return ExitCode::SUCCESS;
    }
    tracing::warn!("ending what is in hand at once");
    running.force().await;
    ExitCode::from(EXIT_FORCED)
}

fn signals() -> std::io::Result<(Signal, Signal)> {
    Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
}

async fn asked(term: &mut Signal, int: &mut Signal) {
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("REMIT_RUNNER_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let color = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(color)
        .with_target(false)
        .init();
}

fn complain(error: &impl Coded, exit: u8) -> ExitCode {
    let words = error::chain(error);
    anstream::eprintln!("error[{}]: {words}\n  hint: {}", error.code(), error.hint());
    ExitCode::from(exit)
}

fn verify(args: &VerifyArgs) -> ExitCode {
    let kept = args.checkpoint.as_ref().map(std::fs::read).transpose();
    let checkpoint = match kept {
        Ok(checkpoint) => checkpoint,
        Err(source) => {
            let path = args.checkpoint.clone().unwrap_or_default();
            return complain(&config::Error::Read { path, source }, EXIT_USAGE);
        }
    };
    let asked = journal::Asked { from: args.from, checkpoint, key: args.key.clone() };
    match journal::verify(&args.data_dir.join("journal"), &asked) {
        Ok(whole) => {
            say_whole(&whole, args.json);
            ExitCode::SUCCESS
        }
        Err(error) => complain(&error, 1),
    }
}

fn say_whole(whole: &journal::Whole, json: bool) {
    let journal::Whole { read, records, segments, checkpoints, len, torn, head, key, acknowledged } = whole;
    if json {
        let json = serde_json::json!({
            "whole": true, "read": read, "records": records, "segments": segments,
            "checkpoints": checkpoints, "bytes": len, "torn_bytes": torn, "head": head.hex(), "key": key,
            "acknowledged": acknowledged.as_ref().map(|a| serde_json::json!({
                "records": a.said.records, "head": a.said.head.hex(), "at_ms": a.said.at_ms, "dispatch_key": a.key,
                "audit_chain": a.said.audit.chain, "audit_block": a.said.audit.block, "audit_head": a.said.audit.head.hex(),
            })),
        });
        anstream::println!("{json}");
        return;
    }
    anstream::println!("the journal is whole: {records} records, head {}", head.hex());
    anstream::println!(
        "{read} of them read from {segments} segments ({len} bytes), {checkpoints} checkpoints by key {}",
        key.as_deref().unwrap_or("(none)")
    );
    if let Some(journal::Acknowledged { said, key, .. }) = acknowledged {
        anstream::println!(
            "the broker signed that it was told of record {} (dispatch key {key}) and wrote that down in block {} of its audit log; keep journal/seen.json: it proves both",
            said.records,
            said.audit.block
        );
    }
    if *torn > 0 {
        anstream::println!("{torn} bytes of an unfinished record follow; they are cut off at the next start");
    }
}

fn policy(command: &PolicyCommand) -> ExitCode {
    match remit_runner::command::policy::run(command) {
        Ok(said) => {
            if command.is_json() {
                anstream::println!("{}", said.json);
            } else {
                anstream::print!("{}", said.text);
            }
            if said.good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => complain(&error, EXIT_USAGE),
    }
}

fn say(done: Result<String, customer::Error>) -> ExitCode {
    match done {
        Ok(text) => {
            anstream::println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => complain(&error, 1),
    }
}

async fn status(args: &StatusArgs) -> ExitCode {
    match remit_runner::command::status::ask(&args.data_dir).await {
        Ok(status) if args.json => {
            anstream::println!("{status}");
            ExitCode::SUCCESS
        }
        Ok(status) => {
            anstream::print!("{}", remit_runner::command::status::for_people(&status));
            ExitCode::SUCCESS
        }
        Err(error) => complain(&error, 1),
    }
}
