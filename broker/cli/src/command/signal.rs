//! `remit signal`: what was written for an operation's fields, as the signal that a loop takes.

use remit_loops::Kind;
use serde_json::{Map, Value};

use super::tell::only_try;
use crate::args::SignalArgs;
use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::operations;
use crate::output::word;

/// The signal as JSON, for an object of this kind.
fn body(args: &SignalArgs, kind: Kind) -> Result<Value> {
    let operation = operations::of(kind).into_iter().find(|o| o.name == args.operation).ok_or_else(|| {
        let known: Vec<String> = operations::of(kind).into_iter().map(|o| o.name).collect();
        let message = format!("an object of kind {kind} takes no `{}`", args.operation);
        Failure::usage(message, format!("it takes: {}", known.join(", ")))
    })?;
    let mut body = match &args.json {
        Some(json) => serde_json::from_str::<Map<String, Value>>(json).map_err(|e| {
            Failure::usage(format!("--json is no JSON object: {e}"), "quote it for your shell")
        })?,
        None => Map::new(),
    };
    for (name, written) in &args.fields {
        let field = operation.fields.iter().find(|f| f.name == *name).ok_or_else(|| {
            Failure::usage(
                format!("`{}` of kind {kind} takes no --{name}", args.operation),
                "see its `--help`",
            )
        })?;
        body.insert(name.clone(), field.read(written)?);
    }
    if let Some(missing) = operation.fields.iter().find(|f| f.required && !body.contains_key(&f.name)) {
        let message = format!("`{}` needs --{}", args.operation, missing.flag);
        return Err(Failure::usage(message, missing.help.clone()));
    }
    Ok(Value::Object(Map::from_iter([(args.operation.clone(), Value::Object(body))])))
}

/// Sends it.
pub(super) async fn run(context: &Context, args: SignalArgs) -> Result<()> {
    let id = context.target(&args.target)?;
    let body = body(&args, id.kind())?;
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
        super::body(&args, kind).map(|b| b.to_string())
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
