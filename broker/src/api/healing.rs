//! What a signed release says is to be done by itself, in the loops' words.

use remit_loops::drift::{Schedule, Then};
use remit_loops::release::Healing;
use remit_seal::document::{self, DriftThen};

pub(super) fn of(document: &document::Healing) -> Healing {
    let schedule = |drift: document::DriftSchedule| Schedule {
        every_ms: drift.every_ms,
        then: match drift.then {
            DriftThen::Report => Then::Report,
            DriftThen::Heal => Then::Heal,
        },
    };
    Healing { drift: document.drift.map(schedule) }
}
