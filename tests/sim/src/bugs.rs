//! Bugs to plant, each a wrong design that somebody once shipped. The simulator must catch every one.
//! None of them is in production code: they sit in the store's door, in the network, in what the broker
//! hears, in the runner.

use remit_loops::freeze::AddFreeze;
use remit_loops::install::{Policy, Signal as Install};
use remit_loops::view::View;
use remit_loops::{Signal, Timestamp, app, break_glass, org};

use crate::people::wishes;

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// The broker believes any completion, whatever its generation and fence.
    AcceptAnyCompletion,
    /// The broker gives an attempt to a new runner because the old one is silent.
    StealOnSilence,
    /// The store says yes before it has anything, and then loses it.
    AckBeforeCommit,
    /// The runner says that a cancelled job is over before its processes are dead.
    UnlockBeforeKill,
    /// The runner begins an envelope again that it has seen.
    ForgetHighWater,
    /// The runner begins before the broker has confirmed the start.
    StartUnconfirmed,
    /// After a crash the runner says that an attempt is over and leaves its processes alone.
    LeaveOrphans,
    /// A lost completion is not sent again.
    CompleteOnce,
    /// A commit leaves out the state of one of its objects.
    TornCommit,
    /// The store forgets the keys of signals: sent again, they are done again.
    ForgetKeys,
    /// A notice that did not fit into its commit is not stored.
    LostNotice,
    /// After a start nobody remembers who wanted a tick.
    ForgetDeadlines,
    /// After a start the time of the newest event is forgotten, and the clock may go back.
    ForgetTime,
    /// A client that got no answer asks again with a new key.
    NewKeyEachTime,
    /// The runner takes more than it said it can run.
    PastCapacity,
    /// An attempt that nobody knows anything of is given up after five seconds.
    UnconfirmedExpires,
    /// A failed destroy is called a success.
    DestroySaysDone,
    /// A failed deploy is called a success.
    DeploySaysDone,
    /// The broker hears `latest` where somebody said a window.
    IgnoreWindow,
    /// The broker hears of a freeze that is over in a moment.
    IgnoreFreeze,
    /// The broker hears of a rollout that may fail everywhere.
    IgnoreBudget,
    /// The broker hears of waves that nobody watches.
    SkipBake,
    /// The broker hears of one wave with everybody in it.
    WavesAtOnce,
    /// The broker hears of releases without a floor.
    BelowFloor,
    /// The broker takes an approval of an older plan for one of the plan that waits.
    AcceptStaleApproval,
    /// The runner carries out whatever the plan would be now.
    ApplyAnotherPlan,
    /// The broker hears of rules that may act for ever.
    RulesWithoutBudget,
    /// The broker hears of rules that need not cool down.
    RulesInHaste,
    /// The edge's recipes leave out what the release changed.
    RecipeBlind,
    /// The broker hears of releases whose components have no probes.
    ProbesUnheard,
    /// The runner says that whatever it probes is well.
    ProbeSaysWell,
    /// The runner goes on probing when the time for that is over.
    ProbeOverTime,
    /// The broker hears that one probe that fails is enough.
    UnwellTooSoon,
    /// The app's state in the store has nobody as failed who is unwell.
    UnwellUncounted,
    /// The broker hears nothing of a pause.
    PauseUnheard,
    /// The broker hears that every glass is broken for eight hours, and nothing of its end.
    GlassForLonger,
    /// Envelopes do not say that a glass was broken.
    GlassUnseen,
    /// The runner takes a broken glass for the customer's yes.
    GlassForCustomer,
}

impl Bug {
    pub(crate) const ALL: [Bug; 38] = [
        Bug::AcceptAnyCompletion,
        Bug::StealOnSilence,
        Bug::AckBeforeCommit,
        Bug::UnlockBeforeKill,
        Bug::ForgetHighWater,
        Bug::StartUnconfirmed,
        Bug::LeaveOrphans,
        Bug::CompleteOnce,
        Bug::TornCommit,
        Bug::ForgetKeys,
        Bug::LostNotice,
        Bug::ForgetDeadlines,
        Bug::ForgetTime,
        Bug::NewKeyEachTime,
        Bug::PastCapacity,
        Bug::UnconfirmedExpires,
        Bug::DestroySaysDone,
        Bug::DeploySaysDone,
        Bug::IgnoreWindow,
        Bug::IgnoreFreeze,
        Bug::IgnoreBudget,
        Bug::SkipBake,
        Bug::WavesAtOnce,
        Bug::BelowFloor,
        Bug::AcceptStaleApproval,
        Bug::ApplyAnotherPlan,
        Bug::RulesWithoutBudget,
        Bug::RulesInHaste,
        Bug::RecipeBlind,
        Bug::ProbesUnheard,
        Bug::ProbeSaysWell,
        Bug::ProbeOverTime,
        Bug::UnwellTooSoon,
        Bug::UnwellUncounted,
        Bug::PauseUnheard,
        Bug::GlassForLonger,
        Bug::GlassUnseen,
        Bug::GlassForCustomer,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Bug::AcceptAnyCompletion => "accept-any-completion",
            Bug::StealOnSilence => "steal-on-silence",
            Bug::AckBeforeCommit => "ack-before-commit",
            Bug::UnlockBeforeKill => "unlock-before-kill",
            Bug::ForgetHighWater => "forget-high-water",
            Bug::StartUnconfirmed => "start-unconfirmed",
            Bug::LeaveOrphans => "leave-orphans",
            Bug::CompleteOnce => "complete-once",
            Bug::TornCommit => "torn-commit",
            Bug::ForgetKeys => "forget-keys",
            Bug::LostNotice => "lost-notice",
            Bug::ForgetDeadlines => "forget-deadlines",
            Bug::ForgetTime => "forget-time",
            Bug::NewKeyEachTime => "new-key-each-time",
            Bug::PastCapacity => "past-capacity",
            Bug::UnconfirmedExpires => "unconfirmed-expires",
            Bug::DestroySaysDone => "destroy-says-done",
            Bug::DeploySaysDone => "deploy-says-done",
            Bug::IgnoreWindow => "ignore-window",
            Bug::IgnoreFreeze => "ignore-freeze",
            Bug::IgnoreBudget => "ignore-budget",
            Bug::SkipBake => "skip-bake",
            Bug::WavesAtOnce => "waves-at-once",
            Bug::BelowFloor => "below-floor",
            Bug::AcceptStaleApproval => "accept-stale-approval",
            Bug::ApplyAnotherPlan => "apply-another-plan",
            Bug::RulesWithoutBudget => "rules-without-budget",
            Bug::RulesInHaste => "rules-in-haste",
            Bug::RecipeBlind => "recipe-blind",
            Bug::ProbesUnheard => "probes-unheard",
            Bug::ProbeSaysWell => "probe-says-well",
            Bug::ProbeOverTime => "probe-over-time",
            Bug::UnwellTooSoon => "unwell-too-soon",
            Bug::UnwellUncounted => "unwell-uncounted",
            Bug::PauseUnheard => "pause-unheard",
            Bug::GlassForLonger => "glass-for-longer",
            Bug::GlassUnseen => "glass-unseen",
            Bug::GlassForCustomer => "glass-for-customer",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Bug::ALL.into_iter().find(|bug| bug.name() == name)
    }

