//! Signed releases as files: a second person signs, and they are published with more signatures.

use std::path::Path;

use bytes::Bytes;
use remit_broker::api::wire::ReleaseAccepted;
use remit_seal::document::Release;
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::verify::{self, Verified};

use super::release::permit;
use super::release::signer::{root, signer};
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::output::now_ms;

/// Adds this person's signature to a release or a rollback permit, and shows what was signed.
pub(super) async fn sign(context: &Context, file: &Path, key: Option<&str>) -> Result<()> {
    let keys = context.keys()?;
    let root = root(&keys)?;
    let key = signer(&keys, root.get(), key).await?;
    let mut envelope = read(file)?;
    key.countersign(&mut envelope).await?;
    let bytes = envelope.to_bytes();
    if is_permit(&envelope) {
        let permit = verify::permit(&root, &bytes, now_ms())?;
        std::fs::write(file, &bytes).map_err(|e| Failure::file("write", file, &e))?;
        let answer = serde_json::json!({ "digest": permit.digest(), "permit": permit.get(), "signers": permit.signers() });
        context.format().answer(&answer, || permit::describe(&permit));
        return Ok(());
    }
    let release = verify::release(&root, &bytes, now_ms())?;
    std::fs::write(file, &bytes).map_err(|e| Failure::file("write", file, &e))?;
    let answer = serde_json::json!({ "digest": release.digest(), "release": release.get(), "signers": release.signers() });
    context.format().answer(&answer, || describe(&release));
    Ok(())
}

fn is_permit(envelope: &Envelope) -> bool {
    envelope.payload_type == PayloadType::Permit.as_str()
}

fn describe(release: &Verified<Release>) -> String {
    let document = release.get();
    let names: Vec<&str> = document.components.iter().map(|component| component.name.as_str()).collect();
    let head = format!(
        "release {} of {}/{}, channel {}, counter {}: {} components: {}",
        document.version,
        document.vendor,
        document.app,
        document.channel,
        document.counter,
        names.len(),
        names.join(", "),
    );
    let declaring = document.components.iter().filter(|component| !component.escapes.is_empty());
    let escapes = declaring.map(|component| {
        let names: Vec<&str> = component.escapes.iter().map(String::as_str).collect();
        format!("{} does what no plan shows: {}", component.name, names.join(", "))
    });
    let tail = [format!("signed by {} keys", release.signers()), release.digest().to_string()];
    let lines: Vec<String> = [head].into_iter().chain(escapes).chain(tail).collect();
    lines.join("\n")
}

/// Brings a signed release to the broker.
pub(super) async fn publish(context: &Context, file: &Path, hold: bool) -> Result<()> {
    let envelope = read(file)?;
    if is_permit(&envelope) {
        let permit = verify::permit(&root(&context.keys()?)?, &envelope.to_bytes(), now_ms())?;
        return permit::publish(context, &permit.get().vendor, envelope.to_bytes()).await;
    }
    let release = verify::release(&root(&context.keys()?)?, &envelope.to_bytes(), now_ms())?;
    let bytes = Bytes::from(envelope.to_bytes());
    let made = context.client()?.publish(&release.get().vendor, bytes, hold).await?;
    context.format().answer(&made, || published(&made));
    Ok(())
}

/// A release that is at the broker now, for people.
pub(super) fn published(made: &ReleaseAccepted) -> String {
    let known = if made.duplicate { " (it was there already)" } else { "" };
    let release = &made.release;
    format!(
        "release {} of {} is published{known}, counter {}, {} components\n{}",
        release.version,
        made.app,
        release.counter,
        release.components.len(),
        release.digest
    )
}

fn read(file: &Path) -> Result<Envelope> {
    let bytes = std::fs::read(file).map_err(|e| Failure::file("read", file, &e))?;
    match Envelope::parse(&bytes, PayloadType::Permit) {
        Ok(permit) => Ok(permit),
        Err(_) => Ok(Envelope::parse(&bytes, PayloadType::Release)?),
    }
}
