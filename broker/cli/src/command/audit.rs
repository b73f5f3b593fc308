//! `remit audit`: who did what, and whether that was always what the log said.

use std::path::Path;

use remit_broker::api::wire::AuditEntry;
use remit_broker::audit::{Broken, Evidence, Kept, Proved, judge};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::args::audit::{AuditCommand, VerifyArgs};
use crate::audit::{Log, Outcome, kept, word};
use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::output::{Table, time};

/// The most blocks that are gone through for one answer, in pages of the broker's.
const PAGES_MAX: usize = 1_000;

/// Shows, exports and proves.
pub(super) async fn run(context: &Context, command: AuditCommand) -> Result<()> {
    match command {
        AuditCommand::Show { only, limit } => show(context, only.as_deref(), limit.into()).await,
        AuditCommand::Checkpoint { out } => {
            let kept = kept(&context.client()?.audit_blocks(Some(u64::MAX >> 11)).await?)?;
            let place = word(&kept, None)?.place;
            write(&out, &kept)?;
            let answer = json!({ "file": out, "block": place.block, "head": place.head });
            context
                .format()
                .answer(&answer, || format!("block {} is kept in {}", place.block, out.display()));
            Ok(())
        }
        AuditCommand::Export { out } => {
            let log = Log::fetch(&context.client()?).await?;
            log.write(&out)?;
            let answer = json!({ "file": out, "blocks": log.blocks.len() });
            let text = || format!("{} blocks are in {}", log.blocks.len(), out.display());
            context.format().answer(&answer, text);
            Ok(())
        }
        AuditCommand::Verify(args) => verify(context, &args).await,
        AuditCommand::Judge { evidence } => {
            let (key, proves) = judge(&read::<Evidence>(&evidence)?).map_err(|why| {
                let message = format!("{} proves nothing: {why}", evidence.display());
                let hint = "it is a file that `remit audit verify --evidence` wrote";
                Failure::new(Exit::Failed, "audit.evidence_void", message, hint)
            })?;
            let answer = json!({ "proves": proves, "key": key });
            let text = || format!("proved: {proves}\nsigned by key {key}; make sure that it is theirs");
            context.format().answer(&answer, text);
            Ok(())
        }
    }
}

async fn show(context: &Context, org: Option<&str>, limit: usize) -> Result<()> {
    let client = context.client()?;
    let (mut entries, mut before) = (vec![], None);
    for _ in 0..PAGES_MAX {
        let mut page = client.audit(org, before, limit).await?;
        entries.append(&mut page.entries);
        before = page.next;
        if entries.len() >= limit || before.is_none() {
            break;
        }
    }
    entries.truncate(limit);
    context.format().answer(&json!({ "entries": entries }), || render(&entries));
    Ok(())
}

fn render(entries: &[AuditEntry]) -> String {
    let mut table = Table::new(&["entry", "when", "who", "what", "of", "more"]);
    for AuditEntry { entry, .. } in entries {
        let short = |value: &str| value.chars().take(48).collect::<String>();
        let is_said = |name: &str| !matches!(name, "event" | "checkpoint" | "key" | "seq");
        let facts = entry.facts.iter().filter(|(name, _)| is_said(name));
        let facts: Vec<String> = facts.map(|(name, value)| format!("{name}={}", short(value))).collect();
        table.row([
            entry.n.to_string(),
            time(entry.at),
            entry.by.clone(),
            entry.code.clone(),
            entry.about.clone(),
            facts.join(" "),
        ]);
    }
    table.render("nothing is written down yet that you may read")
}

async fn verify(context: &Context, args: &VerifyArgs) -> Result<()> {
    let log = match &args.file {
        Some(file) => Log::read(file)?,
        None => Log::fetch(&context.client()?).await?,
    };
    let own: Option<Kept> = args.checkpoint.as_deref().map(read).transpose()?;
    let place = own.as_ref().map(|kept| word(kept, args.key.as_deref())).transpose()?.map(|word| word.place);
    match log.prove(place)? {
        Outcome::Broken(broken) => {
            let evidence = own.map(|kept| log.evidence(&kept)).transpose()?;
            Err(accuse(args, &broken, evidence)?)
        }
        Outcome::Whole(proved) => match proved.forks.first() {
            None => {
                whole(context, &proved, args.checkpoint.is_some());
                Ok(())
            }
            Some((first, second)) => {
                let message = format!(
                    "the receipts of {} contradict each other: {} with head {}, then {} with head {}",
                    first.install, first.records, first.head, second.records, second.head
                );
                let (first, second) = (Box::new(first.clone()), Box::new(second.clone()));
                keep(args, &Evidence::Receipts { first, second })?;
                let hint = "their customer finds out with `remit-runner verify`; --evidence FILE keeps what proves it";
                Err(Failure::new(Exit::Failed, "audit.receipts_forked", message, hint))
            }
        },
    }
}

fn whole(context: &Context, proved: &Proved, with_kept: bool) {
    let Proved { place, first, read, hidden, .. } = proved;
    let answer = json!({
        "whole": true, "chain": place.chain, "first_block": first, "blocks": place.block, "entries": place.entries,
        "head": place.head, "read": read, "hidden": hidden, "passed_checkpoint": with_kept,
    });
    context.format().answer(&answer, || {
        let passed = if with_kept { ", and passed through the place that was kept" } else { "" };
        format!(
            "the audit log is whole from block {first} to {}: {} entries, head {}{passed}\n\
             {read} entries were read, {hidden} are others' and known by their digests",
            place.block, place.entries, place.head
        )
    });
}

fn accuse(args: &VerifyArgs, broken: &Broken, evidence: Option<Evidence>) -> Result<Failure> {
    let mut hint =
        "keep a copy of both and find out by whom: a backup that was set back, or somebody with the \
                    database's password"
            .to_owned();
    if let Some(evidence) = evidence
        && matches!(broken, Broken::Forked { .. })
    {
        keep(args, &evidence)?;
        hint.push_str("; --evidence FILE keeps what proves it to others");
    }
    Ok(Failure::new(Exit::Failed, broken.code(), broken.to_string(), hint))
}

fn keep(args: &VerifyArgs, evidence: &Evidence) -> Result<()> {
    args.evidence.as_deref().map_or(Ok(()), |path| write(path, evidence))
}

fn write<T: serde::Serialize>(path: &Path, value: &T) -> Result<()> {
    let json = serde_json::to_string_pretty(value).expect("texts and whole numbers are always JSON");
    std::fs::write(path, json + "\n").map_err(|e| Failure::file("write", path, &e))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(|e| Failure::file("read", path, &e))?;
    serde_json::from_str(&text).map_err(|e| {
        let message = format!("{} cannot be read: {e}", path.display());
        let hint =
            "give a file of `remit audit checkpoint` or `verify --evidence`, or a runner's journal/seen.json";
        Failure::new(Exit::Usage, "audit.unreadable", message, hint)
    })
}
