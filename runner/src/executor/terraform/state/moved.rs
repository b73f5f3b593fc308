//! States that earlier runners kept elsewhere: brought to where states are now, once, and nothing of them lost.

use std::fs;
use std::path::PathBuf;

use super::document::{Document, Head, Mark};
use super::{Error, STATE_LEN_MAX, States, file};
use crate::account::object_store::Unwritten;
use crate::storage::data_dir::{read_bounded, remove_file, write_atomic};

/// Where a state went that is here no more.
const SIGN_LEN_MAX: u64 = 4 * 1024;

impl States {
    /// Brings a state that lies in the data directory to where it is to be. It is kept there under another name.
    pub(super) async fn bring_here(&self, component: &str) -> Result<(), Error> {
        if !self.shared.cells.is_shared() {
            self.stays(component)?;
        }
        let mut places = vec![self.shared.former.join(component).join("terraform.tfstate")];
        if self.shared.cells.is_shared() {
            places.push(self.shared.folder.join(file(component)));
        }
        for from in places {
            self.bring(component, from).await?;
        }
        Ok(())
    }

    /// A runner that is told to keep states in files again would begin with none.
    fn stays(&self, component: &str) -> Result<(), Error> {
        let sign = read_bounded(&self.sign(component), SIGN_LEN_MAX).map_err(|e| self.io(component, e))?;
        let Some(to) = sign else { return Ok(()) };
        let to = String::from_utf8_lossy(&to).into_owned();
        Err(Error::Moved { component: component.to_owned(), to })
    }

    async fn bring(&self, component: &str, from: PathBuf) -> Result<(), Error> {
        let io = |error| self.io(component, error);
        let Some(bytes) = read_bounded(&from, STATE_LEN_MAX as u64 + super::MARK_LEN_MAX).map_err(io)? else {
            return Ok(());
        };
        let document = Document::from_bytes(&bytes).map_err(io)?;
        let Some(head) =
            document.body.as_deref().filter(|b| !b.is_empty()).map(Head::read).transpose().map_err(io)?
        else {
            return remove_file(&from).map_err(io);
        };
        let found = self.read(component).await?;
        let there = found.as_ref().and_then(|(found, _)| found.body.as_deref());
        match there.map(Head::read).transpose().map_err(io)? {
            // A move that was interrupted, or a state that has gone on since.
            Some(there) if there == head || (there.may_follow(&head) && there.serial > head.serial) => {}
            Some(_) => {
                let (component, there) = (component.to_owned(), self.place(component));
                return Err(Error::Two { component, here: from, there });
            }
            None => {
                let (mark, version) = found.map(|(found, version)| (found.mark, version)).unzip();
                let mark: Mark = mark.unwrap_or_else(|| document.mark.clone());
                let moved = Document { mark, body: document.body };
                match self.write(component, &moved, version.as_ref()).await {
                    Ok(_) => {}
                    Err(Unwritten::Unsure(error)) => return Err(io(error)),
                    Err(Unwritten::Changed) => {
                        return Err(io(std::io::Error::other("somebody else writes it now")));
                    }
                }
                tracing::info!(component, from = %from.display(), to = self.place(component), "the state was moved");
            }
        }
        self.note_seen(component, &head)?;
        if self.shared.cells.is_shared() {
            let to = self.place(component);
            write_atomic(&self.sign(component), to.as_bytes()).map_err(io)?;
        }
        let mut name = from.file_name().unwrap_or_default().to_owned();
        name.push(".moved");
        fs::rename(&from, from.with_file_name(name)).map_err(io)
    }

    fn sign(&self, component: &str) -> PathBuf {
        self.shared.folder.join(format!("{component}.moved-to"))
    }
}
