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

/// The forms to look for, longest first.
#[derive(Clone, Default)]
pub struct Redactor {
    patterns: Vec<Zeroizing<String>>,
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
        out
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

/// As it is, as JSON and shells escape it, in base64 at each of its three alignments, in
/// hexadecimal and percent-encoded.
fn forms(secret: &str) -> Vec<Zeroizing<String>> {
    let bytes = secret.as_bytes();
    let json = serde_json::to_string(secret).expect("a text is JSON");
    let mut forms = vec![
        secret.to_owned(),
        json.trim_matches('"').to_owned(),
        secret.replace('\'', r"'\''"),
        hex::encode(bytes),
        hex::encode_upper(bytes),
        percent(bytes, true),
        percent(bytes, false),
        percent(bytes, true).replace("%20", "+"),
    ];
    for alignment in 0..3 {
        forms.push(base64_inside(&STANDARD_NO_PAD, bytes, alignment));
        forms.push(base64_inside(&URL_SAFE_NO_PAD, bytes, alignment));
    }
    forms.into_iter().map(Zeroizing::new).collect()
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
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const SECRET: &str = "s3cr3t p@ss\"w'ord/ä+";

    fn redactor() -> Redactor {
        Redactor::new([&Value::String(SECRET.to_owned())])
    }

    fn check(text: &str) {
        let out = redactor().redact(text);
        assert!(out.contains(MASK), "not found in {text:?}");
        for part in ["s3cr3t", "czNjcjN0", "733363723374"] {
            assert!(!out.contains(part), "{part} left in {out:?}");
        }
    }

    #[test]
    fn every_simple_form_is_found() {
        check(&format!("password={SECRET};"));
        check(&serde_json::to_string(&format!("x{SECRET}y")).unwrap());
        check(&format!("hex {}", hex::encode(SECRET)));
        check(&format!("HEX {}", hex::encode_upper(SECRET)));
        check(&format!("https://u:{}@h/", percent(SECRET.as_bytes(), true)));
        check(&STANDARD.encode(SECRET));
    }

    #[test]
    fn base64_is_found_wherever_the_secret_begins() {
        for before in ["", "a", "ab", "abc", "user:", "admin:"] {
            for after in ["", "z", "zz", ":more"] {
                let encoded = STANDARD.encode(format!("{before}{SECRET}{after}"));
                let out = redactor().redact(&format!("Authorization: Basic {encoded}"));
                assert!(out.contains(MASK), "{before:?} {after:?}: {out}");
            }
        }
    }

    #[test]
    fn each_line_of_a_key_is_found_and_short_values_are_left() {
        let key = Value::String("-----BEGIN-----\nabcdefgh12345678\n-----END-----\n".to_owned());
        let redactor = Redactor::new([&key, &Value::String("on".to_owned()), &Value::Boolean(true)]);
        assert_eq!(redactor.redact("  abcdefgh12345678"), format!("  {MASK}"));
        assert_eq!(redactor.redact("on true"), "on true");
    }
}
