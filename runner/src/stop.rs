//! Why a running attempt must stop, told to whoever carries it out.

use tokio::sync::watch;

/// Why it must stop; a greater one replaces a lesser one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Somebody asked for it.
    Cancelled(String),
    /// Its longest run is over.
    Timeout,
    /// The runner is being forced to end: no grace.
    Forced,
}

impl Reason {
    fn rank(&self) -> u8 {
        match self {
            Reason::Cancelled(_) => 1,
            Reason::Timeout => 2,
            Reason::Forced => 3,
        }
    }
}

/// One attempt's stop: asked once, seen by all who hold it.
#[derive(Clone, Debug)]
pub struct Stop {
    reason: watch::Sender<Option<Reason>>,
}

impl Default for Stop {
    fn default() -> Self {
        Self { reason: watch::Sender::new(None) }
    }
}

impl Stop {
    /// Asks for a stop; a lesser reason than the one already given changes nothing.
    pub fn ask(&self, reason: Reason) {
        self.reason.send_if_modified(|held| {
            let greater = held.as_ref().is_none_or(|h| reason.rank() > h.rank());
            if greater {
                *held = Some(reason);
            }
            greater
        });
    }

    /// The reason, if any.
    pub fn reason(&self) -> Option<Reason> {
        self.reason.borrow().clone()
    }

    /// Waits for a reason.
    pub async fn asked(&self) -> Reason {
        self.wait_for(|_| true).await
    }

    /// Waits until there is no time for grace.
    pub async fn forced(&self) {
        self.wait_for(|reason| *reason == Reason::Forced).await;
    }

    async fn wait_for(&self, accept: impl Fn(&Reason) -> bool) -> Reason {
        let mut seen = self.reason.subscribe();
        let found = seen.wait_for(|r| r.as_ref().is_some_and(&accept)).await;
        match found.as_deref() {
            Ok(Some(reason)) => reason.clone(),
            // The sender lives in `self`, so the channel cannot close while this waits.
            Ok(None) | Err(_) => Reason::Forced,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greater_reason_replaces_a_lesser_one_and_not_the_other_way() {
        let stop = Stop::default();
        stop.ask(Reason::Timeout);
        stop.ask(Reason::Cancelled("too late".to_owned()));
        assert_eq!(stop.reason(), Some(Reason::Timeout));
        stop.ask(Reason::Forced);
        assert_eq!(stop.reason(), Some(Reason::Forced));
    }
}
