//! One attempt's hold of its component's state: what terraform may read and write with its password.

use std::fmt;
use std::sync::Arc;

use remit_seal::Digest;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::document::{Document, Head, Mark};
use super::{Error, States};
use crate::account::object_store::{Unwritten, Version};
use crate::outcome::Attempt;
use crate::storage::data_dir::{remove_file, write_atomic};

/// What terraform says of its own lock, up to so many bytes.
pub(super) const INFO_LEN_MAX: usize = 64 << 10;

/// What the backend's answers are made of.
#[derive(Debug)]
pub(super) enum Answer {
    /// The state.
    State(Vec<u8>),
    /// There is none.
    Nothing,
    /// Done.
    Done,
    /// Terraform's own lock is held by this other operation of the attempt.
    Locked(Vec<u8>),
    /// It is wrong, and stays wrong.
    Bad(String),
    /// This attempt may not write any more, for good.
    Over(String),
    /// It did not arrive; it may be tried again.
    Away(String),
}

/// An attempt's hold, as the backend sees it.
pub(super) struct Inner {
    component: String,
    mark: Mark,
    user: String,
    password: Zeroizing<String>,
    /// Of user and password.
    secret: Digest,
    written: tokio::sync::Mutex<Written>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("component", &self.component)
            .field("mark", &self.mark)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Written {
    version: Version,
    head: Option<Head>,
    /// What holds terraform's own lock: its id, and its words.
    lock: Option<(String, Vec<u8>)>,
    /// Why nothing is written any more.
    over: Option<String>,
}

#[derive(Deserialize)]
struct Info {
    #[serde(rename = "ID")]
    id: String,
}

impl Inner {
    pub(super) fn new(
        component: &str,
        (attempt, mark): (&Attempt, Mark),
        version: Version,
        head: Option<Head>,
    ) -> Self {
        let mut bytes = Zeroizing::new([0u8; 32]);
        getrandom::fill(&mut *bytes).expect("a machine without randomness has no TLS either");
        let (user, password) = (attempt.mark(), Zeroizing::new(hex::encode(*bytes)));
        let secret = digest_of(&user, &password);
        let written = Written { version, head, lock: None, over: None };
        Self { component: component.to_owned(), mark, user, password, secret, written: written.into() }
    }

    /// Compared by digest, so that how long it takes says nothing of the password.
    pub(super) fn is_of(&self, user: &str, password: &str) -> bool {
        digest_of(user, password) == self.secret
    }

    pub(super) async fn get(&self, states: &States) -> Answer {
        let mut written = self.written.lock().await;
        match states.read(&self.component).await {
            Ok(Some((document, version))) if version == written.version => match document.body {
                Some(body) => Answer::State(body),
                None => Answer::Nothing,
            },
            Ok(found) => written.end(&self.overtaken(states, found.map(|(document, _)| document.mark))),
            Err(error) => Answer::Away(crate::error::chain(&error)),
        }
    }

    fn overtaken(&self, states: &States, found: Option<Mark>) -> String {
        let found = found.unwrap_or_default();
        states.stale(&self.component, self.mark.fence, &found).to_string()
    }

    /// Takes a new state in: first on this machine's disk, then where it belongs.
    pub(super) async fn put(&self, states: &States, body: Vec<u8>, lock_id: Option<&str>) -> Answer {
        let mut written = self.written.lock().await;
        if let Some(words) = &written.over {
            return Answer::Over(words.clone());
        }
        match &written.lock {
            Some((id, _)) if lock_id == Some(id) => {}
            Some((_, info)) => return Answer::Locked(info.clone()),
            None => return Answer::Bad("take the lock first".to_owned()),
        }
        let head = match Head::read(&body) {
            Ok(head) => head,
            Err(error) => return Answer::Bad(format!("this is no state: {error}")),
        };
        match &written.head {
            Some(before) if *before == head => return Answer::Done,
            Some(before) if !head.may_follow(before) => {
                return Answer::Bad("it is of another lineage, or its serial goes back".to_owned());
            }
            Some(_) | None => {}
        }
        let document = Document { mark: self.mark.clone(), body: Some(body) };
        match self.write(states, &document, &written.version).await {
            Ok(version) => {
                (written.version, written.head) = (version, Some(head));
                Answer::Done
            }
            Err(Unwritten::Changed) => {
                let found = states.read(&self.component).await.ok().flatten().map(|(found, _)| found.mark);
                written.end(&self.overtaken(states, found))
            }
            Err(Unwritten::Unsure(error)) => Answer::Away(crate::error::chain(&error)),
        }
    }

