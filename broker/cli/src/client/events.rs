//! Server-sent events: an object's changes, as they happen.

use remit_broker::api::wire::{EVENT_ENTRY, EVENT_PROGRESS, EVENT_VIEW, ObjectView, Progress, TimelineEntry};
use reqwest::Response;

use crate::failure::{Exit, Failure, Result, chain};

/// The longest event that is read, in bytes.
const EVENT_LEN_MAX: usize = 16 << 20;

/// One change.
#[derive(Clone, Debug)]
pub enum Event {
    /// The object is like this now.
    View(Box<ObjectView>),
    /// A line was written on its timeline.
    Entry(TimelineEntry),
    /// An attempt says how far it is.
    Progress(Progress),
}

/// A stream of changes.
pub struct Events {
    response: Response,
    parser: Parser,
}

impl Events {
    pub(super) fn new(response: Response) -> Self {
        Self { response, parser: Parser::default() }
    }

    /// The next change; none when the broker ended the stream.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            while let Some((name, data)) = self.parser.next() {
                if let Some(event) = read(&name, &data)? {
                    return Ok(Some(event));
                }
            }
            match self.response.chunk().await.map_err(|e| broken(&chain(&e)))? {
                Some(chunk) => self.parser.push(&chunk)?,
                None => return Ok(None),
            }
        }
    }
}

/// Unknown names are passed over: a newer broker may say more.
fn read(name: &str, data: &str) -> Result<Option<Event>> {
    let wrong = |e: serde_json::Error| broken(&format!("an event cannot be read: {e}"));
    Ok(match name {
        EVENT_VIEW => Some(Event::View(serde_json::from_str(data).map_err(wrong)?)),
        EVENT_ENTRY => Some(Event::Entry(serde_json::from_str(data).map_err(wrong)?)),
        EVENT_PROGRESS => Some(Event::Progress(serde_json::from_str(data).map_err(wrong)?)),
        _ => None,
    })
}

fn broken(why: &str) -> Failure {
    Failure::new(Exit::Unavailable, "cli.unreachable", format!("the stream broke off: {why}"), "try again")
}

/// Splits bytes into events: lines `event:` and `data:` up to an empty one.
#[derive(Default)]
struct Parser {
    bytes: Vec<u8>,
}

impl Parser {
    fn push(&mut self, chunk: &[u8]) -> Result<()> {
        if self.bytes.len() + chunk.len() > EVENT_LEN_MAX {
            return Err(broken("an event is larger than any should be"));
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// The next whole event: its name and its data.
    fn next(&mut self) -> Option<(String, String)> {
        let end = self.bytes.windows(2).position(|w| w == b"\n\n")?;
        let block: Vec<u8> = self.bytes.drain(..end + 2).collect();
        let text = String::from_utf8_lossy(&block);
        let (mut name, mut data) = (String::new(), String::new());
        for line in text.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut name),
                "data" if data.is_empty() => value.clone_into(&mut data),
                "data" => data = format!("{data}\n{value}"),
                _ => {}
            }
        }
        Some((name, data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_put_together_from_any_pieces() {
        let stream = ": keep-alive\n\nevent: a\ndata: 1\ndata: 2\n\nevent:b\ndata:x: y\n\nevent: cut";
        for size in [1, 3, 7, 1000] {
            let mut parser = Parser::default();
            let mut seen = Vec::new();
            for chunk in stream.as_bytes().chunks(size) {
                parser.push(chunk).unwrap();
                while let Some((name, data)) = parser.next() {
                    seen.push(format!("{name}={data}"));
                }
            }
            assert_eq!(seen, ["=", "a=1\n2", "b=x: y"], "in pieces of {size}");
        }
    }

    #[test]
    fn an_endless_event_is_cut() {
        let mut parser = Parser::default();
        let chunk = vec![b'x'; 1 << 20];
        let taken = (0..).take_while(|_| parser.push(&chunk).is_ok()).count();
        assert_eq!(taken, EVENT_LEN_MAX >> 20);
    }
}
