//! Every usual form of a value is found, wherever it stands and however it is cut.

use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof};

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

/// How tools write a value, done otherwise than the redactor does it where that is possible.
fn written(secret: &str, how: usize) -> String {
    let bytes = secret.as_bytes();
    let each = |text: &dyn Fn(u8) -> String| bytes.iter().map(|b| text(*b)).collect::<String>();
    match how {
        0 => secret.to_owned(),
        1 => each(&|b| format!("{b:02x}")),
        2 => each(&|b| format!("{b:02X}")),
        3 => each(&|b| {
            if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) {
                char::from(b).into()
            } else {
                format!("%{b:02X}")
            }
        }),
        4 => serde_json::to_string(secret).unwrap().trim_start_matches('"').to_owned(),
        5 => format!("'{}'", secret.split('\'').collect::<Vec<_>>().join("'\\''")),
        6 => STANDARD.encode(bytes),
        _ => URL_SAFE.encode(bytes),
    }
}

/// A value of at least 8 characters that is not made of one letter, so that its parts mean something.
fn secrets() -> impl Strategy<Value = String> {
    let odd =
        prop_oneof![Just('"'), Just('\''), Just('\\'), Just('&'), Just('/'), Just(' '), Just('ä'), Just('+')];
    let plain = prop::char::range('a', 'z');
    let middle = prop::collection::vec(prop_oneof![plain, odd, prop::char::range('A', 'Z')], 6..80);
    middle.prop_map(|chars| format!("Zq{}7x", chars.into_iter().collect::<String>()))
}

/// No form that a thief could decode is left: neither whole nor in base64 at any alignment.
fn leaks(text: &str, secret: &str) -> bool {
    let bytes = secret.as_bytes();
    let inner = (0..3).filter_map(|skip| {
        let whole = bytes.get(skip..)?;
        Some(whole.get(..whole.len() / 3 * 3)?.to_vec()).filter(|part| part.len() >= 6)
    });
    let aligned = inner.flat_map(|part| [STANDARD.encode(&part), URL_SAFE.encode(&part)]);
    (0..6)
        .map(|how| written(secret, how))
        .chain(aligned)
        .any(|form| text.contains(form.trim_end_matches('"')))
}

proptest::proptest! {
    #[test]
    fn no_form_of_a_value_is_left(
        secret in secrets(),
        how in 0usize..8,
        before in "[ -~]{0,20}",
        after in "[ -~]{0,20}",
        encode_all in any::<bool>(),
    ) {
        let redactor = Redactor::new([&Value::String(secret.clone())]);
        let text = match (encode_all, how) {
            // The value within a longer text that is encoded as a whole.
            (true, 6) => STANDARD.encode(format!("{before}{secret}{after}")),
            (true, 7) => URL_SAFE.encode(format!("{before}{secret}{after}")),
            _ => format!("{before} {} {after}", written(&secret, how)),
        };
        let out = redactor.redact(&text);
        proptest::prop_assert!(!leaks(&out, &secret), "{text:?} became {out:?}");
    }

    /// `base64` and `xxd -p` break their output into lines, and each line is redacted by itself.
    #[test]
    fn an_encoded_value_that_is_broken_into_lines_is_found(
        secret in secrets(),
        before in "[a-z]{0,30}",
        width in 40usize..80,
        hexadecimal in any::<bool>(),
    ) {
        let redactor = Redactor::new([&Value::String(secret.clone())]);
        let whole = format!("{before}{secret}");
        let text = if hexadecimal { hex::encode(&whole) } else { STANDARD.encode(&whole) };
        let lines = text.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap());
        let out: String = lines.map(|line| redactor.redact(line)).collect();
        let left = out.split(MASK).map(str::len).sum::<usize>();
        // What came before may stay, and less than a part at a border.
        let encoded = if hexadecimal { 2 * before.len() } else { before.len() * 4 / 3 + 4 };
        proptest::prop_assert!(left <= encoded + 2 * PART_LEN_MIN, "{text:?} became {out:?}");
        proptest::prop_assert!(!leaks(&out, &secret), "{text:?} became {out:?}");
    }
}

#[test]
fn words_that_are_no_part_of_a_value_stay() {
    let redactor = redactor();
    for text in
        ["Apply complete! Resources: 3 added, 0 changed", "sha256:0123456789abcdef0123456789abcdef", ""]
    {
        assert_eq!(redactor.redact(text), text);
    }
}
