//! The customer's words as they count for one attempt: what is used up counts no more.

use remit_seal::customer::{Subject, Word};

use crate::attempt::runner::Runner;
use crate::error::{chain, now_ms};
use crate::outcome::Attempt;
use crate::policy::approval::Believed;
use crate::storage::journal::{Entry, Used};

impl Runner {
    /// The customer's words that count for this attempt.
    pub fn words(&self, attempt: &Attempt) -> Vec<Believed> {
        let mut words = self.approvals.words();
        let state = self.journal.state();
        words.retain(|word| !approves_content(word) || !state.is_used_up(&word.digest.hex(), attempt));
        words
    }

    /// Every approval that there is now of what this attempt does: they end together, so that none that was given
    /// twice is left over.
    pub(crate) fn relied_on(&self, attempt: &Attempt) -> Vec<Used> {
        let contents: Vec<String> = match self.journal.state().open.get(attempt) {
            Some(open) => open.consents.iter().map(|consent| consent.content.clone()).collect(),
            None => return Vec::new(),
        };
        let is_of_it = |word: &&Believed| match &word.said.subject {
            Subject::Content(of) => word.said.word == Word::Approved && contents.contains(&of.hex()),
            Subject::Every(_) | Subject::Lock(_) | Subject::Word(_) | Subject::Marks => false,
        };
        let words = self.approvals.words();
        let used = words.iter().filter(is_of_it);
        used.map(|word| Used { word: word.digest.hex(), until_ms: word.said.until_ms }).collect()
    }

    /// Takes away the files of approvals that are used up.
    pub(crate) fn forget_used(&self) {
        let words: Vec<String> = {
            let state = self.journal.state();
            let words = self.approvals.words().into_iter().map(|word| word.digest.hex());
            words.filter(|word| state.ledger.is_spent(word)).collect()
        };
        if !words.is_empty() {
            self.approvals.forget(&words);
        }
    }

    /// Counts the numbers anew where the customer has signed that: once for each word.
    pub(crate) async fn reset_marks(&self) {
        let Some(word) = self.approvals.resets_marks() else { return };
        let digest = word.digest.hex();
        if self.journal.state().ledger.is_spent(&digest) {
            return;
        }
        let (by, at_ms) = (word.said.by.clone(), now_ms());
        let word = Used { word: digest, until_ms: word.said.until_ms };
        match self.journal.append(Entry::MarksReset { word, by: by.clone(), at_ms }).await {
            Ok(()) => {
                tracing::warn!(by, "sequence numbers and fences are counted anew by the customer's word");
            }
            Err(error) => tracing::error!(error = %chain(&error), "the numbers cannot be counted anew yet"),
        }
    }
}

fn approves_content(word: &Believed) -> bool {
    word.said.word == Word::Approved && matches!(word.said.subject, Subject::Content(_))
}
