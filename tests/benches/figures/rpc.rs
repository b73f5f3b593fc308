//! What polling runners cost and how soon they have their work: from a signal to the envelope in
//! a runner's hands, and ten thousand idle ones beside a bare tonic server with as many.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt};
use hdrhistogram::Histogram;
use remit_proto::v1;
use remit_proto::v1::runner_service_client::RunnerServiceClient;
use remit_tests::figure::{Figure, Options};
use serde_json::json;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};

use crate::bare;
use crate::broker::{Server, runtime};
use crate::vendor::{IN_FLIGHT, Vendor, install};

const LATENCY: &str = "rpc.signal_to_envelope";
const IDLE: &str = "rpc.idle_runner";
/// Signals a second while their way to the runners is timed.
const SIGNALS_PER_S: u64 = 500;
const POLL_MS: u32 = 50_000;

/// The figures of this area.
pub(crate) fn figures(options: &Options) -> Result<Vec<Figure>> {
    let mut figures = vec![];
    if options.wants(&format!("{LATENCY}_p50")) || options.wants(&format!("{LATENCY}_p99")) {
        let runners = options.scale(1_000, 100);
        let time = options.scale(Duration::from_secs(10), Duration::from_secs(2));
        figures.extend(runtime()?.block_on(latency(runners, time))?);
    }
    if options.wants(&format!("{IDLE}_memory")) || options.wants(&format!("{IDLE}s_cpu")) {
        let runners = options.scale(10_000, 200);
        // As long as a poll: each comes round once.
        let window = options.scale(Duration::from_millis(POLL_MS.into()), Duration::from_secs(2));
        figures.extend(runtime()?.block_on(idle(runners, window))?);
    }
    Ok(figures)
}

/// A runner on a connection of its own.
struct Runner {
    client: RunnerServiceClient<Channel>,
    install: String,
}

fn info() -> Option<v1::RunnerInfo> {
    let (version, boot) = ("0.1.0".to_owned(), "boot".to_owned());
    Some(v1::RunnerInfo { version, boot, capacity: 1, executors: vec!["script".to_owned()] })
}

fn tls(ca_pem: &str) -> ClientTlsConfig {
    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca_pem)).domain_name("localhost")
}

/// Enrols the runner of install `n` over a shared connection, then connects with its certificate.
async fn enrol(server: &Server, vendor: &Vendor, shared: &Channel, n: usize) -> Result<Runner> {
    let token = vendor.runner_token(n).await?;
    let key = rcgen::KeyPair::generate()?;
    let csr = rcgen::CertificateParams::default().serialize_request(&key)?.der().to_vec();
    let request = v1::EnrollRequest {
        install: install(n),
        token: token.token.context("a token")?,
        csr,
        info: info(),
        ..Default::default()
    };
    let answer = RunnerServiceClient::new(shared.clone()).enroll(request).await?.into_inner();
    let chain = answer.identity.context("an identity")?.certificate_chain;
    let identity = Identity::from_pem(bare::pem(&chain), key.serialize_pem());
    let endpoint = Channel::from_shared(format!("https://{}", server.rpc))?;
    let channel = endpoint.tls_config(tls(&token.ca_pem).identity(identity))?.connect().await?;
    Ok(Runner { client: RunnerServiceClient::new(channel), install: install(n) })
}

/// A runner for each of the installs.
async fn runners(server: &Server, vendor: &Vendor, count: usize) -> Result<Vec<Runner>> {
    let ca = server.file("ca.pem")?;
    let endpoint = Channel::from_shared(format!("https://{}", server.rpc))?;
    let shared = endpoint.tls_config(tls(&ca))?.connect().await?;
    let enrol = |n| enrol(server, vendor, &shared, n);
    futures::stream::iter((0..count).map(enrol)).buffered(IN_FLIGHT).try_collect().await
}

impl Runner {
    async fn lease(&mut self) -> Result<Option<v1::AttemptRef>> {
        let install = self.install.clone();
        let request = v1::LeaseJobRequest {
            install,
            wait_ms: POLL_MS,
            info: info(),
            held: vec![],
            ..Default::default()
        };
        let lease = self.client.lease_job(request).await?.into_inner().lease;
        Ok(lease.and_then(|lease| lease.attempt))
    }

    /// Polls once; times and finishes what came.
    async fn work(&mut self, timing: &Timing, n: usize) -> Result<()> {
        let Some(attempt) = self.lease().await? else { return Ok(()) };
        let sent = timing.sent[n].lock().expect("nobody panics while holding it").take();
        if let Some(sent) = sent {
            let took = u64::try_from(sent.elapsed().as_micros())?;
            timing.took.lock().expect("nobody panics while holding it").record(took)?;
        }
        self.finish(attempt).await
    }

