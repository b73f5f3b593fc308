//! The fake broker's side of each call.

use std::pin::Pin;
use std::time::Duration;

use futures::Stream;
use remit_proto::convert;
use remit_proto::v1;
use remit_proto::v1::runner_service_server::RunnerService;
use remit_seal::document::Audience;
use tonic::{Request, Response, Status};

use crate::broker::{INSTALL, Shared, TOKEN};
use crate::product::now;

pub(crate) struct Calls(pub(crate) Shared);

type Answer<T> = Result<Response<T>, Status>;

impl Calls {
    fn identity(&self, csr: &[u8]) -> v1::Identity {
        v1::Identity {
            certificate_chain: vec![self.0.ca.client(csr)],
            generation: 1,
            epoch: 1,
            not_after_ms: now() + self.0.certificate_ms,
        }
    }

    /// Waits until there is something, or the time is over.
    async fn wait<T>(&self, wait_ms: u32, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        let mut changed = self.0.changed.subscribe();
        let until = tokio::time::Instant::now() + Duration::from_millis(wait_ms.into());
        loop {
            if let Some(found) = look() {
                return Some(found);
            }
            tokio::time::timeout_at(until, changed.changed()).await.ok()?.ok()?;
        }
    }
}

fn known<T>(request: &Request<T>) -> Result<(), Status> {
    let known = request.peer_certs().is_some_and(|chain| !chain.is_empty());
    if known { Ok(()) } else { Err(Status::unauthenticated("no certificate")) }
}

fn read<W, T: TryFrom<W, Error = convert::WireError>>(wire: W) -> Result<T, Status> {
    T::try_from(wire).map_err(|e| Status::invalid_argument(e.to_string()))
}

#[tonic::async_trait]
impl RunnerService for Calls {
    async fn begin_enroll(
        &self,
        request: Request<v1::BeginEnrollRequest>,
    ) -> Answer<v1::BeginEnrollResponse> {
        let _: convert::Beginning = read(request.into_inner())?;
        Ok(Response::new(convert::Begun { nonce: [7; 32], valid_ms: 60_000, now_ms: now() }.into()))
    }

    async fn enroll(&self, request: Request<v1::EnrollRequest>) -> Answer<v1::EnrollResponse> {
        let ask: convert::Enrolment = read(request.into_inner())?;
        let fresh = self.0.change(|held| !std::mem::replace(&mut held.token_used, true));
        if !fresh || ask.token.is_none_or(|token| token.expose() != TOKEN) || ask.install != INSTALL {
            return Err(Status::unauthenticated("the token is unknown or used"));
        }
        let identity = Some(self.identity(&ask.csr));
        Ok(Response::new(v1::EnrollResponse { identity, root: self.0.root.to_vec(), ..Default::default() }))
    }

    async fn renew(&self, request: Request<v1::RenewRequest>) -> Answer<v1::RenewResponse> {
        known(&request)?;
        let ask: convert::Renewal = read(request.into_inner())?;
        self.0.change(|held| held.renewals += 1);
        Ok(Response::new(v1::RenewResponse { identity: Some(self.identity(&ask.csr)) }))
    }

    async fn lease_job(&self, request: Request<v1::LeaseJobRequest>) -> Answer<v1::LeaseJobResponse> {
        known(&request)?;
        let ask: convert::LeaseRequest = read(request.into_inner())?;
        assert_eq!(Audience::of_install(&ask.install, 1, 1).unwrap().install_id(), INSTALL);
        self.0.change(|held| {
            held.polls += 1;
            held.info = Some(ask.info);
        });
        let next = || {
            let held = self.0.held();
            held.offers.iter().find(|(of, _)| !ask.held.contains(of)).cloned()
        };
        let has_news = || self.0.held().news.is_some_and(|news| (ask.root_version, ask.status_ms) < news);
        let either = || if has_news() { Some(None) } else { next().map(Some) };
        let Some(found) = self.wait(ask.wait_ms, either).await else {
            return Ok(Response::new(v1::LeaseJobResponse { lease: None, trust_news: false }));
        };
        let trust_news = found.is_none();
        let lease = found.map(|(attempt, envelope)| v1::Lease {
            attempt: Some(attempt.into()),
            envelope,
            lease_ms: 60_000,
            permits: self.0.held.lock().unwrap().permits.clone(),
        });
        Ok(Response::new(v1::LeaseJobResponse { lease, trust_news }))
    }

