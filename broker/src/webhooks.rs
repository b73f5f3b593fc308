//! Webhooks: what happens to an org's objects, told to endpoints of its own, signed, at least once and in the
//! order of the log. The log is the outbox; a durable cursor for each endpoint says how far it was told.
//!
//! An endpoint's secret is shown once and kept sealed; no private address is ever called unless the
//! broker's config allows it.

mod address;
mod claim;
mod message;
mod secret;
mod send;
mod worker;

use std::collections::VecDeque;
use std::path::PathBuf;

use remit_loops::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::api::wire::{Delivery, WebhookInfo};
use crate::engine::Engine;
use crate::store::StoreError;

pub(crate) use address::Refused;
pub use secret::Error as SecretError;
pub(crate) use send::Sender;

/// The most endpoints of one org.
pub(crate) const PER_ORG_MAX: usize = 20;
/// The most event classes that one endpoint names.
pub(crate) const EVENTS_MAX: usize = 50;
/// The longest URL, in bytes.
pub(crate) const URL_LEN_MAX: usize = 2_048;
/// How many deliveries of an endpoint are remembered.
const RECENT_MAX: usize = 100;
/// Records: endpoints by org and name.
const ENDPOINTS: &str = "webhook";
/// Records: how far each was told.
const CURSORS: &str = "webhook_cursor";
const FORMAT: u32 = 1;

/// What the broker's config says of webhooks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Endpoints may be at private addresses and, on the loopback, without TLS: for development.
    pub allow_private: bool,
    /// Certificate authorities to trust beside the system's, PEM.
    pub ca_file: Option<PathBuf>,
}

/// An endpoint as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    version: u32,
    pub(crate) org: String,
    pub(crate) name: String,
    pub(crate) url: String,
    /// What it is told: codes of the timeline, `operation.*`, or `*`.
    pub(crate) events: Vec<String>,
    /// Sealed.
    secret: String,
    pub(crate) created: Timestamp,
}

/// How far an endpoint was told.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Cursor {
    version: u32,
    /// The last event of the log that is dealt with.
    pub(crate) after: u64,
    /// Attempts at the next message.
    pub(crate) tries: u32,
    /// Not before this.
    pub(crate) not_before: Timestamp,
    pub(crate) delivered: u64,
    pub(crate) dead: u64,
    /// The newest last.
    pub(crate) recent: VecDeque<Delivery>,
}

impl Cursor {
    /// Remembers a delivery in place of what was known of it.
    pub(crate) fn remember(&mut self, delivery: Delivery) {
        self.recent.retain(|known| known.id != delivery.id);
        self.recent.push_back(delivery);
        while self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
        }
    }
}

/// What can go wrong with endpoints.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("the org has a webhook `{0}` already")]
    Exists(String),
    #[error("the org has {PER_ORG_MAX} webhooks already")]
    TooMany,
}

/// The endpoints of this broker.
pub(crate) struct Webhooks {
    pub(crate) engine: Engine,
    seal: secret::Seal,
    pub(crate) sender: Sender,
}

fn key(org: &str, name: &str) -> String {
    format!("{org}/{name}")
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("a record has string keys only")
}

fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|e| StoreError::Corrupt(format!("a webhook's record: {e}")))
}

impl Webhooks {
    /// Kept in the engine's records; the key of their secrets lies in the data directory.
    pub(crate) fn open(
        engine: Engine,
        data: &std::path::Path,
        options: &Options,
    ) -> Result<Self, SecretError> {
        let seal = secret::Seal::open(data)?;
        let sender = Sender::new(options)?;
        Ok(Self { engine, seal, sender })
    }

    /// Makes an endpoint, told from now on; answers its secret.
    pub(crate) async fn create(
        &self,
        org: &str,
        name: &str,
        url: &str,
        events: &[String],
    ) -> Result<Zeroizing<String>, Error> {
        if self.list(org).await?.len() >= PER_ORG_MAX {
            return Err(Error::TooMany);
        }
        let key = key(org, name);
        let plain = secret::mint()?;
        let endpoint = Endpoint {
            version: FORMAT,
            org: org.to_owned(),
            name: name.to_owned(),
            url: url.to_owned(),
            events: events.to_vec(),
            secret: self.seal.close(&key, &plain)?,
            created: self.engine.now(),
        };
        // How far first: an endpoint without it would be told all that ever happened.
        let cursor = Cursor { version: FORMAT, after: self.engine.log_end().await?, ..Cursor::default() };
        if !self.engine.add_record(CURSORS, &key, json(&cursor)).await? {
            return Err(Error::Exists(name.to_owned()));
        }
        self.engine.put_record(ENDPOINTS, &key, json(&endpoint)).await?;
        Ok(plain)
    }

    /// Removes an endpoint; answers whether there was one.
    pub(crate) async fn delete(&self, org: &str, name: &str) -> Result<bool, StoreError> {
        let key = key(org, name);
        let there = self.engine.delete_record(ENDPOINTS, &key).await?;
        self.engine.delete_record(CURSORS, &key).await?;
        Ok(there)
    }

