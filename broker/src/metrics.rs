//! What `/metrics` shows: the doors, the runners that are there, and the engine.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::dispatch::DispatchKeys;
use crate::engine::Engine;
use crate::presence::Presence;
use crate::reminders::Reminders;

/// Upper bounds of answer times, seconds.
const SECONDS: [f64; 9] = [0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 2.0, 10.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Asked {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Called {
    rpc: &'static str,
    code: String,
}

/// The broker's own figures.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Asked, Counter>,
    answer_time: Histogram,
    calls: Family<Called, Counter>,
    pub(crate) api_connections: Gauge,
    pub(crate) rpc_connections: Gauge,
    pub(crate) polls: Gauge,
    pub(crate) envelopes: Counter,
}

impl Metrics {
    pub(crate) fn new(
        engine: Engine,
        presence: Presence,
        dispatch: Arc<DispatchKeys>,
        reminders: Arc<Reminders>,
    ) -> Self {
        let mut registry = Registry::with_prefix("remit_broker");
        let (requests, calls) = (Family::default(), Family::default());
        let answer_time = Histogram::new(SECONDS);
        let (api_connections, rpc_connections, polls) =
            (Gauge::default(), Gauge::default(), Gauge::default());
        let envelopes = Counter::<u64, AtomicU64>::default();
        registry.register("api_requests", "Requests to the API by route and status", requests.clone());
        registry.register("api_answer_seconds", "How long answers took", answer_time.clone());
        registry.register("rpc_calls", "Calls of runners by RPC and code", calls.clone());
        registry.register("api_connections", "Open connections to the API", api_connections.clone());
        registry.register("rpc_connections", "Open connections of runners", rpc_connections.clone());
        registry.register("rpc_polls", "Runners that wait for work now", polls.clone());
        registry.register("envelopes", "Envelopes signed and handed out", envelopes.clone());
        dispatch.register(&mut registry);
        let engine = LiveEngine(engine);
        registry.register_collector(Box::new(Live { engine, presence, dispatch, reminders }));
        Self { registry, requests, answer_time, calls, api_connections, rpc_connections, polls, envelopes }
    }

    /// Counts an answer of the API.
    pub(crate) fn answered(&self, route: &str, method: &http::Method, status: u16, took: Duration) {
        let method = match *method {
            http::Method::GET => "GET",
            http::Method::POST => "POST",
            http::Method::PUT => "PUT",
            http::Method::DELETE => "DELETE",
            http::Method::HEAD => "HEAD",
            _ => "other",
        };
        let asked = Asked { route: route.to_owned(), method, status };
        self.requests.get_or_create(&asked).inc();
        self.answer_time.observe(took.as_secs_f64());
    }

    /// Counts a call of a runner.
    pub(crate) fn called(&self, rpc: &'static str, code: tonic::Code) {
        self.calls.get_or_create(&Called { rpc, code: format!("{code:?}") }).inc();
    }

    /// All of it, as text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("writing to a string does not fail");
        text
    }
}

/// What is read at the moment of the question.
#[derive(Debug)]
struct Live {
    engine: LiveEngine,
    presence: Presence,
    dispatch: Arc<DispatchKeys>,
    reminders: Arc<Reminders>,
}

impl Collector for Live {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let metrics = self.engine.0.metrics();
        let counters = [
            ("engine_accepted", "Submissions stored", metrics.accepted),
            ("engine_duplicates", "Submissions whose key was seen before", metrics.duplicates),
            ("engine_rejected", "Submissions that a loop refused", metrics.rejected),
            ("engine_busy", "Submissions refused because too much was waiting", metrics.busy),
            ("engine_notices", "Notices between loops", metrics.notices),
            ("engine_notices_deferred", "Notices that went to the inbox first", metrics.notices_deferred),
            ("engine_notices_refused", "Notices that a loop refused", metrics.notices_refused),
            ("engine_conflicts", "Batches run again: another broker was faster", metrics.conflicts),
            ("engine_ticks", "Ticks given", metrics.ticks),
            ("engine_commits", "Commits", metrics.commits),
            ("engine_commit_microseconds", "Time spent in commits", metrics.commit_us),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let gauges = [
            ("engine_queue_depth", "Events that wait to be stored", count(metrics.queue_depth)),
            ("engine_watched", "Objects somebody watches", count(metrics.watched)),
            ("runners_online", "Runners that are there", count(self.presence.count())),
            (
                "dispatch_unsigned",
                "1 while nothing is signed because KMS does not",
                i64::from(self.dispatch.trouble().is_some()),
            ),
            (
                "dispatch_key_age_seconds",
                "How old the oldest dispatch key is; change it after 30 days",
                self.dispatch.age_ms(self.engine.0.now()) / 1_000,
            ),
            ("roots_ending", "Orgs whose trust root runs out within 30 days", self.reminders.ending()),
            ("roots_ended", "Orgs whose trust root has run out", self.reminders.ended()),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

struct LiveEngine(Engine);

impl fmt::Debug for LiveEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engine")
    }
}
