//! Work for runners: offers as they come, starts confirmed, stops told at once.

use std::time::Duration;

use remit_loops::job::AttemptId;
use remit_loops::runner::{Offer, Report, Stop as LoopStop};
use remit_loops::{Actor, Body, RejectedCode};
use remit_proto::convert::{
    AttemptRef, Lease, LeasePhase, LeaseRequest, RenewLease, Stop, StopReason, Verdict,
};
use remit_proto::v1;
use tokio::time::Instant;
use tonic::{Code, Status};

use super::handout::Signed;
use super::status::{internal, refuse, store, submit};
use super::{Known, Service, check_generation, runner_of};
use crate::engine::{Submission, SubmitError};
use crate::pki::RunnerIdentity;

/// How long an attempt may go without a word before it counts as unconfirmed.
const LEASE_MS: u32 = 60_000;

/// Counts a waiting poll for as long as it waits.
struct Waiting<'a>(&'a prometheus_client::metrics::gauge::Gauge);

impl<'a> Waiting<'a> {
    fn new(gauge: &'a prometheus_client::metrics::gauge::Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Service {
    /// Answers with the next attempt as soon as there is one, or empty when the wait is over.
    pub(super) async fn wait_for_work(
        &self,
        known: Known,
        ask: LeaseRequest,
    ) -> Result<v1::LeaseJobResponse, Status> {
        let Known { identity, snapshot, _call } = known;
        if ask.install != identity.install.to_string() {
            let message = "the message names another install than the certificate";
            return Err(refuse(Code::PermissionDenied, "rpc.install_mismatch", message));
        }
        if runner_of(&snapshot)?.wants_marks(ask.seq_high, ask.fence_high) {
            self.tell_marks(&identity, &ask).await?;
        }
        drop(snapshot);
        let until = Instant::now() + Duration::from_millis(ask.wait_ms.into());
        // Armed before the first look: an offer that comes between them is not missed.
        let mut changes = self.edge.engine.watch(&identity.runner);
        let mut trust = self.edge.trust.follow();
        let org = identity.install.org_name();
        let _waiting = Waiting::new(&self.edge.metrics.polls);
        loop {
            let mut look_again = until;
            let found = self.edge.engine.query(&identity.runner).await.map_err(|e| store(&e))?;
            let found = found.ok_or_else(|| internal("a runner is gone"))?;
            let runner = runner_of(&found)?;
            check_generation(&identity, runner)?;
            let has_news = self.edge.trust.has_news(org, ask.root_version, ask.status_ms).await;
            if has_news.map_err(|e| store(&e))? {
                return Ok(v1::LeaseJobResponse { lease: None, trust_news: true });
            }
            let offer = runner.next_offer().filter(|o| !is_held(o, &ask.held));
            drop(found);
            if let Some(offer) = offer {
                match self.hand_out(&offer, &identity, &ask.info.channel).await? {
                    Signed::Now(envelope) => {
                        let permits = self.edge.permits.of(&identity.install, &offer.spec.release.digest);
                        let permits = permits.await.map_err(|e| store(&e))?;
                        let attempt = attempt_ref(&offer);
                        let lease = Lease { attempt, envelope, lease_ms: LEASE_MS, permits };
                        return Ok(v1::LeaseJobResponse { lease: Some(lease.into()), trust_news: false });
                    }
                    // The offer stays in the loop; this poll, or the next, finds it again.
                    Signed::Later(pause) => look_again = until.min(Instant::now() + pause),
                }
            }
            let nothing = v1::LeaseJobResponse { lease: None, trust_news: false };
            if Instant::now() >= until {
                return Ok(nothing);
            }
            tokio::select! {
                () = changes.changed() => {}
                Ok(()) = trust.changed() => {}
                () = tokio::time::sleep_until(until) => return Ok(nothing),
                () = tokio::time::sleep_until(look_again), if look_again < until => {}
                () = self.edge.stopping.cancelled() => return Ok(nothing),
            }
        }
    }

    /// This broker was restored from a backup and knows less than the runner.
    async fn tell_marks(&self, identity: &RunnerIdentity, ask: &LeaseRequest) -> Result<(), Status> {
        let held = ask.held.iter().map(|held| (attempt_id(held), held.fence)).collect();
        let (generation, seq, fence) = (identity.generation, ask.seq_high, ask.fence_high);
        let body = Body::Report(Report::Marks { generation, seq, fence, held });
        let submission = Submission { to: identity.runner.clone(), by: Actor::Runner, key: None, body };
        self.edge.engine.submit(submission).await.map(drop).map_err(|error| submit(&error))
    }

    /// Confirms a start, or waits for a reason to stop.
    pub(super) async fn confirm(
        &self,
        known: Known,
        renewal: RenewLease,
    ) -> Result<v1::RenewLeaseResponse, Status> {
        let Known { identity, snapshot, _call } = known;
        drop(snapshot);
        let attempt = attempt_id(&renewal.attempt);
        let fence = renewal.attempt.fence;
        let mut wait_ms = renewal.wait_ms;
        if renewal.phase == LeasePhase::Start {
            // Who asks whether to start wants to know now.
            wait_ms = 0;
            let report = Report::Started { generation: identity.generation, attempt: attempt.clone(), fence };
            let to = identity.runner.clone();
            let submission = Submission { to, by: Actor::Runner, key: None, body: Body::Report(report) };
            match self.edge.engine.submit(submission).await {
                Ok(_) => {}
                Err(SubmitError::Rejected(r)) if r.code == RejectedCode::Stale => {
                    return Ok(stop(StopReason::Fenced, r.message).into());
                }
                Err(error) => return Err(submit(&error)),
            }
        }
        let until = Instant::now() + Duration::from_millis(wait_ms.into());
        let mut changes = self.edge.engine.watch(&identity.runner);
        loop {
            let found = self.edge.engine.query(&identity.runner).await.map_err(|e| store(&e))?;
            let found = found.ok_or_else(|| internal("a runner is gone"))?;
            let runner = runner_of(&found)?;
            if check_generation(&identity, runner).is_err() {
                let message = "another runner has taken this one's place, or the install is gone";
                return Ok(stop(StopReason::Fenced, message.to_owned()).into());
            }
            match runner.stop_reason(&attempt, fence) {
                Some(LoopStop::Cancelled(why)) => return Ok(stop(StopReason::Cancelled, why).into()),
                Some(LoopStop::Fenced(why)) => return Ok(stop(StopReason::Fenced, why).into()),
                None => {}
            }
            drop(found);
            let go_on = Verdict::Continue { lease_ms: LEASE_MS };
            if Instant::now() >= until {
                return Ok(go_on.into());
            }
            tokio::select! {
                () = changes.changed() => {}
                () = tokio::time::sleep_until(until) => return Ok(go_on.into()),
                () = self.edge.stopping.cancelled() => return Ok(go_on.into()),
            }
        }
    }
}

fn stop(reason: StopReason, message: String) -> Verdict {
    Verdict::Stop(Stop { reason, message })
}

fn attempt_ref(offer: &Offer) -> AttemptRef {
    AttemptRef { job: offer.spec.id.job.clone(), attempt: offer.spec.id.attempt, fence: offer.fence }
}

/// As the loops name it.
pub(super) fn attempt_id(attempt: &AttemptRef) -> AttemptId {
    AttemptId { job: attempt.job.clone(), attempt: attempt.attempt }
}

/// One that the runner has in hand and has not started yet is not handed to it twice.
fn is_held(offer: &Offer, held: &[AttemptRef]) -> bool {
    held.iter().any(|h| *h == attempt_ref(offer))
}
