//! `remit signal`: the subcommands and flags come from the operations' own schemas.

use std::collections::BTreeSet;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use remit_loops::Kind;
use serde_json::{Map, Value};

use super::tell::only_try;
use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::operations::{self, Field, Form};
use crate::output::word;

/// The id of the argument that gives all fields at once; no field can be called that.
const JSON: &str = "--json";
/// The ids of the same flag before and after the operation.
const DRY_RUN_TOP: &str = "--dry-run of the signal";
const DRY_RUN: &str = "--dry-run";

/// What was asked of which object.
#[derive(Clone, Debug)]
pub struct SignalArgs {
    target: String,
    operation: String,
    fields: Vec<(String, Vec<String>)>,
    json: Option<String>,
    key: Option<String>,
    dry_run: bool,
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

impl SignalArgs {
    /// The signal as JSON, for an object of this kind.
    fn body(&self, kind: Kind) -> Result<Value> {
        let operation =
            operations::of(kind).into_iter().find(|o| o.name == self.operation).ok_or_else(|| {
                let known: Vec<String> = operations::of(kind).into_iter().map(|o| o.name).collect();
                let message = format!("an object of kind {kind} takes no `{}`", self.operation);
                Failure::usage(message, format!("it takes: {}", known.join(", ")))
            })?;
        let mut body = match &self.json {
            Some(json) => serde_json::from_str::<Map<String, Value>>(json).map_err(|e| {
                Failure::usage(format!("--json is no JSON object: {e}"), "quote it for your shell")
            })?,
            None => Map::new(),
        };
        for (name, written) in &self.fields {
            let field = operation.fields.iter().find(|f| f.name == *name).ok_or_else(|| {
                Failure::usage(
                    format!("`{}` of kind {kind} takes no --{name}", self.operation),
                    "see its `--help`",
                )
            })?;
            body.insert(name.clone(), field.read(written)?);
        }
        if let Some(missing) = operation.fields.iter().find(|f| f.required && !body.contains_key(&f.name)) {
            let message = format!("`{}` needs --{}", self.operation, missing.flag);
            return Err(Failure::usage(message, missing.help.clone()));
        }
        Ok(Value::Object(Map::from_iter([(self.operation.clone(), Value::Object(body))])))
    }
}

/// Sends it.
pub(super) async fn run(context: &Context, args: SignalArgs) -> Result<()> {
    let id = context.target(&args.target)?;
    let body = args.body(id.kind())?;
    if args.dry_run {
        return only_try(context, &id, &body).await;
    }
    let accepted = context.client()?.signal(&id, &body, args.key.clone()).await.map_err(|mut failure| {
        if failure.exit == Exit::NotFound && failure.hint.is_empty() {
            failure.hint = "see `remit install list`".into();
        }
        failure
    })?;
    context.format().answer(&accepted, || {
        let status = &accepted.view.status;
        let known = if accepted.duplicate { " (it was there already)" } else { "" };
        format!("accepted{known}: {id} is {}: {}", word(&status.word), status.description)
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command as Top};

    fn body(line: &str, kind: Kind) -> Result<String> {
        let words = ["remit", "signal"].into_iter().chain(line.split(' '));
        let cli = Cli::try_parse_from(words).map_err(|e| Failure::usage(e.to_string(), ""))?;
        let Top::Signal(args) = cli.command else { panic!("not a signal") };
        args.body(kind).map(|b| b.to_string())
    }

    #[test]
    fn signals_are_what_the_loops_take() {
        for (line, want) in [
            ("acme deploy", r#"{"deploy":{}}"#),
            ("acme deploy --version 1.2", r#"{"deploy":{"version":"1.2"}}"#),
            ("acme cancel --operation 7 --reason no", r#"{"cancel":{"operation":7,"reason":"no"}}"#),
            (r#"acme cancel --json {"reason":"x"}"#, r#"{"cancel":{"reason":"x"}}"#),
            (
                "acme set_inputs --inputs size=3 --inputs a=b",
                r#"{"set_inputs":{"inputs":{"a":"\"b\"","size":"3"}}}"#,
            ),
            ("--key k acme heal", r#"{"heal":{}}"#),
            ("acme reprovision", r#"{"reprovision":{}}"#),
            (
                "acme cancel_step --component seed --reason no",
                r#"{"cancel_step":{"component":"seed","reason":"no"}}"#,
            ),
        ] {
            let got = body(line, Kind::Install).unwrap();
            let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            assert_eq!(read(&got), read(want), "{line}");
            serde_json::from_str::<remit_loops::install::Signal>(&got).unwrap();
        }
    }

    #[test]
    fn what_no_loop_takes_is_a_usage_error() {
        for (line, kind, want) in [
            ("acme deplay", Kind::Install, "similar"),
            ("acme pause", Kind::Install, "needs --reason"),
            ("acme cancel_step --component seed", Kind::Install, "needs --reason"),
            ("acme cancel --operation x --reason y", Kind::Install, "whole number"),
            ("acme publish --release 1", Kind::Install, "takes no `publish`"),
            ("@org pause --reason x --json {}", Kind::Org, "cannot be used with"),
            ("acme cancel --json [1]", Kind::Install, "no JSON object"),
        ] {
            let failure = body(line, kind).unwrap_err();
            assert!(failure.to_string().contains(want), "{line}: {failure}");
            assert_eq!(failure.exit, Exit::Usage);
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
