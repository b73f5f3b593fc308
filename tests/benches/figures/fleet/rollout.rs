//! A release over many sandbox installs in real time: previewed, then rolled out to runners that lease, check
//! what they were sent, start with the broker's leave and say how it ended, each over a connection of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use remit_proto::v1;
use remit_tests::figure::{Figure, Options};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{INSTALLS, pages};
use crate::bare;
use crate::broker::{Server, cpu_ms_of, runtime};
use crate::light::{Runner, Trust, runners};
use crate::vendor::Vendor;

const PREVIEW: &str = "fleet.preview_10000_installs";
const ROLLOUT: &str = "fleet.rollout_10000_installs";
const BROKER_CPU: &str = "fleet.rollout_broker_cpu_an_install";
const RUNNER_CPU: &str = "fleet.rollout_runner_cpu_an_install";
/// How many installs may be at it at once.
const AT_ONCE: usize = 1_000;
/// What a runner calls for one job: lease, start, complete.
const CALLS: usize = 3;
/// A rollout that takes longer is a failure.
const PATIENCE: Duration = Duration::from_secs(300);
const APP: &str = "/v1/objects/app_demo.shop";

/// The figures of one fleet that is made, deployed, previewed and rolled out to.
pub(super) fn figures(options: &Options) -> Result<Vec<Figure>> {
    let rolls = [ROLLOUT, BROKER_CPU, RUNNER_CPU].iter().any(|name| options.wants(name));
    if !rolls && !options.wants(PREVIEW) {
        return Ok(vec![]);
    }
    runtime()?.block_on(async {
        let installs = options.scale(INSTALLS, 200);
        let bare = if rolls { bare::calls(installs, CALLS).await? } else { (0.0, 0.0) };
        let fleet = Fleet::start(installs).await?;
        let mut figures = vec![fleet.preview().await?];
        if rolls {
            figures.extend(fleet.roll_out(bare).await?);
        }
        Ok(figures)
    })
}

/// Installs on release 1, and their runners at work.
struct Fleet {
    installs: usize,
    server: Server,
    vendor: Vendor,
    /// How many jobs runners have ended well.
    ended: Arc<AtomicUsize>,
    runners: JoinSet<Result<()>>,
}

impl Fleet {
    async fn start(installs: usize) -> Result<Self> {
        let server = Server::start("broker")?;
        let vendor = Vendor::start(&server).await?;
        // Held back, both, until all is ready: what is measured is the rollout alone.
        let first = vendor.publish(1, false).await?;
        vendor.installs(installs, "sandbox").await?;
        let all = runners(&server, &vendor, installs).await?;
        let second = vendor.publish(2, true).await?;
        let trust = Arc::new(Trust { root: vendor.root.clone(), releases: vec![first, second] });
        let ended = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for runner in all {
            tasks.spawn(serve(runner, trust.clone(), ended.clone()));
        }
        let mut fleet = Self { installs, server, vendor, ended, runners: tasks };
        fleet.wait_for(installs).await?;
        Ok(fleet)
    }

    /// Until runners have ended so many jobs.
    async fn wait_for(&mut self, jobs: usize) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ended = self.ended.load(Ordering::Relaxed);
            if ended >= jobs {
                return Ok(());
            }
            if let Some(stopped) = self.runners.try_join_next() {
                stopped?.context("a runner stopped")?;
            }
            ensure!(Instant::now() < deadline, "{ended} of {jobs} jobs have ended");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Every page of it, beside every page of the bare list of the same installs.
    async fn preview(&self) -> Result<Figure> {
        let list = "/v1/objects?kind=install&under=app_demo.shop";
        let bare = pages(&self.vendor, list, "objects", self.installs).await?;
        let preview = format!("{APP}/preview?version=2.0.0");
        let previewed = pages(&self.vendor, &preview, "installs", self.installs).await?;
        Ok(Figure::new(PREVIEW, previewed, "ms").against(bare))
    }

    /// From the signal until the app says that every install is on release 2.
    async fn roll_out(mut self, (bare_s, bare_cpu_s): (f64, f64)) -> Result<Vec<Figure>> {
        let (broker, own) = (self.server.cpu_ms()?, cpu_ms_of("self")?);
        let began = Instant::now();
        self.vendor
            .post(0, &format!("{APP}/signals"), &json!({"start_rollout": {"plan": self.plan()}}))
            .await?;
        self.wait_for(2 * self.installs).await?;
        while !self.is_done().await? {
            ensure!(began.elapsed() < PATIENCE, "all jobs have ended, and the rollout has not");
        }
        let seconds = began.elapsed().as_secs_f64();
        let an_install = |ms: f64| ms / self.installs as f64;
        Ok(vec![
            Figure::new(ROLLOUT, seconds, "s").against(bare_s),
            Figure::new(BROKER_CPU, an_install(self.server.cpu_ms()? - broker), "ms")
                .against(an_install(bare_cpu_s * 1e3)),
            Figure::new(RUNNER_CPU, an_install(cpu_ms_of("self")? - own), "ms"),
        ])
    }

    /// A canary, a tenth of them, the rest.
    fn plan(&self) -> Value {
        let names: Vec<String> = (0..self.installs).map(|n| format!("i{n}")).collect();
        let (canary, rest) = names.split_at(self.installs / 100);
        let (some, rest) = rest.split_at(self.installs / 10);
        let waves = [("canary", canary), ("some", some), ("rest", rest)];
        let waves = waves.map(|(name, installs)| json!({"name": name, "installs": installs}));
        json!({"version": "2.0.0", "waves": waves, "at_once": AT_ONCE})
    }

    async fn is_done(&self) -> Result<bool> {
        let app: Value = serde_json::from_slice(&self.vendor.get(APP).await?)?;
        let rollout = &app["view"]["detail"]["app"]["rollout"];
        let state = rollout["state"].as_str().context("a rollout")?;
        ensure!(matches!(state, "going" | "baking" | "done"), "the rollout is {state}: {rollout}");
        Ok(state == "done")
    }
}

/// One runner, until the broker is gone.
async fn serve(mut runner: Runner, trust: Arc<Trust>, ended: Arc<AtomicUsize>) -> Result<()> {
    loop {
        let Some(lease) = runner.lease().await? else { continue };
        let bound = runner.check(&lease, &trust)?;
        ensure!(bound.job.sandbox, "a job of a sandbox is to be rehearsed");
        let outputs = bound.component.outputs.keys().map(|name| (name.clone(), "\"rehearsed\"".to_owned()));
        let done = v1::Succeeded {
            outputs: outputs.collect(),
            changes: Some(v1::ChangeCounts { update: 1, ..Default::default() }),
            summary: "rehearsed".to_owned(),
            ..Default::default()
        };
        runner.finish(lease, done).await?;
        ended.fetch_add(1, Ordering::Relaxed);
    }
}
