//! How a runner gets its identity: a one-time token, AWS's word for where it is or both, and a request in, a
//! certificate out. What a stranger is told is the same whether an install exists or not.

mod proof;

use std::time::Instant;

use remit_loops::runner::{Attestation, Claim, Refusal, Report, Runner};
use remit_loops::{Actor, Body, ObjectId, RejectedCode};
use remit_proto::convert::{Beginning, Begun, Enrolment, Identity, Renewal};
use remit_proto::limit::NONCE_MAX_MS;
use remit_proto::v1;
use tonic::{Code, Status};

use super::pace::COST_OF_CERTIFICATE;
use super::status::{internal, refuse, store, submit};
use super::{Known, Service, runner_of};
use crate::audit;
use crate::engine::{Submission, SubmitError};
use crate::pki::Request;
use crate::tokens;

/// What somebody shows.
struct Shown {
    token_sha256: Option<String>,
    spki_sha256: String,
    proof: Option<Attestation>,
}

impl Shown {
    fn claim(&self) -> Claim<'_> {
        let Self { token_sha256, spki_sha256, proof } = self;
        Claim { token_sha256: token_sha256.as_deref(), spki_sha256, proof: proof.as_ref() }
    }

    /// What the runner's loop is told, and the key by which a repeat of it is known. A proof has none: each is
    /// good once.
    fn report(&self) -> (Report, Option<String>) {
        let spki_sha256 = self.spki_sha256.clone();
        match &self.proof {
            Some(proof) => {
                let (token_sha256, proof) = (self.token_sha256.clone(), proof.clone());
                (Report::EnrolProven { token_sha256, spki_sha256, proof }, None)
            }
            None => {
                let token_sha256 = self.token_sha256.clone().unwrap_or_default();
                let key = format!("enrol:{token_sha256}:{spki_sha256}");
                (Report::Enrol { token_sha256, spki_sha256 }, Some(key))
            }
        }
    }

    /// What is said to a stranger, and to who comes to no install at all.
    fn stranger(&self) -> Status {
        self.refused(if self.proof.is_some() { Refusal::Account } else { Refusal::WrongToken })
    }

    fn refused(&self, refusal: Refusal) -> Status {
        let code = match refusal {
            Refusal::NoToken | Refusal::WrongToken | Refusal::TokenExpired => "rpc.token_refused",
            Refusal::TokenNeeded => "rpc.token_needed",
            Refusal::ProofMissing => "rpc.proof_missing",
            Refusal::Account => "rpc.proof_account",
            Refusal::Region => "rpc.proof_region",
            Refusal::Role => "rpc.proof_role",
            Refusal::NonceUsed => return proof::nonce_refused(),
        };
        match &self.proof {
            Some(Attestation { account, region, role, .. }) => {
                let role = role.as_ref().map(|role| format!(", role {role}")).unwrap_or_default();
                let who = format!("AWS says that this is account {account}{role}, asked in {region}");
                refuse(Code::Unauthenticated, code, format!("{refusal}. {who}"))
            }
            None => refuse(Code::Unauthenticated, code, refusal),
        }
    }
}

impl Service {
    /// A nonce, and the time.
    pub(super) fn begin(&self, beginning: &Beginning) -> Result<v1::BeginEnrollResponse, Status> {
        let now = self.edge.engine.now();
        let nonce = self.edge.authority.nonces().mint(&beginning.install, now).map_err(internal)?;
        Ok(Begun { nonce, valid_ms: NONCE_MAX_MS, now_ms: now.0 }.into())
    }

