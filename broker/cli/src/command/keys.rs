//! `remit keys`: make keys, say which of them may sign what, take them away.

mod args;
mod dispatch;
mod root;

use remit_broker::api::wire::{NewRestriction, Standing};
use serde::Serialize;

pub use args::KeysCommand;

use crate::context::Context;
use crate::failure::Result;
use crate::keys::{Role, root_digest};
use crate::output::{DIM, Table, time};

#[derive(Serialize)]
struct Shown {
    role: &'static str,
    id: String,
    file: String,
}

/// Does what the command line says.
pub(super) async fn run(context: &Context, command: &KeysCommand) -> Result<()> {
    match command {
        KeysCommand::Init => {
            context.keys()?.init()?;
            context.format().say("Back these files up; who has them can sign for you. Never commit them.");
            show(context)
        }
        KeysCommand::Show => show(context),
        KeysCommand::Make { name, algorithm } => make(context, name, *algorithm),
        KeysCommand::Root(command) => root::run(context, command).await,
        KeysCommand::Dispatch(command) => dispatch::run(context, command).await,
        KeysCommand::Revoke { id, reason } => {
            let revoke = [(id.clone(), reason.clone())].into();
            restrict(context, NewRestriction { revoke, ..NewRestriction::default() }).await?;
            let next = "Runners that can reach the broker know it within a minute. Now drop it from the root: \
                        `remit keys root rotate --drop ID`; a broker that was taken over would not tell them.";
            context.format().say(next);
            Ok(())
        }
        KeysCommand::Floor { counter, channel } => {
            let line = format!("{}/{channel}", context.app()?.name());
            let floors = [(line, *counter)].into();
            restrict(context, NewRestriction { floors, ..NewRestriction::default() }).await
        }
        KeysCommand::Standing => {
            let standing = context.client()?.standing(context.org()?.name()).await?;
            tell(context, &standing);
            Ok(())
        }
    }
}

fn show(context: &Context) -> Result<()> {
    let keys = context.keys()?;
    let mut shown = Vec::new();
    for role in Role::ALL {
        let file = keys.file(role).display().to_string();
        shown.push(Shown { role: role.as_str(), id: keys.load(role)?.id(), file });
    }
    let root = keys.root()?.map(|bytes| root_digest(&bytes)).transpose()?;
    let answer = serde_json::json!({ "keys": shown, "root_sha256": root.map(|d| d.hex()) });
    context.format().answer(&answer, || {
        let mut table = Table::new(&["key", "id", "file"]);
        for key in &shown {
            table.row([key.role.to_owned(), key.id.clone(), key.file.clone()]);
        }
        let root = match root {
            Some(digest) => format!("root    {}  (what runners pin)", digest.hex()),
            None => format!("{DIM}no root yet: `remit org create` makes it{DIM:#}"),
        };
        format!("{}{root}", table.render(""))
    });
    Ok(())
}

fn make(context: &Context, name: &str, algorithm: crate::keys::Algorithm) -> Result<()> {
    let made = context.keys()?.make(name, algorithm)?;
    context.format().answer(&made, || {
        format!(
            "key     {}\nfile    {}  (for you only: back it up, never commit it)\npublic  {}  (for whoever makes the root)",
            made.id,
            made.file.display(),
            made.public.display()
        )
    });
    Ok(())
}

async fn restrict(context: &Context, new: NewRestriction) -> Result<()> {
    let standing = context.client()?.restrict(context.org()?.name(), &new).await?;
    tell(context, &standing);
    Ok(())
}

fn tell(context: &Context, standing: &Standing) {
    context.format().answer(standing, || {
        let mut table = Table::new(&["what", "of", "why or from"]);
        for (id, reason) in &standing.revoked {
            table.row(["revoked".to_owned(), id.clone(), reason.clone()]);
        }
        for (line, counter) in &standing.floors {
            table.row(["floor".to_owned(), line.clone(), format!("counter {counter}")]);
        }
        let changed =
            if table.is_empty() { String::new() } else { format!("since {}", time(standing.changed)) };
        format!("{}{changed}", table.render("nothing is revoked, and there are no floors"))
    });
}
