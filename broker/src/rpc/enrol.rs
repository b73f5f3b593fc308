//! How a runner gets its identity: a one-time token and a request in, a certificate out.

use std::time::Instant;

use remit_loops::runner::Report;
use remit_loops::{Actor, Body, ObjectId, RejectedCode};
use remit_proto::convert::{Enrolment, Identity, Renewal};
use remit_proto::v1;
use tonic::{Code, Status};

use super::pace::COST_OF_CERTIFICATE;
use super::status::{internal, refuse, store, submit};
use super::{Known, Service, runner_of};
use crate::audit;
use crate::engine::{Submission, SubmitError};
use crate::pki::Request;
use crate::tokens;

impl Service {
    /// Certifies the runner that shows an install's one-time token, as a new generation. A
    /// repeat with the same key, after a lost answer, gets the same generation.
    pub(super) async fn enrol(&self, enrolment: Enrolment) -> Result<v1::EnrollResponse, Status> {
        let request = check_csr(&enrolment.csr)?;
        let refused = |why: &str| refuse(Code::Unauthenticated, "rpc.token_refused", why);
        let unknown = || refused("that is not this install's token");
        let install: ObjectId = enrolment.install.parse().map_err(|_| unknown())?;
        let runner = install.runner().ok_or_else(unknown)?;
        let token_sha256 = hex::encode(tokens::sha256(enrolment.token.expose()));
        let spki_sha256 = request.spki_sha256.clone();
        let key = Some(format!("enrol:{token_sha256}:{spki_sha256}"));
        let report = Report::Enrol { token_sha256, spki_sha256 };
        let submission = Submission { to: runner, by: Actor::Runner, key, body: Body::Report(report) };
        let accepted = match self.edge.engine.submit(submission).await {
            Ok(accepted) => accepted,
            Err(SubmitError::Rejected(rejected)) => {
                return Err(match rejected.code {
                    // Whether an install exists is nobody's business who has no token of it.
                    RejectedCode::NotFound | RejectedCode::Deleting => unknown(),
                    _ => refused(&rejected.message),
                });
            }
            Err(error) => return Err(submit(&error)),
        };
        let runner = runner_of(&accepted.snapshot)?;
        if runner.spki_sha256() != Some(&request.spki_sha256) || runner.generation() == 0 {
            return Err(refused("this token was used already"));
        }
        let identified = (runner.epoch(), runner.generation());
        let identity = self.certify(&request, &install, identified, "identity.enrolled").await?;
        let root = self.edge.trust.pinned(install.org_name(), enrolment.root).await.map_err(|e| store(&e))?;
        let root = root.ok_or_else(|| internal(format!("org {} has no root", install.org_name())))?;
        tracing::info!(%install, generation = identity.generation, "a runner enrolled");
        Ok(v1::EnrollResponse { identity: Some(identity.into()), root })
    }

    /// A new certificate for a new key of the same generation.
    pub(super) async fn renew_identity(
        &self,
        known: &Known,
        renewal: &Renewal,
    ) -> Result<v1::RenewResponse, Status> {
        let who = &known.identity;
        self.pace.count(&who.runner, COST_OF_CERTIFICATE, Instant::now())?;
        let request = check_csr(&renewal.csr)?;
        let identified = (who.epoch, who.generation);
        let identity = self.certify(&request, &who.install, identified, "identity.renewed").await?;
        Ok(v1::RenewResponse { identity: Some(identity.into()) })
    }

    /// A certificate, written down in the audit log before anybody has it.
    async fn certify(
        &self,
        request: &Request,
        install: &ObjectId,
        (epoch, generation): (u64, u64),
        why: &'static str,
    ) -> Result<Identity, Status> {
        let now = self.edge.engine.now();
        let issued = self.edge.authority.issue_runner(request, install, (epoch, generation), now);
        let issued = issued.map_err(internal)?;
        let new = audit::of(install, "broker", why)
            .fact("epoch", epoch)
            .fact("generation", generation)
            .fact("spki_sha256", &request.spki_sha256);
        self.edge.audit.put(new).await.map_err(|e| store(&e))?;
        let not_after_ms = issued.not_after.0;
        Ok(Identity { certificate_chain: issued.chain, generation, epoch, not_after_ms })
    }
}

fn check_csr(der: &[u8]) -> Result<Request, Status> {
    Request::check(der).map_err(|e| refuse(Code::InvalidArgument, "rpc.csr_invalid", e))
}
