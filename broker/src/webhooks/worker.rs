//! Tells endpoints what the log says, one task for each: in order, again until it is heard or given up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use remit_loops::Timestamp;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::claim::Claims;
use super::message::{self, Message};
use super::send::Unsent;
use super::{Cursor, Endpoint, FORMAT, Webhooks, is_wanted, key};
use crate::api::wire::Delivery;
use crate::engine::LoggedEvent;
use crate::store::StoreError;

/// How often new endpoints are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long to gather what is committed before it is looked at: a busy broker commits hundreds of times a second.
const GATHER: Duration = Duration::from_millis(25);
/// How often the end of the log is looked at when nobody tells of news: the log is the truth, news are a hint.
const IDLE: Duration = Duration::from_secs(5);
/// How often what is too fresh to be told is looked at again.
const FRESH: Duration = Duration::from_millis(250);
/// How long to wait when the store is away, or another broker tells the endpoint.
const AWAY: Duration = Duration::from_secs(2);
/// How many events are read at once, and told before the cursor is written.
const PAGE: usize = 64;
/// Where brokers share a database, events become visible a little out of order: none is told before
/// all that came before it is there. A broker that hangs lets go of what it holds after three seconds.
const SETTLED_MS: i64 = 5_000;
/// A cursor that only passed over what others did is written this seldom.
const PASSED_OVER_MAX: u64 = 10_000;
/// How often a message is tried before it is given up.
pub(crate) const TRIES_MAX: u32 = 10;
/// The longest wait between two tries.
const WAIT_MS_MAX: i64 = 3_600_000;

/// Tells all endpoints until the broker stops.
pub(crate) async fn run(hooks: Arc<Webhooks>, stopping: CancellationToken) {
    let broker = broker_id();
    let mut tasks: BTreeMap<String, JoinHandle<()>> = BTreeMap::new();
    loop {
        tasks.retain(|_, task| !task.is_finished());
        match hooks.endpoints("").await {
            Ok(endpoints) => {
                for endpoint in endpoints {
                    let name = key(&endpoint.org, &endpoint.name);
                    tasks.entry(name).or_insert_with(|| {
                        tokio::spawn(tell(hooks.clone(), endpoint, broker.clone(), stopping.clone()))
                    });
                }
            }
            Err(error) => tracing::warn!(%error, "the webhooks cannot be read now"),
        }
        if pause(LOOK_EVERY, &stopping).await {
            break;
        }
    }
    futures::future::join_all(tasks.into_values()).await;
}

/// A name for this process, for claims.
fn broker_id() -> String {
    let mut bytes = [0u8; 8];
    // Without randomness its number will do: it is unique on its machine.
    match getrandom::fill(&mut bytes) {
        Ok(()) => hex::encode(bytes),
        Err(_) => std::process::id().to_string(),
    }
}

/// Waits; whether the broker stops.
async fn pause(time: Duration, stopping: &CancellationToken) -> bool {
    tokio::select! {
        () = stopping.cancelled() => true,
        () = tokio::time::sleep(time) => false,
    }
}

/// What a telling waits for before it goes on.
enum Wait {
    Time(Duration),
    /// Something is committed.
    News,
}

/// Tells one endpoint until it is gone.
async fn tell(hooks: Arc<Webhooks>, endpoint: Endpoint, broker: String, stopping: CancellationToken) {
    let mut telling = Telling { hooks, endpoint, broker, claims: Claims::default(), passed: 0 };
    // Before the first look: what is committed after it is news.
    let mut news = telling.hooks.engine.watch_all();
    loop {
        let wait = match telling.turn(&stopping).await {
            Ok(Some(wait)) => wait,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, webhook = telling.endpoint.name, "a webhook has to wait");
                Wait::Time(AWAY)
            }
        };
        let time = match wait {
            Wait::Time(time) => time,
            Wait::News => tokio::select! {
                () = news.changed() => GATHER,
                is_over = pause(IDLE, &stopping) => if is_over { return } else { Duration::ZERO },
            },
        };
        if pause(time, &stopping).await {
            return;
        }
    }
}

struct Telling {
    hooks: Arc<Webhooks>,
    endpoint: Endpoint,
    broker: String,
    claims: Claims,
    /// How far was looked in vain since the cursor was written.
    passed: u64,
}

