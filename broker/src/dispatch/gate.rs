//! The way to AWS KMS: so many calls at once, and after one that failed nobody calls until a pause is over.
//!
//! Who wants a signature meanwhile is told how long to wait. Nothing is lost by that: what is to be signed
//! is made anew from the loops each time.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use remit_loops::Timestamp;
use remit_seal::dsse::Signature;
use tokio::sync::Semaphore;

use super::Error;
use crate::signer::kms;

/// Calls at once. At 10 ms each they make 800 signatures a second, more than KMS gives out unasked.
const CALLS_MAX: usize = 8;
/// How long one waits for its turn before it is told to come again.
const TURN_WITHIN: Duration = Duration::from_secs(4);
/// The first pause after a failure; it doubles with each further one.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Upper bounds of the times that calls took, seconds.
const SECONDS: [f64; 8] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0, 10.0];

/// How a call ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Ended {
    /// `ok`, or the code of the failure.
    outcome: &'static str,
}

/// Why nothing is signed now.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    /// Since when.
    pub(crate) since: Timestamp,
    /// The stable code of the last failure.
    pub(crate) code: &'static str,
    /// Its words. They name the broker's own key and role: for the operator only.
    pub(crate) words: String,
    /// What to do.
    pub(crate) hint: String,
    again: Instant,
    failures: u32,
}

/// The way to KMS.
pub(super) struct Gate {
    places: Semaphore,
    trouble: Mutex<Option<Trouble>>,
    pub(super) calls: Family<Ended, Counter<u64, AtomicU64>>,
    pub(super) took: Histogram,
}

impl Default for Gate {
    fn default() -> Self {
        let (calls, took) = (Family::default(), Histogram::new(SECONDS));
        Self { places: Semaphore::new(CALLS_MAX), trouble: Mutex::default(), calls, took }
    }
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, Option<Trouble>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is the matter, if anything is.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.lock().clone()
    }

    /// Makes a call when it is its turn.
    pub(super) async fn pass(
        &self,
        now: Timestamp,
        call: impl Future<Output = Result<Signature, kms::Error>>,
    ) -> Result<Signature, Error> {
        self.check()?;
        let Ok(place) = tokio::time::timeout(TURN_WITHIN, self.places.acquire()).await else {
            return Err(Error::Waits { pause: PAUSE_MIN, code: "kms.busy" });
        };
        let _place = place.expect("the semaphore is never closed");
        // It may have been a long wait.
        self.check()?;
        let began = Instant::now();
        let ended = call.await;
        self.took.observe(began.elapsed().as_secs_f64());
        let outcome = ended.as_ref().map_or_else(kms::Error::code, |_| "ok");
        self.calls.get_or_create(&Ended { outcome }).inc();
        match ended {
            Ok(signature) => {
                self.healed();
                Ok(signature)
            }
            Err(error) => Err(self.failed(now, &error)),
        }
    }

    fn check(&self) -> Result<(), Error> {
        let trouble = self.lock();
        let Some(Trouble { again, code, .. }) = &*trouble else { return Ok(()) };
        match again.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Ok(()),
            pause => Err(Error::Waits { pause, code }),
        }
    }

    fn healed(&self) {
        if let Some(trouble) = self.lock().take() {
            tracing::info!(code = trouble.code, "AWS KMS signs again");
        }
    }

    fn failed(&self, now: Timestamp, error: &kms::Error) -> Error {
        let mut trouble = self.lock();
        let code = error.code();
        let (since, failures) = match &*trouble {
            // Those that began together and failed together are one failure.
            Some(known) if known.again > Instant::now() => {
                return Error::Waits {
                    pause: known.again.saturating_duration_since(Instant::now()),
                    code: known.code,
                };
            }
            Some(known) => (known.since, known.failures + 1),
            None => (now, 1),
        };
        let pause = pause(failures);
        let (again, words, hint) = (Instant::now() + pause, error.to_string(), error.hint());
        tracing::error!(code, %error, hint, retry_in = ?pause, "AWS KMS does not sign: runners wait for jobs");
        *trouble = Some(Trouble { since, code, words, hint, again, failures });
        Error::Waits { pause, code }
    }
}

fn pause(failures: u32) -> Duration {
    let doubled = PAUSE_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::signer::Reference;

    fn signature() -> Signature {
        Signature { keyid: "k".into(), sig: vec![] }
    }

    fn refusal() -> kms::Error {
        let reference: Reference = "awskms:///alias/a".parse().unwrap();
        kms::Error::new(kms::Fault::Denied { permission: "kms:Sign" }, &reference, "no")
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        let all: Vec<u64> = (1..=9).map(|n| u64::try_from(pause(n).as_millis()).unwrap()).collect();
        assert_eq!(all, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
        assert_eq!(pause(u32::MAX), PAUSE_MAX);
    }

    #[tokio::test]
    async fn after_a_failure_nobody_calls_until_the_pause_is_over() {
        let gate = Gate::default();
        let failed = gate.pass(Timestamp(7), async { Err(refusal()) }).await.unwrap_err();
        assert_eq!(failed.pause(), Some(PAUSE_MIN));
        let trouble = gate.trouble().unwrap();
        assert_eq!((trouble.since, trouble.code), (Timestamp(7), "kms.denied"));
        let told = gate.pass(Timestamp(8), async { panic!("it must not be called") }).await.unwrap_err();
        assert!(told.pause().unwrap() <= PAUSE_MIN);
        gate.lock().as_mut().unwrap().again = Instant::now();
        let failed = gate.pass(Timestamp(9), async { Err(refusal()) }).await.unwrap_err();
        assert_eq!((failed.pause(), gate.trouble().unwrap().since), (Some(2 * PAUSE_MIN), Timestamp(7)));
        gate.lock().as_mut().unwrap().again = Instant::now();
        gate.pass(Timestamp(10), async { Ok(signature()) }).await.unwrap();
        assert!(gate.trouble().is_none());
    }

    #[tokio::test]
    async fn so_many_call_at_once_and_no_more() {
        let gate = Arc::new(Gate::default());
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let calls = (0..CALLS_MAX * 4).map(|_| {
            let (gate, now, most) = (gate.clone(), now.clone(), most.clone());
            tokio::spawn(async move {
                let call = async {
                    let count = now.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(count, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    Ok(signature())
                };
                gate.pass(Timestamp(0), call).await.map(drop)
            })
        });
        for call in futures::future::join_all(calls).await {
            call.unwrap().unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), CALLS_MAX);
    }
}
