//! Keeping a state: putting a fence in, sending what was not sent, noticing that it went back.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::document::{Document, Head, Mark};
use super::{Error, MARK_LEN_MAX, STATE_LEN_MAX, States, file};
use crate::account::object_store::{Unwritten, Version};
use crate::backoff::Backoff;
use crate::outcome::Attempt;
use crate::storage::data_dir::{read_bounded, remove_file, write_atomic};

const LEN_MAX: u64 = STATE_LEN_MAX as u64 + MARK_LEN_MAX;
/// How often a write is tried whose end is not known.
const TRIES: u32 = 5;
const NOTE_LEN_MAX: u64 = 4 * 1024;

/// What this runner saw last of a state.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    lineage: String,
    serial: u64,
}

impl States {
    pub(super) async fn read(&self, component: &str) -> Result<Option<(Document, Version)>, Error> {
        let found =
            self.shared.cells.read(&file(component), LEN_MAX).await.map_err(|e| self.io(component, e))?;
        let Some((bytes, version)) = found else { return Ok(None) };
        let document = Document::from_bytes(&bytes).map_err(|e| self.io(component, e))?;
        Ok(Some((document, version)))
    }

    /// Writes over this version. A lost answer is no reason to fail: what is there afterwards counts.
    pub(super) async fn write(
        &self,
        component: &str,
        document: &Document,
        over: Option<&Version>,
    ) -> Result<Version, Unwritten> {
        let bytes = document.to_bytes();
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        let mut tries = 0;
        loop {
            tries += 1;
            let written = self.shared.cells.write(&file(component), bytes.clone(), over).await;
            match written {
                Ok(version) => return Ok(version),
                Err(Unwritten::Unsure(error)) if tries >= TRIES => return Err(error.into()),
                Err(Unwritten::Unsure(_)) => backoff.wait().await,
                Err(Unwritten::Changed) => {
                    // It may have been changed by an earlier try of ours.
                    return match self.shared.cells.read(&file(component), LEN_MAX).await? {
                        Some((found, version)) if found == bytes => Ok(version),
                        _ => Err(Unwritten::Changed),
                    };
                }
            }
        }
    }

    /// Puts the attempt's fence in: from then on no earlier attempt's version of the object is there.
    pub(super) async fn claim(
        &self,
        component: &str,
        (attempt, counted_ms): (&Attempt, i64),
    ) -> Result<(Version, Option<Head>, Mark), Error> {
        for _ in 0..TRIES {
            let (found, version) = self.read(component).await?.unzip();
            let before = found.unwrap_or_default();
            // Whoever counts since later has learnt more; this one counts on from there.
            let mark = Mark::of(attempt, counted_ms.max(before.mark.counted_ms));
            self.check_fence(component, &mark, &before.mark)?;
            let head =
                before.body.as_deref().map(Head::read).transpose().map_err(|e| self.io(component, e))?;
            self.check_seen(component, head.as_ref())?;
            let document = Document { mark: mark.clone(), body: before.body };
            match self.write(component, &document, version.as_ref()).await {
                Ok(version) => return Ok((version, head, mark)),
                Err(Unwritten::Changed) => {}
                Err(Unwritten::Unsure(error)) => return Err(self.io(component, error)),
            }
        }
        Err(self.io(component, io::Error::other("others write it all the time")))
    }

    fn check_fence(&self, component: &str, mark: &Mark, found: &Mark) -> Result<(), Error> {
        if mark.is_before(found) { Err(self.stale(component, mark.fence, found)) } else { Ok(()) }
    }

    pub(super) fn stale(&self, component: &str, offered: u64, found: &Mark) -> Error {
        let (component, by) = (component.to_owned(), found.attempt.clone());
        Error::Stale { component, offered, found: found.fence, by }
    }

