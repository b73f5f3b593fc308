//! `remit why`: of one object, or of everything below an org or an app.

use std::fmt::Write as _;

use remit_broker::api::{Reason, WhyItem};
use remit_loops::{Kind, ObjectId, Urgency};

use crate::client::Client;
use crate::context::Context;
use crate::failure::Result;
use crate::output::{BOLD, CYAN, DIM, RED, Table, YELLOW, time};

/// How many objects are looked at before a person is told that there are more.
const LOOKED_AT_MAX: u64 = 100_000;

/// Why something is not done; without a target, everything that the token reaches.
pub(super) async fn why(context: &Context, target: Option<&str>, limit: usize) -> Result<()> {
    let client = context.client()?;
    let Some(target) = target else { return all(context, &client, None, limit).await };
    let id = context.target(target)?;
    match id.kind() {
        Kind::Org | Kind::App => all(context, &client, Some(&id), limit).await,
        Kind::Install | Kind::Component | Kind::Runner => one(context, &client, &id).await,
    }
}

async fn one(context: &Context, client: &Client, id: &ObjectId) -> Result<()> {
    let why = client.why(id).await?;
    context.format().answer(&why, || {
        let mut text = format!("{}\n", why.sentence);
        if why.waiting.is_empty() {
            text.push_str("It waits for nothing.\n");
        }
        for reason in &why.waiting {
            say(&mut text, reason);
        }
        text
    });
    Ok(())
}

fn say(text: &mut String, reason: &Reason) {
    let waiting = &reason.waiting;
    let _ = writeln!(text, "\n{YELLOW}{}{YELLOW:#} {BOLD}{}{BOLD:#}", waiting.code, waiting.reason);
    let event = reason.event.map(|seq| format!(" {DIM}(event {seq}){DIM:#}")).unwrap_or_default();
    let _ = writeln!(text, "  since  {}{event}", time(waiting.since));
    if let Some(on) = &waiting.on {
        let _ = writeln!(text, "  on     {on}");
    }
    if let Some(evidence) = &waiting.evidence {
        for line in evidence.words.lines().filter(|line| !waiting.reason.contains(line.trim())) {
            let _ = writeln!(text, "  said   {line}");
        }
        if let Some(attempt) = &evidence.attempt {
            let _ = writeln!(text, "  job    {} attempt {}", attempt.job, attempt.attempt);
        }
    }
    if !waiting.remedy.is_empty() {
        let _ = writeln!(text, "  {CYAN}ends{CYAN:#}   {}", waiting.remedy);
    }
}

async fn all(context: &Context, client: &Client, under: Option<&ObjectId>, limit: usize) -> Result<()> {
    let (mut items, mut looked_at, mut after) = (vec![], 0, None);
    loop {
        let page = client.why_all(under, after.as_ref()).await?;
        items.extend(page.items);
        looked_at += page.looked_at;
        after = page.next;
        if after.is_none() || looked_at >= LOOKED_AT_MAX {
            break;
        }
    }
    items.sort_by_key(|item: &WhyItem| (item.urgency, item.since));
    let sentence = sentence(&items, looked_at, after.is_some());
    let hidden = items.len().saturating_sub(limit);
    items.truncate(limit);
    let answer = serde_json::json!({ "sentence": sentence, "items": items, "hidden": hidden, "complete": after.is_none() });
    context.format().answer(&answer, || {
        let mut table = Table::new(&["urgency", "object", "status", "since", "why"]);
        for item in &items {
            let Some(first) = item.waiting.first() else { continue };
            let more = item.waiting.len() as u64 - 1 + item.more;
            let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
            table.row([
                word(item.urgency),
                item.object.to_string(),
                item.status.clone(),
                time(item.since),
                format!("{}{more}", first.waiting.reason),
            ]);
        }
        let mut text = format!("{sentence}\n");
        if !items.is_empty() {
            let _ = write!(text, "\n{}", table.render(""));
        }
        if hidden > 0 {
            let _ = writeln!(text, "{hidden} more are not shown; -n shows more of them");
        }
        text
    });
    Ok(())
}

fn sentence(items: &[WhyItem], looked_at: u64, is_cut: bool) -> String {
    let count = |urgency| items.iter().filter(|item| item.urgency == urgency).count();
    let of = if is_cut { format!("the first {looked_at}") } else { looked_at.to_string() };
    if items.is_empty() {
        return format!("Of {of} objects, all are done: nothing waits, nothing failed.");
    }
    let parts: Vec<String> = [
        (Urgency::Failed, "failed and waiting for a person"),
        (Urgency::Attention, "to be looked at"),
        (Urgency::Waiting, "waiting"),
        (Urgency::Underway, "under way"),
    ]
    .into_iter()
    .filter(|(urgency, _)| count(*urgency) > 0)
    .map(|(urgency, words)| format!("{} {words}", count(urgency)))
    .collect();
    format!("Of {of} objects: {}.", parts.join(", "))
}

fn word(urgency: Urgency) -> String {
    match urgency {
        Urgency::Failed => format!("{RED}failed{RED:#}"),
        Urgency::Attention => format!("{YELLOW}attention{YELLOW:#}"),
        Urgency::Waiting => "waiting".to_owned(),
        Urgency::Underway => format!("{CYAN}underway{CYAN:#}"),
    }
}
