//! A broker's audit log outside of its broker: as a file of blocks, and proved.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use remit_broker::api::wire::{AuditBlocks, DispatchKey};
use remit_broker::audit::{Block, Broken, Evidence, Kept, Proof, Proved};
use remit_seal::document::{AuditPlace, KeySpec};
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::failure::{Exit, Failure, Result};

/// The form of an exported file.
const FORMAT: u32 = 1;
/// The longest line of one.
const LINE_LEN_MAX: u64 = 8 << 20;

/// The first line of an exported file; the blocks follow, one a line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    format: u32,
    /// Where the log stood, signed.
    pub checkpoint: Kept,
    /// Where older blocks are kept no more: the place before the first that is, signed.
    base: Option<String>,
}

/// A log that is read block by block.
pub struct Log {
    /// What stands before its blocks.
    pub head: Head,
    /// The blocks.
    pub blocks: Vec<Block>,
}

/// What came of a proof.
pub enum Outcome {
    /// The log is whole; contradictions of runners are in it.
    Whole(Proved),
    /// It is not.
    Broken(Broken),
}

fn spec(key: &DispatchKey) -> Result<KeySpec> {
    let json = serde_json::to_value(key).and_then(serde_json::from_value);
    json.map_err(|e| unreadable(&format!("a dispatch key: {e}")))
}

fn unreadable(why: &str) -> Failure {
    let hint = "export it again with `remit audit export`, with the program of the same version";
    Failure::new(Exit::Usage, "audit.unreadable", format!("that is no audit log: {why}"), hint)
}

/// A signed place as the broker answers it.
pub fn kept(answer: &AuditBlocks) -> Result<Kept> {
    let keys = answer.keys.iter().map(spec).collect::<Result<_>>()?;
    Ok(Kept { signed: answer.checkpoint.clone(), keys })
}

impl Log {
    /// All of it from the broker, up to the place that it signed first.
    pub async fn fetch(client: &Client) -> Result<Self> {
        let first = client.audit_blocks(None).await?;
        let checkpoint = kept(&first)?;
        let until = word(&checkpoint, None)?.place.block;
        let base = first.base.clone();
        let mut after = base_place(base.as_deref(), &checkpoint)?.map_or(0, |place| place.block);
        let (mut blocks, mut page) = (vec![], first.blocks);
        while !page.is_empty() && after < until {
            let room = usize::try_from(until - after).unwrap_or(usize::MAX);
            page.truncate(room);
            after += page.len() as u64;
            blocks.append(&mut page);
            if after < until {
                page = client.audit_blocks(Some(after)).await?.blocks;
            }
        }
        Ok(Self { head: Head { format: FORMAT, checkpoint, base }, blocks })
    }

    /// From an exported file.
    pub fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Failure::file("read", path, &e))?;
        let mut reader = BufReader::new(file);
        let mut line = || -> Result<Option<String>> {
            let mut text = String::new();
            let read = std::io::Read::take(&mut reader, LINE_LEN_MAX).read_line(&mut text);
            read.map_err(|e| Failure::file("read", path, &e))?;
            Ok((!text.is_empty()).then_some(text))
        };
        let head = line()?.ok_or_else(|| unreadable("it is empty"))?;
        let head: Head = serde_json::from_str(&head).map_err(|e| unreadable(&e.to_string()))?;
        if head.format != FORMAT {
            return Err(unreadable(&format!("its format is {}", head.format)));
        }
        let mut blocks = vec![];
        while let Some(text) = line()? {
            blocks.push(serde_json::from_str(&text).map_err(|e| unreadable(&e.to_string()))?);
        }
        Ok(Self { head, blocks })
    }

    /// Into a file.
    pub fn write(&self, path: &Path) -> Result<()> {
        let failed = |e: std::io::Error| Failure::file("write", path, &e);
        let mut file = BufWriter::new(File::create(path).map_err(failed)?);
        let mut line = |json: Result<String, serde_json::Error>| {
            let json = json.map_err(std::io::Error::other)?;
            writeln!(file, "{json}")
        };
        line(serde_json::to_string(&self.head)).map_err(failed)?;
        for block in &self.blocks {
            line(serde_json::to_string(block)).map_err(failed)?;
        }
        file.flush().map_err(failed)
    }

    /// Proves it against the place that it was exported with, and against one that was kept elsewhere.
    pub fn prove(&self, also: Option<AuditPlace>) -> Result<Outcome> {
        let signed = word(&self.head.checkpoint, None)?.place;
        let base = base_place(self.head.base.as_deref(), &self.head.checkpoint)?;
        // What was kept elsewhere comes first: that is what somebody asks.
        for kept in also.into_iter().chain([signed.clone()]) {
            let proved = match self.pass_through(base.clone(), kept.clone()) {
                Ok(proved) => proved,
                Err(broken) => return Ok(Outcome::Broken(broken)),
            };
            if proved.place == signed && kept == signed {
                return Ok(Outcome::Whole(proved));
            }
        }
        Err(unreadable("it goes on behind the place that it was exported with"))
    }

    fn pass_through(&self, base: Option<AuditPlace>, kept: AuditPlace) -> Result<Proved, Broken> {
        let mut proof = Proof::new(base, Some(kept));
        self.blocks.iter().try_for_each(|block| proof.block(block))?;
        proof.finish()
    }

    /// What proves to others that this log is not the one of which a place was kept.
    pub fn evidence(&self, kept: &Kept) -> Result<Evidence> {
        let from = word(kept, None)?.place.block;
        let header = |block: &&Block| block.header().is_ok_and(|header| header.block >= from);
        let headers = self.blocks.iter().filter(header).map(|block| block.header.clone()).collect();
        Ok(Evidence::Log { kept: kept.clone(), now: self.head.checkpoint.clone(), headers })
    }
}

/// What a signed place says.
pub fn word(kept: &Kept, only: Option<&str>) -> Result<remit_broker::audit::Word> {
    kept.word(only).map_err(|why| {
        let message = format!("the checkpoint is not believed: {why}");
        let hint = "give the --key that the org's trust root names for the dispatch role; `remit keys root inspect` shows it";
        Failure::new(Exit::Refused, "audit.checkpoint_wrong", message, hint)
    })
}

fn base_place(base: Option<&str>, checkpoint: &Kept) -> Result<Option<AuditPlace>> {
    let kept = |signed: &str| Kept { signed: signed.to_owned(), keys: checkpoint.keys.clone() };
    base.map(|signed| word(&kept(signed), None).map(|word| word.place)).transpose()
}
