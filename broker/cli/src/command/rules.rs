//! Remediation rules of an install, as people see them.

use remit_loops::Timestamp;
use remit_loops::remediation::{Remedy, View};

use crate::output::time;

/// A rule in a line: what it does, what is left of its budget, on what it acts now.
pub(super) fn line(View { rule, uses, acting }: &View, now: Timestamp) -> String {
    let does: Vec<String> = rule.actions.iter().map(Remedy::words).collect();
    let does = does.join(", then ");
    if rule.actions == [Remedy::Hold {}] {
        return format!("{}: {does}", rule.name);
    }
    let (times, used) = (rule.budget.times, rule.used(uses, now, None));
    let within = rule.budget.per_ms / 60_000;
    let acts = if acting.is_empty() { String::new() } else { format!("; acts on {}", acting.join(", ")) };
    let last = uses.last().map(|u| format!("; last on {} {}", u.component, time(u.at))).unwrap_or_default();
    format!(
        "{}: {does}; {} of {times} left in {within} min{acts}{last}",
        rule.name,
        times.saturating_sub(used)
    )
}

#[cfg(test)]
mod tests {
    use remit_loops::remediation::{Budget, Match, Rule, Use};

    use super::*;

    #[test]
    fn what_is_left_is_counted_by_the_clock() {
        let rule = Rule {
            name: "again".into(),
            on: Match::default(),
            actions: vec![Remedy::Run { command: "flush".into() }, Remedy::Retry { after_ms: 30_000 }],
            budget: Budget { times: 3, per_ms: 600_000 },
            cool_down_ms: 0,
        };
        let used = |at| Use { at: Timestamp(at), component: "web".into(), operation: 1, code: "x".into() };
        let view = View { rule, uses: vec![used(0), used(500_000)], acting: vec!["web".into()] };
        let said = line(&view, Timestamp(700_000));
        let want =
            "again: run `flush`, then try again after 30 s; 2 of 3 left in 10 min; acts on web; last on web";
        assert!(said.starts_with(want), "{said}");
    }
}
