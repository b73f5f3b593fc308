//! Fleet files: the installs of a simulation in groups, and the rollout that reaches them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::simulation::{Fleet, Group};
use remit_loops::freeze::AddFreeze;
use remit_loops::id::is_name;
use remit_loops::install::Policy;
use remit_loops::job::FailureClass;
use remit_loops::scenario::{Fails, Scenario, Span, StepRule};
use remit_loops::window::{Day, Late, Window};
use serde::Deserialize;

use crate::args::rollouts::CreateArgs;
use crate::command::rollout::waves::{Candidate, divide};
use crate::failure::{Exit, Failure, Result};
use crate::product::parse_ms;
use crate::times;

/// The most installs of one simulation.
const INSTALLS_MAX: u32 = 100_000;
/// When a simulation begins that does not say when: a Monday.
const BEGINS: &str = "2026-01-05T00:00Z";
/// The version that a simulated rollout brings.
const VERSION: &str = "2.0.0";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default)]
    seed: u64,
    begins: Option<String>,
    group: Vec<GroupForm>,
    #[serde(default)]
    freeze: Vec<FreezeForm>,
    rollout: Option<RolloutForm>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupForm {
    name: String,
    installs: u32,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    policy: PolicyForm,
    window: Option<WindowForm>,
    opts_in_after: Option<String>,
    takes: Option<String>,
    /// Of a hundred first attempts, so many fail, by class.
    #[serde(default)]
    fails: BTreeMap<FailureClass, u8>,
    scenario: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PolicyForm {
    #[default]
    Latest,
    Window,
    Manual,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowForm {
    zone: String,
    days: BTreeSet<Day>,
    start: String,
    length: String,
    #[serde(default)]
    late: Late,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FreezeForm {
    name: String,
    from: String,
    until: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RolloutForm {
    canary: Option<String>,
    #[serde(default)]
    waves: Vec<String>,
    bake: Option<String>,
    budget: Option<String>,
    #[serde(default = "at_once")]
    at_once: u32,
    #[serde(default)]
    leave_waiting: bool,
    resume_after: Option<String>,
}

fn at_once() -> u32 {
    100
}

/// Reads a fleet's file; what it says of luck comes from the seed beside it.
pub fn load(path: &Path) -> Result<(Fleet, u64)> {
    let text = std::fs::read_to_string(path).map_err(|e| Failure::file("read", path, &e))?;
    parse(&text, path.parent().unwrap_or(Path::new("."))).map_err(|problem| {
        let hint = "docs/simulate.md shows what a fleet file may say";
        Failure::new(Exit::Usage, "cli.fleet_form", format!("{}: {problem}", path.display()), hint)
    })
}

fn parse(text: &str, dir: &Path) -> Result<(Fleet, u64), String> {
    let file: File = toml::from_str(text).map_err(|e| e.to_string().trim_end().to_owned())?;
    if file.version != 1 {
        return Err(format!("it is of version {}; this remit reads version 1", file.version));
    }
    let begins = times::read(file.begins.as_deref().unwrap_or(BEGINS), "UTC").map_err(|e| e.to_string())?;
    let mut groups: Vec<Group> = vec![];
    for form in file.group {
        let name = form.name.clone();
        if groups.iter().any(|group| group.name == name) {
            return Err(format!("group {name} is there twice"));
        }
        groups.push(group(form, file.seed, dir).map_err(|problem| format!("group {name}: {problem}"))?);
    }
    let freezes = file.freeze.into_iter().map(|form| {
        let at = |text: &str| times::read(text, "UTC").map_err(|e| format!("freeze {}: {e}", form.name));
        let (from, until) = (Some(at(&form.from)?), at(&form.until)?);
        Ok(AddFreeze { name: form.name.clone(), from, until, reason: form.reason.clone() })
    });
    let freezes = freezes.collect::<Result<_, String>>()?;
    let mut fleet = Fleet { groups, freezes, begins, ..Fleet::default() };
    let all = fleet.installs();
    if all == 0 || all > INSTALLS_MAX {
        return Err(format!("a simulation has 1 to {INSTALLS_MAX} installs, not {all}"));
    }
    if let Some(form) = file.rollout {
        fleet.resume_after_ms = form.resume_after.as_deref().map(parse_ms).transpose()?;
        fleet.rollout = Some(rollout(form, &fleet.groups).map_err(|e| format!("the rollout: {e}"))?);
    }
    Ok((fleet, file.seed))
}

fn group(form: GroupForm, seed: u64, dir: &Path) -> Result<Group, String> {
    if !is_name(&form.name) {
        return Err("that is no name; use a-z, 0-9 and -".to_owned());
    }
    let mut scenario = match &form.scenario {
        Some(file) => crate::scenario::load(&dir.join(file)).map_err(|e| e.to_string())?,
        None => Scenario::default(),
    };
    scenario.seed = seed;
    for (class, percent) in form.fails {
        let fails = Some(Fails { class, message: String::new(), code: None, hint: None });
        scenario.steps.push(StepRule { percent, fails, attempts: vec![1], ..StepRule::default() });
    }
    if let Some(takes) = form.takes {
        let usually_ms = parse_ms(&takes)?;
        let takes = Some(Span { from_ms: usually_ms / 2, usually_ms, to_ms: usually_ms * 4 });
        scenario.steps.push(StepRule { percent: 100, takes, ..StepRule::default() });
    }
    scenario.check().map_err(|invalid| invalid.to_string())?;
    Ok(Group {
        name: form.name,
        installs: form.installs,
        labels: form.labels,
        policy: policy(form.policy, form.window)?,
        opts_in_after_ms: form.opts_in_after.as_deref().map(parse_ms).transpose()?,
        scenario,
    })
}

fn policy(kind: PolicyForm, window: Option<WindowForm>) -> Result<Policy, String> {
    match (kind, window) {
        (PolicyForm::Latest, None) => Ok(Policy::Latest {}),
        (PolicyForm::Manual, None) => Ok(Policy::Manual {}),
        (PolicyForm::Window, None) => {
            Err("its policy is `window`, and it has none: [group.window]".to_owned())
        }
        (PolicyForm::Latest | PolicyForm::Manual, Some(_)) => {
            Err("it has a window, and its policy is another: write policy = \"window\"".to_owned())
        }
        (PolicyForm::Window, Some(form)) => {
            let length_minutes = u32::try_from(parse_ms(&form.length)? / 60_000).unwrap_or(u32::MAX);
            let WindowForm { zone, days, start, late, .. } = form;
            let window = Window { zone, days, start, length_minutes, late };
            window.schedule().map_err(|rejected| rejected.message)?;
            Ok(Policy::Window(window))
        }
    }
}

/// The waves, divided as `remit rollout create` does it. A wave that nobody is in is a mistake.
fn rollout(form: RolloutForm, groups: &[Group]) -> Result<remit_loops::app::Plan, String> {
    let names: Vec<(String, &BTreeMap<String, String>)> = groups
        .iter()
        .flat_map(|group| (0..group.installs).map(|n| (group.install(n), &group.labels)))
        .collect();
    let candidates: Vec<Candidate<'_>> =
        names.iter().map(|(name, labels)| (name.as_str(), *labels)).collect();
    let args = CreateArgs {
        version: VERSION.to_owned(),
        selector: None,
        canary: form.canary,
        waves: form.waves.clone(),
        bake: form.bake.unwrap_or_else(|| "0s".to_owned()),
        budget: form.budget.unwrap_or_else(|| "0".to_owned()),
        at_once: form.at_once,
        leave_waiting: form.leave_waiting,
        dry_run: false,
        follow: false,
    };
    let plan = divide(&args, candidates).map_err(|e| e.to_string())?;
    match form.waves.iter().find(|name| !plan.waves.iter().any(|wave| wave.name == **name)) {
        Some(nobody) => {
            Err(format!("wave `{nobody}` has no installs: no group that is left has these labels"))
        }
        None => Ok(plan),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLEET: &str = r#"
version = 1
seed = 7
[[group]]
name = "staging"
installs = 10
labels = { env = "staging" }
fails = { transient = 10 }
[[group]]
name = "prod"
installs = 90
labels = { env = "prod" }
policy = "window"
[group.window]
zone = "Europe/Berlin"
days = ["sat"]
start = "22:00"
length = "4h"
[rollout]
canary = "2"
waves = ["env=staging"]
bake = "1h"
budget = "5%"
"#;

    #[test]
    fn a_fleet_is_divided_into_waves_by_labels() {
        let (fleet, seed) = parse(FLEET, Path::new(".")).unwrap();
        let rollout = fleet.rollout.as_ref().unwrap();
        let waves: Vec<(&str, usize)> =
            rollout.waves.iter().map(|wave| (wave.name.as_str(), wave.installs.len())).collect();
        assert_eq!(waves, [("canary", 2), ("env=staging", 8), ("rest", 90)]);
        assert_eq!((seed, rollout.failures_max, fleet.installs()), (7, 5, 100));
    }

    #[test]
    fn what_is_wrong_with_a_fleet_is_said() {
        for (from, to, word) in [
            ("env=staging\"]", "env=moon\"]", "env=moon"),
            ("Europe/Berlin", "Mars/Base", "no time zone"),
            ("length = \"4h\"", "length = \"30h\"", "24 hours"),
            ("policy = \"window\"\n", "", "its policy is another"),
            ("name = \"prod\"", "name = \"staging\"", "twice"),
            ("version = 1", "version = 3", "version 3"),
            ("installs = 90", "installs = 900000", "100000"),
            ("bake = \"1h\"", "bake = \"soon\"", "soon"),
            ("transient = 10", "thunder = 10", "thunder"),
        ] {
            let text = FLEET.replace(from, to);
            assert_ne!(text, FLEET);
            let problem = parse(&text, Path::new(".")).unwrap_err();
            assert!(problem.contains(word), "{to}: {problem}");
        }
    }
}
