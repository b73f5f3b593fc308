//! The table of failures: what it looks like in its file, and how words are looked up in it.
//!
//! Patterns are of a kind that takes time linear in the words, and the words are bounded.

use std::borrow::Cow;

use regex::bytes::{Captures, Regex, RegexBuilder};
use serde::Deserialize;

use crate::outcome::{Class, cut};

/// How many bytes of what a tool said are looked at: all that a report holds.
const WORDS_LEN_MAX: usize = crate::outcome::MESSAGE_LEN_MAX;
/// The longest text that a pattern puts into a hint, in bytes.
const CAUGHT_LEN_MAX: usize = 200;
/// The largest compiled pattern, in bytes.
const PATTERN_SIZE_MAX: usize = 256 * 1024;

/// Why the file is no table.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Form(#[from] toml::de::Error),
    #[error("{0}")]
    Pattern(#[from] regex::Error),
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    failure: Vec<FailureForm>,
    /// The last resort, in the last file.
    #[serde(default)]
    words: Vec<Words>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FailureForm {
    code: String,
    class: Class,
    about: String,
    hint: String,
    #[serde(default)]
    after: Vec<String>,
    sign: Vec<SignForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignForm {
    source: String,
    pattern: String,
    example: String,
    #[serde(default)]
    names: std::collections::BTreeMap<String, String>,
}

/// Words that speak for a class and say no more.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    pub(super) class: Class,
    pub(super) any: Vec<String>,
}

/// All that is known of tools' words.
pub(super) struct Table {
    pub(super) failures: Vec<Known>,
    pub(super) words: Vec<Words>,
}

/// One kind of failure.
#[cfg_attr(not(test), expect(dead_code, reason = "what the page and the tests are made of"))]
pub(super) struct Known {
    pub(super) code: String,
    pub(super) class: Class,
    pub(super) about: String,
    pub(super) hint: String,
    pub(super) after: Vec<String>,
    pub(super) signs: Vec<Sign>,
}

/// One way it looks.
#[cfg_attr(not(test), expect(dead_code, reason = "what the page and the tests are made of"))]
pub(super) struct Sign {
    pub(super) source: String,
    pub(super) pattern: Regex,
    pub(super) example: String,
    pub(super) names: std::collections::BTreeMap<String, String>,
}

/// A failure that was recognised.
pub(super) struct Found<'a> {
    pub(super) failure: &'a Known,
    caught: Captures<'a>,
}

impl Table {
    /// One table of several files, in their order.
    pub(super) fn parse(texts: &[&str]) -> Result<Self, Error> {
        let (mut failures, mut words) = (Vec::new(), Vec::new());
        for text in texts {
            let file: File = toml::from_str(text)?;
            for form in file.failure {
                failures.push(Known::new(form)?);
            }
            words.extend(file.words);
        }
        Ok(Self { failures, words })
    }

    /// The first failure that these words are a sign of.
    pub(super) fn find<'a>(&'a self, words: &'a str) -> Option<Found<'a>> {
        self.failures.iter().find_map(|failure| failure.find(words))
    }

    /// The class that single words speak for.
    pub(super) fn class_of(&self, words: &str) -> Option<Class> {
        let words = words.to_lowercase();
        self.words.iter().find(|w| w.any.iter().any(|sign| words.contains(sign))).map(|w| w.class)
    }
}

impl Known {
    fn new(form: FailureForm) -> Result<Self, Error> {
        let FailureForm { code, class, about, hint, after, sign } = form;
        let signs = sign.into_iter().map(Sign::new).collect::<Result<_, _>>()?;
        Ok(Self { code, class, about, hint, after, signs })
    }

    pub(super) fn find<'a>(&'a self, words: &'a str) -> Option<Found<'a>> {
        let caught = self.signs.iter().find_map(|sign| sign.pattern.captures(words.as_bytes()))?;
        Some(Found { failure: self, caught })
    }
}

impl Sign {
    fn new(form: SignForm) -> Result<Self, Error> {
        let SignForm { source, pattern, example, names } = form;
        // Bytes, not characters: what tools say of this kind is ASCII, and the programs are a tenth as large.
        let pattern = RegexBuilder::new(&pattern).unicode(false).size_limit(PATTERN_SIZE_MAX).build()?;
        Ok(Self { source, pattern, example, names })
    }
}

impl Found<'_> {
    /// What the sign caught under a name.
    pub(super) fn caught(&self, name: &str) -> Option<Cow<'_, str>> {
        let caught = self.caught.name(name).map(|found| String::from_utf8_lossy(found.as_bytes()));
        caught.filter(|text| !text.is_empty())
    }

    /// The hint, with what was caught in its gaps.
    pub(super) fn hint(&self) -> String {
        let mut hint = String::new();
        for part in gaps(&self.failure.hint) {
            match part {
                Part::Text(text) => hint.push_str(text),
                Part::Gap { name, otherwise } => match self.caught(name) {
                    Some(text) => hint.push_str(&cut(text.into_owned(), CAUGHT_LEN_MAX)),
                    None => hint.push_str(otherwise.unwrap_or("(see the message)")),
                },
            }
        }
        hint
    }
}

/// A piece of a hint.
pub(super) enum Part<'a> {
    Text(&'a str),
    Gap { name: &'a str, otherwise: Option<&'a str> },
}

/// A hint's pieces: text, and gaps like `{name}` or `{name|what stands there otherwise}`.
pub(super) fn gaps(hint: &str) -> Vec<Part<'_>> {
    let mut parts = vec![];
    let mut rest = hint;
    while let Some((before, (gap, after))) =
        rest.split_once('{').and_then(|(before, inside)| Some((before, inside.split_once('}')?)))
    {
        parts.push(Part::Text(before));
        parts.push(match gap.split_once('|') {
            Some((name, otherwise)) => Part::Gap { name, otherwise: Some(otherwise) },
            None => Part::Gap { name: gap, otherwise: None },
        });
        rest = after;
    }
    parts.push(Part::Text(rest));
    parts
}

/// What a tool said, bounded and as one line: tools break lines and draw boxes where they like.
pub(super) fn plain(words: &str) -> String {
    let is_box = |c: char| matches!(c, '│' | '╷' | '╵');
    let mut plain = String::with_capacity(words.len().min(WORDS_LEN_MAX));
    for word in words.split(|c: char| c.is_whitespace() || is_box(c)).filter(|word| !word.is_empty()) {
        if !plain.is_empty() {
            plain.push(' ');
        }
        plain.push_str(word);
        if plain.len() > WORDS_LEN_MAX {
            break;
        }
    }
    cut(plain, WORDS_LEN_MAX)
}
