//! The bare limit of idle runners: tonic's own server with as many connections over mutual TLS,
//! each with one call after the other that waits, and nothing behind it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use base64::Engine as _;
use futures::{StreamExt, TryStreamExt};
use remit_proto::v1;
use remit_proto::v1::runner_service_client::RunnerServiceClient;
use remit_proto::v1::runner_service_server::{RunnerService, RunnerServiceServer};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity, Server as Tonic, ServerTlsConfig};
use tonic::{Request, Response, Status};

use crate::broker::{Server, ready, runtime};

/// How often the count of calls is written down: seldom, for it is not what is measured.
const COUNT_EVERY: usize = 100;
/// How many connections are made at once.
const AT_ONCE: usize = 64;

/// PEM of a chain of DER certificates.
pub(crate) fn pem(chain: &[Vec<u8>]) -> String {
    let one = |der: &Vec<u8>| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    };
    chain.iter().map(one).collect()
}

/// So many connections to it.
async fn connect(server: &Server, count: usize) -> Result<Vec<RunnerServiceClient<Channel>>> {
    let identity = Identity::from_pem(server.file("ca.pem")?, server.file("ca.key")?);
    let ca = Certificate::from_pem(server.file("ca.pem")?);
    let tls = ClientTlsConfig::new().ca_certificate(ca).domain_name("localhost").identity(identity);
    let endpoint = Channel::from_shared(format!("https://{}", server.rpc))?.tls_config(tls)?;
    let connect = |_| endpoint.connect();
    let channels = futures::stream::iter((0..count).map(connect)).buffer_unordered(AT_ONCE);
    channels.map_ok(RunnerServiceClient::new).try_collect().await.map_err(anyhow::Error::from)
}

/// What as many idle connections cost a bare server: memory of each, KiB, and the share of a core of all.
pub(crate) async fn idle(count: usize, wait_ms: u32, window: Duration) -> Result<(f64, f64)> {
    let server = Server::start("bare")?;
    let before = server.resident_kib()?;
    let mut polls = tokio::task::JoinSet::<Result<()>>::new();
    for mut client in connect(&server, count).await? {
        polls.spawn(async move {
            loop {
                client.lease_job(v1::LeaseJobRequest { wait_ms, ..Default::default() }).await?;
            }
        });
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    let waiting = || server.file("waiting").unwrap_or_default().parse().unwrap_or(0_usize);
    while waiting() < count {
        ensure!(Instant::now() < deadline, "only {} of {count} wait at the bare server", waiting());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let memory_kib = (server.resident_kib()? - before) / count as f64;
    Ok((memory_kib, server.cpu_percent(window).await?))
}

/// How long as many connections need for so many calls each, one after the other, seconds; and how long the
/// server computes for it.
pub(crate) async fn calls(count: usize, each: usize) -> Result<(f64, f64)> {
    let server = Server::start("bare")?;
    let clients = connect(&server, count).await?;
    let (began, cpu_ms) = (Instant::now(), server.cpu_ms()?);
    let call = |mut client: RunnerServiceClient<Channel>| async move {
        for _ in 0..each {
            client.lease_job(v1::LeaseJobRequest::default()).await?;
        }
        anyhow::Ok(client)
    };
    let all = futures::stream::iter(clients.into_iter().map(call)).buffer_unordered(AT_ONCE);
    let _connected: Vec<RunnerServiceClient<Channel>> = all.try_collect().await?;
    Ok((began.elapsed().as_secs_f64(), (server.cpu_ms()? - cpu_ms) / 1e3))
}

#[derive(Clone)]
struct Bare {
    waiting: tokio::sync::watch::Sender<usize>,
}

/// Serves until told to end; `waiting` in the directory says how many calls came.
pub(crate) fn serve(directory: &Path) -> Result<()> {
    runtime()?.block_on(async {
        let key = rcgen::KeyPair::generate()?;
        let certificate = rcgen::CertificateParams::new(["localhost".to_owned()])?.self_signed(&key)?;
        std::fs::write(directory.join("ca.pem"), certificate.pem())?;
        std::fs::write(directory.join("ca.key"), key.serialize_pem())?;
        let identity = Identity::from_pem(certificate.pem(), key.serialize_pem());
        let ca = Certificate::from_pem(certificate.pem());
        let tls = ServerTlsConfig::new().identity(identity).client_ca_root(ca);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (waiting, mut changes) = tokio::sync::watch::channel(0);
        let service = RunnerServiceServer::new(Bare { waiting });
        let server = Tonic::builder().tls_config(tls)?.add_service(service);
        tokio::spawn(server.serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener)));
        let file = directory.join("waiting");
        tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                let count = *changes.borrow_and_update();
                drop(tokio::fs::write(&file, count.to_string()).await);
            }
        });
        ready(address, address)
    })
}

#[tonic::async_trait]
impl RunnerService for Bare {
    async fn lease_job(
        &self,
        request: Request<v1::LeaseJobRequest>,
    ) -> Result<Response<v1::LeaseJobResponse>, Status> {
        self.waiting.send_if_modified(|count| {
            *count += 1;
            *count % COUNT_EVERY == 0
        });
        tokio::time::sleep(Duration::from_millis(request.get_ref().wait_ms.into())).await;
        Ok(Response::new(v1::LeaseJobResponse { lease: None, trust_news: false }))
    }

    async fn begin_enroll(
        &self,
        _: Request<v1::BeginEnrollRequest>,
    ) -> Result<Response<v1::BeginEnrollResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn enroll(&self, _: Request<v1::EnrollRequest>) -> Result<Response<v1::EnrollResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn renew(&self, _: Request<v1::RenewRequest>) -> Result<Response<v1::RenewResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn renew_lease(
        &self,
        _: Request<v1::RenewLeaseRequest>,
    ) -> Result<Response<v1::RenewLeaseResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn report_progress(
        &self,
        _: Request<v1::ReportProgressRequest>,
    ) -> Result<Response<v1::ReportProgressResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn append_logs(
        &self,
        _: Request<v1::AppendLogsRequest>,
    ) -> Result<Response<v1::AppendLogsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn complete_job(
        &self,
        _: Request<v1::CompleteJobRequest>,
    ) -> Result<Response<v1::CompleteJobResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn fetch_trust(
        &self,
        _: Request<v1::FetchTrustRequest>,
    ) -> Result<Response<v1::FetchTrustResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn answer_plan(
        &self,
        _: Request<v1::AnswerPlanRequest>,
    ) -> Result<Response<v1::AnswerPlanResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    type FetchArtifactStream = futures::stream::Empty<Result<v1::FetchArtifactResponse, Status>>;

    async fn fetch_artifact(
        &self,
        _: Request<v1::FetchArtifactRequest>,
    ) -> Result<Response<Self::FetchArtifactStream>, Status> {
        Err(Status::unimplemented(""))
    }
}
