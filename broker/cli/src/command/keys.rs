//! `remit keys`: make keys, say which of them may sign what, take them away.

mod args;
mod dispatch;
mod root;
mod show;

use remit_broker::api::wire::{NewRestriction, Standing};

pub use args::KeysCommand;

use crate::context::Context;
use crate::failure::Result;
use crate::keys::reference;
use crate::output::{Table, time};

/// Does what the command line says.
pub(super) async fn run(context: &Context, command: &KeysCommand) -> Result<()> {
    match command {
        KeysCommand::Init { release_kms } => {
            let release = release_kms.as_deref().map(reference).transpose()?;
            context.keys()?.init(release.as_ref()).await?;
            context.format().say("Back these files up; who has them can sign for you. Never commit them.");
            show::show(context)
        }
        KeysCommand::Show => show::show(context),
        KeysCommand::Make { name, algorithm, kms } => make(context, name, *algorithm, kms.as_deref()).await,
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

async fn make(
    context: &Context,
    name: &str,
    algorithm: crate::keys::Algorithm,
    kms: Option<&str>,
) -> Result<()> {
    let made = match kms {
        Some(uri) => context.keys()?.note(name, &reference(uri)?).await?,
        None => context.keys()?.make(name, algorithm)?,
    };
    let (file, public) = (made.file.display(), made.public.display());
    context.format().answer(&made, || match &made.kms {
        Some(uri) => format!(
            "key     {}\nkms     {uri}\nfile    {file}  (says where it is: no secret, for whoever signs with it)\n\
             public  {public}  (for whoever makes the root)",
            made.id
        ),
        None => format!(
            "key     {}\nfile    {file}  (for you only: back it up, never commit it)\n\
             public  {public}  (for whoever makes the root)",
            made.id
        ),
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