    /// One endpoint.
    pub(crate) async fn get(&self, org: &str, name: &str) -> Result<Option<Endpoint>, StoreError> {
        let bytes = self.engine.get_record(ENDPOINTS, &key(org, name)).await?;
        bytes.map(|bytes| read(&bytes)).transpose()
    }

    /// The endpoints of an org, or of all.
    async fn endpoints(&self, prefix: &str) -> Result<Vec<Endpoint>, StoreError> {
        let records = self.engine.list_records(ENDPOINTS, prefix, crate::engine::PAGE_MAX).await?;
        records.iter().map(|(_, bytes)| read(bytes)).collect()
    }

    /// The endpoints of an org, with how they fare.
    pub(crate) async fn list(&self, org: &str) -> Result<Vec<WebhookInfo>, StoreError> {
        let mut all = vec![];
        for endpoint in self.endpoints(&format!("{org}/")).await? {
            let cursor = self.cursor(org, &endpoint.name).await?.unwrap_or_default();
            let failing = cursor.recent.back().filter(|_| cursor.tries > 0);
            all.push(WebhookInfo {
                name: endpoint.name,
                url: endpoint.url,
                events: endpoint.events,
                created: endpoint.created,
                delivered: cursor.delivered,
                dead: cursor.dead,
                failing: failing.map(|delivery| delivery.why.clone()),
                next_try: failing.map(|_| cursor.not_before),
            });
        }
        Ok(all)
    }

    /// How far an endpoint was told.
    pub(crate) async fn cursor(&self, org: &str, name: &str) -> Result<Option<Cursor>, StoreError> {
        let bytes = self.engine.get_record(CURSORS, &key(org, name)).await?;
        bytes.map(|bytes| read(&bytes)).transpose()
    }

    async fn put_cursor(&self, endpoint: &Endpoint, cursor: &Cursor) -> Result<(), StoreError> {
        self.engine.put_record(CURSORS, &key(&endpoint.org, &endpoint.name), json(cursor)).await
    }

    /// The secret that signs what an endpoint is told.
    fn secret(&self, endpoint: &Endpoint) -> Result<Zeroizing<String>, SecretError> {
        self.seal.open_sealed(&key(&endpoint.org, &endpoint.name), &endpoint.secret)
    }

    /// Sends a message once, whatever the cursor says; for tests and replays.
    pub(crate) async fn send_now(
        &self,
        endpoint: &Endpoint,
        message: &message::Message,
    ) -> Result<Delivery, SecretError> {
        let secret = self.secret(endpoint)?;
        let sent = self.sender.send(endpoint, &secret, message, self.engine.now()).await;
        Ok(worker::delivery(message, 1, self.engine.now(), &sent))
    }

    /// What an endpoint was told of an event, by the id of the message.
    pub(crate) async fn message(
        &self,
        endpoint: &Endpoint,
        id: &str,
    ) -> Result<Option<message::Message>, StoreError> {
        let Some(seq) = message::seq_of(id) else { return Ok(None) };
        let found = self.engine.events_after(seq.saturating_sub(1), 1).await?;
        let messages = found.iter().filter(|e| e.seq == seq && e.object.org_name() == endpoint.org);
        Ok(messages.flat_map(message::of).find(|message| message.id == id))
    }
}

pub(crate) use message::test as test_message;
pub(crate) use worker::run;

/// Whether an endpoint that names these classes is told of this code.
pub(crate) fn is_wanted(events: &[String], code: &str) -> bool {
    events.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(prefix) => code.starts_with(prefix),
        None => pattern == code,
    })
}

/// Whether a text names a class of events: `*`, `operation.*` or `operation.failed`.
pub(crate) fn is_class(text: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    match text {
        "*" => true,
        _ => match text.split_once('.') {
            Some((area, what)) => word(area) && (what == "*" || word(what)),
            None => word(text),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_a_code_an_area_or_all() {
        for good in ["*", "operation.*", "operation.failed", "sandbox"] {
            assert!(is_class(good), "{good}");
        }
        for bad in ["", "operation.", ".failed", "operation.fa*", "Operation.*", "a.b.c", "op eration"] {
            assert!(!is_class(bad), "{bad}");
        }
        let events = ["operation.*".to_owned(), "drift.found".to_owned()];
        for (code, wanted) in [("operation.failed", true), ("drift.found", true), ("operations.x", false)] {
            assert_eq!(is_wanted(&events, code), wanted, "{code}");
        }
    }

    #[test]
    fn only_the_newest_deliveries_are_remembered_each_once() {
        let mut cursor = Cursor::default();
        for n in 0..RECENT_MAX + 10 {
            for attempts in 1..=2 {
                cursor.remember(Delivery { id: format!("msg_{n}_0"), attempts, ..Delivery::default() });
            }
        }
        assert_eq!(cursor.recent.len(), RECENT_MAX);
        assert!(cursor.recent.iter().all(|d| d.attempts == 2));
    }
}
