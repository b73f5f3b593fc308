//! Watches an install until it rests: live lines on a terminal, plain ones anywhere else.
//!
//! What is shown comes as events; nothing is polled. A stream that breaks is taken up again.

mod bars;
mod lines;

use std::io::IsTerminal as _;
use std::time::Duration;

use remit_loops::ObjectId;
use remit_loops::view::View;

use crate::client::{Client, Event, Events};
use crate::failure::{Exit, Failure, Result};
use crate::output::Format;

/// How long to wait before a broken stream is taken up again.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);
/// How often in a row a stream may break before it is given up.
const RECONNECTS_MAX: u32 = 30;

/// When to stop watching.
#[derive(Clone, Debug)]
pub enum Until {
    /// When it rests; these words are well, beside those that always are.
    Rests(&'static [&'static str]),
    /// Never.
    Forever,
}

/// Watches; gives the install as it rests, or why it needs a person.
pub async fn watch(client: &Client, id: &ObjectId, format: Format, until: &Until) -> Result<View> {
    let mut display = Display::new(format);
    let mut breaks = 0;
    loop {
        let outcome = match client.events(id).await {
            Ok(mut events) => follow(&mut events, &mut display, until, &mut breaks).await,
            Err(failure) => Err(failure),
        };
        match outcome {
            Ok(Some(verdict)) => {
                display.end();
                return verdict;
            }
            Err(failure) if failure.exit != Exit::Unavailable || breaks >= RECONNECTS_MAX => {
                display.end();
                return Err(failure);
            }
            Ok(None) | Err(_) => breaks += 1,
        }
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}

/// One stream, until it ends or the install rests.
async fn follow(
    events: &mut Events,
    display: &mut Display,
    until: &Until,
    breaks: &mut u32,
) -> Result<Option<Result<View>>> {
    while let Some(event) = events.next().await? {
        *breaks = 0;
        display.show(&event);
        if let (Event::View(object), Until::Rests(well)) = (&event, until)
            && let Some(verdict) = judge(&object.view, well)
        {
            return Ok(Some(verdict.map(|()| object.view.clone())));
        }
    }
    Ok(None)
}

/// Whether it rests, and how.
fn judge(view: &View, well: &[&str]) -> Option<Result<()>> {
    let word = view.status.word.as_str();
    if matches!(word, "held" | "approval") {
        return Some(Err(needs_a_person(view)));
    }
    let busy = view.operation.is_some() || view.reading.is_some();
    if busy || (!view.queue.is_empty() && word != "paused") {
        return None;
    }
    match word {
        "active" | "deleted" | "forgotten" => Some(Ok(())),
        word if well.contains(&word) => Some(Ok(())),
        "drifted" | "degraded" | "paused" | "delete_incomplete" | "absent" => Some(Err(needs_a_person(view))),
        _ => None,
    }
}

fn needs_a_person(view: &View) -> Failure {
    let name = view.id.name();
    let first = view.why.first();
    let reason = first.map_or(view.status.description.clone(), |w| w.reason.clone());
    let hint = first.map_or_else(|| format!("see `remit why {name}`"), |w| w.remedy.clone());
    let message = format!("{name} is {}: {reason}", view.status.word);
    Failure::new(Exit::Failed, "cli.operation_failed", message, hint)
}

/// How events are shown.
enum Display {
    Lines(lines::Lines),
    Bars(Box<bars::Bars>),
    Json,
}

impl Display {
    fn new(format: Format) -> Self {
        match format {
            Format::Json => Display::Json,
            Format::Text if std::io::stderr().is_terminal() => Display::Bars(Box::new(bars::Bars::new())),
            Format::Text => Display::Lines(lines::Lines::default()),
        }
    }

    fn show(&mut self, event: &Event) {
        match (self, event) {
            (Display::Json, Event::View(object)) => json("view", object),
            (Display::Json, Event::Entry(entry)) => json("entry", entry),
            (Display::Json, Event::Progress(progress)) => json("progress", progress),
            (Display::Lines(lines), event) => lines.show(event),
            (Display::Bars(bars), event) => bars.show(event),
        }
    }

    fn end(&mut self) {
        if let Display::Bars(bars) = self {
            bars.end();
        }
    }
}

fn json<T: serde::Serialize>(name: &str, data: &T) {
    Format::Json.json(&serde_json::json!({ "event": name, "data": data }));
}

#[cfg(test)]
mod tests {
    use remit_loops::Timestamp;
    use remit_loops::status::{OperationView, QueuedView, Status};
    use remit_loops::view::Detail;

    use super::*;

    fn view(word: &str, busy: bool, queued: bool) -> View {
        let operation = OperationView {
            number: 1,
            kind: "deploy".into(),
            release: None,
            by: "me".into(),
            since: Timestamp(1),
            steps: vec![],
            all_plans: None,
        };
        let waiting = QueuedView {
            number: 2,
            position: 1,
            lane: "work".into(),
            kind: "deploy".into(),
            by: "me".into(),
            since: Timestamp(1),
            waits_for: String::new(),
        };
        View {
            id: "ins_a.b.c".parse().unwrap(),
            status: Status { word: word.into(), description: "so it is".into(), since: Timestamp(1) },
            epoch: 1,
            operation: busy.then_some(operation),
            reading: None,
            queue: if queued { vec![waiting] } else { vec![] },
            why: vec![],
            detail: Detail::Org {
                apps: vec![],
                quotas: remit_loops::org::Quotas::default(),
                freezes: vec![],
                sandbox: false,
            },
        }
    }

    #[test]
    fn it_rests_when_nothing_is_left_to_do() {
        let check = |word, busy, queued, want: Option<Result<(), Exit>>| {
            let got = judge(&view(word, busy, queued), &["drifted"]).map(|v| v.map_err(|f| f.exit));
            assert_eq!(got, want, "{word} {busy} {queued}");
        };
        check("provisioning", true, false, None);
        check("waiting", false, false, None);
        check("active", false, true, None);
        check("active", false, false, Some(Ok(())));
        check("deleted", false, false, Some(Ok(())));
        check("drifted", false, false, Some(Ok(())));
        check("held", true, true, Some(Err(Exit::Failed)));
        check("approval", true, true, Some(Err(Exit::Failed)));
        check("degraded", false, false, Some(Err(Exit::Failed)));
        check("paused", true, false, None);
        check("paused", false, true, Some(Err(Exit::Failed)));
        check("delete_incomplete", false, false, Some(Err(Exit::Failed)));
    }
}
