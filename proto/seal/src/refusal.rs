//! Why something was not believed: one stable code each.

/// A refusal. `code()` is stable and has a page in `docs/errors/`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Placeholder.
    #[error("placeholder")]
    Placeholder,
}
impl Refusal {
    /// The stable code, e.g. `seal.signature_invalid`.
    pub fn code(&self) -> &'static str {
        todo!()
    }
}
