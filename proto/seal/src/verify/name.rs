//! What may be a name in a signed document, and how an install's id is an audience.

use crate::Refusal;
use crate::document::{Audience, CHANNEL_DEFAULT};
use crate::refusal::clip;

/// The longest name of an org, app, install, component, operation, in bytes.
pub const NAME_LEN_MAX: usize = 40;
/// The longest name of an input or an output, in bytes.
pub const FIELD_LEN_MAX: usize = 64;
/// The digits of an AWS account's number.
const ACCOUNT_LEN: usize = 12;
/// The longest name of a region, in bytes.
const REGION_LEN_MAX: usize = 25;

/// Whether a text may name an org, app, install, channel, component, tool or operation:
/// 1 to 40 of a-z, 0-9 and `-`, beginning with a letter.
pub fn is_name(name: &str) -> bool {
    is_word(name, NAME_LEN_MAX, b'-')
}

/// Whether a text may name an input or an output: 1 to 64 of a-z, 0-9 and `_`, beginning
/// with a letter, so that it is a terraform variable and part of an environment variable.
pub fn is_field(name: &str) -> bool {
    is_word(name, FIELD_LEN_MAX, b'_')
}

/// Whether a text is the number of an AWS account: 12 digits.
pub fn is_account(text: &str) -> bool {
    text.len() == ACCOUNT_LEN && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a text may be the name of an AWS region, such as `eu-central-1`: at most 25 of a-z, 0-9 and
/// `-`, in at least three parts none of which is empty, beginning with a letter.
pub fn is_region(text: &str) -> bool {
    is_word(text, REGION_LEN_MAX, b'-')
        && text.split('-').count() >= 3
        && text.split('-').all(|part| !part.is_empty())
}

fn is_word(text: &str, max: usize, extra: u8) -> bool {
    text.len() <= max
        && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == extra)
}

pub(super) fn check_name(what: &'static str, name: &str) -> Result<(), Refusal> {
    if is_name(name) {
        return Ok(());
    }
    Err(Refusal::Name { what, name: clip(name), max: NAME_LEN_MAX, extra: '-' })
}

pub(super) fn check_field(what: &'static str, name: &str) -> Result<(), Refusal> {
    if is_field(name) {
        return Ok(());
    }
    Err(Refusal::Name { what, name: clip(name), max: FIELD_LEN_MAX, extra: '_' })
}

impl Audience {
    /// The audience that an install's id says: `ins_demo.shop.acme` is install `acme` of app
    /// `shop` of org `demo`, on the channel `stable`, in no cloud account. Documents hold bare names, never
    /// prefixed ids.
    pub fn of_install(id: &str, epoch: u64, generation: u64) -> Result<Self, Refusal> {
        let refuse = || Refusal::Name { what: "an install", name: clip(id), max: NAME_LEN_MAX, extra: '-' };
        let names: Vec<&str> = id.strip_prefix("ins_").ok_or_else(refuse)?.split('.').collect();
        let [org, app, install] = names[..] else { return Err(refuse()) };
        for name in [org, app, install] {
            check_name("an install", name)?;
        }
        let [org, app, install] = [org, app, install].map(str::to_owned);
        let channel = CHANNEL_DEFAULT.to_owned();
        Ok(Self { org, app, channel, install, epoch, generation, account: None, region: None })
    }

    /// The install's id: what `of_install` reads.
    pub fn install_id(&self) -> String {
        format!("ins_{}.{}.{}", self.org, self.app, self.install)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_fields() {
        let rows = [
            ("a", true, true),
            ("a1", true, true),
            ("a-b", true, false),
            ("a_b", false, true),
            (&"a".repeat(40), true, true),
            (&"a".repeat(41), false, true),
            (&"a".repeat(65), false, false),
            ("", false, false),
            ("1a", false, false),
            ("-a", false, false),
            ("A", false, false),
            ("aB", false, false),
            ("a.b", false, false),
            ("a/b", false, false),
            ("..", false, false),
            ("a b", false, false),
            ("a\0", false, false),
            ("é", false, false),
        ];
        for (text, name, field) in rows {
            assert_eq!((is_name(text), is_field(text)), (name, field), "{text}");
        }
    }

    #[test]
    fn accounts_and_regions() {
        for (text, is) in [
            ("123456789012", true),
            ("000000000000", true),
            ("12345678901", false),
            ("1234567890123", false),
            ("12345678901a", false),
            ("１234567890", false),
        ] {
            assert_eq!(is_account(text), is, "{text}");
        }
        for (text, is) in [
            ("eu-central-1", true),
            ("us-gov-east-1", true),
            ("us-east-1.evil.example", false),
            ("us-east", false),
            ("us--1", false),
            ("us-east-", false),
            ("-east-1", false),
            ("US-east-1", false),
            ("a-b-ccccccccccccccccccccc", true),
            ("a-b-cccccccccccccccccccccc", false),
        ] {
            assert_eq!(is_region(text), is, "{text}");
        }
    }

    #[test]
    fn an_installs_id_is_an_audience() {
        let audience = Audience::of_install("ins_demo.shop.acme", 2, 3).unwrap();
        assert_eq!((&*audience.org, &*audience.app, &*audience.install), ("demo", "shop", "acme"));
        assert_eq!((audience.epoch, audience.generation), (2, 3));
        assert_eq!(audience.install_id(), "ins_demo.shop.acme");
        for id in ["", "demo.shop.acme", "run_demo.shop.acme", "ins_demo.shop", "ins_a.b.c.d", "ins_a..c"] {
            assert_eq!(Audience::of_install(id, 1, 1).unwrap_err().code(), "seal.name", "{id}");
        }
    }
}
