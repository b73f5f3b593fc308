//! Expectation files: what must come of a simulation, for a vendor's CI.

use std::collections::BTreeMap;
use std::path::Path;

use crate::simulation::{Group, Report};
use remit_loops::job::FailureClass;
use serde::Deserialize;

use super::{class, span};
use crate::failure::{Exit, Failure, Result};
use crate::scenario::time;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    expect: Form,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Form {
    all_updated: bool,
    held_max: Option<u32>,
    update_p90_max: Option<String>,
    update_max: Option<String>,
    halts_max: Option<u32>,
    failures_max: BTreeMap<FailureClass, u64>,
    groups: BTreeMap<String, GroupForm>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupForm {
    /// So many of a hundred.
    updated_min: u32,
}

/// What must come of a simulation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    all_updated: bool,
    held_max: Option<u32>,
    update_p90_max_ms: Option<i64>,
    update_max_ms: Option<i64>,
    halts_max: Option<u32>,
    failures_max: BTreeMap<FailureClass, u64>,
    groups: BTreeMap<String, GroupForm>,
}

/// Reads an expectation file.
pub fn load(path: &Path) -> Result<Expected> {
    let text = std::fs::read_to_string(path).map_err(|e| Failure::file("read", path, &e))?;
    parse(&text).map_err(|problem| {
        let hint = "`remit simulate --help` shows what an expectation file may say";
        Failure::new(Exit::Usage, "cli.expect_form", format!("{}: {problem}", path.display()), hint)
    })
}

fn parse(text: &str) -> Result<Expected, String> {
    let File { version, expect } = toml::from_str(text).map_err(|e| e.to_string().trim_end().to_owned())?;
    if version != 1 {
        return Err(format!("it is of version {version}; this remit reads version 1"));
    }
    let ms = |text: &Option<String>| text.as_deref().map(time).transpose();
    Ok(Expected {
        all_updated: expect.all_updated,
        held_max: expect.held_max,
        update_p90_max_ms: ms(&expect.update_p90_max)?,
        update_max_ms: ms(&expect.update_max)?,
        halts_max: expect.halts_max,
        failures_max: expect.failures_max,
        groups: expect.groups,
    })
}

impl Expected {
    /// Whether every group that it names is there.
    pub fn check_groups(&self, known: &[Group]) -> Result<()> {
        let is_unknown = |name: &&String| !known.iter().any(|group| group.name == **name);
        let Some(name) = self.groups.keys().find(is_unknown) else { return Ok(()) };
        let names: Vec<&str> = known.iter().map(|group| group.name.as_str()).collect();
        let message = format!("it expects something of group `{name}`; there are: {}", names.join(", "));
        let hint = "name a group of the fleet file; without one there is one group, `all`";
        Err(Failure::new(Exit::Usage, "cli.simulate_group", message, hint))
    }

    /// What of a report is not as expected, in words.
    pub fn broken(&self, report: &Report) -> Vec<String> {
        let mut broken = vec![];
        let update = report.phases.last().cloned().unwrap_or_default();
        if self.all_updated && update.done < report.installs {
            broken.push(format!("{} of {} installs are on {}", update.done, report.installs, update.version));
        }
        if let Some(max) = self.held_max.filter(|max| report.held > *max) {
            broken.push(format!("{} installs wait for a person, more than {max}", report.held));
        }
        let times = [
            ("nine of ten updates took", update.p90_ms, self.update_p90_max_ms),
            ("the slowest update took", update.max_ms, self.update_max_ms),
        ];
        for (what, found, max) in times {
            if let Some(max) = max.filter(|max| found > *max) {
                broken.push(format!("{what} {}, longer than {}", span(found), span(max)));
            }
        }
        let halts = report.rollout.as_ref().map_or(0, |rollout| rollout.halts);
        if let Some(max) = self.halts_max.filter(|max| halts > *max) {
            broken.push(format!("the rollout halted {halts} times, more than {max}"));
        }
        for group in &report.groups {
            let min = self.groups.get(&group.name).map_or(0, |form| form.updated_min);
            if u64::from(group.done) * 100 < u64::from(group.installs) * u64::from(min) {
                let (done, all, name) = (group.done, group.installs, &group.name);
                broken.push(format!(
                    "{done} of {all} installs of group {name} are updated, less than {min} of 100"
                ));
            }
        }
        for (of, max) in &self.failures_max {
            let found = report.failures.get(of).copied().unwrap_or(0);
            if found > *max {
                broken.push(format!("{found} attempts failed by {}, more than {max}", class(*of)));
            }
        }
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::Phase;

    #[test]
    fn what_is_not_as_expected_is_said() {
        let expected = parse(
            "version = 1\n[expect]\nall_updated = true\nheld_max = 0\nupdate_max = \"1h\"\n[expect.failures_max]\nbug = 0\n",
        )
        .unwrap();
        let phase = |done, max_ms| Phase { version: "2.0.0".into(), done, max_ms, ..Phase::default() };
        let report = |done, held, bugs| Report {
            installs: 10,
            seed: 1,
            took_ms: 0,
            events: 0,
            phases: vec![phase(10, 0), phase(done, 7_200_000)],
            held,
            failures: [(FailureClass::Bug, bugs)].into(),
            failed_components: BTreeMap::new(),
            waited: vec![],
            series: vec![],
            began: 0,
            groups: vec![],
            rollout: None,
        };
        assert_eq!(expected.broken(&report(9, 1, 2)).len(), 4);
        assert_eq!(
            expected.broken(&report(10, 0, 0)),
            ["the slowest update took 2 h 0 min, longer than 1 h 0 min"]
        );
        for (bad, word) in [
            ("version = 2\n[expect]", "version 2"),
            ("version = 1\n[expect]\nal = 1", "al"),
            ("version = 1\n[expect]\nupdate_max = \"soon\"", "soon"),
        ] {
            assert!(parse(bad).unwrap_err().contains(word), "{bad}");
        }
    }
}
