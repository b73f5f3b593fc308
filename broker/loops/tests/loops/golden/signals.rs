//! The signals of installs and runners, one sample of each, and what is told about windows and freezes.

use super::{INSTALL, Sample, notice, signal};
use crate::plans;
use crate::world::{id, release};
use remit_loops::app::{self, Plan, ToApp, Wave};
use remit_loops::approval::Policy;
use remit_loops::freeze::{AddFreeze, Freeze, RemoveFreeze};
use remit_loops::job::Mode;
use remit_loops::parent::ToChild;
use remit_loops::values::Values;
use remit_loops::window::{Day, Late, Window};
use remit_loops::{Notice, Signal, Timestamp, install, runner};

/// Open from 22:00 to 02:00 UTC: closed at all times of the golden tables.
pub(crate) fn nights() -> install::Policy {
    let days = Day::ALL.into_iter().collect();
    let late = Late::Start;
    install::Policy::Window(Window {
        zone: "UTC".into(),
        days,
        start: "22:00".into(),
        length_minutes: 240,
        late,
    })
}

/// A rollout to the one install there is.
pub(super) fn rollout(version: &str, rollback: bool) -> Signal {
    let waves = vec![Wave { name: "all".into(), installs: vec!["acme".into()], bake_ms: 1_000 }];
    let version = version.into();
    let plan = Plan { version, waves, failures_max: 0, at_once: 9, leaves_waiting: false, rollback };
    Signal::App(app::Signal::StartRollout { plan })
}

pub(super) fn update_is(progress: app::Progress) -> Notice {
    Notice::App(ToApp::UpdateIs { rollout: 1, progress })
}

pub(super) fn frozen(of: &str) -> Notice {
    Notice::Child(ToChild::FreezesAre(vec![Freeze {
        name: "year-end".into(),
        of: id(of),
        from: Timestamp(0),
        until: Timestamp(10_000_000),
        reason: "x".into(),
        by: "ann".into(),
    }]))
}

pub(crate) fn install_signals() -> Vec<Sample> {
    let all = [
        (
            "create",
            install::Signal::Create {
                inputs: Values::new(),
                mode: Mode::Real,
                labels: Values::new(),
                rehearsal: None,
                approval: Policy::default(),
            },
        ),
        ("deploy", install::Signal::Deploy { version: None }),
        (
            "deploy_now",
            install::Signal::DeployNow { version: None, reason: "x".into(), override_freeze: false },
        ),
        ("proceed", install::Signal::Proceed { operation: None, reason: "x".into(), override_freeze: false }),
        (
            "proceed, in spite of a freeze",
            install::Signal::Proceed { operation: None, reason: "x".into(), override_freeze: true },
        ),
        ("set_policy manual", install::Signal::SetPolicy { policy: install::Policy::Manual {} }),
        ("set_policy window", install::Signal::SetPolicy { policy: nights() }),
        ("set_channel", install::Signal::SetChannel { channel: Some("beta".into()) }),
        ("opt_in", install::Signal::OptIn { version: None }),
        ("decline", install::Signal::Decline { version: None, reason: "x".into() }),
        ("snooze", install::Signal::Snooze { version: None, until: Timestamp(10_000_000) }),
        (
            "freeze",
            install::Signal::Freeze(AddFreeze {
                name: "audit".into(),
                from: None,
                until: Timestamp(10_000_000),
                reason: "x".into(),
            }),
        ),
        ("unfreeze", install::Signal::Unfreeze(RemoveFreeze { name: "audit".into(), reason: "x".into() })),
        ("heal", install::Signal::Heal {}),
        ("reprovision", install::Signal::Reprovision {}),
        ("check_drift", install::Signal::CheckDrift {}),
        ("revert", install::Signal::Revert { components: vec![], reason: "x".into() }),
        ("adopt", install::Signal::Adopt { components: vec![], reason: "x".into() }),
        ("set_drift", install::Signal::SetDrift { choice: remit_loops::drift::Choice::Never }),
        ("pause", install::Signal::Pause { reason: "x".into() }),
        ("resume", install::Signal::Resume {}),
        ("cancel", install::Signal::Cancel { operation: None, reason: "x".into() }),
        ("cancel 99", install::Signal::Cancel { operation: Some(99), reason: "x".into() }),
        ("cancel_step", install::Signal::CancelStep { component: "network".into(), reason: "x".into() }),
        ("cancel_step 99", install::Signal::CancelStep { component: "n99".into(), reason: "x".into() }),
        ("check_health", install::Signal::CheckHealth {}),
        ("break_glass", install::Signal::BreakGlass { for_ms: 3_600_000, reason: "x".into() }),
        ("break_glass, for a week", install::Signal::BreakGlass { for_ms: 604_800_000, reason: "x".into() }),
        ("mend_glass", install::Signal::MendGlass {}),
        ("retry", install::Signal::Retry { component: None }),
        ("skip", install::Signal::Skip { component: "network".into(), reason: "x".into() }),
        ("set_inputs", install::Signal::SetInputs { inputs: Values::new() }),
        ("set_scenario", install::Signal::SetScenario { scenario: None }),
        ("promote", install::Signal::Promote {}),
        ("delete", install::Signal::Delete {}),
        ("forget", install::Signal::Forget { reason: "x".into() }),
    ];
    all.into_iter().chain(of_plans()).map(|(name, s)| signal(name, Signal::Install(s))).collect()
}

