//! Taking sensitive values out of a text, in whatever simple form a tool may write them.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use remit_seal::document::Value;
use zeroize::Zeroizing;

/// What stands in the place of a sensitive value.
pub const MASK: &str = "[redacted]";
/// Shorter values are everywhere: masking them would make a log unreadable and hide nothing.
const SECRET_LEN_MIN: usize = 4;
/// A longer secret is known by pieces of this size.
const PIECE_LEN_MAX: usize = 1024;
/// So much of an encoded secret is taken for a part of it: tools break what they encode into lines.
const PART_LEN_MIN: usize = 12;
/// And so much of its beginning at the end of a word, or of its end at the beginning of one.
const EDGE_LEN_MIN: usize = 6;

/// The forms to look for, longest first.
#[derive(Clone, Default)]
pub struct Redactor {
    patterns: Vec<Zeroizing<String>>,
    /// Whole forms that may be broken into lines: base64 and hexadecimal.
    encoded: Vec<Zeroizing<String>>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} forms)", self.patterns.len())
    }
}

impl Redactor {
    /// One that takes these values out.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut redactor = Self::default();
        for secret in secrets {
            redactor.add(secret);
        }
        redactor
    }

    /// Also this one from now on.
    pub fn add(&mut self, secret: &Value) {
        match secret {
            Value::String(text) => self.add_text(text),
            Value::Integer(number) => self.add_text(&number.to_string()),
            Value::List(items) => items.iter().for_each(|item| self.add(item)),
            Value::Boolean(_) => {}
        }
    }

    fn add_text(&mut self, text: &str) {
        let whole = text.trim();
        for line in whole.lines().map(str::trim).chain([whole]) {
            if line.len() < SECRET_LEN_MIN {
                continue;
            }
            for form in forms(line) {
                self.add_form(&form);
            }
        }
        if whole.len() >= SECRET_LEN_MIN {
            self.encoded.extend(encoded(whole.as_bytes()).into_iter().filter(|f| f.len() >= PART_LEN_MIN));
        }
        self.patterns.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.patterns.dedup();
    }

    fn add_form(&mut self, form: &str) {
        let mut rest = form;
        while !rest.is_empty() {
            let mut end = rest.len().min(PIECE_LEN_MAX);
            while !rest.is_char_boundary(end) {
                end -= 1;
            }
            let (piece, after) = rest.split_at(end);
            if piece.len() >= SECRET_LEN_MIN {
                self.patterns.push(Zeroizing::new(piece.to_owned()));
            }
            rest = after;
        }
    }

    /// The longest form, in bytes: how far beyond a cut one must look.
    pub fn reach(&self) -> usize {
        self.patterns.first().map_or(0, |p| p.len())
    }

    /// The text without the values.
    pub fn redact(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for pattern in &self.patterns {
            if out.contains(pattern.as_str()) {
                out = out.replace(pattern.as_str(), MASK);
            }
        }
        if self.encoded.is_empty() { out } else { self.redact_parts(&out) }
    }

    /// Also without what is a part of an encoded value: its beginning, its end, or a line of its middle.
    fn redact_parts(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for run in text.split_inclusive(|c: char| !is_encoding(c)) {
            let word = run.trim_end_matches(|c: char| !is_encoding(c));
            let (from, to) = self.part_of(word).unwrap_or((0, 0));
            out.push_str(&word[..from]);
            out.push_str(if from < to { MASK } else { "" });
            out.push_str(&word[to..]);
            out.push_str(&run[word.len()..]);
        }
        out
    }

    /// Which bytes of a word are a part of an encoded value.
    fn part_of(&self, word: &str) -> Option<(usize, usize)> {
        if word.len() < EDGE_LEN_MIN {
            return None;
        }
        self.encoded.iter().find_map(|form| {
            if word.len() >= PART_LEN_MIN && form.contains(word) {
                return Some((0, word.len()));
            }
            let longest = word.len().min(form.len());
            let (mut tails, mut heads) = ((EDGE_LEN_MIN..=longest).rev(), (EDGE_LEN_MIN..=longest).rev());
            // The value begins in this word and goes on in the next line, or the other way round.
            let begins = tails.find(|n| word.ends_with(&form[..*n])).map(|n| (word.len() - n, word.len()));
            begins.or_else(|| heads.find(|n| word.starts_with(&form[form.len() - n..])).map(|n| (0, n)))
        })
    }

    /// A value without the values: for what is reported beside the log.
    pub fn redact_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.redact(text)),
            Value::List(items) => Value::List(items.iter().map(|v| self.redact_value(v)).collect()),
            Value::Boolean(_) | Value::Integer(_) => value.clone(),
        }
    }
}

/// What base64, of either alphabet, and hexadecimal are made of.
fn is_encoding(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_')
}

/// In base64 at each of its three alignments, and in hexadecimal.
fn encoded(bytes: &[u8]) -> Vec<Zeroizing<String>> {
    let mut forms = vec![hex::encode(bytes), hex::encode_upper(bytes)];
    for alignment in 0..3 {
        forms.push(base64_inside(&STANDARD_NO_PAD, bytes, alignment));
        forms.push(base64_inside(&URL_SAFE_NO_PAD, bytes, alignment));
    }
    forms.into_iter().map(Zeroizing::new).collect()
}

/// As `printf %q` writes it: every special character behind a backslash.
fn backslashed(secret: &str) -> String {
    let plain = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "%+,-./:=@_".contains(c);
    secret.chars().flat_map(|c| (!plain(c)).then_some('\\').into_iter().chain([c])).collect()
}

/// As JSON for a web page, and so by all programs written in Go.
fn json_for_pages(json: &str) -> String {
    json.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
}

/// As it is, as JSON and shells escape it, percent-encoded, and what `encoded` says.
fn forms(secret: &str) -> Vec<Zeroizing<String>> {
    let bytes = secret.as_bytes();
    let json = serde_json::to_string(secret).expect("a text is JSON");
    let json = json.get(1..json.len() - 1).unwrap_or_default();
    let in_quotes = secret.replace('\\', r"\\").replace('"', r#"\""#).replace('$', r"\$").replace('`', r"\`");
    let plain = [
        secret.to_owned(),
        json.to_owned(),
        json.replace('/', r"\/"),
        json_for_pages(json),
        secret.replace('\'', r"'\''"),
        secret.replace('\'', r#"'"'"'"#),
        in_quotes,
        backslashed(secret),
        percent(bytes, true),
        percent(bytes, false),
        percent(bytes, true).replace("%20", "+"),
    ];
    plain.into_iter().map(Zeroizing::new).chain(encoded(bytes)).collect()
}

/// What of the base64 of a longer text is the secret's alone, when it begins at this alignment.
fn base64_inside(engine: &impl Engine, secret: &[u8], alignment: usize) -> String {
    let mut padded = vec![0; alignment];
    padded.extend_from_slice(secret);
    let text = engine.encode(&padded);
    let skip = [0, 2, 3][alignment];
    // The last character mixes in bits of what follows, unless the secret ends on a group.
    let end = if padded.len().is_multiple_of(3) { text.len() } else { text.len() - 1 };
    text.get(skip..end).unwrap_or_default().to_owned()
}

fn percent(bytes: &[u8], upper: bool) -> String {
    let mut out = String::new();
    for b in bytes {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(*b));
            }
            b if upper => out.push_str(&format!("%{b:02X}")),
            b => out.push_str(&format!("%{b:02x}")),
        }
    }
    out
}

#[cfg(test)]
mod tests;
