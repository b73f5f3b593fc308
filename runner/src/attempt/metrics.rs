//! Counters and gauges in OpenMetrics text.

use std::fmt::Write;
use std::sync::atomic::AtomicI64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    operation: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    code: &'static str,
}

/// What is counted.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Polls for work.
    pub polls: Counter,
    /// Calls to the broker that failed.
    pub broker_errors: Counter,
    ended: Family<Ended, Counter>,
    refused: Family<Refused, Counter>,
}

impl Metrics {
    /// An attempt ended so.
    pub fn end(&self, operation: &str, outcome: &'static str) {
        let operation = operation.to_owned();
        self.ended.get_or_create(&Ended { operation, outcome }).inc();
    }

    /// An envelope was refused by this check.
    pub fn refuse(&self, code: &'static str) {
        self.refused.get_or_create(&Refused { code }).inc();
    }

    /// All of it, with the gauges of now.
    pub fn encode(&self, gauges: &[(&'static str, &'static str, i64)]) -> String {
        let mut registry = Registry::with_prefix("remit_runner");
        registry.register("polls", "Polls for work", self.polls.clone());
        registry.register("broker_errors", "Failed calls to the broker", self.broker_errors.clone());
        registry.register("attempts_ended", "Attempts by outcome", self.ended.clone());
        registry.register("envelopes_refused", "Envelopes refused, by code", self.refused.clone());
        for &(name, help, value) in gauges {
            let gauge: Gauge<i64, AtomicI64> = Gauge::default();
            gauge.set(value);
            registry.register(name, help, gauge);
        }
        let mut text = String::new();
        if encode(&mut text, &registry).is_err() {
            // Writing to a text cannot fail; if it does, that is said rather than hidden.
            let _ = writeln!(text, "# could not be encoded");
        }
        text
    }
}
