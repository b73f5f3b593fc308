//! `remit keys dispatch`: the keys that the broker signs jobs with.

use std::path::Path;

use remit_broker::api::wire::{DispatchKeyList, SigningTrouble};
use remit_seal::document::KeySpec;

use super::args::DispatchCommand;
use crate::client::Client;
use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::output::{RED, Table, YELLOW, now_ms, time};

/// Does what the command line says.
pub(super) async fn run(context: &Context, command: &DispatchCommand) -> Result<()> {
    let client = context.client()?;
    let list = match command {
        DispatchCommand::Show => client.dispatch_keys().await?,
        DispatchCommand::Rotate => client.next_dispatch_key().await?,
        DispatchCommand::Retire { id } => {
            client.retire_dispatch_key(id).await?;
            client.dispatch_keys().await?
        }
    };
    context.format().answer(&list, || describe(&list));
    Ok(())
}

fn describe(list: &DispatchKeyList) -> String {
    let mut table = Table::new(&["dispatch key", "algorithm", "where", "since", "id"]);
    for info in &list.keys {
        let place = info.kms.as_ref().unwrap_or(&info.place).clone();
        let made = info.made.map_or_else(|| "?".to_owned(), time);
        table.row([info.state.clone(), info.key.algorithm.clone(), place, made, info.id.clone()]);
    }
    let mut text = table.render("");
    if let Some(SigningTrouble { since, code, message, hint }) = &list.trouble {
        let since = time(*since);
        text.push_str(&format!(
            "{RED}nothing is signed since {since}: [{code}] {message}{RED:#}\n  {hint}\n"
        ));
    }
    if list.keys.len() > 1 {
        text.push_str(
            "both sign now; next: every org's root names both: `remit keys root rotate --dispatch-from-broker`",
        );
    } else if list.keys.iter().any(|info| info.due.is_some_and(|due| due.0 <= now_ms())) {
        text.push_str(&format!(
            "{YELLOW}it is older than 30 days; change it: `remit keys dispatch rotate`, then `remit keys dispatch --help`{YELLOW:#}"
        ));
    }
    text
}

/// The public halves of all that the broker signs with.
pub(super) async fn from_broker(client: &Client) -> Result<Vec<KeySpec>> {
    specs(client.dispatch_keys().await?)
}

/// The same from what `show` printed.
pub(super) fn read(file: &Path) -> Result<Vec<KeySpec>> {
    let bytes = std::fs::read(file).map_err(|e| Failure::file("read", file, &e))?;
    let list = serde_json::from_slice(&bytes).map_err(|e| {
        let message =
            format!("{} is not what `remit keys dispatch show -o json` prints: {e}", file.display());
        Failure::usage(message, "print it anew")
    })?;
    specs(list)
}

fn specs(list: DispatchKeyList) -> Result<Vec<KeySpec>> {
    let spec = |key| {
        serde_json::to_value(key).and_then(serde_json::from_value).map_err(|e| {
            let message = format!("a dispatch key cannot be read: {e}");
            Failure::new(
                Exit::Refused,
                "cli.answer",
                message,
                "are remit and the broker of the same version?",
            )
        })
    };
    list.keys.into_iter().map(|info| spec(info.key)).collect()
}
