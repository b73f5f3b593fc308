//! The runners' door: `remit.runner.v1` over mutual TLS.
//!
//! Which install a call is for comes from the client's certificate and from nothing else.
//! Every call but those that enrol is checked against the runner's loop: a word of a former
//! generation reaches nothing.

mod artifact;
mod differences;
mod enrol;
mod handout;
mod lease;
mod pace;
mod plan;
mod receipt;
mod status;
mod word;

use std::sync::Arc;
use std::time::Instant;

use remit_loops::Object;
use remit_loops::runner::{Info, Runner};
use remit_proto::convert::{
    ArtifactRequest, Beginning, Completion, Enrolment, LeaseRequest, LogChunk, PlanAnswer, Progress,
    RenewLease, Renewal, TrustRequest,
};
use remit_proto::limit::{CONTROL_SIZE_MAX, LOG_MESSAGE_SIZE_MAX};
use remit_proto::v1;
use remit_proto::v1::runner_service_server::{RunnerService, RunnerServiceServer};
use tonic::{Code, Request, Response, Status};

use crate::door::Peer;
use crate::edge::Edge;
use crate::engine::Snapshot;
use crate::pki::RunnerIdentity;
use crate::presence::Call;
use status::refuse;

/// What answers runners.
#[derive(Clone)]
struct Service {
    edge: Arc<Edge>,
    lately: Arc<handout::Lately>,
    pace: Arc<pace::Pace>,
}

/// The routes of the runners' door.
pub(crate) fn router(edge: Arc<Edge>) -> axum::Router {
    let service = Service { edge, lately: Arc::default(), pace: Arc::default() };
    let service = RunnerServiceServer::new(service)
        .max_decoding_message_size(LOG_MESSAGE_SIZE_MAX)
        .max_encoding_message_size(LOG_MESSAGE_SIZE_MAX);
    tonic::service::Routes::new(service).prepare().into_axum_router()
}

/// A runner whose words count, for the length of one call.
struct Known {
    identity: Arc<RunnerIdentity>,
    snapshot: Snapshot,
    _call: Call,
}

impl Known {
    fn runner(&self) -> Result<&Runner, Status> {
        runner_of(&self.snapshot)
    }
}

fn runner_of(snapshot: &Snapshot) -> Result<&Runner, Status> {
    match &*snapshot.object {
        Object::Runner(runner) => Ok(runner),
        Object::Org(_) | Object::App(_) | Object::Install(_) | Object::Component(_) => {
            Err(status::internal("a runner's id names another kind of object"))
        }
    }
}

/// Whether a runner's loop still lets this identity speak.
fn check_generation(identity: &RunnerIdentity, runner: &Runner) -> Result<(), Status> {
    if runner.generation() == identity.generation && runner.epoch() == identity.epoch {
        return Ok(());
    }
    let message = "this runner's identity counts no longer: another has enrolled, it was revoked, or the \
                   install is gone. Enrol again with a new token if it should still run";
    Err(refuse(Code::PermissionDenied, "rpc.generation_fenced", message))
}

/// Reads a message of bounded size into its validated form.
fn read<W: prost::Message, T: TryFrom<W, Error = remit_proto::convert::WireError>>(
    wire: W,
) -> Result<T, Status> {
    if wire.encoded_len() > CONTROL_SIZE_MAX {
        let message = format!("the message is larger than {CONTROL_SIZE_MAX} bytes");
        return Err(refuse(Code::ResourceExhausted, "rpc.message_too_large", message));
    }
    T::try_from(wire).map_err(|e| status::wire(&e))
}

impl Service {
    /// Who is calling, by the certificate.
    fn identity<T>(&self, request: &Request<T>) -> Result<Arc<RunnerIdentity>, Status> {
        let peer = request.extensions().get::<Peer>().ok_or_else(|| {
            let message = "no client certificate: enrol first, then call with the certificate of the answer";
            refuse(Code::Unauthenticated, "rpc.certificate_missing", message)
        })?;
        let invalid = |e: &String| refuse(Code::Unauthenticated, "rpc.certificate_invalid", e);
        let identity = peer.0.as_ref().map_err(invalid)?.clone();
        // A connection may outlive the certificate that opened it.
        if identity.not_after < self.edge.engine.now() {
            let message = "the client certificate has expired: enrol again with a new token";
            return Err(refuse(Code::Unauthenticated, "rpc.certificate_expired", message));
        }
        Ok(identity)
    }

    /// The caller, if its words count; its presence is noted.
    async fn known<T>(&self, request: &Request<T>, info: Option<Info>) -> Result<Known, Status> {
        let identity = self.identity(request)?;
        self.pace.count(&identity.runner, 1.0, Instant::now())?;
        let fenced = || {
            let message = "there is no such runner any more; the install is gone";
            refuse(Code::PermissionDenied, "rpc.generation_fenced", message)
        };
        let found = self.edge.engine.query(&identity.runner).await;
        let snapshot = found.map_err(|e| status::store(&e))?.ok_or_else(fenced)?;
        let runner = runner_of(&snapshot)?;
        check_generation(&identity, runner)?;
        let (presence, engine) = (&self.edge.presence, &self.edge.engine);
        // Another broker may have heard another start of it since.
        let is_other = info.as_ref().is_some_and(|info| info.boot != runner.info().boot);
        let boot = info.as_ref().map(|i| i.boot.as_str());
        let (call, is_news) = presence.begin(&identity.runner, identity.generation, boot);
        if is_news || is_other {
            let info = info.unwrap_or_else(|| runner.info().clone());
            Box::pin(presence.tell_seen(engine, &identity.runner, identity.generation, info)).await;
        }
        Ok(Known { identity, snapshot, _call: call })
    }

