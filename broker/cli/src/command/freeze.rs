//! `remit freeze`: times in which nothing is changed.

use remit_loops::freeze::{AddFreeze, Freeze, RemoveFreeze};
use remit_loops::view::Detail;
use remit_loops::{Kind, ObjectId, Signal, app, install, org};

use crate::args::updates::FreezeCommand;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::output::Table;
use crate::times;

/// States, removes and lists freezes.
pub(super) async fn run(context: &Context, command: FreezeCommand) -> Result<()> {
    match command {
        FreezeCommand::Add { name, on, from, until, zone, reason } => {
            let from = from.map(|from| times::read(&from, &zone)).transpose()?;
            let until = times::read(&until, &zone)?;
            let id = context.target(&on)?;
            let signal = match id.kind() {
                Kind::Org => Signal::Org(org::Signal::Freeze(AddFreeze { name, from, until, reason })),
                Kind::App => Signal::App(app::Signal::Freeze(AddFreeze { name, from, until, reason })),
                Kind::Install => {
                    Signal::Install(install::Signal::Freeze(AddFreeze { name, from, until, reason }))
                }
                Kind::Component | Kind::Runner => return Err(no_freeze(&id)),
            };
            tell(context, &id, &signal).await
        }
        FreezeCommand::Remove { name, on, reason } => {
            let id = context.target(&on)?;
            let signal = match id.kind() {
                Kind::Org => Signal::Org(org::Signal::Unfreeze(RemoveFreeze { name, reason })),
                Kind::App => Signal::App(app::Signal::Unfreeze(RemoveFreeze { name, reason })),
                Kind::Install => Signal::Install(install::Signal::Unfreeze(RemoveFreeze { name, reason })),
                Kind::Component | Kind::Runner => return Err(no_freeze(&id)),
            };
            tell(context, &id, &signal).await
        }
        FreezeCommand::List { on } => {
            let id = context.target(&on)?;
            let freezes = freezes(context.client()?.object(&id).await?.view.detail, &id)?;
            context.format().answer(&freezes, || table(&freezes));
            Ok(())
        }
    }
}

fn no_freeze(id: &ObjectId) -> Failure {
    let message = format!("{id} has no freezes of its own");
    Failure::usage(message, "freeze its install, @app or @org")
}

fn freezes(detail: Detail, id: &ObjectId) -> Result<Vec<Freeze>> {
    match detail {
        Detail::Org { freezes, .. } | Detail::App { freezes, .. } => Ok(freezes),
        Detail::Install { updates, .. } => Ok(updates.freezes),
        Detail::Component { .. } | Detail::Runner { .. } => Err(no_freeze(id)),
    }
}

async fn tell(context: &Context, id: &ObjectId, signal: &Signal) -> Result<()> {
    let client = context.client()?;
    let accepted = match signal {
        Signal::Org(signal) => client.signal(id, signal, None).await?,
        Signal::App(signal) => client.signal(id, signal, None).await?,
        Signal::Install(signal) => client.signal(id, signal, None).await?,
        Signal::Component(_) | Signal::Runner(_) => return Err(no_freeze(id)),
    };
    let freezes = freezes(accepted.view.detail.clone(), id)?;
    context.format().answer(&accepted, || table(&freezes));
    Ok(())
}

fn table(freezes: &[Freeze]) -> String {
    let mut table = Table::new(&["freeze", "of", "from", "until", "by", "reason"]);
    for freeze in freezes {
        table.row([
            freeze.name.clone(),
            freeze.of.to_string(),
            freeze.from.to_string(),
            freeze.until.to_string(),
            freeze.by.clone(),
            freeze.reason.clone(),
        ]);
    }
    table.render("no freezes")
}
