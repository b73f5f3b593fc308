//! What a runner says of its own receipts with an ending: checked, written down in the audit log, and
//! acknowledged with this broker's signature. So either side can show a third person what the other had.

use remit_loops::ObjectId;
use remit_proto::convert::{Completion, SignedPlace};
use remit_seal::Digest;
use remit_seal::document::{KeySpec, Seen};
use remit_seal::verify;
use tonic::{Code, Status};

use super::status::refuse;
use super::{Known, Service};
use crate::audit;

/// A place in a runner's journal, as it said it.
pub(super) struct Place {
    records: u64,
    head: Digest,
    /// The checkpoint and the key, as texts, where it signs.
    signed: Option<(String, String)>,
}

/// What a completion says of the journal; `None` where it says nothing.
pub(super) fn place(install: &ObjectId, said: &Completion) -> Result<Option<Place>, Status> {
    if said.journal_records == 0 {
        return Ok(None);
    }
    let (records, head) = (said.journal_records, Digest::from_bytes(said.journal_head));
    let signed = said.signed.as_ref().map(|signed| check(install, records, head, signed)).transpose();
    let wrong = |why| refuse(Code::InvalidArgument, "rpc.checkpoint_wrong", why);
    Ok(Some(Place { records, head, signed: signed.map_err(wrong)? }))
}

fn check(
    install: &ObjectId,
    records: u64,
    head: Digest,
    signed: &SignedPlace,
) -> Result<(String, String), String> {
    let key: KeySpec = serde_json::from_slice(&signed.key).map_err(|e| format!("the journal's key: {e}"))?;
    let checkpoint = verify::checkpoint(&key, &signed.checkpoint).map_err(|e| e.to_string())?;
    let said = checkpoint.get();
    if said.install != install.to_string() || said.records != records || said.head != head {
        return Err("the checkpoint is of another place than the completion says".to_owned());
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((text(&signed.checkpoint), text(&signed.key)))
}

impl Service {
    /// Writes it down, and signs that it was. Where that fails the ending counts all the same: there is no
    /// acknowledgement then, and the next one proves this one too.
    pub(super) async fn acknowledge(&self, known: &Known, place: Place) -> Vec<u8> {
        let (install, who) = (&known.identity.install, &known.identity);
        let (epoch, generation) = (who.epoch, who.generation);
        let new = audit::of(install, who.runner.to_string(), audit::TOLD)
            .fact("identity", format!("{epoch}.{generation}"))
            .fact("records", place.records)
            .fact("head", place.head.hex());
        let new = match place.signed {
            Some((checkpoint, key)) => new.fact("checkpoint", checkpoint).fact("key", key),
            None => new,
        };
        let written = match self.edge.audit.put(new).await {
            Ok(written) => written,
            Err(error) => {
                tracing::warn!(%error, %install, "a runner's receipts were not acknowledged");
                return vec![];
            }
        };
        let (records, head, at_ms) = (place.records, place.head, self.edge.engine.now().0);
        let install = install.to_string();
        let seen = Seen { install, epoch, generation, records, head, audit: written, at_ms };
        self.edge.dispatch.sign_seen(&seen).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a runner's receipts were not acknowledged");
            vec![]
        })
    }
}
