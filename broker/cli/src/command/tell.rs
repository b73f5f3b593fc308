//! How a command sends a signal, or only tries it: `--dry-run` asks the broker what would happen.

use std::fmt::Write as _;

use remit_loops::ObjectId;
use remit_loops::dry_run::DryRun;
use remit_loops::timeline::Level;
use serde::Serialize;

use crate::args::TryArgs;
use crate::context::Context;
use crate::failure::Result;
use crate::output::{BOLD, CYAN, DIM, RED, YELLOW, word};

/// Sends a signal and says how the object is now; or says what it would do.
pub(super) async fn tell(
    context: &Context,
    id: &ObjectId,
    signal: &impl Serialize,
    tries: TryArgs,
) -> Result<()> {
    if tries.dry_run {
        return only_try(context, id, signal).await;
    }
    let accepted = context.client()?.signal(id, signal, None).await?;
    context.format().answer(&accepted, || {
        let (status, why) = (&accepted.view.status, accepted.view.why.first());
        let why = why.map(|w| format!("\n{YELLOW}why{YELLOW:#}  {}", w.reason)).unwrap_or_default();
        format!("{id} is {}: {}{why}", word(&status.word), status.description)
    });
    Ok(())
}

/// Says what a signal would do. Nothing changes.
pub(super) async fn only_try(context: &Context, id: &ObjectId, signal: &impl Serialize) -> Result<()> {
    let trial = context.client()?.dry_run(id, signal).await?;
    context.format().answer(&trial, || picture(id, &trial));
    Ok(())
}

/// A trial, for people.
pub(super) fn picture(id: &ObjectId, trial: &DryRun) -> String {
    let (before, after) = (&trial.before, &trial.view.status);
    let mut text = format!("{BOLD}{id}{BOLD:#}: nothing was changed; it would do this at once\n");
    let _ = writeln!(text, "  {DIM}now{DIM:#}    {}: {}", word(&before.word), before.description);
    let _ = writeln!(text, "  {DIM}then{DIM:#}   {}: {}", word(&after.word), after.description);
    for entry in &trial.timeline {
        let style = match entry.level {
            Level::Info => CYAN,
            Level::Warning => YELLOW,
            Level::Error => RED,
        };
        let _ = writeln!(text, "  {style}{}{style:#}  {}", entry.code, entry.text);
    }
    for asked in &trial.asks {
        let _ = writeln!(text, "  {DIM}asks{DIM:#}   {}: {}", asked.of, asked.what);
    }
    for queued in &trial.view.queue {
        let _ = writeln!(
            text,
            "  {DIM}queue{DIM:#}  {} ({}): waits for {}",
            queued.number, queued.kind, queued.waits_for
        );
    }
    for why in trial.view.why.iter().take(3) {
        let _ = writeln!(text, "  {DIM}why{DIM:#}    {}", why.reason);
    }
    text.trim_end().to_owned()
}
