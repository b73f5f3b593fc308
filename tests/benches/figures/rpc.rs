//! What polling runners cost and how soon they have their work: from a signal to the envelope in
//! a runner's hands, and ten thousand idle ones beside a bare tonic server with as many.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use remit_proto::v1;
use remit_tests::figure::{Figure, Options};
use serde_json::json;

use crate::bare;
use crate::broker::{Server, runtime};
use crate::light::{POLL_MS, Runner, runners};
use crate::vendor::{Vendor, install};

const LATENCY: &str = "rpc.signal_to_envelope";
const IDLE: &str = "rpc.idle_runner";
const REVOKED: &str = "rpc.revocation_seen";
/// Signals a second while their way to the runners is timed.
const SIGNALS_PER_S: u64 = 500;

/// The figures of this area.
pub(crate) fn figures(options: &Options) -> Result<Vec<Figure>> {
    let mut figures = vec![];
    if options.wants(&format!("{LATENCY}_p50")) || options.wants(&format!("{LATENCY}_p99")) {
        let runners = options.scale(1_000, 100);
        let time = options.scale(Duration::from_secs(10), Duration::from_secs(2));
        figures.extend(runtime()?.block_on(latency(runners, time))?);
    }
    if options.wants(&format!("{REVOKED}_p50")) || options.wants(&format!("{REVOKED}_p99")) {
        figures.extend(runtime()?.block_on(revocation(options.scale(500, 50)))?);
    }
    if options.wants(&format!("{IDLE}_memory")) || options.wants(&format!("{IDLE}s_cpu")) {
        let runners = options.scale(10_000, 200);
        // As long as a poll: each comes round once.
        let window = options.scale(Duration::from_millis(POLL_MS.into()), Duration::from_secs(2));
        figures.extend(runtime()?.block_on(idle(runners, window))?);
    }
    Ok(figures)
}

/// Polls once; times and finishes what came.
async fn work(runner: &mut Runner, timing: &Timing, n: usize) -> Result<()> {
    let Some(lease) = runner.lease().await? else { return Ok(()) };
    let sent = timing.sent[n].lock().expect("nobody panics while holding it").take();
    if let Some(sent) = sent {
        let took = u64::try_from(sent.elapsed().as_micros())?;
        timing.took.lock().expect("nobody panics while holding it").record(took)?;
    }
    let changes = Some(v1::ChangeCounts::default());
    runner.finish(lease, v1::Succeeded { changes, summary: "nothing".to_owned(), ..Default::default() }).await
}

/// When the newest signal of each install was sent, and how long it took to arrive, microseconds.
struct Timing {
    sent: Vec<Mutex<Option<Instant>>>,
    took: Mutex<Histogram<u64>>,
}

async fn latency(count: usize, time: Duration) -> Result<Vec<Figure>> {
    let server = Server::start("broker")?;
    let vendor = Vendor::start(&server).await?;
    vendor.publish(1, false).await?;
    let vendor = Arc::new(vendor);
    vendor.installs(count, "real").await?;
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
                if let Err(error) = work(&mut runner, &timing, n).await {
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
    Ok(quantiles(LATENCY, &took))
}

fn quantiles(name: &str, took_us: &Histogram<u64>) -> Vec<Figure> {
    let figure = |(what, quantile): (&str, f64)| {
        let ms = took_us.value_at_quantile(quantile) as f64 / 1000.0;
        Figure::new(format!("{name}_{what}"), ms, "ms")
    };
    [("p50", 0.50), ("p99", 0.99)].into_iter().map(figure).collect()
}

/// From the moment that somebody asks for it until a runner that waits for work is sent away.
async fn revocation(count: usize) -> Result<Vec<Figure>> {
    let server = Server::start("broker")?;
    let vendor = Vendor::start(&server).await?;
    vendor.installs(count, "real").await?;
    let mut took = Histogram::new(3)?;
    for (n, mut runner) in runners(&server, &vendor, count).await?.into_iter().enumerate() {
        let waits = tokio::spawn(async move {
            let ended = runner.lease().await;
            (ended, Instant::now())
        });
        let deadline = Instant::now() + Duration::from_secs(10);
        while vendor.metric("remit_broker_rpc_polls").await? < 1.0 {
            ensure!(Instant::now() < deadline, "runner {n} does not poll");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let path = format!("/v1/objects/{}/signals", install(n).replacen("ins_", "run_", 1));
        let began = Instant::now();
        vendor.post(n, &path, &json!({"revoke": {"reason": "measured"}})).await?;
        let (ended, at) = waits.await?;
        ensure!(ended.is_err(), "runner {n} was not sent away: {ended:?}");
        took.record(u64::try_from((at - began).as_micros())?)?;
    }
    Ok(quantiles(REVOKED, &took))
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
    let vendor = Vendor::start(&server).await?;
    vendor.installs(count, "real").await?;
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
