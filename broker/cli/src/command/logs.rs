//! `remit logs`: what the tools said, attempt by attempt, and what they say now.

use std::collections::BTreeSet;

use remit_broker::api::wire::LogAttempt;
use remit_loops::{Kind, ObjectId};
use tokio::sync::mpsc;

use crate::args::LogsArgs;
use crate::client::Client;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::output::{BOLD, CYAN, Format, time};

/// How long the broker may wait for more of a log.
const WAIT_MS: u64 = 20_000;
/// How many lines of attempts that run at once may wait to be printed.
const LINES_MAX: usize = 256;

/// Prints logs.
pub(super) async fn run(context: &Context, args: LogsArgs) -> Result<()> {
    let target = context.target(&args.target)?;
    let install =
        target.install().ok_or_else(|| Failure::usage(format!("{target} has no logs"), "name an install"))?;
    let component = match target.kind() {
        Kind::Component => Some(target.name().to_owned()),
        _ => args.component,
    };
    let printer = Printer { client: context.client()?, install, component, format: context.format() };
    if args.follow { printer.follow().await } else { printer.whole().await }
}

#[derive(Clone)]
struct Printer {
    client: Client,
    install: ObjectId,
    component: Option<String>,
    format: Format,
}

impl Printer {
    async fn attempts(&self) -> Result<Vec<LogAttempt>> {
        let mut attempts = self.client.logs(&self.install).await?.attempts;
        attempts.retain(|a| self.component.as_ref().is_none_or(|c| a.component == *c));
        attempts.sort_by_key(|a| a.began);
        Ok(attempts)
    }

    /// Everything there is, one attempt after another.
    async fn whole(&self) -> Result<()> {
        let attempts = self.attempts().await?;
        if attempts.is_empty() {
            self.format.say("no logs yet");
        }
        for attempt in &attempts {
            if self.format == Format::Text {
                anstream::println!("{}", heading(attempt));
            }
            let mut offset = 0;
            loop {
                let part = self.client.log(&self.install, &attempt.job, attempt.attempt, (offset, 0)).await?;
                let over = part.is_final || part.next == offset;
                offset = part.next;
                match self.format {
                    Format::Text => anstream::print!("{}", part.text),
                    Format::Json => part.text.lines().for_each(|line| self.json(attempt, line)),
                }
                if over {
                    break;
                }
            }
        }
        Ok(())
    }

    /// What there is and what comes, lines of all attempts as they come.
    async fn follow(&self) -> Result<()> {
        let (sender, mut lines) = mpsc::channel::<(LogAttempt, String)>(LINES_MAX);
        let finder = tokio::spawn(find(self.clone(), sender));
        while let Some((attempt, line)) = lines.recv().await {
            match self.format {
                Format::Text => anstream::println!("{CYAN}{:<12}{CYAN:#} {line}", attempt.component),
                Format::Json => self.json(&attempt, &line),
            }
        }
        finder.await.map_err(|e| Failure::usage(format!("following ended: {e}"), "try again"))?
    }

    fn json(&self, attempt: &LogAttempt, line: &str) {
        self.format.json(&serde_json::json!({
            "job": attempt.job, "attempt": attempt.attempt, "component": attempt.component, "line": line,
        }));
    }
}

/// Finds attempts as they begin: a change of the install is the sign to look.
async fn find(printer: Printer, sender: mpsc::Sender<(LogAttempt, String)>) -> Result<()> {
    let mut known = BTreeSet::new();
    loop {
        let mut events = printer.client.events(&printer.install).await?;
        loop {
            for attempt in printer.attempts().await? {
                if known.insert((attempt.job.clone(), attempt.attempt)) {
                    tokio::spawn(tail(printer.clone(), attempt, sender.clone()));
                }
            }
            if events.next().await?.is_none() {
                break;
            }
        }
    }
}

/// One attempt, to its end.
async fn tail(
    printer: Printer,
    attempt: LogAttempt,
    sender: mpsc::Sender<(LogAttempt, String)>,
) -> Result<()> {
    let (mut offset, mut rest) = (0, String::new());
    loop {
        let part =
            printer.client.log(&printer.install, &attempt.job, attempt.attempt, (offset, WAIT_MS)).await?;
        offset = part.next;
        rest.push_str(&part.text);
        while let Some(end) = rest.find('\n') {
            let line: String = rest.drain(..=end).collect();
            if sender.send((attempt.clone(), line.trim_end().to_owned())).await.is_err() {
                return Ok(());
            }
        }
        if part.is_final {
            if !rest.is_empty() {
                let _ = sender.send((attempt.clone(), rest)).await;
            }
            return Ok(());
        }
    }
}

fn heading(attempt: &LogAttempt) -> String {
    format!(
        "{BOLD}── {} attempt {} · {} · {}{BOLD:#}",
        attempt.component,
        attempt.attempt,
        time(attempt.began),
        attempt.job
    )
}
