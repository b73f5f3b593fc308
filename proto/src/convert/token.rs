//! One-time tokens, and those of a session: never printed, wiped when dropped.

use std::fmt;

use zeroize::Zeroizing;

/// A one-time token: never printed, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// A token of these characters.
    pub fn new(token: String) -> Self {
        Self(Zeroizing::new(token))
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(secret)")
    }
}
