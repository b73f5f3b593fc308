//! Handing an offer out: signed, and written down in the audit log before it leaves.
//!
//! Who asks again within a few seconds gets the same bytes, so that a runner that polls on and on makes
//! neither signatures nor entries.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;
use remit_loops::runner::Offer;
use remit_seal::dsse::{Envelope, PayloadType};
use tonic::Status;

use super::Service;
use super::status::{internal, store};
use crate::audit;
use crate::pki::RunnerIdentity;

/// How long the same bytes are handed out.
const SAME_FOR: Duration = Duration::from_secs(5);
/// How many are at hand; those handed out last.
const KEPT_MAX: usize = 1_024;

/// Of one attempt, job and number and fence, for one epoch and generation and channel, by these dispatch keys.
type Of = (String, u32, u64, (u64, u64), String, Vec<String>);

/// What came of signing an offer.
pub(super) enum Signed {
    /// This is handed out.
    Now(Vec<u8>),
    /// The key that signs is not to be had now: look again after so long.
    Later(Duration),
}

/// What was handed out a moment ago.
pub(super) struct Lately(Mutex<LruCache<Of, (Vec<u8>, Instant)>>);

impl Default for Lately {
    fn default() -> Self {
        let size = NonZeroUsize::new(KEPT_MAX).expect("it is a constant above zero");
        Self(Mutex::new(LruCache::new(size)))
    }
}

impl Lately {
    fn find(&self, of: &Of) -> Option<Vec<u8>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (envelope, at) = all.get(of)?;
        (at.elapsed() < SAME_FOR).then(|| envelope.clone())
    }

    fn keep(&self, of: Of, envelope: Vec<u8>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(of, (envelope, Instant::now()));
    }
}

impl Service {
    /// The envelope of an offer, for the runner that asks and the channel that it keeps to, unless the key that
    /// signs it is not to be had now.
    pub(super) async fn hand_out(
        &self,
        offer: &Offer,
        who: &RunnerIdentity,
        channel: &str,
    ) -> Result<Signed, Status> {
        let identified = (who.epoch, who.generation);
        let of = (
            offer.spec.id.job.clone(),
            offer.spec.id.attempt,
            offer.fence,
            identified,
            channel.to_owned(),
            self.edge.dispatch.ids(),
        );
        if let Some(envelope) = self.lately.find(&of) {
            return Ok(Signed::Now(envelope));
        }
        let now = self.edge.engine.now();
        let envelope = match self.edge.dispatch.sign(offer, (&who.install, channel), identified, now).await {
            Ok(envelope) => envelope,
            Err(error) => return error.pause().map(Signed::Later).ok_or_else(|| internal(error)),
        };
        let payload = Envelope::parse(&envelope, PayloadType::Job).map_err(internal)?.payload_digest();
        let new = audit::of(&who.install, "broker", "envelope.signed")
            .fact("job", &offer.spec.id.job)
            .fact("attempt", offer.spec.id.attempt)
            .fact("fence", offer.fence)
            .fact("envelope_seq", offer.seq)
            .fact("generation", who.generation)
            .fact("envelope", payload.hex());
        self.edge.audit.put(new).await.map_err(|e| store(&e))?;
        self.edge.metrics.envelopes.inc();
        self.lately.keep(of, envelope.clone());
        Ok(Signed::Now(envelope))
    }
}
