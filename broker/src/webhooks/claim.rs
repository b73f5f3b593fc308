//! Which of several brokers tells an endpoint: whoever holds its claim, for as long as it renews it.
//!
//! Claims have numbers, and a number can be taken once: the next one is free when the last has run out.
//! A broker that is slow to notice may tell something twice; that is allowed, and rare.

use std::time::Duration;

use remit_loops::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Endpoint, FORMAT, json, key, read};
use crate::engine::Engine;
use crate::store::StoreError;

/// Records: claims by org, name and number.
const CLAIMS: &str = "webhook_claim";
/// A claim that is not renewed runs out.
const HOLDS: Duration = Duration::from_secs(20);
/// It is renewed when half of it is over.
const RENEW_WITHIN: Duration = Duration::from_secs(10);
/// More claims of one endpoint than this are never there at once.
const CLAIMS_MAX: usize = 100;

#[derive(Serialize, Deserialize)]
struct Claim {
    version: u32,
    broker: String,
    until: Timestamp,
}

/// This broker's claim of one endpoint.
#[derive(Default)]
pub(super) struct Claims {
    number: Option<u64>,
    until: Timestamp,
}

impl Claims {
    /// Whether this broker is the one that tells the endpoint now.
    pub(super) async fn hold(
        &mut self,
        engine: &Engine,
        broker: &str,
        of: &Endpoint,
    ) -> Result<bool, StoreError> {
        if !engine.is_shared() {
            return Ok(true);
        }
        let now = engine.now();
        if self.number.is_some() && now.plus_ms(ms(RENEW_WITHIN)) < self.until {
            return Ok(true);
        }
        let prefix = format!("{}/", key(&of.org, &of.name));
        let all = engine.list_records(CLAIMS, &prefix, CLAIMS_MAX).await?;
        let newest = all.last().map(|(key, bytes)| Ok::<_, StoreError>((number(key), read::<Claim>(bytes)?)));
        let claim = Claim { version: FORMAT, broker: broker.to_owned(), until: now.plus_ms(ms(HOLDS)) };
        let until = claim.until;
        let record = |number: u64| format!("{prefix}{number:020}");
        let held = match newest.transpose()? {
            Some((number, newest)) if newest.broker == broker => {
                engine.put_record(CLAIMS, &record(number), json(&claim)).await?;
                Some(number)
            }
            Some((_, newest)) if now < newest.until => None,
            newest => {
                let next = newest.map_or(1, |(number, _)| number + 1);
                let taken = engine.add_record(CLAIMS, &record(next), json(&claim)).await?;
                for (old, _) in all.iter().filter(|_| taken) {
                    engine.delete_record(CLAIMS, old).await?;
                }
                taken.then_some(next)
            }
        };
        (self.number, self.until) = (held, until);
        Ok(held.is_some())
    }
}

fn number(key: &str) -> u64 {
    key.rsplit('/').next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
