//! What an attempt is doing now, for people.

use crate::outcome::cut;

/// The longest line of progress, in bytes.
const STEP_LEN_MAX: usize = 512;

/// What an attempt is doing now, for people; the newest word counts.
#[derive(Clone, Debug)]
pub struct Progress {
    sender: tokio::sync::watch::Sender<Step>,
}

/// One word of progress.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Step {
    /// One line.
    pub message: String,
    /// Parts done.
    pub done: u32,
    /// Parts in all; 0 when not known.
    pub total: u32,
}

impl Default for Progress {
    fn default() -> Self {
        Self { sender: tokio::sync::watch::Sender::new(Step::default()) }
    }
}

impl Progress {
    /// Says what is being done.
    pub fn say(&self, message: impl Into<String>, done: u32, total: u32) {
        let message = cut(message.into(), STEP_LEN_MAX);
        self.sender.send_replace(Step { message, done, total });
    }

    /// The newest word.
    pub fn now(&self) -> Step {
        self.sender.borrow().clone()
    }

    /// Follows the words.
    pub fn follow(&self) -> tokio::sync::watch::Receiver<Step> {
        self.sender.subscribe()
    }
}
