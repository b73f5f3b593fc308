//! Strict JSON: no duplicate key, no float, no integer beyond ±(2^53−1), no depth over 16,
//! nothing after the end; then a typed parse, whose types refuse unknown fields.
//!
//! Two readers that disagree on what a document says are an attack; these rules leave
//! nothing to disagree on.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};

use crate::Refusal;
use crate::refusal::clip;

pub use crate::refusal::Fault;

/// The deepest nesting of objects and lists.
pub const DEPTH_MAX: u32 = 16;
/// The greatest size of an integer: what every JSON reader keeps exactly.
pub const INTEGER_MAX: u64 = (1 << 53) - 1;

/// Reads a typed document from strict JSON. The type must refuse unknown fields itself.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let text = check(bytes).map_err(Refusal::Json)?;
    serde_json::from_str(text).map_err(|e| Refusal::DocumentInvalid { detail: clip(&e.to_string()) })
}

/// Whether these bytes are strict JSON, of whatever shape; the text they are.
pub fn check(bytes: &[u8]) -> Result<&str, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::Encoding)?;
    let fault = Cell::new(None);
    let mut reader = serde_json::Deserializer::from_str(text);
    Walk { depth: 0, fault: &fault }
        .deserialize(&mut reader)
        .map_err(|_| fault.get().unwrap_or(Fault::Syntax))?;
    reader.end().map_err(|_| Fault::Trailing)?;
    Ok(text)
}

/// Walks a document without keeping it. The fault travels in a cell because a
/// deserializer's errors are texts.
#[derive(Clone, Copy)]
struct Walk<'a> {
    depth: u32,
    fault: &'a Cell<Option<Fault>>,
}

impl Walk<'_> {
    fn stop<E: serde::de::Error>(self, fault: Fault) -> E {
        self.fault.set(Some(fault));
        E::custom(fault)
    }

    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == DEPTH_MAX {
            return Err(self.stop(Fault::Depth));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    fn integer<E: serde::de::Error>(self, size: u64) -> Result<(), E> {
        if size > INTEGER_MAX { Err(self.stop(Fault::IntegerRange)) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("strict JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.integer(value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.integer(value.unsigned_abs())
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        Err(self.stop(Fault::Float))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while list.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if !seen.insert(key) {
                return Err(self.stop(Fault::DuplicateKey));
            }
            map.next_value_seed(inner)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        format!("{}{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn what_is_strict_json_and_what_is_not() {
        use Fault::{Depth, DuplicateKey, Encoding, Float, IntegerRange, Syntax, Trailing};
        let (d16, d17, d100k) = (nested(16), nested(17), nested(100_000));
        let rows: &[(&[u8], Option<Fault>)] = &[
            (b"{}", None),
            (b" \n\t{\"a\" : [1, -2, true, null, \"x\"]} \r\n", None),
            (b"9007199254740991", None),
            (b"-9007199254740991", None),
            (b"{\"a\":{\"k\":1},\"b\":{\"k\":1}}", None),
            ("\"\\u00e9\u{e9}\\ud83d\\ude00\"".as_bytes(), None),
            (d16.as_bytes(), None),
            (d17.as_bytes(), Some(Depth)),
            (d100k.as_bytes(), Some(Depth)),
            (b"9007199254740992", Some(IntegerRange)),
            (b"-9007199254740992", Some(IntegerRange)),
            (b"18446744073709551615", Some(IntegerRange)),
            (b"-9223372036854775808", Some(IntegerRange)),
            (b"18446744073709551616", Some(Float)),
            (b"1.0", Some(Float)),
            (b"[1e2]", Some(Float)),
            (b"1E0", Some(Float)),
            (b"-0", Some(Float)),
            (b"{\"a\":0.5}", Some(Float)),
            (b"{\"a\":1,\"a\":1}", Some(DuplicateKey)),
            (b"{\"a\":1,\"\\u0061\":2}", Some(DuplicateKey)),
            (b"[{\"x\":{\"a\":1,\"b\":2,\"a\":3}}]", Some(DuplicateKey)),
            (b"{} {}", Some(Trailing)),
            (b"{}x", Some(Trailing)),
            (b"{}\0", Some(Trailing)),
            (b"", Some(Syntax)),
            (b"{", Some(Syntax)),
            (b"{'a':1}", Some(Syntax)),
            (b"{\"a\":1,}", Some(Syntax)),
            (b"[1 2]", Some(Syntax)),
            (b"{a:1}", Some(Syntax)),
            (b"01", Some(Syntax)),
            (b"+1", Some(Syntax)),
            (b"NaN", Some(Syntax)),
            (b"1e999", Some(Syntax)),
            (b"// c\n{}", Some(Syntax)),
            (b"\"\\ud800\"", Some(Syntax)),
            (b"\"a\nb\"", Some(Syntax)),
            (b"\xef\xbb\xbf{}", Some(Syntax)),
            (b"\"\xff\"", Some(Encoding)),
            (b"{}\xc3", Some(Encoding)),
            (b"\"\xed\xa0\x80\"", Some(Encoding)),
        ];
        for (bytes, fault) in rows {
            let shown: String = String::from_utf8_lossy(bytes).chars().take(60).collect();
            assert_eq!(check(bytes).err(), *fault, "{shown}");
        }
    }

    #[test]
    fn a_typed_parse_says_what_it_missed_without_repeating_it_whole() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct One {
            #[allow(dead_code)]
            a: u32,
        }
        for text in ["{}", "{\"a\":1,\"b\":2}", "{\"a\":-1}", "{\"a\":\"1\"}", "null"] {
            assert_eq!(
                from_slice::<One>(text.as_bytes()).unwrap_err().code(),
                "seal.document_invalid",
                "{text}"
            );
        }
        let long = format!("{{\"{}\":1}}", "x".repeat(50_000));
        assert!(from_slice::<One>(long.as_bytes()).unwrap_err().to_string().len() < 400);
    }
}
