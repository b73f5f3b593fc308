//! Makes a tool's output fit to be shown: no control characters but newline and tab, no
//! escape sequences, valid UTF-8. What a log says must not be able to act on a terminal.

/// The longest escape sequence or character that may be cut in two by the end of a piece.
const CUT_MAX: usize = 256;

/// The clean text of a piece, and how many of its bytes that took. What the piece's end
/// cuts in two is left for the next piece, unless this one is the last.
pub(crate) fn clean(raw: &[u8], is_last: bool) -> (String, usize) {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    loop {
        let plain = rest.iter().position(|b| *b == ESC).unwrap_or(rest.len());
        let is_end = plain == rest.len();
        let held = if is_end && !is_last { cut_character(rest) } else { 0 };
        push_plain(&mut text, &rest[..plain - held]);
        rest = &rest[plain - held..];
        if is_end {
            break;
        }
        match sequence(rest) {
            Some(length) => rest = &rest[length..],
            None if rest.len() < CUT_MAX && !is_last => break,
            None => rest = &rest[1..],
        }
    }
    (text, raw.len() - rest.len())
}

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;

fn push_plain(text: &mut String, bytes: &[u8]) {
    let shown = |c: &char| *c == '\n' || *c == '\t' || !(c.is_control() || is_mark(*c));
    text.extend(String::from_utf8_lossy(bytes).chars().filter(shown));
}

/// Marks that turn the direction of text around can make it read as what it is not.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The length of the escape sequence that these bytes begin with; `None` if it does not end here.
fn sequence(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.get(1..)?;
    match rest.first()? {
        b'[' => {
            let end = rest[1..].iter().take(CUT_MAX).position(|b| !(0x20..=0x3f).contains(b))?;
            Some(2 + end + 1)
        }
        b']' | b'P' | b'X' | b'^' | b'_' => {
            let end = rest.iter().take(CUT_MAX).position(|b| *b == BEL || *b == ESC)?;
            let closing = match (rest[end], rest.get(end + 1)) {
                (BEL, _) => 1,
                (_, Some(b'\\')) => 2,
                (_, Some(_)) => 0,
                (_, None) => return None,
            };
            Some(1 + end + closing)
        }
        _ => Some(2),
    }
}

/// How many bytes at the end are only the beginning of a character.
fn cut_character(bytes: &[u8]) -> usize {
    let last = &bytes[bytes.len().saturating_sub(3)..];
    let lead = last.iter().rposition(|b| (b & 0xc0) != 0x80).unwrap_or(last.len());
    match std::str::from_utf8(&last[lead..]) {
        Err(error) if error.error_len().is_none() => last.len() - lead,
        Ok(_) | Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_acts_on_a_terminal_is_left() {
        for (raw, want) in [
            ("plain\ttext\n", "plain\ttext\n"),
            ("\u{1b}[31;1mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("a\rb\u{8}c\u{9b}31md\u{7f}", "abc31md"),
            ("\u{202e}gnp.exe", "gnp.exe"),
            ("\u{1b}", ""),
            ("\u{1b}[", "["),
            ("é → ✓", "é → ✓"),
        ] {
            assert_eq!(clean(raw.as_bytes(), true).0, want, "{raw:?}");
        }
        assert_eq!(clean(b"bad \xff byte", true).0, "bad \u{fffd} byte");
    }

    #[test]
    fn pieces_of_any_size_give_the_same_text() {
        let raw = "one \u{1b}[31;1mred\u{1b}[0m é ✓ 🙂\n\u{1b}]0;title\u{7}two".as_bytes();
        let (whole, _) = clean(raw, true);
        for size in 1..raw.len() {
            let (mut text, mut at, mut end) = (String::new(), 0, 0);
            while at < raw.len() {
                end = (end + size).min(raw.len());
                let (part, taken) = clean(&raw[at..end], end == raw.len());
                text.push_str(&part);
                at += taken;
            }
            assert_eq!(text, whole, "{size}");
        }
    }

    #[test]
    fn an_endless_sequence_holds_nothing_up() {
        let mut raw = vec![ESC, b']'];
        raw.extend(vec![b'x'; 4 * CUT_MAX]);
        let (_, taken) = clean(&raw, false);
        assert_eq!(taken, raw.len());
    }
}