    /// Starts what it was handed and reports it done at once.
    async fn finish(&mut self, attempt: v1::AttemptRef) -> Result<()> {
        let attempt = Some(attempt);
        let phase = v1::LeasePhase::Start.into();
        self.client
            .renew_lease(v1::RenewLeaseRequest { attempt: attempt.clone(), phase, wait_ms: 0 })
            .await?;
        let outcome = v1::complete_job_request::Outcome::Succeeded(v1::Succeeded {
            changes: Some(v1::ChangeCounts::default()),
            summary: "nothing".to_owned(),
            ..Default::default()
        });
        let journal_head = vec![0; 32];
        self.client
            .complete_job(v1::CompleteJobRequest {
                attempt,
                outcome: Some(outcome),
                journal_head,
                journal_records: 0,
            })
            .await?;
        Ok(())
    }
}

/// When the newest signal of each install was sent, and how long it took to arrive, microseconds.
struct Timing {
    sent: Vec<Mutex<Option<Instant>>>,
    took: Mutex<Histogram<u64>>,
}

async fn latency(count: usize, time: Duration) -> Result<Vec<Figure>> {
    let server = Server::start("broker")?;
    let vendor = Arc::new(Vendor::start(&server, true).await?);
    vendor.installs(count).await?;
    let all = runners(&server, &vendor, count).await?;
    let timing = Arc::new(Timing {
        sent: (0..count).map(|_| Mutex::new(None)).collect(),
        took: Mutex::new(Histogram::new(3)?),
    });
    let mut tasks = tokio::task::JoinSet::new();
    for (n, mut runner) in all.into_iter().enumerate() {
        let timing = timing.clone();
        tasks.spawn(async move {
            let failed: anyhow::Error = loop {
                if let Err(error) = runner.work(&timing, n).await {
                    break error;
                }
            };
            Err::<(), _>(failed)
        });
    }
    wait_until_deployed(&vendor, count).await?;
    send_signals(&vendor, &timing, count, time).await?;
    if let Some(ended) = tasks.try_join_next() {
        ended?.context("a runner ended")?;
    }
    let took = timing.took.lock().expect("nobody panics while holding it");
    ensure!(took.len() > 100, "only {} envelopes came", took.len());
    let figure = |what: &str, quantile: f64| {
        let ms = took.value_at_quantile(quantile) as f64 / 1000.0;
        Figure::new(format!("{LATENCY}_{what}"), ms, "ms")
    };
    Ok(vec![figure("p50", 0.50), figure("p99", 0.99)])
}

/// The first deploys are over when every runner polls again.
async fn wait_until_deployed(vendor: &Vendor, count: usize) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let envelopes = vendor.metric("remit_broker_envelopes_total").await?;
        let polls = vendor.metric("remit_broker_rpc_polls").await?;
        if envelopes >= count as f64 && polls >= count as f64 {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{envelopes} envelopes and {polls} polls of {count}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Drift checks at a steady rate, each to an install that has nothing else to do.
async fn send_signals(
    vendor: &Arc<Vendor>,
    timing: &Arc<Timing>,
    count: usize,
    time: Duration,
) -> Result<()> {
    let mut tick = tokio::time::interval(Duration::from_micros(1_000_000 / SIGNALS_PER_S));
    let until = Instant::now() + time;
    let mut sending = tokio::task::JoinSet::new();
    let mut n = 0;
    while Instant::now() < until {
        tick.tick().await;
        n = (n + 1) % count;
        let (vendor, timing) = (vendor.clone(), timing.clone());
        sending.spawn(async move {
            *timing.sent[n].lock().expect("nobody panics while holding it") = Some(Instant::now());
            let path = format!("/v1/objects/{}/signals", install(n));
            vendor.post(n, &path, &json!({"check_drift": {}})).await
        });
        while let Some(sent) = sending.try_join_next() {
            sent??;
        }
    }
    while let Some(sent) = sending.join_next().await {
        sent??;
    }
    // What was sent last is still on its way.
    tokio::time::sleep(Duration::from_millis(200)).await;
    Ok(())
}

async fn idle(count: usize, window: Duration) -> Result<Vec<Figure>> {
    let (bare_memory, bare_cpu) = bare::idle(count, POLL_MS, window).await?;
    let server = Server::start("broker")?;
    let vendor = Vendor::start(&server, false).await?;
    vendor.installs(count).await?;
    let before = server.resident_kib()?;
    let all = runners(&server, &vendor, count).await?;
    let mut polls = tokio::task::JoinSet::new();
    for mut runner in all {
        polls.spawn(async move {
            // There is no work: this ends with an error or never.
            while runner.lease().await?.is_none() {}
            anyhow::Ok(())
        });
    }
    let deadline = Instant::now() + Duration::from_secs(300);
    while vendor.metric("remit_broker_rpc_polls").await? < count as f64 {
        if let Some(ended) = polls.try_join_next() {
            ended?.context("a runner ended")?;
        }
        ensure!(Instant::now() < deadline, "not all runners poll");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let memory = (server.resident_kib()? - before) / count as f64;
    let cpu = server.cpu_percent(window).await?;
    Ok(vec![
        Figure::new(format!("{IDLE}_memory"), memory, "KiB").against(bare_memory),
        Figure::new(format!("{IDLE}s_cpu"), cpu, "%").against(bare_cpu),
    ])
}
