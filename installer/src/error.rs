//! What can be wrong with the facts of an install, each with a stable code.

/// Why nothing was rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A fact that is not of its form.
    #[error("`{given}` is not {wanted}")]
    Form {
        /// The stable code.
        code: &'static str,
        /// What was given.
        given: String,
        /// What it must look like.
        wanted: &'static str,
    },
    /// Two inputs would become the same parameter.
    #[error("two inputs become the parameter {0}: rename one of them")]
    SameParameter(String),
    /// A parameter that the template does not have.
    #[error("the template has no parameter {0}")]
    UnknownParameter(String),
    /// A secret must not stand in a URL: it would be in histories, proxies and logs.
    #[error("{0} is a secret and must not stand in a link: the customer types it in")]
    SecretInLink(String),
    /// CloudFormation takes no more by a direct call.
    #[error("the template has {len} bytes; CloudFormation takes at most {max}: give fewer inputs")]
    TooLarge {
        /// Its size.
        len: usize,
        /// The limit.
        max: usize,
    },
}

impl Error {
    /// The stable code, explained in docs/errors/installer.md.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Form { code, .. } => code,
            Error::SameParameter(_) => "installer.same_parameter",
            Error::UnknownParameter(_) => "installer.unknown_parameter",
            Error::SecretInLink(_) => "installer.secret_in_link",
            Error::TooLarge { .. } => "installer.too_large",
        }
    }
}
