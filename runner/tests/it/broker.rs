//! A broker that does as the test says: real sockets, real TLS with client certificates.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use http_body_util::BodyExt;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use remit_proto::convert::{AttemptRef, Outcome, RunnerInfo};
use remit_proto::v1::runner_service_server::RunnerServiceServer;
use remit_seal::Digest;
use remit_seal::document::{Audience, Class, Job, Release};
use remit_seal::dsse::{Envelope, PayloadType};
use tokio::sync::watch;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

use crate::broker_calls::Calls;
use crate::product::{Made, Vendor, now, release};

pub(crate) const INSTALL: &str = "ins_demo.shop.acme";
pub(crate) const TOKEN: &str = "remit_once_abcdefghijklmnop";

/// What the broker holds and has heard.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) token_used: bool,
    pub(crate) offers: VecDeque<(AttemptRef, Vec<u8>)>,
    pub(crate) blobs: HashMap<Digest, Vec<u8>>,
    pub(crate) logs: HashMap<(String, u32), (Vec<u8>, bool)>,
    pub(crate) started: Vec<AttemptRef>,
    pub(crate) stops: HashMap<String, String>,
    pub(crate) completed: Vec<(AttemptRef, Outcome)>,
    pub(crate) progress: Vec<String>,
    pub(crate) info: Option<RunnerInfo>,
    pub(crate) polls: u32,
    pub(crate) renewals: u32,
    /// Rollback permits that come with every lease.
    pub(crate) permits: Vec<Vec<u8>>,
    /// Roots that follow the first, by version, and the status of the last.
    pub(crate) roots: Vec<(u64, Vec<u8>)>,
    pub(crate) status: Option<Vec<u8>>,
    /// A runner that knows less than this root version and status time is told so.
    pub(crate) news: Option<(u64, i64)>,
}

/// What its calls share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) held: Arc<Mutex<Held>>,
    pub(crate) changed: watch::Sender<u64>,
    pub(crate) ca: Arc<Authority>,
    pub(crate) root: Arc<Vec<u8>>,
    pub(crate) certificate_ms: i64,
    /// Every byte that any runner sent, once it was out of TLS.
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Shared {
    pub(crate) fn heard(&self) -> Vec<u8> {
        self.heard.lock().unwrap().clone()
    }

    /// Keeps what comes, headers and all, and hands it on.
    fn hear(&self, request: http::Request<tonic::body::Body>) -> http::Request<tonic::body::Body> {
        let heard = self.heard.clone();
        heard.lock().unwrap().extend(format!("{} {:?}\n", request.uri(), request.headers()).into_bytes());
        request.map(|body| {
            tonic::body::Body::new(body.map_frame(move |frame| {
                heard.lock().unwrap().extend(frame.data_ref().into_iter().flatten());
                frame
            }))
        })
    }

    pub(crate) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap()
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Held) -> T) -> T {
        let answer = change(&mut self.held());
        self.changed.send_modify(|n| *n += 1);
        answer
    }
}

/// A certificate authority.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn server(&self) -> Identity {
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity::from_pem(certificate.pem(), key.serialize_pem())
    }

    /// A client certificate for this request.
    pub(crate) fn client(&self, csr: &[u8]) -> Vec<u8> {
        let csr = rcgen::CertificateSigningRequestParams::from_der(&csr.to_vec().into()).unwrap();
        csr.signed_by(&self.issuer).unwrap().der().to_vec()
    }
}

pub(crate) struct Broker {
    pub(crate) vendor: Vendor,
    pub(crate) root_digest: Digest,
    pub(crate) shared: Shared,
    addr: SocketAddr,
    server: Option<tokio::runtime::Runtime>,
    next: u64,
}

impl Broker {
    pub(crate) fn start() -> Self {
        Self::start_with(3_600_000)
    }

    /// One whose certificates live so long.
    pub(crate) fn start_with(certificate_ms: i64) -> Self {
        let vendor = Vendor::new();
        let (root, root_digest) = vendor.root();
        let shared = Shared {
            held: Arc::default(),
            changed: watch::Sender::new(0),
            ca: Arc::new(Authority::new()),
            root: Arc::new(root),
            certificate_ms,
            heard: Arc::default(),
        };
        let addr = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut broker = Self { vendor, root_digest, shared, addr, server: None, next: 1 };
        broker.up();
        broker
    }

