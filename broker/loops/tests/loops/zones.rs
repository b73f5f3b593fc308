//! Windows against a second implementation of time zones, over fifty years: chrono-tz, which has its
//! own tables and its own arithmetic, and the plainest way to find a start: minute by minute.
//!
//! The years are past ones, and the zones none whose past was written anew: two tables differ in age.

use std::collections::BTreeSet;

use chrono::{Datelike as _, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone as _, Timelike as _};
use chrono_tz::Tz;
use proptest::prelude::*;
use remit_loops::Timestamp;
use remit_loops::window::{Day, Late, Window};

/// Zones of every sort: none, half hours, changes of half an hour, south of the equator, changes at
/// midnight, changes by treaty, a day that never was.
const ZONES: [&str; 14] = [
    "UTC",
    "Europe/Berlin",
    "Europe/Dublin",
    "America/New_York",
    "America/St_Johns",
    "America/Sao_Paulo",
    "America/Havana",
    "Asia/Kolkata",
    "Asia/Amman",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kwajalein",
];

/// The first moment at or after this time of that day's clocks which the clocks ever show.
fn start(zone: Tz, date: NaiveDate, time: NaiveTime) -> i64 {
    let mut local = date.and_time(time);
    loop {
        if let Some(found) = zone.from_local_datetime(&local).earliest() {
            return found.timestamp_millis();
        }
        local += TimeDelta::minutes(1);
    }
}

/// The starts of so many days, in order, each once.
fn starts(zone: Tz, days: &BTreeSet<Day>, time: NaiveTime, from: NaiveDate, count: u64) -> Vec<i64> {
    let dates = (0..count).filter_map(|n| from.checked_add_days(Days::new(n)));
    let chosen =
        dates.filter(|date| days.contains(&Day::ALL[date.weekday().num_days_from_monday() as usize]));
    // A day that a zone left out, to cross the date line, has no noon.
    let is_there = |date: &NaiveDate| {
        let noon = date.and_hms_opt(12, 0, 0).unwrap();
        zone.from_local_datetime(&noon).earliest().is_some()
    };
    let all: BTreeSet<i64> = chosen.filter(is_there).map(|date| start(zone, date, time)).collect();
    all.into_iter().collect()
}

fn window(zone: &str, days: &BTreeSet<Day>, time: NaiveTime, length_minutes: u32) -> Window {
    let start = format!("{:02}:{:02}", time.hour(), time.minute());
    Window { zone: zone.to_owned(), days: days.clone(), start, length_minutes, late: Late::Start }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    /// Short windows never touch, so each start is an opening of its own.
    #[test]
    fn windows_open_when_another_implementation_says(
        zone in prop::sample::select(ZONES.to_vec()),
        days in prop::collection::btree_set(prop::sample::select(Day::ALL.to_vec()), 1..=7),
        minute in 0_u32..1_440,
        year in 1974_i32..2024,
        day in 1_u32..=365,
        length_minutes in 5_u32..600,
    ) {
        let time = NaiveTime::from_hms_opt(minute / 60, minute % 60, 0).unwrap();
        let other: Tz = zone.parse().unwrap();
        let from = NaiveDate::from_yo_opt(year, day).unwrap();
        let want = starts(other, &days, time, from, 400);
        let schedule = window(zone, &days, time, length_minutes).schedule().unwrap();
        let got: Vec<i64> = schedule.openings(Timestamp(want[0])).take(want.len()).map(|o| o.opens.0).collect();
        prop_assert_eq!(&got, &want);
        for opens in want.into_iter().take(40) {
            let length_ms = i64::from(length_minutes) * 60_000;
            for (at, is_open) in [(opens, true), (opens + length_ms - 1, true), (opens + length_ms, false), (opens - 1, false)] {
                prop_assert_eq!(schedule.open_at(Timestamp(at)).is_some(), is_open, "{} at {}", zone, at);
            }
        }
    }
}

/// Every day of the fifty years, in every zone, at an hour that clocks leave out and repeat.
#[test]
fn every_day_of_fifty_years_agrees() {
    let (from, until) =
        (NaiveDate::from_ymd_opt(1974, 1, 1).unwrap(), NaiveDate::from_ymd_opt(2024, 1, 1).unwrap());
    let count = u64::try_from(until.signed_duration_since(from).num_days()).unwrap();
    let days: BTreeSet<Day> = Day::ALL.into_iter().collect();
    for zone in ZONES {
        for hour in [0, 2] {
            let time = NaiveTime::from_hms_opt(hour, 30, 0).unwrap();
            let want = starts(zone.parse().unwrap(), &days, time, from, count);
            let schedule = window(zone, &days, time, 30).schedule().unwrap();
            let got = schedule.openings(Timestamp(want[0])).take(want.len()).map(|o| o.opens.0);
            assert!(got.eq(want), "{zone} at {time}");
        }
    }
}
