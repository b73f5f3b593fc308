//! Lengths of time as people write them: `90s`, `10m`, `1h30m`.

/// Milliseconds, or what is the matter.
pub(crate) fn parse_ms(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is no length of time; write it like `90s`, `10m` or `1h30m`");
    let mut total: i64 = 0;
    let mut rest = text;
    let mut smallest = i64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: i64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit = match rest[digits..].chars().next() {
            Some('h') => 3_600_000,
            Some('m') => 60_000,
            Some('s') => 1_000,
            _ => return Err(wrong()),
        };
        if unit >= smallest {
            return Err(wrong());
        }
        smallest = unit;
        total = number.checked_mul(unit).and_then(|ms| total.checked_add(ms)).ok_or_else(wrong)?;
        rest = &rest[digits + 1..];
    }
    if text.is_empty() { Err(wrong()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read() {
        for (text, want) in
            [("90s", Some(90_000)), ("10m", Some(600_000)), ("1h30m", Some(5_400_000)), ("0s", Some(0))]
        {
            assert_eq!(parse_ms(text).ok(), want, "{text}");
        }
        for text in ["", "10", "m", "10 m", "10x", "-1m", "5m5m", "1s1h", "9999999999999999999s", "1.5h"] {
            assert!(parse_ms(text).is_err(), "{text}");
        }
    }
}
