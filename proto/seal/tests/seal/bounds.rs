//! The bounds in figures: what other documents and other programs count on is not changed by mistake.

use remit_seal::document::Rehearsal;
use remit_seal::strict;
use remit_seal::verify as v;

#[test]
fn bounds_are_what_the_documents_say() {
    assert_eq!(strict::INTEGER_MAX, 9_007_199_254_740_991);
    assert_eq!(
        (v::START_WINDOW_MAX_MS, v::SKEW_MAX_MS, v::STATUS_LIFE_MAX_MS),
        (900_000, 60_000, 86_400_000)
    );
    assert_eq!((v::LONGEST_RUN_MIN_MS, v::LONGEST_RUN_MAX_MS), (1_000, 86_400_000));
    assert_eq!((v::ARTIFACT_SIZE_MAX, v::TEXT_LEN_MAX, v::NOTES_LEN_MAX), (1_073_741_824, 65_536, 16_384));
    assert_eq!((v::DRIFT_EVERY_MIN_MS, v::DRIFT_EVERY_MAX_MS), (60_000, 2_592_000_000));
    assert_eq!((v::RULE_PER_MIN_MS, v::RULE_PER_MAX_MS), (60_000, 604_800_000));
    assert_eq!((v::RULE_RETRY_MIN_MS, v::RULE_RETRY_MAX_MS), (1_000, 3_600_000));
    assert_eq!(v::RULE_COOL_DOWN_MAX_MS, 86_400_000);
}

#[test]
fn a_rehearsal_takes_at_most_a_day() {
    for (ms, is_bounded) in [(-1, false), (0, true), (86_400_000, true), (86_400_001, false)] {
        let rehearsal = Rehearsal { takes_ms: Some(ms), ..Rehearsal::default() };
        assert_eq!(rehearsal.is_bounded(), is_bounded, "{ms}");
    }
    for (len, is_bounded) in [(1_024, true), (1_025, false)] {
        let rehearsal = Rehearsal { drift: Some("x".repeat(len)), ..Rehearsal::default() };
        assert_eq!(rehearsal.is_bounded(), is_bounded, "{len}");
    }
}
