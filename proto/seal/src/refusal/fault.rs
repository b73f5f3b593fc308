//! What can make a text something else than strict JSON.

/// What makes a text something else than strict JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not UTF-8.
    #[error("it is not UTF-8")]
    Encoding,
    /// Not JSON.
    #[error("it is not JSON")]
    Syntax,
    /// Something after the end of the document.
    #[error("something follows the end of the document")]
    Trailing,
    /// A key twice in one object.
    #[error("a key stands twice in one object")]
    DuplicateKey,
    /// A number with a fraction or an exponent, a negative zero, or beyond 64 bits.
    #[error("it holds a number that is no plain integer")]
    Float,
    /// An integer beyond ±(2^53−1).
    #[error("it holds an integer beyond ±(2^53−1)")]
    IntegerRange,
    /// Deeper than 16.
    #[error("it is nested deeper than 16")]
    Depth,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Fault; 7] = [
        Fault::Encoding,
        Fault::Syntax,
        Fault::Trailing,
        Fault::DuplicateKey,
        Fault::Float,
        Fault::IntegerRange,
        Fault::Depth,
    ];

    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Fault::Encoding => "seal.json_encoding",
            Fault::Syntax => "seal.json_syntax",
            Fault::Trailing => "seal.json_trailing",
            Fault::DuplicateKey => "seal.json_duplicate_key",
            Fault::Float => "seal.json_float",
            Fault::IntegerRange => "seal.json_integer_range",
            Fault::Depth => "seal.json_depth",
        }
    }
}