    async fn write(
        &self,
        states: &States,
        document: &Document,
        over: &Version,
    ) -> Result<Version, Unwritten> {
        let kept = states.unsent(&self.component);
        // What is kept on this machine anyway need not be kept twice.
        if states.shared.cells.is_shared() {
            write_atomic(&kept, &document.to_bytes())?;
        }
        let version = states.write(&self.component, document, Some(over)).await?;
        if let Some(head) = document.body.as_deref().and_then(|body| Head::read(body).ok()) {
            let noted = states.note_seen(&self.component, &head);
            noted.map_err(|error| std::io::Error::other(error.to_string()))?;
        }
        remove_file(&kept)?;
        Ok(version)
    }

    pub(super) async fn lock(&self, info: Vec<u8>) -> Answer {
        let mut written = self.written.lock().await;
        let Ok(Info { id }) = serde_json::from_slice(&info) else {
            return Answer::Bad("a lock has an ID".to_owned());
        };
        match (&written.over, &written.lock) {
            (Some(words), _) => Answer::Over(words.clone()),
            (None, Some((held, info))) if *held != id => Answer::Locked(info.clone()),
            (None, _) => {
                written.lock = Some((id, info));
                Answer::Done
            }
        }
    }

    pub(super) async fn unlock(&self, info: &[u8]) -> Answer {
        let mut written = self.written.lock().await;
        let id = serde_json::from_slice::<Info>(info).map(|info| info.id).ok();
        match &written.lock {
            Some((held, _)) if id.as_ref() == Some(held) => written.lock = None,
            Some((_, info)) => return Answer::Locked(info.clone()),
            None => {}
        }
        Answer::Done
    }
}

impl Written {
    fn end(&mut self, words: &str) -> Answer {
        tracing::error!(words, "a state is written by this attempt no more");
        self.over = Some(words.to_owned());
        Answer::Over(words.to_owned())
    }
}

fn digest_of(user: &str, password: &str) -> Digest {
    Digest::of(format!("{user}\n{password}").as_bytes())
}

/// An attempt's hold of a state, as the attempt has it. Dropping it makes its password void.
#[derive(Debug)]
pub struct Session {
    states: States,
    inner: Arc<Inner>,
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut sessions = self.states.sessions();
        if sessions.get(&self.inner.component).is_some_and(|held| Arc::ptr_eq(held, &self.inner)) {
            sessions.remove(&self.inner.component);
        }
    }
}

impl Session {
    pub(super) fn new(states: States, inner: Arc<Inner>) -> Self {
        Self { states, inner }
    }

    /// What terraform finds the backend by: all of it in the environment, so that no file and no saved plan
    /// holds the password, or an address that is another's tomorrow.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let url = format!("http://{}/{}", self.states.shared.addr, self.inner.component);
        vec![
            ("TF_HTTP_ADDRESS", url.clone()),
            ("TF_HTTP_LOCK_ADDRESS", url.clone()),
            ("TF_HTTP_UNLOCK_ADDRESS", url),
            ("TF_HTTP_USERNAME", self.inner.user.clone()),
            ("TF_HTTP_PASSWORD", self.inner.password.to_string()),
        ]
    }

    /// What must not be in a log.
    pub fn password(&self) -> &str {
        &self.inner.password
    }

    /// What the state says of itself now.
    pub async fn head(&self) -> Option<Head> {
        self.inner.written.lock().await.head.clone()
    }

    /// Ends the hold. Fails when what was written has not arrived, or when another attempt has taken over.
    pub async fn close(&self) -> Result<(), Error> {
        // Only one of one's own: a newer session of the component goes on.
        let is_newest = {
            let mut sessions = self.states.sessions();
            let newest =
                sessions.get(&self.inner.component).is_some_and(|held| Arc::ptr_eq(held, &self.inner));
            if newest {
                sessions.remove(&self.inner.component);
            }
            newest
        };
        let over = self.inner.written.lock().await.over.is_some();
        if is_newest {
            self.states.settle(&self.inner.component).await?;
        }
        if !over {
            return Ok(());
        }
        let found = self.states.read(&self.inner.component).await?.map(|(found, _)| found.mark);
        Err(self.states.stale(&self.inner.component, self.inner.mark.fence, &found.unwrap_or_default()))
    }
}
