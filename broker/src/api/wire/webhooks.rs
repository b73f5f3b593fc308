//! What crosses the HTTP API about webhooks.

use remit_loops::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /v1/orgs/{org}/webhooks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    /// A name for it, unique in the org: 1 to 40 of a-z, 0-9 and -, beginning with a letter.
    pub name: String,
    /// Where it is told: https.
    pub url: String,
    /// What it is told: codes of the timeline (`operation.failed`), areas of them (`drift.*`), or `*`.
    pub events: Vec<String>,
}

/// The answer to [`NewWebhook`]: the only time that the secret is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookMade {
    /// Its name.
    pub name: String,
    /// Where it is told.
    pub url: String,
    /// What it is told.
    pub events: Vec<String>,
    /// What signs each message: `whsec_` and base64, as Standard Webhooks has it.
    pub secret: String,
}

impl std::fmt::Debug for WebhookMade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookMade")
            .field("name", &self.name)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// `GET /v1/orgs/{org}/webhooks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookList {
    /// By name.
    pub webhooks: Vec<WebhookInfo>,
}

/// A webhook, and how it fares; never its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookInfo {
    /// Its name.
    pub name: String,
    /// Where it is told.
    pub url: String,
    /// What it is told.
    pub events: Vec<String>,
    /// When it was made.
    pub created: Timestamp,
    /// How many messages were heard.
    pub delivered: u64,
    /// How many were given up.
    pub dead: u64,
    /// Why the next message is not heard yet, if it was tried.
    pub failing: Option<String>,
    /// When it is tried again.
    pub next_try: Option<Timestamp>,
}

/// `GET /v1/orgs/{org}/webhooks/{name}/deliveries`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deliveries {
    /// The newest first.
    pub deliveries: Vec<Delivery>,
}

/// A message and how telling it went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// The message's id, the same each time that it is sent.
    pub id: String,
    /// Whose line of the timeline it is.
    pub object: String,
    /// The line's code.
    pub code: String,
    /// When that happened.
    pub at: Timestamp,
    /// When it was sent last.
    pub sent: Timestamp,
    /// How often it was sent.
    pub attempts: u32,
    /// `delivered`, `failing`: it is tried again; `dead`: it was given up.
    pub state: String,
    /// What the endpoint answered.
    pub status: Option<u16>,
    /// Why it was not heard.
    pub why: String,
}

/// `POST /v1/orgs/{org}/webhooks/{name}/replay`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// The message's id, from the list of deliveries.
    pub id: String,
}
