//! What a runner shows of AWS's word, taken to AWS: the nonce first, the clocks, and then who it is.

use remit_loops::Timestamp;
use remit_loops::runner::Attestation;
use remit_proto::caller::{Binding, SKEW_MAX_S};
use remit_proto::convert::Enrolment;
use remit_seal::Digest;
use tonic::{Code, Status};

use super::super::Service;
use super::super::status::{internal, refuse};
use crate::pki::Request;
use crate::sts::Failed;

impl Service {
    /// Whom AWS says the runner to be; nothing where it shows no proof.
    pub(super) async fn prove(
        &self,
        enrolment: &Enrolment,
        request: &Request,
    ) -> Result<Option<Attestation>, Status> {
        let (Some(aws), Some(root)) = (&enrolment.aws, &enrolment.root) else { return Ok(None) };
        let now = self.edge.engine.now();
        let until = self.edge.authority.nonces().check(&aws.nonce, &enrolment.install, now);
        let until = until.ok_or_else(nonce_refused)?;
        check_clock(aws.signed_s, now)?;
        let spki = Digest::from_hex(&request.spki_sha256).map_err(internal)?;
        let binding = Binding { root, nonce: &aws.nonce, install: &enrolment.install, spki: &spki };
        let caller = self.edge.sts.ask(aws, &binding).await.map_err(|failed| not_proven(&failed))?;
        Ok(Some(Attestation {
            account: caller.account,
            region: aws.region.as_str().to_owned(),
            role: caller.role,
            nonce: hex::encode(aws.nonce),
            until,
        }))
    }
}

pub(super) fn nonce_refused() -> Status {
    let message = "the nonce is not for this install, was used already, or its minute is over: begin again";
    // The runner does so by itself.
    refuse(Code::Aborted, "rpc.nonce_refused", message)
}

fn check_clock(signed_s: i64, now: Timestamp) -> Result<(), Status> {
    let ahead_s = signed_s.saturating_sub(now.0.div_euclid(1_000));
    if ahead_s.unsigned_abs() <= SKEW_MAX_S.unsigned_abs() {
        return Ok(());
    }
    let way = if ahead_s < 0 { "behind" } else { "ahead of" };
    let minutes = ahead_s.unsigned_abs() / 60;
    let message = format!(
        "the machine's clock is {minutes} minutes {way} the broker's: set it, e.g. by an NTP service, and enrol again"
    );
    Err(refuse(Code::FailedPrecondition, "rpc.clock_skew", message))
}

fn not_proven(failed: &Failed) -> Status {
    match failed {
        Failed::Refused(_) => {
            let message = format!(
                "{failed}: it is of another key, another nonce or another install, the credentials are wrong or \
                 have expired, or it was changed on its way"
            );
            refuse(Code::Unauthenticated, "rpc.proof_refused", message)
        }
        Failed::Away(_) => refuse(Code::Unavailable, "rpc.sts_away", failed),
        Failed::Strange(_) => {
            tracing::warn!(%failed, "AWS's STS, or what stands in its place, answers strangely");
            refuse(Code::Unavailable, "rpc.sts_strange", failed)
        }
    }
}
