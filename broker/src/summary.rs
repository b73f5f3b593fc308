//! A signed release as the loops need it: the one way from the document to its summary, for whoever hosts loops.

mod build;
mod rules;

use remit_loops::health::Probe;
use remit_loops::plan::{Needed, Terms};
use remit_loops::release::{Release, ReleaseComponent};
use remit_seal::{Digest, document};

/// The summary of a release with this digest: all that the loops know of it.
pub fn of(document: &document::Release, digest: &Digest) -> Release {
    let component = |c: &document::Component| ReleaseComponent {
        name: c.name.clone(),
        kind: c.kind.as_str().to_owned(),
        adopts: c.kind.traits().keeps_records,
        digest: c.digest.to_string(),
        needs: c.needs.clone(),
        longest_run_ms: c.longest_run_ms,
        sandbox: c.sandbox,
        recipe: Some(build::of(document, c)),
        health: c.health.map(probe),
    };
    let is_brokers =
        |(_, input): &(&String, &document::Input)| input.authority == document::Authority::Broker;
    Release {
        inputs: document.inputs.iter().filter(is_brokers).map(|(name, _)| name.clone()).collect(),
        digest: digest.to_string(),
        counter: document.counter,
        version: document.version.clone(),
        channel: document.channel.clone(),
        rollback_floor: document.rollback_floor,
        permits: vec![],
        components: document.components.iter().map(component).collect(),
        approvals: document.operations.iter().map(|(name, of)| (name.clone(), needed(of.approval))).collect(),
        terms: document.operations.iter().filter_map(terms).collect(),
        healing: rules::of(&document.healing),
    }
}

fn probe(health: document::Health) -> Probe {
    let document::Health { within_ms, timeout_ms, every_ms, failures } = health;
    Probe { within_ms, timeout_ms, every_ms, failures }
}

fn terms((name, operation): (&String, &document::Operation)) -> Option<(String, Terms)> {
    let document::Terms { quorum, approvers, valid_ms } = operation.terms.clone()?;
    Some((name.clone(), Terms { quorum, approvers, valid_ms }))
}

fn needed(approval: document::Approval) -> Needed {
    match approval {
        document::Approval::None => Needed::None,
        document::Approval::Vendor => Needed::Vendor,
        document::Approval::Customer => Needed::Customer,
        document::Approval::Both => Needed::Both,
    }
}
