//! What an endpoint is told: one message for each line of a timeline, in the form of Standard Webhooks.

use remit_loops::{Actor, ObjectId, Timestamp};
use serde::Serialize;

use crate::engine::LoggedEvent;

/// One message.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The same each time that it is sent.
    pub(crate) id: String,
    /// What it is about, for people.
    pub(crate) object: String,
    /// The code of the timeline's line.
    pub(crate) code: String,
    /// When it happened.
    pub(crate) at: Timestamp,
    /// JSON.
    pub(crate) body: Vec<u8>,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    code: &'a str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    object: Option<&'a ObjectId>,
    seq: Option<u64>,
    by: Option<&'a Actor>,
    text: &'a str,
    level: Option<remit_loops::timeline::Level>,
}

fn body(code: &str, at: Timestamp, data: Data<'_>) -> Vec<u8> {
    let timestamp =
        jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |t| t.to_string());
    serde_json::to_vec(&Body { code, timestamp, data }).expect("a message has string keys only")
}

/// What is told of an event.
pub(super) fn of(event: &LoggedEvent) -> impl Iterator<Item = Message> + '_ {
    event.entries.iter().enumerate().map(|(n, entry)| {
        let data = Data {
            object: Some(&event.object),
            seq: Some(event.seq),
            by: Some(&event.by),
            text: &entry.text,
            level: Some(entry.level),
        };
        Message {
            id: format!("msg_{}_{n}", event.seq),
            object: event.object.to_string(),
            code: entry.code.clone(),
            at: event.at,
            body: body(&entry.code, event.at, data),
        }
    })
}

/// The event that a message's id names.
pub(super) fn seq_of(id: &str) -> Option<u64> {
    id.strip_prefix("msg_")?.split_once('_')?.0.parse().ok()
}

/// A message about nothing, to see that one arrives.
pub(crate) fn test(org: &str, at: Timestamp) -> Message {
    let text = format!("a test of org {org}: nothing happened");
    let data = Data { object: None, seq: None, by: None, text: &text, level: None };
    let (id, code) = (format!("msg_test_{}", at.0), "webhook.test".to_owned());
    Message { id, object: format!("org_{org}"), body: body(&code, at, data), code, at }
}
