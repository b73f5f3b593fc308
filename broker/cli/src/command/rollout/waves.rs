//! Who is in which wave: by labels, the canary first, what is left last.

use remit_broker::api::ObjectView;
use remit_loops::app::{Plan, Wave};
use remit_loops::view::Detail;

use crate::args::rollouts::CreateArgs;
use crate::failure::{Failure, Result};
use crate::product::parse_ms;
use crate::selector::Selector;

/// An install that can be told: its name and labels.
pub(crate) type Candidate<'a> = (&'a str, &'a std::collections::BTreeMap<String, String>);

fn candidates(installs: &[ObjectView]) -> Vec<Candidate<'_>> {
    let gone = ["absent", "deleted", "forgotten", "delete_incomplete", "deleting"];
    let is_there = |object: &&ObjectView| !gone.contains(&object.view.status.word.as_str());
    installs
        .iter()
        .filter(is_there)
        .filter_map(|object| match &object.view.detail {
            Detail::Install { labels, .. } => Some((object.view.id.name(), labels)),
            _ => None,
        })
        .collect()
}

/// The rollout that a person asks for.
pub(super) fn plan(args: &CreateArgs, installs: &[ObjectView]) -> Result<Plan> {
    divide(args, candidates(installs))
}

/// Installs in waves: each name with its labels.
pub(crate) fn divide(args: &CreateArgs, installs: Vec<Candidate<'_>>) -> Result<Plan> {
    let selector = args.selector.as_deref().map(Selector::read).transpose()?.unwrap_or_default();
    let mut left: Vec<Candidate<'_>> =
        installs.into_iter().filter(|(_, labels)| selector.fits(labels)).collect();
    if left.is_empty() {
        let hint = "`remit install list` shows installs and their labels";
        return Err(Failure::usage("no install has these labels", hint));
    }
    let all = left.len();
    let bake_ms =
        parse_ms(&args.bake).map_err(|message| Failure::usage(message, "write it like --bake 1h"))?;
    let mut waves = vec![];
    let mut wave = |name: &str, members: Vec<Candidate<'_>>| {
        if !members.is_empty() {
            let installs = members.iter().map(|(name, _)| (*name).to_owned()).collect();
            waves.push(Wave { name: name.to_owned(), installs, bake_ms });
        }
    };
    if let Some(canary) = &args.canary {
        let rest = left.split_off(share(canary, all)?.clamp(1, all));
        wave("canary", std::mem::replace(&mut left, rest));
    }
    for text in &args.waves {
        let selector = Selector::read(text)?;
        let (members, rest) = left.into_iter().partition(|(_, labels)| selector.fits(labels));
        left = rest;
        wave(text, members);
    }
    let is_only = args.waves.is_empty() && args.canary.is_none();
    wave(if is_only { "all" } else { "rest" }, left);
    let failures_max = u32::try_from(share(&args.budget, all)?).unwrap_or(u32::MAX);
    Ok(Plan {
        version: args.version.clone(),
        waves,
        failures_max,
        at_once: args.at_once,
        leaves_waiting: args.leave_waiting,
        rollback: false,
    })
}

/// Every install that is not on the release already, back to it at once.
pub(super) fn back(version: &str, installs: &[ObjectView]) -> Result<Plan> {
    let is_on = |name: &str| {
        installs.iter().any(|object| {
            object.view.id.name() == name
                && matches!(&object.view.detail, Detail::Install { release: Some(own), .. } if own.version == version)
        })
    };
    let names: Vec<String> = candidates(installs)
        .into_iter()
        .map(|(name, _)| name.to_owned())
        .filter(|name| !is_on(name))
        .collect();
    if names.is_empty() {
        return Err(Failure::usage(format!("every install is on release {version} already"), ""));
    }
    let failures_max = u32::try_from(names.len()).unwrap_or(u32::MAX);
    let waves = vec![Wave { name: "all".to_owned(), installs: names, bake_ms: 0 }];
    let version = version.to_owned();
    // Whoever goes back wants everybody back: one that fails holds up nobody.
    Ok(Plan { version, waves, failures_max, at_once: 100, leaves_waiting: true, rollback: true })
}

/// `3`, or `5%` of so many, rounded down.
fn share(text: &str, of: usize) -> Result<usize> {
    let wrong = || Failure::usage(format!("`{text}` is no number and no share"), "write it like 3 or 5%");
    match text.strip_suffix('%') {
        Some(percent) => {
            let percent: usize = percent.parse().map_err(|_| wrong())?;
            if percent > 100 { Err(wrong()) } else { Ok(of * percent / 100) }
        }
        None => text.parse().map_err(|_| wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(name: &str, env: &str, word: &str) -> ObjectView {
        let view = serde_json::json!({
            "id": format!("ins_demo.shop.{name}"), "epoch": 1, "queue": [], "why": [],
            "status": { "word": word, "description": "", "since": 0 },
            "detail": { "install": {
                "mode": "real", "parent": "active", "inputs": {}, "labels": { "env": env }, "components": [],
                "runner": { "state": "expected" },
            }},
        });
        ObjectView { revision: 1, view: serde_json::from_value(view).unwrap() }
    }

    fn args(line: &str) -> CreateArgs {
        use clap::Parser as _;
        let words = ["remit", "rollout", "create", "1.0"].into_iter().chain(line.split_whitespace());
        let cli = crate::args::Cli::try_parse_from(words).unwrap();
        match cli.command {
            crate::args::Command::Rollout(crate::args::rollouts::RolloutCommand::Create(args)) => args,
            _ => panic!("not a rollout"),
        }
    }

    #[test]
    fn everybody_is_in_one_wave() {
        let installs = [
            install("a", "prod", "active"),
            install("b", "staging", "active"),
            install("c", "prod", "held"),
            install("d", "dev", "active"),
            install("gone", "prod", "deleted"),
        ];
        for (line, want, budget) in [
            ("", "all: a b c d", 0),
            ("--canary 1 --wave env=staging --budget 50%", "canary: a; env=staging: b; rest: c d", 2),
            ("--canary 50% --budget 1", "canary: a b; rest: c d", 1),
            ("--selector env=prod --wave env=dev", "rest: a c", 0),
            ("--canary 99", "canary: a b c d", 0),
        ] {
            let plan = plan(&args(line), &installs).unwrap();
            let waves: Vec<String> =
                plan.waves.iter().map(|w| format!("{}: {}", w.name, w.installs.join(" "))).collect();
            assert_eq!((waves.join("; ").as_str(), plan.failures_max), (want, budget), "{line}");
        }
        for line in ["--selector env=none", "--canary many", "--budget 101%", "--wave env", "--bake soon"] {
            assert!(plan(&args(line), &installs).is_err(), "{line}");
        }
    }
}
