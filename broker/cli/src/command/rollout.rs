//! `remit rollout`: a release to many installs, in waves.

pub(crate) mod waves;

use std::fmt::Write as _;

use remit_loops::app::{Plan, RolloutView, Signal, Wave, WaveView};
use remit_loops::view::{Detail, View};
use remit_loops::{Kind, ObjectId};

use crate::args::rollouts::RolloutCommand;
use crate::client::{Client, Event};
use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::output::{BOLD, DIM, GREEN, RED, Table, YELLOW, time};

/// How wide a bar is.
const BAR_LEN: u32 = 30;

/// Begins, shows and steers rollouts.
pub(super) async fn run(context: &Context, command: RolloutCommand) -> Result<()> {
    let (client, app) = (context.client()?, context.app()?);
    let signal = match command {
        RolloutCommand::Create(args) => {
            let installs = client.objects(Kind::Install, &app).await?;
            let plan = waves::plan(&args, &installs)?;
            return begin(context, &client, &app, plan, args.dry_run, args.follow).await;
        }
        RolloutCommand::Rollback { to, dry_run, follow } => {
            let installs = client.objects(Kind::Install, &app).await?;
            return begin(context, &client, &app, waves::back(&to, &installs)?, dry_run, follow).await;
        }
        RolloutCommand::Status { follow: true } => return follow(context, &client, &app).await,
        RolloutCommand::Status { follow: false } => {
            let rollout = of(client.object(&app).await?.view)?;
            context.format().answer(&rollout, || picture(&rollout));
            return Ok(());
        }
        RolloutCommand::Pause { reason } => Signal::PauseRollout { reason },
        RolloutCommand::Resume { budget } => Signal::ResumeRollout { failures_max: budget },
        RolloutCommand::Abort { reason } => Signal::AbortRollout { reason },
    };
    let rollout = of(client.signal(&app, &signal, None).await?.view)?;
    context.format().answer(&rollout, || picture(&rollout));
    Ok(())
}

async fn begin(
    context: &Context,
    client: &Client,
    app: &ObjectId,
    plan: Plan,
    dry_run: bool,
    stay: bool,
) -> Result<()> {
    if dry_run {
        context.format().answer(&plan, || planned(&plan));
        return Ok(());
    }
    context.format().say(planned(&plan));
    let accepted = client.signal(app, &Signal::StartRollout { plan }, None).await?;
    if stay {
        return follow(context, client, app).await;
    }
    let rollout = of(accepted.view)?;
    context.format().answer(&rollout, || picture(&rollout));
    Ok(())
}

fn of(view: View) -> Result<RolloutView> {
    let found = match view.detail {
        Detail::App { rollout, .. } => rollout.map(|rollout| *rollout),
        Detail::Org { .. } | Detail::Install { .. } | Detail::Component { .. } | Detail::Runner { .. } => {
            None
        }
    };
    found.ok_or_else(|| {
        let message = format!("{} has had no rollout yet", view.id);
        Failure::new(Exit::NotFound, "cli.no_rollout", message, "`remit rollout create VERSION` begins one")
    })
}

fn planned(plan: &Plan) -> String {
    let count: usize = plan.waves.iter().map(|wave| wave.installs.len()).sum();
    let way = if plan.rollback { "back to" } else { "to" };
    let text = format!(
        "{BOLD}{count} installs {way} release {}{BOLD:#}, at most {} at once; it halts when more than {} failed\n\n",
        plan.version, plan.at_once, plan.failures_max
    );
    let mut table = Table::new(&["wave", "installs", "bake", "who"]);
    for Wave { name, installs, bake_ms } in &plan.waves {
        let mut who = installs.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        if installs.len() > 5 {
            let _ = write!(who, " and {} more", installs.len() - 5);
        }
        table.row([name.clone(), installs.len().to_string(), format!("{} min", bake_ms / 60_000), who]);
    }
    text + &table.render("no installs")
}

/// Shows each change until it is over, or needs a person.
async fn follow(context: &Context, client: &Client, app: &ObjectId) -> Result<()> {
    let mut shown = None;
    let mut events = client.events(app).await?;
    while let Some(event) = events.next().await? {
        let Event::View(object) = event else { continue };
        let rollout = of(object.view)?;
        if shown.as_ref() != Some(&rollout) {
            context.format().answer(&rollout, || line(&rollout));
        }
        match rollout.state.as_str() {
            "done" => {
                context.format().say(picture(&rollout));
                return Ok(());
            }
            "halted" | "paused" | "aborted" => {
                context.format().say(picture(&rollout));
                let message =
                    format!("rollout {} is {}: {}", rollout.number, rollout.state, rollout.description);
                let hint =
                    "`remit rollout resume`, `remit rollout abort` or `remit rollout rollback --to VERSION`";
                return Err(Failure::new(Exit::Failed, "cli.rollout_stopped", message, hint));
            }
            _ => shown = Some(rollout),
        }
    }
    let hint = "`remit rollout status --follow` takes it up again";
    Err(Failure::new(Exit::Unavailable, "cli.unreachable", "the broker ended the stream", hint))
}

/// One line for one change.
fn line(rollout: &RolloutView) -> String {
    let waves: Vec<String> =
        rollout.waves.iter().map(|wave| format!("{} {}/{}", wave.name, over(wave), wave.installs)).collect();
    let failed =
        if rollout.failed > 0 { format!(", {RED}{} failed{RED:#}", rollout.failed) } else { String::new() };
    format!("{}: {}{failed}; {}", rollout.state, waves.join(", "), rollout.description)
}

fn over(wave: &WaveView) -> u32 {
    wave.done + wave.failed + wave.refused
}

fn picture(rollout: &RolloutView) -> String {
    let way = if rollout.rollback { "back to " } else { "" };
    let mut text = format!(
        "{BOLD}rollout {}{BOLD:#} {way}release {} by {} since {}: {} ({})\n",
        rollout.number,
        rollout.release.version,
        rollout.by,
        time(rollout.began),
        rollout.state,
        rollout.description
    );
    let _ = writeln!(text, "  {} failed, {} may", rollout.failed, rollout.failures_max);
    if let Some(next) = rollout.next {
        let _ = writeln!(text, "  the next wave begins {}", time(next));
    }
    text.push('\n');
    for wave in &rollout.waves {
        let _ = writeln!(
            text,
            "  {:<20} {} {:>3}/{} {DIM}{} wait, {} at it, {} ahead{DIM:#}",
            wave.name,
            bar(wave),
            over(wave),
            wave.installs,
            wave.waiting,
            wave.running,
            wave.ahead
        );
        for member in &wave.named {
            let style = if member.state == "failed" { RED } else { YELLOW };
            let _ =
                writeln!(text, "    {style}{:<8}{style:#} {}: {}", member.state, member.install, member.why);
        }
    }
    text
}

fn bar(wave: &WaveView) -> String {
    let share = |count: u32| (count * BAR_LEN).checked_div(wave.installs).unwrap_or(0);
    let (done, failed) = (share(wave.done), share(wave.failed));
    let left = BAR_LEN.saturating_sub(done + failed);
    let of = |sign: &str, count: u32| sign.repeat(count as usize);
    format!("{GREEN}{}{GREEN:#}{RED}{}{RED:#}{DIM}{}{DIM:#}", of("█", done), of("█", failed), of("░", left))
}
