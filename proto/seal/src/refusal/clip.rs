//! Foreign texts made safe to print in a refusal.

/// The most characters of a foreign text that a refusal repeats.
const CLIP_CHARS_MAX: usize = 120;

/// A foreign text made safe to print: short, with control characters escaped.
pub(crate) fn clip(text: &str) -> String {
    let mut out: String = text.chars().take(CLIP_CHARS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(CLIP_CHARS_MAX).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_text_is_clipped_and_escaped() {
        assert_eq!(clip("plain"), "plain");
        assert_eq!(clip("a\u{1b}[2J\n"), "a\\u{1b}[2J\\n");
        assert_eq!(clip(&"x".repeat(10_000)).chars().count(), CLIP_CHARS_MAX + 1);
    }
}
