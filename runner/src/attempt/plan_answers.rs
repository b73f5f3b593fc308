//! Telling the broker what the customer says of plans that are kept here and wait. What the broker makes of
//! it is scheduling: whether a plan may be carried out, the runner looks up itself.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use remit_proto::convert::{PlanAnswer, PlanReply};
use remit_seal::Digest;
use remit_seal::customer::{CustomerApproval, Word};
use serde::{Deserialize, Serialize};

use super::saved_plan::NOTE_FILE;
use crate::attempt::runner::Runner;
use crate::executor::gate::tell_customer;
use crate::policy::approval::Believed;
use crate::policy::approval::judge::{About, Answer, judge};
use crate::policy::approval::waiting::Waiting;
use crate::storage::data_dir::read_bounded;

/// How often it is looked for a word of the customer's.
const LOOK: Duration = Duration::from_secs(1);
/// The name of the note of what a plan is of.
pub(super) const OF_FILE: &str = "of";
const NOTE_LEN_MAX: u64 = 8 * 1024;
/// The most words that are remembered as told.
const TOLD_MAX: usize = 1000;

/// What a kept plan is of: what the customer's words may be about.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Of {
    pub(super) about: About,
    /// What the customer is to approve, where they must.
    pub(super) wanted: Option<Waiting>,
}

/// Watches the customer's words for as long as the runner runs.
pub async fn watch(runner: Arc<Runner>) {
    let mut told = BTreeSet::new();
    loop {
        tokio::time::sleep(LOOK).await;
        if !runner.approvals.has_key() {
            continue;
        }
        let words = runner.approvals.words();
        for (component, digest, of) in kept(&runner) {
            let Some(word) = said(&runner, &words, &of) else { continue };
            let key = (component.clone(), digest, word.at_ms);
            if !told.contains(&key) && tell(&runner, component, digest, word).await {
                if told.len() >= TOLD_MAX {
                    told.clear();
                }
                told.insert(key);
            }
        }
    }
}

/// What the customer says of a plan; while that is nothing, it waits.
fn said(runner: &Runner, words: &[Believed], of: &Of) -> Option<CustomerApproval> {
    let unused: Vec<Believed> = {
        let state = runner.journal.state();
        words.iter().filter(|word| !state.ledger.is_spent(&word.digest.hex())).cloned().collect()
    };
    let Answer { denied, approved, .. } = judge(&unused, &of.about);
    match (denied.or(approved), &of.wanted) {
        (Some(word), _) => {
            runner.waits.gone(&[of.about.content]);
            return Some(word.said.clone());
        }
        (None, Some(wanted)) => tell_customer(runner, wanted),
        (None, None) => {}
    }
    None
}

/// Whether the broker took it; one that it does not wait for yet is told again.
async fn tell(runner: &Runner, component: String, digest: Digest, word: CustomerApproval) -> bool {
    let reply = match word.word {
        Word::Approved => PlanReply::Approved { by: word.by, until_ms: word.until_ms },
        Word::Denied | Word::Revoked => {
            PlanReply::Denied { by: word.by, reason: "the customer denied it".to_owned() }
        }
    };
    let answer = PlanAnswer { component, digest, reply };
    match runner.link.answer_plan(answer).await {
        Ok(taken) => taken,
        Err(error) => {
            tracing::debug!(%error, "the customer's word on a plan waits for the broker");
            false
        }
    }
}

/// The plans that are kept here, by their components.
fn kept(runner: &Runner) -> Vec<(String, Digest, Of)> {
    let places = ["plans/real", "plans/rehearsal"].map(|place| runner.dir.path(place));
    let folders = places.into_iter().filter_map(|place| std::fs::read_dir(place).ok()).flatten().flatten();
    folders.filter_map(|folder| read(&folder.path())).collect()
}

fn read(folder: &Path) -> Option<(String, Digest, Of)> {
    let component = folder.file_name()?.to_str()?.to_owned();
    let digest = read_bounded(&folder.join(NOTE_FILE), NOTE_LEN_MAX).ok()??;
    let of = read_bounded(&folder.join(OF_FILE), NOTE_LEN_MAX).ok()??;
    let digest = std::str::from_utf8(&digest).ok()?.parse().ok()?;
    Some((component, digest, serde_json::from_slice(&of).ok()?))
}