    pub(crate) fn names() -> String {
        Bug::ALL.map(Bug::name).join(", ")
    }
}

/// What the broker hears of a signal with a bug in its ears.
pub(crate) fn misheard(bug: Bug, mut signal: Signal, at: Timestamp, to: &View) -> Signal {
    match (bug, &mut signal) {
        (Bug::IgnoreWindow, Signal::Install(Install::SetPolicy { policy: policy @ Policy::Window(_) })) => {
            *policy = Policy::Latest {};
        }
        (
            Bug::IgnoreFreeze,
            Signal::Install(Install::Freeze(AddFreeze { from, until, .. }))
            | Signal::App(app::Signal::Freeze(AddFreeze { from, until, .. }))
            | Signal::Org(org::Signal::Freeze(AddFreeze { from, until, .. })),
        ) => *until = from.unwrap_or(at).plus_ms(1),
        (Bug::AcceptStaleApproval, Signal::Install(Install::Approve { plan, .. })) => {
            if let Some((_, asking)) = wishes::plans(to).next() {
                plan.clone_from(&asking.plan.digest);
            }
        }
        (Bug::PauseUnheard, Signal::Install(signal @ Install::Pause { .. }))
        | (Bug::GlassForLonger, Signal::Install(signal @ Install::MendGlass {})) => {
            *signal = Install::SetInputs { inputs: Default::default() };
        }
        (Bug::GlassForLonger, Signal::Install(Install::BreakGlass { for_ms, .. })) => {
            *for_ms = break_glass::FOR_MS_MAX;
        }
        (_, Signal::App(signal)) => misheard_app(bug, signal),
        (_, Signal::Install(_) | Signal::Org(_) | Signal::Component(_) | Signal::Runner(_)) => {}
    }
    signal
}

fn misheard_app(bug: Bug, signal: &mut app::Signal) {
    match (bug, signal) {
        (Bug::IgnoreBudget, app::Signal::StartRollout { plan }) => plan.failures_max = u32::MAX,
        (Bug::SkipBake, app::Signal::StartRollout { plan }) => {
            plan.waves.iter_mut().for_each(|wave| wave.bake_ms = 0);
        }
        (Bug::WavesAtOnce, app::Signal::StartRollout { plan }) => {
            let later: Vec<String> = plan.waves.drain(1..).flat_map(|wave| wave.installs).collect();
            plan.waves[0].installs.extend(later);
        }
        (Bug::BelowFloor, app::Signal::Publish { release, .. }) => release.rollback_floor = 0,
        (Bug::RulesWithoutBudget, app::Signal::Publish { release, .. }) => {
            release.healing.rules.iter_mut().for_each(|rule| rule.budget.times = 1_000);
        }
        (Bug::RulesInHaste, app::Signal::Publish { release, .. }) => {
            release.healing.rules.iter_mut().for_each(|rule| rule.cool_down_ms = 0);
        }
        (Bug::RecipeBlind, app::Signal::Publish { release, .. }) => {
            for component in &mut release.components {
                let name = component.name.clone();
                component.recipe.iter_mut().for_each(|recipe| recipe.digest.clone_from(&name));
            }
        }
        (Bug::ProbesUnheard, app::Signal::Publish { release, .. }) => {
            release.components.iter_mut().for_each(|component| component.health = None);
        }
        (Bug::UnwellTooSoon, app::Signal::Publish { release, .. }) => {
            let probes = release.components.iter_mut().filter_map(|component| component.health.as_mut());
            probes.for_each(|probe| probe.failures = 1);
        }
        _ => {}
    }
}