    fn counted<T>(&self, rpc: &'static str, result: Result<T, Status>) -> Result<Response<T>, Status> {
        let code = result.as_ref().err().map_or(Code::Ok, Status::code);
        self.edge.metrics.called(rpc, code);
        match code {
            Code::Unauthenticated => self.edge.audit.refuse(rpc, "unauthenticated"),
            Code::PermissionDenied => self.edge.audit.refuse(rpc, "denied"),
            _ => {}
        }
        result.map(Response::new)
    }
}

#[tonic::async_trait]
impl RunnerService for Service {
    async fn begin_enroll(
        &self,
        request: Request<v1::BeginEnrollRequest>,
    ) -> Result<Response<v1::BeginEnrollResponse>, Status> {
        let result = read::<_, Beginning>(request.into_inner()).and_then(|ask| self.begin(&ask));
        self.counted("BeginEnroll", result)
    }

    async fn enroll(
        &self,
        request: Request<v1::EnrollRequest>,
    ) -> Result<Response<v1::EnrollResponse>, Status> {
        let result = match read::<_, Enrolment>(request.into_inner()) {
            Ok(enrolment) => self.enrol(enrolment).await,
            Err(status) => Err(status),
        };
        self.counted("Enroll", result)
    }

    async fn renew(&self, request: Request<v1::RenewRequest>) -> Result<Response<v1::RenewResponse>, Status> {
        let result = async {
            let known = self.known(&request, None).await?;
            let renewal: Renewal = read(request.into_inner())?;
            self.renew_identity(&known, &renewal).await
        };
        self.counted("Renew", result.await)
    }

    async fn lease_job(
        &self,
        request: Request<v1::LeaseJobRequest>,
    ) -> Result<Response<v1::LeaseJobResponse>, Status> {
        let result = async {
            let ask: LeaseRequest = read(request.get_ref().clone())?;
            let info = Info {
                version: ask.info.version.clone(),
                boot: ask.info.boot.clone(),
                capacity: ask.info.capacity,
                executors: ask.info.executors.clone(),
            };
            let known = self.known(&request, Some(info)).await?;
            drop(request);
            self.wait_for_work(known, ask).await
        };
        self.counted("LeaseJob", result.await)
    }

    async fn renew_lease(
        &self,
        request: Request<v1::RenewLeaseRequest>,
    ) -> Result<Response<v1::RenewLeaseResponse>, Status> {
        let result = async {
            let known = self.known(&request, None).await?;
            let renewal: RenewLease = read(request.into_inner())?;
            self.confirm(known, renewal).await
        };
        self.counted("RenewLease", result.await)
    }

    async fn report_progress(
        &self,
        request: Request<v1::ReportProgressRequest>,
    ) -> Result<Response<v1::ReportProgressResponse>, Status> {
        let result = async {
            let known = self.known(&request, None).await?;
            let progress: Progress = read(request.into_inner())?;
            self.pass_on(&known, progress)
        };
        self.counted("ReportProgress", result.await)
    }

    async fn append_logs(
        &self,
        request: Request<v1::AppendLogsRequest>,
    ) -> Result<Response<v1::AppendLogsResponse>, Status> {
        let result = async {
            let known = self.known(&request, None).await?;
            let chunk = LogChunk::try_from(request.into_inner()).map_err(|e| status::wire(&e))?;
            let wait = self.pace.log(&known.identity.runner, chunk.data.len(), Instant::now())?;
            tokio::time::sleep(wait).await;
            self.append(&known, &chunk).await
        };
        self.counted("AppendLogs", result.await)
    }

    async fn complete_job(
        &self,
        request: Request<v1::CompleteJobRequest>,
    ) -> Result<Response<v1::CompleteJobResponse>, Status> {
        let result = async {
            let known = self.known(&request, None).await?;
            let completion: Completion = read(request.into_inner())?;
            self.complete(&known, completion).await
        };
        self.counted("CompleteJob", result.await)
    }

    async fn fetch_trust(
        &self,
        request: Request<v1::FetchTrustRequest>,
    ) -> Result<Response<v1::FetchTrustResponse>, Status> {
        let result = async {
            let known = self.known(&request, None).await?;
            let ask: TrustRequest = read(request.into_inner())?;
            let org = known.identity.install.org_name();
            let after = self.edge.trust.after(org, ask.root_version).await.map_err(|e| status::store(&e))?;
            let trust = after.signed(&self.edge.dispatch).await;
            Ok(trust.map_err(|e| status::unsigned(&e))?.into())
        };
        self.counted("FetchTrust", result.await)
    }

    async fn answer_plan(
        &self,
        request: Request<v1::AnswerPlanRequest>,
    ) -> Result<Response<v1::AnswerPlanResponse>, Status> {
        let result = async {
            let known = self.known(&request, None).await?;
            let answer: PlanAnswer = read(request.into_inner())?;
            self.answer(&known, answer).await
        };
        self.counted("AnswerPlan", result.await)
    }

    type FetchArtifactStream = artifact::Chunks;

    async fn fetch_artifact(
        &self,
        request: Request<v1::FetchArtifactRequest>,
    ) -> Result<Response<Self::FetchArtifactStream>, Status> {
        let result = async {
            let known = self.known(&request, None).await?;
            let ask: ArtifactRequest = read(request.into_inner())?;
            self.fetch(known, ask).await
        };
        self.counted("FetchArtifact", result.await)
    }
}
