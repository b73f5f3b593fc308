//! `remit keys show`: which keys are here, what the root lets each sign, and where it is.

use std::path::PathBuf;

use remit_loops::Timestamp;
use remit_seal::document::Root;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::keys::ceremony::{Draft, Life};
use crate::keys::{Entry, algorithm, root_digest};
use crate::output::{DIM, RED, Table, now_ms, time};

#[derive(Serialize)]
struct Shown {
    name: String,
    /// What the root lets it sign: `root`, `release`, both, or nothing.
    roles: Vec<&'static str>,
    algorithm: Option<&'static str>,
    /// Unknown of one under a passphrase that has no public half beside it.
    id: Option<String>,
    file: PathBuf,
    kms: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    keys: Vec<Shown>,
    root_sha256: Option<String>,
    root_version: Option<u64>,
    root_expires: Option<Timestamp>,
}

/// Shows the keys of the directory.
pub(super) fn show(context: &Context) -> Result<()> {
    let keys = context.keys()?;
    let entries = keys.entries()?;
    if entries.is_empty() {
        let message = format!("there are no keys in {}", keys.path().display());
        let hint = "make keys with `remit keys init`, or say where they are with --keys-dir";
        return Err(Failure::new(Exit::NotFound, "cli.keys_missing", message, hint));
    }
    let bytes = keys.root()?;
    let root = bytes.as_deref().map(Draft::read).transpose()?.map(|draft| draft.root);
    let digest = bytes.as_deref().map(root_digest).transpose()?;
    let answer = Answer {
        keys: entries.iter().map(|entry| shown(entry, root.as_ref())).collect(),
        root_sha256: digest.map(|digest| digest.hex()),
        root_version: root.as_ref().map(|root| root.version),
        root_expires: root.as_ref().map(|root| Timestamp(root.expires_ms)),
    };
    context.format().answer(&answer, || describe(&answer));
    Ok(())
}

fn shown(entry: &Entry, root: Option<&Root>) -> Shown {
    let (id, spec) = (entry.id(), entry.public());
    let roles = root.map(|root| [("root", &root.root), ("release", &root.release)]).into_iter().flatten();
    let has = |keys: &[String]| id.as_ref().is_some_and(|id| keys.contains(id));
    let roles = roles.filter(|(_, role)| has(&role.keys)).map(|(name, _)| name).collect();
    Shown {
        name: entry.name.clone(),
        roles,
        algorithm: spec.map(|spec| algorithm(spec.algorithm)),
        id,
        file: entry.file.clone(),
        kms: entry.kms(),
    }
}

fn describe(answer: &Answer) -> String {
    let mut table = Table::new(&["key", "signs", "algorithm", "id", "where"]);
    for key in &answer.keys {
        let signs = match (&answer.root_version, &key.roles[..]) {
            (None, _) => "?".to_owned(),
            (Some(_), []) => "nothing".to_owned(),
            (Some(_), roles) => roles.join(", "),
        };
        let place = key.kms.clone().unwrap_or_else(|| key.file.display().to_string());
        let id = key.id.clone().unwrap_or_else(|| "under a passphrase".to_owned());
        table.row([key.name.clone(), signs, key.algorithm.unwrap_or("?").to_owned(), id, place]);
    }
    let root = match (&answer.root_sha256, answer.root_version, answer.root_expires) {
        (Some(sha256), Some(version), Some(expires)) => {
            let warning = Life::of(expires.0, now_ms()).warning();
            let warning = warning.map(|text| format!("\n{RED}{text}{RED:#}")).unwrap_or_default();
            format!(
                "root    {sha256}  (version {version}, until {}: what new runners pin){warning}",
                time(expires)
            )
        }
        _ => format!("{DIM}no root yet: `remit org create` makes it{DIM:#}"),
    };
    format!("{}{root}", table.render(""))
}
