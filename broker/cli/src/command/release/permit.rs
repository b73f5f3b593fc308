//! `remit release permit-rollback`: signs leave for installs to go back to an older release.

use bytes::Bytes;
use remit_broker::api::wire::PermitAccepted;
use remit_loops::release::Release;
use remit_seal::document::{PermitScope, RollbackPermit};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::verify::{self, Verified};

use super::releases;
use super::signer::{root, signer};
use crate::args::PermitArgs;
use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::output::now_ms;
use crate::product::parse_ms;

/// Makes, signs and sends one.
pub(crate) async fn run(context: &Context, args: PermitArgs) -> Result<()> {
    let keys = context.keys()?;
    let root = root(&keys)?;
    let signer = signer(&keys, root.get(), args.key.as_deref()).await?;
    let document = document(context, &args).await?;
    let mut envelope = Envelope::unsigned(PayloadType::Permit, &document)?;
    signer.countersign(&mut envelope).await?;
    let bytes = envelope.to_bytes();
    if let Some(file) = args.save {
        std::fs::write(&file, &bytes).map_err(|e| Failure::file("write", &file, &e))?;
        let answer = serde_json::json!({ "permit": document, "file": file });
        context.format().answer(&answer, || {
            let file = file.display();
            format!("the permit is in {file}, signed by you; next: remit release sign {file}, then remit release publish {file}")
        });
        return Ok(());
    }
    // What its own verifier would refuse is not sent: the broker would say the same.
    verify::permit(&root, &bytes, now_ms())?;
    publish(context, &document.vendor, bytes).await
}

/// Brings a signed permit to the broker.
pub(crate) async fn publish(context: &Context, org: &str, bytes: Vec<u8>) -> Result<()> {
    let made = context.client()?.permit_rollback(org, Bytes::from(bytes)).await?;
    context.format().answer(&made, || told(&made));
    Ok(())
}

fn told(made: &PermitAccepted) -> String {
    let who = made.install.as_deref().unwrap_or("every install of its channel");
    format!(
        "{who} may go back to release {} (counter {}) from counter {} and less, until {}\n{}",
        made.version, made.to, made.from, made.until, made.sha256
    )
}

/// What a permit says, for people.
pub(crate) fn describe(permit: &Verified<RollbackPermit>) -> String {
    let RollbackPermit { vendor, app, channel, scope, from, to, reason, .. } = permit.get();
    let who = match scope {
        PermitScope::Channel => "every install".to_owned(),
        PermitScope::Install(name) => name.clone(),
    };
    let head = format!(
        "{who} of {vendor}/{app}, channel {channel}, may go back from counter {from} to {to}: {reason}"
    );
    format!("{head}\nsigned by {} keys\n{}", permit.signers(), permit.digest())
}

async fn document(context: &Context, args: &PermitArgs) -> Result<RollbackPermit> {
    let app = context.app()?;
    let all = releases(&context.client()?, &app).await?;
    let find = |version: &str| {
        let found = all.iter().rev().find(|release| release.version == version);
        found.ok_or_else(|| {
            let message = format!("{app} has no release {version}");
            Failure::new(Exit::NotFound, "cli.no_release", message, "see `remit release list`")
        })
    };
    let to = find(&args.version)?;
    let from = match &args.from {
        Some(version) => find(version)?.counter,
        None => newest(&all, &to.channel),
    };
    let now_ms = now_ms();
    let length_ms = parse_ms(&args.length).map_err(|e| Failure::usage(e, "write it like 90m or 24h"))?;
    let scope = args.install.clone().map_or(PermitScope::Channel, PermitScope::Install);
    Ok(RollbackPermit {
        vendor: app.org_name().to_owned(),
        app: app.name().to_owned(),
        channel: to.channel.clone(),
        scope,
        from,
        to: to.counter,
        reason: args.reason.clone(),
        created_ms: now_ms,
        until_ms: now_ms.saturating_add(length_ms),
    })
}

fn newest(all: &[Release], channel: &str) -> u64 {
    all.iter().filter(|r| r.channel == channel).map(|r| r.counter).max().unwrap_or(0)
}
