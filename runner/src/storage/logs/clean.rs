//! Making a tool's bytes safe to show: no control characters, no escape sequences, valid UTF-8.

/// The text without what could move a cursor or write elsewhere on a screen. Tabs stay.
pub fn clean(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_control_sequence(&mut chars),
            '\t' | '\n' => out.push(c),
            c if c.is_control() || is_deceiving(c) => {}
            c => out.push(c),
        }
    }
    out
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn skip_escape(chars: &mut Chars<'_>) {
    match chars.next() {
        Some('[') => skip_control_sequence(chars),
        // Operating system commands and the like, up to BEL or ESC \.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' {
                    return;
                }
                if c == '\u{1b}' {
                    chars.next_if_eq(&'\\');
                    return;
                }
            }
        }
        Some(_) | None => {}
    }
}

fn skip_control_sequence(chars: &mut Chars<'_>) {
    for c in chars.by_ref() {
        if ('\u{40}'..='\u{7e}').contains(&c) {
            return;
        }
    }
}

/// Characters that turn a line's direction: what is read is not what is there.
fn is_deceiving(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], wanted: &str) {
        assert_eq!(clean(bytes), wanted);
    }

    #[test]
    fn nothing_that_acts_on_a_screen_is_left() {
        check(b"plain\ttext", "plain\ttext");
        check(b"\x1b[1;31mred\x1b[0m", "red");
        check(b"\x1b]0;title\x07after", "after");
        check(b"\x1b]8;;http://x\x1b\\link", "link");
        check(b"a\rb\x08\x00c", "abc");
        check("\u{202e}txt".as_bytes(), "txt");
        check(b"bad \xff utf8", "bad \u{fffd} utf8");
        check(b"end\x1b", "end");
        check(b"end\x1b[", "end");
    }
}