pub(crate) fn runner_signals() -> Vec<Sample> {
    let proof = runner::Proof::HostTerminated { host: "i-1".into(), evidence: "x".into() };
    let declare_lost = |proof| runner::Signal::DeclareLost { reason: "x".into(), component: None, proof };
    let expect = runner::Signal::Expect { token_sha256: "cc".into(), expires: Timestamp(9_999_999) };
    let all = [
        ("expect", expect),
        ("declare", runner::Signal::Declare { place: Some(crate::attestation::place()), reason: "x".into() }),
        ("declare, anywhere", runner::Signal::Declare { place: None, reason: "x".into() }),
        ("revoke", runner::Signal::Revoke { reason: "x".into() }),
        ("drain", runner::Signal::Drain { reason: "x".into() }),
        ("resume", runner::Signal::Resume {}),
        ("declare_lost", declare_lost(None)),
        ("declare_lost, proven", declare_lost(Some(proof))),
    ];
    all.into_iter().map(|(name, s)| signal(name, Signal::Runner(s))).collect()
}

pub(crate) fn app_signals() -> Vec<Sample> {
    vec![
        signal("create", Signal::App(app::Signal::Create {})),
        signal(
            "publish newer",
            Signal::App(app::Signal::Publish { release: release("2.0.0", 9), hold: false }),
        ),
        signal(
            "publish older",
            Signal::App(app::Signal::Publish { release: release("0.9.0", 1), hold: false }),
        ),
        signal("publish held back", {
            Signal::App(app::Signal::Publish { release: release("2.0.0", 9), hold: true })
        }),
        signal("promote", Signal::App(app::Signal::Promote { version: "2.0.0".into() })),
        signal("remark", Signal::App(app::Signal::Remark { text: "x".into() })),
        signal("start_rollout", rollout("2.0.0", false)),
        signal("start_rollout, back", rollout("1.0.0", true)),
        signal("pause_rollout", Signal::App(app::Signal::PauseRollout { reason: "x".into() })),
        signal("resume_rollout", Signal::App(app::Signal::ResumeRollout { failures_max: None })),
        signal("abort_rollout", Signal::App(app::Signal::AbortRollout { reason: "x".into() })),
        notice("update is done", INSTALL, update_is(app::Progress::Done {})),
        notice("update is failed", INSTALL, update_is(app::Progress::Failed { why: "x".into() })),
        signal("pause", Signal::App(app::Signal::Pause { reason: "x".into() })),
        signal("resume", Signal::App(app::Signal::Resume {})),
        signal("set_sandbox", Signal::App(app::Signal::SetSandbox { on: true })),
        notice("org is a sandbox", "org_demo", Notice::Child(ToChild::Sandbox(true))),
        signal("delete", Signal::App(app::Signal::Delete {})),
    ]
}

/// What is said of plans.
fn of_plans() -> Vec<(&'static str, install::Signal)> {
    let approve = |plan| install::Signal::Approve { plan, component: None, operation: None };
    let (plan, reason) = (plans::digest("network", 1), "x".into());
    vec![
        ("approve", approve(plan.clone())),
        ("approve, stale", approve(plans::digest("network", 0))),
        ("deny", install::Signal::Deny { plan, component: None, operation: None, reason }),
        ("set_approval", install::Signal::SetApproval { policy: plans::always() }),
        (
            "set_approval, of nobody",
            install::Signal::SetApproval { policy: Policy { quorum: 0, ..plans::always() } },
        ),
    ]
}
