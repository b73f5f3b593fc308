//! An object as it was at a time: its events up to then, given to a fresh one.

use remit_loops::{Event, Object, ObjectId, Timestamp};

use super::error::ApiError;
use super::wire::ObjectView;
use crate::edge::Edge;
use crate::engine::{Engine, HistoryItem, PAGE_MAX};

/// The most events that are gone through for one answer.
const EVENTS_MAX: usize = 20_000;
/// The line of a notice that the object did not take.
const REFUSED: &str = "engine.notice_refused";

/// A time as it stands in a query.
pub(super) fn time(text: &str) -> Result<Timestamp, ApiError> {
    let instant = || text.parse::<jiff::Timestamp>().map(|t| t.as_millisecond());
    let ms = text.parse::<i64>().or_else(|_| instant());
    ms.map(Timestamp).map_err(|_| {
        let message = format!("`{text}` is no time");
        ApiError::parameter_invalid(format!(
            "{message}: write it like 2026-11-22T10:00:00Z, or as milliseconds since the Unix epoch"
        ))
    })
}

/// The object as it was after all its events up to this time.
pub(super) async fn view(edge: &Edge, id: &ObjectId, at: Timestamp) -> Result<ObjectView, ApiError> {
    let mut object = Object::new(id);
    let events = until(&edge.engine, id, at, EVENTS_MAX).await?;
    let revision = events.len() as u64;
    for item in events.into_iter().rev() {
        if item.entries.iter().any(|entry| entry.code == REFUSED) {
            continue;
        }
        // What was taken then is taken now; a refusal leaves the object as it was.
        let _ = object.apply(&Event { at: item.at, by: item.by, body: item.body });
    }
    if !object.is_known() {
        let message = format!("{id} was not there yet at that time");
        let hint = "ask for a later time; `remit timeline` shows when it was made";
        return Err(ApiError::new(http::StatusCode::NOT_FOUND, "api.not_there_then", message, hint));
    }
    Ok(ObjectView { revision, view: object.view() })
}

/// The events of an object up to a time, the newest first.
async fn until(
    engine: &Engine,
    id: &ObjectId,
    at: Timestamp,
    max: usize,
) -> Result<Vec<HistoryItem>, ApiError> {
    let (mut events, mut before, mut seen) = (vec![], None, 0);
    loop {
        let page = engine.history(id, before, PAGE_MAX).await?;
        let is_last = page.len() < PAGE_MAX;
        seen += page.len();
        if seen > max {
            let message = format!("{id} has had more than {max} events: too many to go through again");
            let hint = "read its timeline instead: GET /v1/objects/{id}/timeline, `remit timeline`";
            return Err(ApiError::unprocessable("api.history_too_long", message, hint));
        }
        before = page.last().map(|oldest| oldest.seq);
        events.extend(page.into_iter().filter(|item| item.at <= at));
        if is_last {
            return Ok(events);
        }
    }
}

#[cfg(test)]
mod tests {
    use remit_loops::{Actor, Body, Signal, org};

    use super::*;
    use crate::engine::{Options, Submission};
    use crate::store::MemoryStore;

    #[tokio::test]
    async fn a_longer_history_than_can_be_gone_through_is_refused() {
        let engine = Engine::start(Box::new(MemoryStore::default()), Options::default()).unwrap();
        let id: ObjectId = "org_demo".parse().unwrap();
        let send = |signal| Submission {
            to: id.clone(),
            by: Actor::Clock,
            key: None,
            body: Body::Signal(Signal::Org(signal)),
        };
        engine.submit(send(org::Signal::Create {})).await.unwrap();
        for _ in 0..3 {
            engine.submit(send(org::Signal::Pause { reason: "x".into() })).await.unwrap();
        }
        let now = engine.now();
        assert_eq!(until(&engine, &id, now, 4).await.unwrap().len(), 4);
        assert_eq!(until(&engine, &id, now, 3).await.unwrap_err().code, "api.history_too_long");
        engine.stop().await;
    }

    #[test]
    fn times_are_instants_or_milliseconds() {
        assert_eq!(time("1700000000123").unwrap(), Timestamp(1_700_000_000_123));
        assert_eq!(time("2023-11-14T22:13:20.123Z").unwrap(), Timestamp(1_700_000_000_123));
        assert_eq!(time("2023-11-14T23:13:20+01:00").unwrap(), Timestamp(1_700_000_000_000));
        for text in ["", "yesterday", "2023-11-14", "2023-11-14T22:13:20"] {
            assert_eq!(time(text).unwrap_err().code, "api.parameter_invalid", "{text}");
        }
    }
}
