//! `remit app`: what the org deploys.

use remit_loops::Kind;
use remit_loops::view::Detail;

use super::object;
use crate::args::AppCommand;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::output::{Table, word};

/// Lists apps or shows one.
pub(super) async fn run(context: &Context, command: AppCommand) -> Result<()> {
    match command {
        AppCommand::List => list(context).await,
        AppCommand::Show { name: None } => object::show(context, &context.app()?, None).await,
        AppCommand::Show { name: Some(name) } => {
            let id = context.org()?.child(&name).map_err(|e| Failure::usage(e.to_string(), ""))?;
            object::show(context, &id, None).await
        }
    }
}

async fn list(context: &Context) -> Result<()> {
    let apps = context.client()?.objects(Kind::App, &context.org()?).await?;
    context.format().answer(&apps, || {
        let mut table = Table::new(&["app", "status", "release", "installs"]);
        for app in &apps {
            let (release, installs) = match &app.view.detail {
                Detail::App { releases, installs, .. } => (
                    releases.last().map_or("none".to_owned(), |r| r.version.clone()),
                    installs.len().to_string(),
                ),
                _ => continue,
            };
            table.row([app.view.id.name().to_owned(), word(&app.view.status.word), release, installs]);
        }
        table.render("no apps yet: `remit release create` makes the first")
    });
    Ok(())
}
