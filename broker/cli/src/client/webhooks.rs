//! Webhooks, over the API.

use remit_broker::api::wire::{Deliveries, Delivery, NewWebhook, Replay, WebhookList, WebhookMade};
use reqwest::Method;

use super::{Call, Client, new_key};
use crate::failure::Result;

impl Client {
    /// Makes a webhook; the answer has its secret.
    pub async fn create_webhook(&self, org: &str, new: &NewWebhook) -> Result<WebhookMade> {
        self.read(Call::post(format!("/v1/orgs/{org}/webhooks"), new)?).await
    }

    /// The webhooks of an org.
    pub async fn webhooks(&self, org: &str) -> Result<WebhookList> {
        self.read(Call::get(format!("/v1/orgs/{org}/webhooks"))).await
    }

    /// Removes a webhook.
    pub async fn delete_webhook(&self, org: &str, name: &str) -> Result<()> {
        let path = format!("/v1/orgs/{org}/webhooks/{name}");
        let call = Call { method: Method::DELETE, key: Some(new_key()?), ..Call::get(path) };
        self.send(&call).await.map(drop)
    }

    /// What a webhook was told lately.
    pub async fn deliveries(&self, org: &str, name: &str) -> Result<Deliveries> {
        self.read(Call::get(format!("/v1/orgs/{org}/webhooks/{name}/deliveries"))).await
    }

    /// Sends a webhook a message about nothing.
    pub async fn test_webhook(&self, org: &str, name: &str) -> Result<Delivery> {
        self.read(Call::post(format!("/v1/orgs/{org}/webhooks/{name}/test"), &serde_json::json!({}))?).await
    }

    /// Sends a webhook a message again.
    pub async fn replay_webhook(&self, org: &str, name: &str, replay: &Replay) -> Result<Delivery> {
        self.read(Call::post(format!("/v1/orgs/{org}/webhooks/{name}/replay"), replay)?).await
    }
}
