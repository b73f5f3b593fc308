//! The facts that a template is made of. Each is checked when it is made, so that what reaches the
//! template can break out of no quoting in it: JSON, shell or TOML.

use remit_seal::Digest;

use crate::Error;

mod form;

use form::form;
pub use form::{AccountId, Certificate, ChannelName, HttpsUrl, InstallId, PolicyArn, Region, RoleName};

/// All that the template of one install says.
#[derive(Debug, Clone)]
pub struct InstallFacts {
    /// Which install.
    pub install: InstallId,
    /// The one place that it may be launched in, if it was declared.
    pub place: Option<Place>,
    /// Where runners reach the broker.
    pub broker: HttpsUrl,
    /// The authority of the broker's certificate; none for one that every machine knows.
    pub ca: Option<Certificate>,
    /// The pinned digest of the vendor's trust root.
    pub root_sha256: Digest,
    /// The channel of releases that the runner keeps to.
    pub channel: ChannelName,
    /// The runner program.
    pub runner: Download,
    /// What the program was built for.
    pub architecture: Architecture,
    /// What the product may do in the account: managed policies for the runner's role.
    pub policies: Vec<PolicyArn>,
    /// Inputs that the customer gives when launching. Secrets are none of them.
    pub inputs: Vec<CustomerInput>,
}

/// Where the install is declared to be.
#[derive(Debug, Clone)]
pub struct Place {
    /// The account.
    pub account: AccountId,
    /// The region.
    pub region: Region,
    /// The name of the runner's role. With it the runner proves who it is, and there is no one-time token.
    pub role: Option<RoleName>,
}

/// A program to fetch, and its digest.
#[derive(Debug, Clone)]
pub struct Download {
    /// From where.
    pub url: HttpsUrl,
    /// What it must be.
    pub digest: Digest,
}

/// The processor of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// 64-bit ARM.
    Arm64,
    /// 64-bit x86.
    X86_64,
}

impl Architecture {
    /// A small machine of this kind.
    pub(crate) fn instance_type(self) -> &'static str {
        match self {
            Architecture::Arm64 => "t4g.small",
            Architecture::X86_64 => "t3.small",
        }
    }

    /// The word in the name of Amazon's image.
    pub(crate) fn image_word(self) -> &'static str {
        match self {
            Architecture::Arm64 => "arm64",
            Architecture::X86_64 => "x86_64",
        }
    }
}

/// One input that the customer gives.
#[derive(Debug, Clone)]
pub struct CustomerInput {
    name: String,
    kind: InputKind,
    description: String,
    default: Option<String>,
}

/// The type of such an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    /// Text without quotes, backslashes, dollars or line breaks.
    Text,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
}

impl InputKind {
    /// What the parameter must match; the same is asked of a default here.
    pub(crate) fn pattern(self) -> &'static str {
        match self {
            InputKind::Text => "^[A-Za-z0-9 ._:/@,+=*()-]{1,512}$",
            InputKind::Integer => "^-?[0-9]{1,15}$",
            InputKind::Boolean => "^(true|false)$",
        }
    }

    fn takes(self, text: &str) -> bool {
        match self {
            InputKind::Text => {
                let allowed = |c: char| c.is_ascii_alphanumeric() || " ._:/@,+=*()-".contains(c);
                (1..=512).contains(&text.len()) && text.chars().all(allowed)
            }
            InputKind::Integer => {
                let digits = text.strip_prefix('-').unwrap_or(text);
                (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
            }
            InputKind::Boolean => ["true", "false"].contains(&text),
        }
    }
}

impl CustomerInput {
    /// An input of this name (`a-z`, digits and `_`) and type, explained to the customer.
    ///
    /// # Errors
    /// A name that is none, or a default that is not of the type.
    pub fn new(name: &str, kind: InputKind, description: &str, default: Option<&str>) -> Result<Self, Error> {
        let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let begins = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        if !begins || name.len() > 40 || !name.bytes().all(word) {
            return Err(form("installer.bad_input", name, "the name of an input"));
        }
        if let Some(bad) = default.filter(|text| !kind.takes(text)) {
            return Err(form("installer.bad_input", bad, "a default of the input's type"));
        }
        let description = description.chars().filter(|c| !c.is_control()).take(400).collect();
        Ok(Self { name: name.to_owned(), kind, description, default: default.map(str::to_owned) })
    }

    /// The input's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of its parameter: `site_dir` becomes `InputSiteDir`.
    pub fn parameter(&self) -> String {
        let words = self.name.split('_').map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_ascii_uppercase() + rest
        });
        std::iter::once("Input".to_owned()).chain(words).collect()
    }

    pub(crate) fn kind(&self) -> InputKind {
        self.kind
    }

    pub(crate) fn description(&self) -> &str {
        &self.description
    }

    pub(crate) fn default(&self) -> Option<&str> {
        self.default.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_becomes_a_parameter() {
        let input = CustomerInput::new("site_dir", InputKind::Text, "Where.", Some("/srv/site")).unwrap();
        assert_eq!(input.parameter(), "InputSiteDir");
        for (name, kind, default) in [
            ("Site", InputKind::Text, None),
            ("", InputKind::Text, None),
            ("a", InputKind::Text, Some("a\"b")),
            ("a", InputKind::Text, Some("a${b}")),
            ("a", InputKind::Integer, Some("1.5")),
            ("a", InputKind::Boolean, Some("yes")),
        ] {
            let error = CustomerInput::new(name, kind, "", default).unwrap_err();
            assert_eq!(error.code(), "installer.bad_input");
        }
    }
}