    /// Certifies the runner that shows what its install wants to see, as a new generation. A repeat with the
    /// same key, after a lost answer, gets the same generation.
    pub(super) async fn enrol(&self, enrolment: Enrolment) -> Result<v1::EnrollResponse, Status> {
        let request = check_csr(&enrolment.csr)?;
        let proof = self.prove(&enrolment, &request).await?;
        let token_sha256 = enrolment.token.as_ref().map(|token| hex::encode(tokens::sha256(token.expose())));
        let shown = Shown { token_sha256, spki_sha256: request.spki_sha256.clone(), proof };
        let install: ObjectId = enrolment.install.parse().map_err(|_| shown.stranger())?;
        let to = install.runner().ok_or_else(|| shown.stranger())?;
        if let Some(root) = enrolment.root.filter(|_| shown.proof.is_some())
            && !self.edge.trust.has(install.org_name(), &root).await.map_err(|e| store(&e))?
        {
            return Err(shown.stranger());
        }
        let (report, key) = shown.report();
        let submission = Submission { to: to.clone(), by: Actor::Runner, key, body: Body::Report(report) };
        let accepted = match self.edge.engine.submit(submission).await {
            Ok(accepted) => accepted,
            Err(error) => return Err(self.not_let_in(&to, &shown, &error).await),
        };
        let runner = runner_of(&accepted.snapshot)?;
        if runner.spki_sha256() != Some(&request.spki_sha256) || runner.generation() == 0 {
            return Err(shown.refused(Refusal::NoToken));
        }
        let identified = (runner.epoch(), runner.generation());
        let channel = Some(enrolment.info.channel.as_str());
        let identity = self.certify(&request, &install, identified, ("identity.enrolled", channel)).await?;
        let root = self.edge.trust.pinned(install.org_name(), enrolment.root).await.map_err(|e| store(&e))?;
        let root = root.ok_or_else(|| internal(format!("org {} has no root", install.org_name())))?;
        tracing::info!(%install, generation = identity.generation, "a runner enrolled");
        let place = runner.place().map(|place| (place.account.clone(), place.region.clone()));
        let (account, region) = place.unwrap_or_default();
        Ok(v1::EnrollResponse { identity: Some(identity.into()), root, account, region })
    }

    /// Why the runner's loop did not have it.
    async fn not_let_in(&self, runner: &ObjectId, shown: &Shown, error: &SubmitError) -> Status {
        let SubmitError::Rejected(rejected) = error else { return submit(error) };
        // Whether an install exists is nobody's business who has no token of it and is not in its account.
        if matches!(rejected.code, RejectedCode::NotFound | RejectedCode::Deleting) {
            return shown.stranger();
        }
        let found = match self.edge.engine.query(runner).await {
            Ok(found) => found,
            Err(error) => return store(&error),
        };
        let now = self.edge.engine.now();
        let why = |runner: &Runner| runner.refusal(now, &shown.claim());
        let refusal = found.and_then(|found| runner_of(&found).ok().and_then(why));
        let token_refused = || refuse(Code::Unauthenticated, "rpc.token_refused", &rejected.message);
        refusal.map_or_else(token_refused, |refusal| shown.refused(refusal))
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
        let identity = self.certify(&request, &who.install, identified, ("identity.renewed", None)).await?;
        Ok(v1::RenewResponse { identity: Some(identity.into()) })
    }

    /// A certificate, written down in the audit log before anybody has it; of who enrols, with the channel that
    /// its customer pinned.
    async fn certify(
        &self,
        request: &Request,
        install: &ObjectId,
        (epoch, generation): (u64, u64),
        (why, channel): (&'static str, Option<&str>),
    ) -> Result<Identity, Status> {
        let now = self.edge.engine.now();
        let issued = self.edge.authority.issue_runner(request, install, (epoch, generation), now);
        let issued = issued.map_err(internal)?;
        let new = audit::of(install, "broker", why)
            .fact("epoch", epoch)
            .fact("generation", generation)
            .fact("spki_sha256", &request.spki_sha256);
        let new = channel.into_iter().fold(new, |new, channel| new.fact("channel", channel));
        self.edge.audit.put(new).await.map_err(|e| store(&e))?;
        let not_after_ms = issued.not_after.0;
        Ok(Identity { certificate_chain: issued.chain, generation, epoch, not_after_ms })
    }
}

fn check_csr(der: &[u8]) -> Result<Request, Status> {
    Request::check(der).map_err(|e| refuse(Code::InvalidArgument, "rpc.csr_invalid", e))
}