    async fn renew_lease(&self, request: Request<v1::RenewLeaseRequest>) -> Answer<v1::RenewLeaseResponse> {
        known(&request)?;
        let ask: convert::RenewLease = read(request.into_inner())?;
        if ask.phase == convert::LeasePhase::Start {
            self.0.change(|held| {
                held.offers.retain(|(of, _)| *of != ask.attempt);
                held.started.push(ask.attempt.clone());
            });
        }
        let why = || self.0.held().stops.get(&ask.attempt.job).cloned();
        let verdict = match self.wait(ask.wait_ms, why).await {
            Some(message) => {
                convert::Verdict::Stop(convert::Stop { reason: convert::StopReason::Cancelled, message })
            }
            None => convert::Verdict::Continue { lease_ms: 60_000 },
        };
        Ok(Response::new(verdict.into()))
    }

    async fn report_progress(
        &self,
        request: Request<v1::ReportProgressRequest>,
    ) -> Answer<v1::ReportProgressResponse> {
        known(&request)?;
        let said: convert::Progress = read(request.into_inner())?;
        self.0.change(|held| held.progress.push(said.message));
        Ok(Response::new(v1::ReportProgressResponse {}))
    }

    async fn append_logs(&self, request: Request<v1::AppendLogsRequest>) -> Answer<v1::AppendLogsResponse> {
        known(&request)?;
        let chunk: convert::LogChunk = read(request.into_inner())?;
        let next_offset = self.0.change(|held| {
            let key = (chunk.attempt.job, chunk.attempt.attempt);
            let (log, is_final) = held.logs.entry(key).or_default();
            let end = log.len() as u64;
            if chunk.offset <= end {
                let known = usize::try_from(end - chunk.offset).unwrap();
                log.extend_from_slice(chunk.data.get(known..).unwrap_or_default());
                *is_final |= chunk.is_final;
            }
            log.len() as u64
        });
        Ok(Response::new(v1::AppendLogsResponse { next_offset }))
    }

    async fn complete_job(
        &self,
        request: Request<v1::CompleteJobRequest>,
    ) -> Answer<v1::CompleteJobResponse> {
        known(&request)?;
        let word: convert::Completion = read(request.into_inner())?;
        self.0.change(|held| {
            held.offers.retain(|(of, _)| *of != word.attempt);
            held.completed.push((word.attempt, word.outcome));
        });
        Ok(Response::new(v1::CompleteJobResponse { accepted: true, seen: vec![] }))
    }

    async fn answer_plan(&self, request: Request<v1::AnswerPlanRequest>) -> Answer<v1::AnswerPlanResponse> {
        known(&request)?;
        let _: convert::PlanAnswer = read(request.into_inner())?;
        Ok(Response::new(v1::AnswerPlanResponse { accepted: true }))
    }

    type FetchArtifactStream = Pin<Box<dyn Stream<Item = Result<v1::FetchArtifactResponse, Status>> + Send>>;

    async fn fetch_artifact(
        &self,
        request: Request<v1::FetchArtifactRequest>,
    ) -> Answer<Self::FetchArtifactStream> {
        known(&request)?;
        let ask: convert::ArtifactRequest = read(request.into_inner())?;
        let bytes = self.0.held().blobs.get(&ask.digest).cloned();
        let bytes = bytes.ok_or_else(|| Status::not_found("no such artefact"))?;
        let total_size = bytes.len() as u64;
        let rest = bytes.get(usize::try_from(ask.offset).unwrap()..).unwrap_or_default();
        let parts: Vec<_> = rest
            .chunks(50_000)
            .map(|chunk| Ok(v1::FetchArtifactResponse { total_size, chunk: chunk.to_vec() }))
            .collect();
        Ok(Response::new(Box::pin(futures::stream::iter(parts))))
    }

    async fn fetch_trust(&self, request: Request<v1::FetchTrustRequest>) -> Answer<v1::FetchTrustResponse> {
        known(&request)?;
        let ask: convert::TrustRequest = read(request.into_inner())?;
        let held = self.0.held();
        let after = |(version, _): &&(u64, Vec<u8>)| *version > ask.root_version;
        let roots: Vec<Vec<u8>> =
            held.roots.iter().filter(after).map(|(_, root)| root.clone()).take(2).collect();
        let status = held.status.clone().filter(|_| roots.is_empty());
        Ok(Response::new(convert::Trust { roots, status }.into()))
    }
}
