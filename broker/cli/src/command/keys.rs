//! `remit keys`: make keys, show their ids.

use serde::Serialize;

use crate::args::KeysCommand;
use crate::context::Context;
use crate::failure::Result;
use crate::keys::{Role, root_digest};
use crate::output::{DIM, Table};

#[derive(Serialize)]
struct Shown {
    role: &'static str,
    id: String,
    file: String,
}

/// Makes or shows keys.
pub(super) fn run(context: &Context, command: &KeysCommand) -> Result<()> {
    let keys = context.keys()?;
    if matches!(command, KeysCommand::Init) {
        keys.init()?;
        context.format().say("Back these files up; who has them can sign for you. Never commit them.");
    }
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
