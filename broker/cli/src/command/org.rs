//! `remit org`: the tenant, made with a trust root that its own root key signs.

use std::path::Path;

use remit_broker::api::wire::{NewOrg, OrgCreated};
use remit_seal::document::KeySpec;
use remit_seal::verify;

use super::object;
use crate::args::OrgCommand;
use crate::client::Client;
use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::keys::KeysDir;
use crate::keys::ceremony::{Draft, check_signed};
use crate::output::now_ms;

/// Makes or shows the org.
pub(super) async fn run(context: &Context, command: OrgCommand) -> Result<()> {
    match command {
        OrgCommand::Create { name, root } => {
            let name = match name {
                Some(name) => name,
                None => context.org()?.name().to_owned(),
            };
            let keys = context.keys()?;
            if let Some(file) = root {
                take_root(&keys, &file)?;
            }
            let made = create(&context.client()?, &keys, &name).await?;
            context.format().answer(&made, || {
                let known = if made.duplicate { " (it was there already)" } else { "" };
                format!("{} is made{known}\nroot sha256  {}", made.org, made.root_sha256)
            });
            Ok(())
        }
        OrgCommand::Show => object::show(context, &context.org()?, None).await,
    }
}

/// Makes an org at the broker; the root is made once and kept with the keys.
pub(crate) async fn create(client: &Client, keys: &KeysDir, name: &str) -> Result<OrgCreated> {
    let dispatch = dispatch_key(client).await?;
    let root = match keys.root()? {
        Some(bytes) => {
            check_root(&bytes, name, &dispatch)?;
            bytes
        }
        None => keys.make_root(name, &dispatch, now_ms()).await?,
    };
    let root = String::from_utf8(root).map_err(|_| Failure::usage("the root is not JSON", "make it anew"))?;
    client.create_org(&NewOrg { name: name.to_owned(), root }).await
}

/// Keeps a root that people have signed, if there is none yet and nobody is missing.
fn take_root(keys: &KeysDir, file: &Path) -> Result<()> {
    let bytes = std::fs::read(file).map_err(|e| Failure::file("read", file, &e))?;
    let draft = Draft::read(&bytes)?;
    check_signed(&draft.quorums(None)?)?;
    match keys.root()? {
        None => keys.keep_root(&bytes),
        Some(kept) if kept == bytes => Ok(()),
        Some(_) => {
            let message = format!("there is another root beside your keys: {}", keys.root_file().display());
            let hint = "use another --keys-dir for another org, or leave --root out";
            Err(Failure::new(Exit::Refused, "cli.root_exists", message, hint))
        }
    }
}

async fn dispatch_key(client: &Client) -> Result<KeySpec> {
    let key = client.dispatch_key().await?;
    serde_json::to_value(&key).and_then(serde_json::from_value).map_err(|e| {
        let message = format!("the broker's dispatch key cannot be read: {e}");
        Failure::new(Exit::Refused, "cli.answer", message, "are remit and the broker of the same version?")
    })
}

/// A root that was made before must be for this org and this broker.
fn check_root(bytes: &[u8], name: &str, dispatch: &KeySpec) -> Result<()> {
    let root = verify::root(bytes, None, now_ms())?;
    let root = root.get();
    let fits = root.vendor == name && root.dispatch.keys.contains(&dispatch.id()?);
    if fits {
        return Ok(());
    }
    let message =
        format!("the root beside your keys is of org `{}` at another broker or of another name", root.vendor);
    let hint = "use another --keys-dir for another broker, or rotate the root";
    Err(Failure::new(Exit::Refused, "cli.root_foreign", message, hint))
}
