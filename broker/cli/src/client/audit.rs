//! The audit log, over the API.

use remit_broker::api::wire::{AuditBlocks, AuditList};

use super::{Call, Client};
use crate::failure::Result;

impl Client {
    /// A page of decisions, the newest first.
    pub async fn audit(&self, org: Option<&str>, before: Option<u64>, limit: usize) -> Result<AuditList> {
        let org = org.map(|org| format!("&org={org}")).unwrap_or_default();
        let before = before.map(|before| format!("&before={before}")).unwrap_or_default();
        self.read(Call::get(format!("/v1/audit?limit={limit}{org}{before}"))).await
    }

    /// Some blocks after this one, or the first that are kept.
    pub async fn audit_blocks(&self, after: Option<u64>) -> Result<AuditBlocks> {
        let after = after.map(|after| format!("?after={after}")).unwrap_or_default();
        self.read(Call::get(format!("/v1/audit/blocks{after}"))).await
    }
}
