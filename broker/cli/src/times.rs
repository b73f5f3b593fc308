//! Times as people write them: with an offset, or by the clocks of a place.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use remit_loops::Timestamp;

use crate::failure::{Failure, Result};

/// `2026-12-20T00:00Z`, or `2026-12-20T00:00` by the clocks of this zone.
pub(crate) fn read(text: &str, zone: &str) -> Result<Timestamp> {
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp(instant.as_millisecond()));
    }
    let hint = "write it like 2026-12-20T22:00, 2026-12-20T22:00+01:00 or 2026-12-20";
    let local = text.parse::<DateTime>().map_err(|_| Failure::usage(format!("`{text}` is no time"), hint))?;
    let zone = TimeZone::get(zone).map_err(|_| {
        Failure::usage(format!("there is no time zone `{zone}`"), "write it like Europe/Berlin")
    })?;
    let zoned =
        local.to_zoned(zone).map_err(|e| Failure::usage(format!("`{text}` is no time: {e}"), hint))?;
    Ok(Timestamp(zoned.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_count_by_the_clocks_of_a_place() {
        let check = |text: &str, zone: &str, want: Option<&str>| {
            let want = want.map(|want| want.parse::<jiff::Timestamp>().unwrap().as_millisecond());
            assert_eq!(read(text, zone).ok().map(|at| at.0), want, "{text} in {zone}");
        };
        check("2026-12-20T22:00", "Europe/Berlin", Some("2026-12-20T21:00:00Z"));
        check("2026-12-20", "UTC", Some("2026-12-20T00:00:00Z"));
        check("2026-12-20T22:00:00+05:00", "Europe/Berlin", Some("2026-12-20T17:00:00Z"));
        check("tomorrow", "UTC", None);
        check("2026-12-20", "Mars/Base", None);
    }
}