    /// Comes back at the same address.
    pub(crate) fn up(&mut self) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let shared = self.shared.clone();
        let listener = runtime.block_on(tokio::net::TcpListener::bind(self.addr)).unwrap();
        self.addr = listener.local_addr().unwrap();
        let tls = ServerTlsConfig::new()
            .identity(shared.ca.server())
            .client_ca_root(Certificate::from_pem(&shared.ca.pem))
            .client_auth_optional(true);
        runtime.spawn(async move {
            let ears = shared.clone();
            Server::builder()
                .layer(tower::util::MapRequestLayer::new(move |request| ears.hear(request)))
                .tls_config(tls)
                .unwrap()
                .max_concurrent_streams(8)
                .add_service(RunnerServiceServer::new(Calls(shared)))
                .serve_with_incoming(TcpIncoming::from(listener))
                .await
                .unwrap();
        });
        self.server = Some(runtime);
    }

    /// Is gone, with all its connections.
    pub(crate) fn down(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown_timeout(std::time::Duration::from_secs(2));
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.addr)
    }

    /// Takes a release and its artefacts in.
    pub(crate) fn publish(&self, parts: &[&Made]) -> (Release, Digest) {
        let release = release(parts);
        (release.clone(), self.publish_release(&release, parts))
    }

    pub(crate) fn publish_release(&self, release: &Release, parts: &[&Made]) -> Digest {
        let (bytes, digest) = self.vendor.release(release);
        self.shared.change(|held| {
            held.blobs.insert(digest, bytes);
            for part in parts {
                held.blobs.insert(Digest::of(&part.packed), part.packed.clone());
            }
        });
        digest
    }

    /// A job as this broker would sign it.
    pub(crate) fn job(&mut self, release: &Release, digest: Digest, component: &str, operation: &str) -> Job {
        let n = self.next;
        self.next += 1;
        let of = release.components.iter().find(|c| c.name == component).unwrap();
        Job {
            audience: Audience::of_install(INSTALL, 1, 1).unwrap(),
            seq: n,
            // Tests run beside each other, and look for processes by the job's id.
            job: format!("job_demo.shop.acme.{component}.e1.o{n}.p{}", self.addr.port()),
            attempt: 1,
            fence: n,
            component: component.to_owned(),
            operation: operation.to_owned(),
            class: match operation {
                "destroy" => Class::Destroy,
                "drift" => Class::Read,
                _ => Class::Change,
            },
            sandbox: of.sandbox,
            release: digest,
            release_counter: release.counter,
            inputs: std::collections::BTreeMap::new(),
            issued_ms: now(),
            not_before_ms: now(),
            not_after_ms: now() + 600_000,
            longest_run_ms: of.longest_run_ms,
            rehearsal: None,
            plan: None,
            approvals: Vec::new(),
            break_glass: None,
        }
    }

    /// Signs it and offers it; the job's id is how its outcome is found.
    pub(crate) fn offer(&self, job: &Job) -> String {
        let envelope = Envelope::sign(PayloadType::Job, job, &[&self.vendor.dispatch_key]).unwrap();
        self.offer_bytes(job, envelope.to_bytes())
    }

    pub(crate) fn offer_bytes(&self, job: &Job, envelope: Vec<u8>) -> String {
        let attempt = AttemptRef { job: job.job.clone(), attempt: job.attempt, fence: job.fence };
        self.shared.change(|held| held.offers.push_back((attempt, envelope)));
        job.job.clone()
    }

    pub(crate) fn stop(&self, job: &str, why: &str) {
        self.shared.change(|held| held.stops.insert(job.to_owned(), why.to_owned()));
    }

    pub(crate) fn outcomes(&self, job: &str) -> Vec<Outcome> {
        let held = self.shared.held();
        held.completed.iter().filter(|(a, _)| a.job == job).map(|(_, o)| o.clone()).collect()
    }

    pub(crate) fn log(&self, job: &str) -> String {
        let held = self.shared.held();
        let log = held.logs.iter().find(|((of, _), _)| of == job).map(|(_, (bytes, _))| bytes.clone());
        String::from_utf8(log.unwrap_or_default()).unwrap()
    }

    pub(crate) fn is_started(&self, job: &str) -> bool {
        self.shared.held().started.iter().any(|a| a.job == job)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.down();
    }
}