    /// A state that somebody removed or restored would let everything be made twice.
    fn check_seen(&self, component: &str, now: Option<&Head>) -> Result<(), Error> {
        let note = self.note(component);
        let Some(seen) = self.seen(component)? else {
            return now.map_or(Ok(()), |now| self.note_seen(component, now));
        };
        let words = match now {
            None => "it is gone".to_owned(),
            Some(now) if now.lineage != seen.lineage => "it is another one (its lineage differs)".to_owned(),
            Some(now) if now.serial < seen.serial => {
                format!("its serial was {} and is {} now", seen.serial, now.serial)
            }
            Some(now) => return self.note_seen(component, now),
        };
        Err(Error::WentBack { place: self.place(component), words, note })
    }

    fn seen(&self, component: &str) -> Result<Option<Seen>, Error> {
        let bytes = read_bounded(&self.note(component), NOTE_LEN_MAX).map_err(|e| self.io(component, e))?;
        let seen = bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose();
        seen.map_err(|e| self.io(component, e.into()))
    }

    pub(super) fn note_seen(&self, component: &str, head: &Head) -> Result<(), Error> {
        let seen = Seen { lineage: head.lineage.clone(), serial: head.serial };
        if self.seen(component)?.as_ref() == Some(&seen) {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&seen).expect("a text and a whole number");
        write_atomic(&self.note(component), &bytes).map_err(|e| self.io(component, e))
    }

    /// Sends what an earlier attempt's terraform wrote and the place has not taken. Until that is done the
    /// component's lock is not released, and nothing begins.
    pub async fn settle(&self, component: &str) -> Result<(), Error> {
        let kept = self.unsent(component);
        let Some(bytes) = read_bounded(&kept, LEN_MAX).map_err(|e| self.io(component, e))? else {
            return Ok(());
        };
        let document = Document::from_bytes(&bytes).map_err(|e| self.io(component, e))?;
        let unsent = |source| Error::Unsent {
            component: component.to_owned(),
            place: self.place(component),
            kept: kept.clone(),
            source,
        };
        let (found, version) = match self.read(component).await {
            Ok(found) => found.unzip(),
            Err(Error::Io { source, .. }) => return Err(unsent(source)),
            Err(other) => return Err(other),
        };
        let before = found.unwrap_or_default();
        if document.mark.is_before(&before.mark) {
            return self.set_aside(component, &document.mark, &before.mark);
        }
        if before != document {
            match self.write(component, &document, version.as_ref()).await {
                Ok(_) => {}
                Err(Unwritten::Unsure(source)) => return Err(unsent(source)),
                Err(Unwritten::Changed) => {
                    return Err(unsent(io::Error::other("somebody else writes it now")));
                }
            }
        }
        tracing::info!(component, place = self.place(component), "the state that was not sent has arrived");
        if let Some(head) = document.body.as_deref().and_then(|body| Head::read(body).ok()) {
            self.note_seen(component, &head)?;
        }
        remove_file(&kept).map_err(|e| self.io(component, e))
    }

    /// Somebody else has gone on without it: it is kept as evidence, and must not be written any more.
    fn set_aside(&self, component: &str, ours: &Mark, found: &Mark) -> Result<(), Error> {
        let aside = self.shared.folder.join(format!("{component}.stale-{}", ours.fence));
        std::fs::rename(self.unsent(component), &aside).map_err(|e| self.io(component, e))?;
        tracing::error!(
            component,
            kept = %aside.display(),
            "a state was not sent in time: another runner has taken the component over since"
        );
        Err(self.stale(component, ours.fence, found))
    }

    /// Whether something waits to be sent.
    pub fn is_unsent(&self, component: &str) -> bool {
        self.unsent(component).exists()
    }

    pub(super) fn unsent(&self, component: &str) -> PathBuf {
        self.shared.folder.join(format!("{component}.unsent"))
    }

    fn note(&self, component: &str) -> PathBuf {
        self.shared.folder.join(format!("{component}.seen.json"))
    }

    pub(super) fn io(&self, component: &str, source: io::Error) -> Error {
        Error::Io { place: self.place(component), source }
    }
}