impl Telling {
    /// Tells what there is to tell; how long to wait then, or nothing if the endpoint is gone.
    async fn turn(&mut self, stopping: &CancellationToken) -> Result<Option<Wait>, StoreError> {
        let (org, name) = (self.endpoint.org.clone(), self.endpoint.name.clone());
        let Some(endpoint) = self.hooks.get(&org, &name).await? else { return Ok(None) };
        self.endpoint = endpoint;
        if !self.claims.hold(&self.hooks.engine, &self.broker, &self.endpoint).await? {
            self.passed = 0;
            return Ok(Some(Wait::Time(AWAY)));
        }
        let Some(mut cursor) = self.hooks.cursor(&org, &name).await? else { return Ok(None) };
        let now = self.hooks.engine.now();
        if now < cursor.not_before {
            let ms = cursor.not_before.since_ms(now).clamp(0, 1_000);
            return Ok(Some(Wait::Time(Duration::from_millis(ms.unsigned_abs()))));
        }
        let from = cursor.after.max(self.passed);
        let (events, next) = self.settled(from, now).await?;
        let before = cursor.delivered + cursor.dead;
        let told = self.tell(&mut cursor, &events, stopping).await;
        let news = cursor.delivered + cursor.dead != before || told.is_err();
        if let Some(last) = events.last().filter(|_| told.is_ok()) {
            self.passed = last.seq;
            cursor.after = last.seq;
        }
        if news || self.passed.saturating_sub(from) >= PASSED_OVER_MAX {
            self.keep(&cursor).await?;
        }
        // Where one has to wait, the cursor knows how long.
        Ok(Some(if told.is_err() { Wait::Time(Duration::ZERO) } else { next }))
    }

    /// The next events, none before all that came before it is there; and what to wait for then.
    async fn settled(&self, after: u64, now: Timestamp) -> Result<(Vec<LoggedEvent>, Wait), StoreError> {
        let mut events = self.hooks.engine.events_after(after, PAGE).await?;
        let is_fresh = |event: &LoggedEvent| now.since_ms(event.at) < SETTLED_MS;
        let fresh = events.iter().position(is_fresh).filter(|_| self.hooks.engine.is_shared());
        let next = match fresh {
            Some(_) => Wait::Time(FRESH),
            None if events.len() == PAGE => Wait::Time(Duration::ZERO),
            None => Wait::News,
        };
        events.truncate(fresh.unwrap_or(events.len()));
        Ok((events, next))
    }

    /// Writes the cursor, unless the endpoint was removed meanwhile.
    async fn keep(&mut self, cursor: &Cursor) -> Result<(), StoreError> {
        if self.hooks.get(&self.endpoint.org, &self.endpoint.name).await?.is_some() {
            self.hooks.put_cursor(&self.endpoint, cursor).await?;
        }
        Ok(())
    }

    /// Sends what the endpoint wants of these, in order; stops where one has to wait.
    async fn tell(
        &mut self,
        cursor: &mut Cursor,
        events: &[LoggedEvent],
        stopping: &CancellationToken,
    ) -> Result<(), ()> {
        cursor.version = FORMAT;
        for event in events.iter().filter(|e| e.object.org_name() == self.endpoint.org) {
            let wanted = message::of(event).filter(|m| is_wanted(&self.endpoint.events, &m.code));
            for message in wanted {
                if stopping.is_cancelled() {
                    return Err(());
                }
                self.one(cursor, &message).await?;
            }
            cursor.after = event.seq;
        }
        Ok(())
    }

    async fn one(&self, cursor: &mut Cursor, message: &Message) -> Result<(), ()> {
        let now = self.hooks.engine.now();
        let sent = match self.hooks.secret(&self.endpoint) {
            Ok(secret) => self.hooks.sender.send(&self.endpoint, &secret, message, now).await,
            Err(error) => Err(Unsent::Broken(error.to_string())),
        };
        cursor.tries += 1;
        let mut delivery = delivery(message, cursor.tries, now, &sent);
        let given_up = sent.is_err() && cursor.tries >= TRIES_MAX;
        match &sent {
            Ok(_) => cursor.delivered += 1,
            Err(_) if given_up => {
                cursor.dead += 1;
                delivery.state = "dead".to_owned();
            }
            Err(_) => {
                cursor.not_before = now.plus_ms(wait_ms(cursor.tries));
                cursor.remember(delivery);
                return Err(());
            }
        }
        (cursor.tries, cursor.not_before) = (0, Timestamp(0));
        cursor.remember(delivery);
        Ok(())
    }
}

/// What is remembered of an attempt.
pub(super) fn delivery(
    message: &Message,
    attempts: u32,
    sent: Timestamp,
    how: &Result<u16, Unsent>,
) -> Delivery {
    let (state, status, why) = match how {
        Ok(status) => ("delivered", Some(*status), String::new()),
        Err(unsent) => ("failing", unsent.status(), unsent.to_string()),
    };
    Delivery {
        id: message.id.clone(),
        object: message.object.clone(),
        code: message.code.clone(),
        at: message.at,
        sent,
        attempts,
        state: state.to_owned(),
        status,
        why,
    }
}

/// Four times as long each time, up to an hour, and a fifth more or less.
fn wait_ms(tries: u32) -> i64 {
    let plain = 1_000_i64.saturating_mul(4_i64.saturating_pow(tries.saturating_sub(1))).min(WAIT_MS_MAX);
    let mut byte = [128u8];
    let _ = getrandom::fill(&mut byte);
    plain + plain * (i64::from(byte[0]) - 128) / 640
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_an_hour() {
        for (tries, about) in [(1, 1_000), (2, 4_000), (5, 256_000), (9, WAIT_MS_MAX), (60, WAIT_MS_MAX)] {
            let wait = wait_ms(tries);
            assert!((about * 8 / 10..=about * 12 / 10).contains(&wait), "{tries}: {wait}");
        }
    }
}
