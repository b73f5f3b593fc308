//! Who is there, among brokers that share a database.
//!
//! With a minute as the silence that means lost: each broker writes one record every fifteen seconds, whom
//! it has heard within thirty. A runner that one has not heard for sixty and that nobody lists is lost. Who lists it has heard it later, and
//! will be the one to say that it is lost, so no runner falls between two brokers. What a dead
//! broker listed, another adopts.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use remit_loops::{ObjectId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Presence, Runners};
use crate::engine::Engine;
use crate::store::StoreError;

const SPACE: &str = "presence";
/// A broker writes its record so often within the silence that means lost.
const WRITES: u32 = 4;
/// Who is in it was heard within this part of that silence: shorter by more than a record's age.
const LISTED: u32 = 2;
/// The most brokers that share a database.
const BROKERS_MAX: usize = 100;

/// This broker among the others.
pub(super) struct Peers {
    /// Its record's name, drawn at its start.
    own: String,
    /// So long a silence means that a runner is lost; a record older than this is that of a broker that is gone.
    silence: Duration,
    wrote: Option<Instant>,
}

/// What a broker writes.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    at: Timestamp,
    runners: Runners,
}

impl Peers {
    pub(super) fn new(silence: Duration) -> Self {
        let mut random = [0; 16];
        let drawn = getrandom::fill(&mut random);
        debug_assert!(drawn.is_ok(), "without randomness no broker gets as far as this");
        let own = format!("{}-{}", hex::encode(random), std::process::id());
        Self { own, silence, wrote: None }
    }

    /// Says whom this broker has heard and finds out which of its silent runners nobody else has.
    pub(super) async fn meet(
        &mut self,
        engine: &Engine,
        presence: &Presence,
        silent: Runners,
    ) -> Result<Runners, StoreError> {
        let now = Instant::now();
        let is_time = self.wrote.is_none_or(|wrote| now - wrote >= self.silence / WRITES);
        if silent.is_empty() && !is_time {
            return Ok(vec![]);
        }
        if is_time {
            let runners = presence.heard_within(self.silence / LISTED, now);
            let record = serde_json::to_vec(&Record { at: engine.now(), runners });
            let record = record.map_err(|error| StoreError::Failed(error.to_string()))?;
            if let Err(error) = engine.put_record(SPACE, &self.own, record).await {
                presence.adopt(silent);
                return Err(error);
            }
            self.wrote = Some(now);
        }
        match self.others(engine).await {
            Ok((listed, left)) => {
                presence.adopt(left.into_iter().filter(|(id, _)| !listed.contains(id)).collect());
                Ok(silent.into_iter().filter(|(id, _)| !listed.contains(id)).collect())
            }
            Err(error) => {
                presence.adopt(silent);
                Err(error)
            }
        }
    }

    /// Whom the other brokers list, and what is left of brokers that are gone.
    async fn others(&self, engine: &Engine) -> Result<(HashSet<ObjectId>, Runners), StoreError> {
        let (mut listed, mut left) = (HashSet::new(), vec![]);
        let gone_ms = i64::try_from(self.silence.as_millis()).unwrap_or(i64::MAX);
        for (name, record) in engine.list_records(SPACE, "", BROKERS_MAX).await? {
            let record: Result<Record, _> = serde_json::from_slice(&record);
            match record {
                Ok(_) if name == self.own => {}
                Ok(record) if engine.now().since_ms(record.at) <= gone_ms => {
                    listed.extend(record.runners.into_iter().map(|(id, _)| id));
                }
                // One broker gets to remove it; what it cannot read is of no use to anybody.
                record => {
                    if engine.delete_record(SPACE, &name).await? {
                        left.extend(record.map(|record| record.runners).unwrap_or_default());
                    }
                }
            }
        }
        Ok((listed, left))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::engine::{ClockSource, Options};
    use crate::store::MemoryStore;

    const SILENCE: Duration = Duration::from_secs(60);

    fn runner(name: &str) -> ObjectId {
        format!("run_demo.shop.{name}").parse().unwrap()
    }

    #[tokio::test]
    async fn a_runner_is_lost_when_no_broker_has_heard_it() {
        let clock = Arc::new(AtomicI64::new(1_000_000));
        let options = Options { clock: ClockSource::Manual(clock.clone()), ..Options::default() };
        let engine = Engine::start(MemoryStore::boxed(), options).unwrap();
        let (here, there) = (Presence::new(SILENCE), Presence::new(SILENCE));
        let (mut own, mut other) = (Peers::new(SILENCE), Peers::new(SILENCE));
        let talking = there.begin(&runner("b"), 1, Some("x")).0;
        assert_eq!(other.meet(&engine, &there, vec![]).await.unwrap(), []);
        let silent = vec![(runner("a"), 1), (runner("b"), 1)];
        let lost = own.meet(&engine, &here, silent).await.unwrap();
        assert_eq!(lost, [(runner("a"), 1)], "the other broker has heard b");
        // The other broker dies; its record grows old, and this one watches what it had.
        drop(talking);
        clock.fetch_add(60_001, Ordering::AcqRel);
        assert_eq!(own.meet(&engine, &here, vec![(runner("c"), 1)]).await.unwrap(), [(runner("c"), 1)]);
        assert_eq!(here.heard_within(SILENCE / LISTED, Instant::now()), [(runner("b"), 1)]);
        assert_eq!(engine.list_records(SPACE, "", 9).await.unwrap().len(), 1, "one record, its own");
    }
}
