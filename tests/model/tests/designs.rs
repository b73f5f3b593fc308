//! Our designs hold over the whole state space; each known bad one breaks what it is known to break.

use remit_model::check::{Bounded, CAN_END, FENCED, FINAL_WORD, NO_REPEAT, ONE_CHANGE, OVER_IS_OVER};
use remit_model::design::{Bounds, Design, Rules};
use remit_model::state::State;
use remit_model::step::step;

fn of(design: Design, bounds: Bounds) -> Bounded {
    Bounded { rules: design.rules(), bounds }
}

/// The whole space was searched, work can be done in it, and nothing breaks.
fn holds(model: Bounded, states_min: usize) {
    let found = model.search();
    assert_eq!(found.broken, [], "{model:?}");
    assert!(found.works, "{model:?}");
    assert!(found.states >= states_min, "{} states of {model:?} show little", found.states);
    let found = model.search_dead_end();
    assert_eq!(found.broken, [], "{model:?}");
}

/// The way that the checker found is one that can be gone.
fn breaks(design: Design, bounds: Bounds, property: &'static str) {
    let model = of(design, bounds);
    let found = if property == CAN_END { model.search_dead_end() } else { model.search_for(property) };
    let Some((_, actions)) = found.broken.first() else {
        panic!("{} does not break `{property}` in {} states", design.name(), found.states);
    };
    let mut state = State::new();
    for action in actions {
        state = step(&model.rules, &state, *action).unwrap_or_else(|| panic!("{action:?} of {actions:?}"));
    }
    if property == ONE_CHANGE {
        assert!(state.changes() > 1, "{actions:?}");
    }
}

#[test]
fn the_lock_in_the_account_holds_whatever_happens() {
    holds(of(Design::AccountLock, Bounds::REPLACEMENT), 100_000);
    holds(of(Design::AccountLock, Bounds::COPY), 200_000);
    holds(of(Design::AccountLock, Bounds::RESTORE), 20_000);
    let bounds = Bounds { attempts: 1, ..Bounds::RESTORE_AND_REPLACEMENT };
    holds(of(Design::AccountLock, bounds), 10_000);
}

#[test]
fn the_lock_on_the_host_holds_while_every_host_has_an_identity_of_its_own() {
    holds(of(Design::HostLock, Bounds::REPLACEMENT), 100_000);
    holds(of(Design::HostLock, Bounds::RESTORE), 20_000);
}

/// What a lock on a host cannot do: docs/proof.md says what people must do about it.
#[test]
fn the_lock_on_the_host_does_not_know_of_another_disk() {
    breaks(Design::HostLock, Bounds::COPY, ONE_CHANGE);
    breaks(Design::HostLock, Bounds::COPY, NO_REPEAT);
    breaks(Design::HostLock, Bounds::RESTORE_AND_REPLACEMENT, ONE_CHANGE);
}

#[test]
fn known_bad_designs_fail() {
    let replacement = Bounds::REPLACEMENT;
    for (design, bounds, property) in [
        (Design::CheckThenInsert, Bounds::COPY, ONE_CHANGE),
        (Design::FencedCompletion, replacement, ONE_CHANGE),
        (Design::Watchdog, replacement, ONE_CHANGE),
        (Design::StealOnSilence, replacement, ONE_CHANGE),
        (Design::UnprovenLoss, replacement, ONE_CHANGE),
        (Design::UnlockBeforeDead, replacement, ONE_CHANGE),
        (Design::LeaveOrphans, replacement, ONE_CHANGE),
        (Design::StartUnconfirmed, replacement, OVER_IS_OVER),
        (Design::StartUnconfirmed, replacement, ONE_CHANGE),
        (Design::ForgetSeen, replacement, NO_REPEAT),
        (Design::RefuseAndTake, replacement, OVER_IS_OVER),
        (Design::AcceptAnyCompletion, replacement, FENCED),
        (Design::LastWordWins, replacement, FINAL_WORD),
        (Design::LockForEver, replacement, CAN_END),
    ] {
        breaks(design, bounds, property);
    }
}

/// The high-water mark and the lock's fence each keep an envelope from being begun twice.
#[test]
fn either_memory_of_the_runner_is_enough() {
    let ours = Design::HostLock.rules();
    let bounds = Bounds { crashes: 1, ..Bounds::REPLACEMENT };
    for rules in [Rules { high_water: false, ..ours }, Rules { strict_fence: false, ..ours }] {
        let found = Bounded { rules, bounds }.search();
        assert_eq!(found.broken, [], "{rules:?}");
    }
}
