//! What one loop tells another, typed by whoever hears it.
//!
//! A notice is stored as its own word alone, like `{"do":{…}}`: no two receivers have a word in common.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, VariantAccess, Visitor};
use serde::{Deserialize, Serialize, forward_to_deserialize_any};

use crate::app::message::ToApp;
use crate::component::message::ToComponent;
use crate::install::message::ToInstall;
use crate::parent::{ToChild, ToParent};
use crate::runner::message::ToRunner;

/// What one loop tells another. The sender is the event's `by`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Notice {
    /// To an org or an app, by what is in it.
    Parent(ToParent),
    /// To an app or an install, by what it is in.
    Child(ToChild),
    /// To an app.
    App(ToApp),
    /// To an install.
    Install(ToInstall),
    /// To a component.
    Component(ToComponent),
    /// To a runner.
    Runner(ToRunner),
}

impl<'de> Deserialize<'de> for Notice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_enum("Notice", &[], Heard)
    }
}

/// Finds the receiver by the word, and reads the rest as its notice: nothing is read twice.
struct Heard;

impl<'de> Visitor<'de> for Heard {
    type Value = Notice;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a notice")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Notice, A::Error> {
        let (word, content) = access.variant::<String>()?;
        let is_of = |words: &[&str]| words.contains(&word.as_str());
        let named = Named { word: &word, content };
        if is_of(words::<ToInstall>()) {
            ToInstall::deserialize(named).map(Notice::Install)
        } else if is_of(words::<ToComponent>()) {
            ToComponent::deserialize(named).map(Notice::Component)
        } else if is_of(words::<ToRunner>()) {
            ToRunner::deserialize(named).map(Notice::Runner)
        } else if is_of(words::<ToApp>()) {
            ToApp::deserialize(named).map(Notice::App)
        } else if is_of(words::<ToParent>()) {
            ToParent::deserialize(named).map(Notice::Parent)
        } else if is_of(words::<ToChild>()) {
            ToChild::deserialize(named).map(Notice::Child)
        } else {
            Err(A::Error::custom(format!("`{word}` is no notice")))
        }
    }
}

/// One variant of which the name has been read already.
struct Named<'a, V> {
    word: &'a str,
    content: V,
}

impl<'de, C: VariantAccess<'de>> Deserializer<'de> for Named<'_, C> {
    type Error = C::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, C::Error> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, V: VariantAccess<'de>> EnumAccess<'de> for Named<'_, V> {
    type Error = V::Error;
    type Variant = V;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, V), V::Error> {
        let word: StrDeserializer<'_, V::Error> = self.word.into_deserializer();
        Ok((seed.deserialize(word)?, self.content))
    }
}

/// The words of all variants of an enum, as serde knows them.
fn words<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut words: &'static [&'static str] = &[];
    // It reads nothing: it only notes what it was asked for.
    let _ = T::deserialize(Words(&mut words));
    words
}

struct Words<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Words<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(Self::Error::custom(""))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = variants;
        Err(Self::Error::custom(""))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_receivers_have_a_word_in_common() {
        let all = [
            words::<ToParent>(),
            words::<ToChild>(),
            words::<ToApp>(),
            words::<ToInstall>(),
            words::<ToComponent>(),
            words::<ToRunner>(),
        ];
        let words: BTreeSet<&str> = all.iter().copied().flatten().copied().collect();
        assert_eq!(words.len(), all.iter().map(|words| words.len()).sum::<usize>());
        assert!(words.len() >= 25 && words.contains("do") && words.contains("child_gone"));
    }

    #[test]
    fn a_notice_is_its_own_word_alone() {
        for (notice, text) in [
            (Notice::Parent(ToParent::ChildGone), r#""child_gone""#),
            (Notice::Child(ToChild::Sandbox(true)), r#"{"sandbox":true}"#),
            (Notice::Runner(ToRunner::RunnerWanted { epoch: 3 }), r#"{"runner_wanted":{"epoch":3}}"#),
        ] {
            assert_eq!(serde_json::to_string(&notice).unwrap(), text);
            assert_eq!(serde_json::from_str::<Notice>(text).unwrap(), notice);
        }
        let unknown = serde_json::from_str::<Notice>(r#"{"sing":{}}"#).unwrap_err();
        assert!(unknown.to_string().contains("`sing` is no notice"), "{unknown}");
    }
}
