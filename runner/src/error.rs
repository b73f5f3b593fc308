//! What every error that a person sees has: a stable code, and what to do next.

/// An error with a stable code that has a page in `docs/errors/`.
pub trait Coded: std::error::Error {
    /// The stable code, e.g. `runner.data_dir_locked`.
    fn code(&self) -> &'static str;

    /// What to do next.
    fn hint(&self) -> String {
        format!("see docs/errors/{}.md", self.code().split('.').next().unwrap_or("runner"))
    }
}

/// An error's own words and those of its causes, in one line.
pub fn chain(error: &(impl std::error::Error + ?Sized)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let words = inner.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = inner.source();
    }
    text
}

/// Milliseconds since the Unix epoch, by this machine's clock.
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A span of time in words; two of each unit at least, so that it is not far off.
pub fn span(ms: u64) -> String {
    match ms / 1_000 {
        s @ 0..120 => format!("{s} seconds"),
        s @ 120..7_200 => format!("{} minutes", s / 60),
        s @ 7_200..172_800 => format!("{} hours", s / 3_600),
        s => format!("{} days", s / 86_400),
    }
}
