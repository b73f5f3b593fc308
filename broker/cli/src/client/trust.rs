//! Trust roots, revocations and dispatch keys at the broker.

use bytes::Bytes;
use remit_broker::api::wire::{
    DispatchKeyList, NewRestriction, PermitAccepted, RootList, RootPublished, Standing,
};
use reqwest::Method;

use super::{Call, Client, new_key};
use crate::failure::Result;

impl Client {
    /// Every trust root of an org, oldest first.
    pub async fn roots(&self, org: &str) -> Result<RootList> {
        self.read(Call::get(format!("/v1/orgs/{org}/roots"))).await
    }

    /// Publishes the next root.
    pub async fn publish_root(&self, org: &str, root: Bytes) -> Result<RootPublished> {
        let call = Call {
            method: Method::POST,
            body: Some((root, "application/json")),
            key: Some(new_key()?),
            ..Call::get(format!("/v1/orgs/{org}/roots"))
        };
        self.read(call).await
    }

    /// Brings a signed rollback permit to the broker.
    pub async fn permit_rollback(&self, org: &str, permit: Bytes) -> Result<PermitAccepted> {
        let call = Call {
            method: Method::POST,
            body: Some((permit, "application/json")),
            key: Some(new_key()?),
            ..Call::get(format!("/v1/orgs/{org}/rollback-permits"))
        };
        self.read(call).await
    }

    /// What runners are told beside the root.
    pub async fn standing(&self, org: &str) -> Result<Standing> {
        self.read(Call::get(format!("/v1/orgs/{org}/trust"))).await
    }

    /// Takes keys and old releases away, for good.
    pub async fn restrict(&self, org: &str, new: &NewRestriction) -> Result<Standing> {
        self.read(Call::post(format!("/v1/orgs/{org}/trust"), new)?).await
    }

    /// The keys that the broker signs with.
    pub async fn dispatch_keys(&self) -> Result<DispatchKeyList> {
        self.read(Call::get("/v1/dispatch-keys")).await
    }

    /// Makes the next one.
    pub async fn next_dispatch_key(&self) -> Result<DispatchKeyList> {
        self.read(Call::post("/v1/dispatch-keys", &serde_json::json!({}))?).await
    }

    /// Gives one of two up.
    pub async fn retire_dispatch_key(&self, id: &str) -> Result<()> {
        let path = format!("/v1/dispatch-keys/{id}");
        self.send(&Call { method: Method::DELETE, key: Some(new_key()?), ..Call::get(path) })
            .await
            .map(|_| ())
    }
}
