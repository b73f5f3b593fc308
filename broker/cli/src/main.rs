//! The program `remit`: reads the command line, runs one command, ends with its code.
#![cfg_attr(test, allow(clippy::unwrap_used))]

use std::process::ExitCode;

use clap::Parser as _;
use remit_cli::args::Cli;
use remit_cli::{command, output};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let format = cli.globals.output;
    // Ring everywhere; a second provider installed by somebody else would be a bug.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(Box::pin(command::run(cli))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::print_failure(format, &failure);
            ExitCode::from(failure.exit as u8)
        }
    }
}
