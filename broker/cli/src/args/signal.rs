//! The arguments of `remit signal`: the subcommands and flags come from the operations' own schemas.

use std::collections::BTreeSet;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use remit_loops::Kind;

use crate::operations::{self, Field, Form};

/// The id of the argument that gives all fields at once; no field can be called that.
const JSON: &str = "--json";
/// The ids of the same flag before and after the operation.
const DRY_RUN_TOP: &str = "--dry-run of the signal";
const DRY_RUN: &str = "--dry-run";

/// What was asked of which object.
#[derive(Clone, Debug)]
pub struct SignalArgs {
    pub(crate) target: String,
    pub(crate) operation: String,
    /// What was written for each field.
    pub(crate) fields: Vec<(String, Vec<String>)>,
    pub(crate) json: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) dry_run: bool,
}

const EXAMPLES: &str = "\
Examples:
  remit signal acme deploy --version 1.4.0
  remit signal acme check_drift
  remit signal acme reprovision                     everything again, changed or not
  remit signal acme cancel_step --component network --reason 'wrong size'
  remit signal acme pause --reason 'month end'
  remit signal acme cancel --json '{\"operation\":7,\"reason\":\"wrong release\"}'
  remit signal acme/network retry_now
  remit signal @app resume
  remit signal --dry-run acme drain                 what it would do at once; changes nothing

A target is an install (`acme`), `acme/COMPONENT`, `acme@runner`, `@app`, `@org` or a whole id.
A signal is stored before it is answered; with --key, sending it twice does it once.";

impl Args for SignalArgs {
    fn augment_args(command: Command) -> Command {
        let target = Arg::new("target").required(true).value_name("TARGET").help("Which object");
        let key =
            Arg::new("key").long("key").value_name("TEXT").help("Idempotency key [default: a fresh one]");
        let dry_run = Arg::new(DRY_RUN_TOP)
            .long("dry-run")
            .action(ArgAction::SetTrue)
            .help("Only show what it would do at once; changes nothing");
        let subcommands = operations::ALL.iter().map(|(name, kinds)| subcommand(name, kinds));
        command
            .arg(target)
            .arg(key)
            .arg(dry_run)
            .after_help(EXAMPLES)
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommand_value_name("OPERATION")
            .subcommand_help_heading("Operations")
            .disable_help_subcommand(true)
            .subcommands(subcommands)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// One operation; kinds that share a name share the subcommand.
fn subcommand(name: &'static str, kinds: &'static [(Kind, operations::Operation)]) -> Command {
    let takers: Vec<String> = kinds.iter().map(|(kind, _)| kind.to_string()).collect();
    let help = kinds.first().map(|(_, o)| o.help.clone()).unwrap_or_default();
    let mut command = Command::new(name)
        .about(format!("[{}] {help}", takers.join(", ")))
        .arg(
            Arg::new(DRY_RUN)
                .long("dry-run")
                .action(ArgAction::SetTrue)
                .help("Only show what it would do at once"),
        )
        .arg(Arg::new(JSON).long("json").value_name("JSON").help("All fields at once, as a JSON object"));
    let mut seen: Vec<&str> = Vec::new();
    for field in kinds.iter().flat_map(|(_, o)| &o.fields) {
        if !seen.contains(&field.name.as_str()) {
            seen.push(&field.name);
            command = command.arg(argument(field));
        }
    }
    command
}

fn argument(field: &'static Field) -> Arg {
    let value_name = match field.form {
        Form::Text => "TEXT",
        Form::Integer => "NUMBER",
        Form::Boolean => "true|false",
        Form::Texts | Form::Values => "NAME=VALUE",
        Form::Json => "VALUE",
    };
    let help = if field.required { format!("{} (required)", field.help) } else { field.help.clone() };
    Arg::new(field.name.as_str())
        .long(field.flag.as_str())
        .value_name(value_name)
        .action(ArgAction::Append)
        .allow_negative_numbers(true)
        .conflicts_with(JSON)
        .help(help)
}

impl FromArgMatches for SignalArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let missing = || clap::Error::new(clap::error::ErrorKind::MissingSubcommand);
        let (operation, fields) = matches.subcommand().ok_or_else(missing)?;
        let kinds = operations::ALL.get(operation).into_iter().flatten();
        let names: BTreeSet<&str> = kinds.flat_map(|(_, o)| &o.fields).map(|f| f.name.as_str()).collect();
        let given = names.into_iter().filter_map(|name| {
            let values = fields.get_many::<String>(name)?;
            Some((name.to_owned(), values.cloned().collect()))
        });
        Ok(Self {
            target: matches.get_one::<String>("target").cloned().unwrap_or_default(),
            operation: operation.to_owned(),
            fields: given.collect(),
            json: fields.get_one::<String>(JSON).cloned(),
            key: matches.get_one::<String>("key").cloned(),
            dry_run: matches.get_flag(DRY_RUN_TOP) || fields.get_flag(DRY_RUN),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
