//! `remit release preview`: who would change by a release, when, and what, before it is out for anybody.

use std::collections::BTreeMap;

use remit_broker::api::wire::updates::PreviewItem;
use remit_loops::install::When;
use remit_loops::release::changes::Change;

use super::super::updates::names;
use crate::context::Context;
use crate::failure::Result;
use crate::output::{DIM, Table, YELLOW};

/// How many installs a person is shown, unless they want all.
const SHOWN: usize = 30;

pub(super) async fn preview(context: &Context, version: Option<&str>, all: bool) -> Result<()> {
    let client = context.client()?;
    let app = context.app()?;
    let (mut installs, mut after, mut of) = (vec![], None, version.map(str::to_owned));
    loop {
        let page = client.preview(&app, of.as_deref(), after.as_ref()).await?;
        installs.extend(page.installs);
        of = Some(page.version);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let version = of.unwrap_or_default();
    let answer = serde_json::json!({ "version": version, "installs": installs });
    context.format().answer(&answer, || picture(&version, &installs, if all { usize::MAX } else { SHOWN }));
    Ok(())
}

fn picture(version: &str, installs: &[PreviewItem], shown: usize) -> String {
    let mut counts = BTreeMap::new();
    for item in installs {
        *counts.entry(kind(&item.preview.when)).or_insert(0_usize) += 1;
    }
    let counts: Vec<String> =
        counts.into_iter().map(|((_, word), count)| format!("{count} {word}")).collect();
    let mut text = format!("release {version}, {} installs: {}\n\n", installs.len(), counts.join(", "));
    let mut table = Table::new(&["install", "on", "when", "what", "policy"]);
    for item in installs.iter().take(shown) {
        table.row([
            item.install.name().to_owned(),
            item.version.clone().unwrap_or_else(|| "none".to_owned()),
            when(&item.preview.when),
            what(item),
            item.policy.clone(),
        ]);
    }
    text.push_str(&table.render("no installs yet: `remit install create NAME`"));
    if installs.len() > shown {
        text.push_str(&format!("{DIM}and {} more: --all{DIM:#}\n", installs.len() - shown));
    }
    text
}

/// In which order the sums are told, and how.
fn kind(when: &When) -> (u8, &'static str) {
    match when {
        When::Now {} => (0, "at once"),
        When::At { .. } => (1, "later"),
        When::Asked { .. } => (2, "when somebody says so"),
        When::Never { .. } => (3, "never"),
    }
}

fn when(when: &When) -> String {
    match when {
        When::Now {} => "at once".to_owned(),
        When::At { at, .. } => at.to_string(),
        When::Asked { why } => format!("{YELLOW}when {why}{YELLOW:#}"),
        When::Never { why } => format!("{DIM}never: {why}{DIM:#}"),
    }
}

fn what(item: &PreviewItem) -> String {
    let of = |change: Change, sign: &str| {
        names(&item.preview.changes, change)
            .into_iter()
            .map(|name| format!("{sign}{name}"))
            .collect::<Vec<_>>()
    };
    [of(Change::New, "+"), of(Change::Changed, "~"), of(Change::Removed, "-")].concat().join(" ")
}
