//! `remit token`: who may speak for the org.

use remit_broker::api::wire::{NewToken, Scope};

use crate::args::TokenCommand;
use crate::context::Context;
use crate::failure::Result;
use crate::keys::write_private;
use crate::output::{Table, time};

/// Makes, lists and takes away tokens.
pub(super) async fn run(context: &Context, command: TokenCommand) -> Result<()> {
    let client = context.client()?;
    match command {
        TokenCommand::Whoami => {
            let me = client.whoami().await?;
            context.format().answer(&me, || match &me.scope {
                Scope::Operator => format!("{}: the broker's operator, everything", me.name),
                Scope::Org(org) => format!("{}: org {org}", me.name),
            });
        }
        TokenCommand::Create { name, out } => {
            let made = client.create_token(context.org()?.name(), &NewToken { name }).await?;
            match out {
                Some(file) => {
                    write_private(&file, made.token.as_bytes())?;
                    let answer = serde_json::json!({ "name": made.name, "org": made.org, "file": file });
                    context.format().answer(&answer, || format!("the token is in {}", file.display()));
                }
                None => {
                    context.format().say("This is the only time that the token is shown:");
                    context.format().answer(&made, || made.token.clone());
                }
            }
        }
        TokenCommand::List => {
            let list = client.tokens(context.org()?.name()).await?;
            context.format().answer(&list, || {
                let mut table = Table::new(&["token", "made"]);
                for token in &list.tokens {
                    table.row([token.name.clone(), time(token.created)]);
                }
                table.render("no tokens yet: `remit token create NAME`")
            });
        }
        TokenCommand::Delete { name } => {
            client.delete_token(context.org()?.name(), &name).await?;
            let answer = serde_json::json!({ "deleted": name });
            context.format().answer(&answer, || format!("token {name} is taken away"));
        }
    }
    Ok(())
}
