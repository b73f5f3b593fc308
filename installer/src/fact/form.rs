//! Texts of AWS and of ours, checked when they are made.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// The longest URL.
const URL_LEN_MAX: usize = 1024;
/// The greatest certificate authority, in bytes: user data ends at 16 KiB in all.
const CERTIFICATE_LEN_MAX: usize = 6 * 1024;

/// The id of an install, `ins_demo.shop.acme`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallId(String);

impl InstallId {
    /// The three names, joined by dots.
    pub(crate) fn path(&self) -> &str {
        &self.0["ins_".len()..]
    }

    /// The name of its stack, its parameter and its role: the names, joined by dashes.
    pub fn stack_name(&self) -> String {
        format!("remit-{}", self.path().replace('.', "-"))
    }
}

impl FromStr for InstallId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let name = |name: &str| {
            let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            name.len() <= 40
                && name.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
                && name.bytes().all(word)
        };
        let names = text.strip_prefix("ins_").map(|path| path.split('.').collect::<Vec<_>>());
        if !names.is_some_and(|names| names.len() == 3 && names.into_iter().all(name)) {
            return Err(form("installer.bad_install", text, "the id of an install, like ins_demo.shop.acme"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The name of a channel of releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelName(String);

impl FromStr for ChannelName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if !remit_seal::verify::is_name(text) {
            return Err(form("installer.bad_channel", text, "the name of a channel, like stable"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// An AWS account: 12 digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountId(String);

impl FromStr for AccountId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.len() != 12 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(form("installer.bad_account", text, "an AWS account: 12 digits"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The name of a role, without path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleName(String);

impl FromStr for RoleName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b);
        if !(1..=64).contains(&text.len()) || !text.bytes().all(allowed) {
            return Err(form("installer.bad_role", text, "the name of a role, without path or ARN"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// An AWS region, `eu-central-1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region(String);

impl Region {
    /// Where the console of the region's partition lives.
    pub(crate) fn console(&self) -> String {
        let domain = match self.0.split_once('-').map(|(first, _)| first) {
            Some("cn") => "console.amazonaws.cn",
            _ if self.0.starts_with("us-gov-") => "console.amazonaws-us-gov.com",
            _ => "console.aws.amazon.com",
        };
        format!("{}.{domain}", self.0)
    }
}

impl FromStr for Region {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parts: Vec<&str> = text.split('-').collect();
        let word = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
        let good = match parts.as_slice() {
            [first, middle @ .., last] => {
                first.len() == 2
                    && word(first)
                    && !middle.is_empty()
                    && middle.iter().all(word)
                    && last.len() == 1
                    && last.bytes().all(|b| b.is_ascii_digit() && b != b'0')
            }
            _ => false,
        };
        if !good || text.len() > 32 {
            return Err(form("installer.bad_region", text, "an AWS region, like eu-central-1"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The ARN of a managed policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyArn(String);

impl FromStr for PolicyArn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || form("installer.bad_arn", text, "the ARN of a managed policy, arn:aws:iam::…:policy/…");
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", account, resource] = parts.as_slice() else { return Err(bad()) };
        let name = resource.strip_prefix("policy/").ok_or_else(bad)?;
        let word = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_/-".contains(&b);
        let good = ["aws", "aws-cn", "aws-us-gov"].contains(partition)
            && (*account == "aws" || account.parse::<AccountId>().is_ok())
            && (1..=512).contains(&name.len())
            && name.bytes().all(word);
        if good { Ok(Self(text.to_owned())) } else { Err(bad()) }
    }
}

/// An https URL without user, query or fragment: none of the places where secrets hide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpsUrl {
    text: String,
    host_len: usize,
    port: u16,
}

impl HttpsUrl {
    const SCHEME: &str = "https://";

    /// The host, without the port.
    pub(crate) fn host(&self) -> &str {
        &self.text[Self::SCHEME.len()..Self::SCHEME.len() + self.host_len]
    }

    /// The port, 443 where none was given.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for HttpsUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || form("installer.bad_url", text, "an https URL without user, query or fragment");
        let rest = text.strip_prefix(Self::SCHEME).filter(|_| text.len() <= URL_LEN_MAX).ok_or_else(bad)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0).ok_or_else(bad)?),
            None => (authority, 443),
        };
        let in_host = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
        let in_path = |b: u8| b.is_ascii_alphanumeric() || b"/._-+~".contains(&b);
        if host.is_empty() || !host.bytes().all(in_host) || !path.bytes().all(in_path) {
            return Err(bad());
        }
        Ok(Self { text: text.to_owned(), host_len: host.len(), port })
    }
}

/// A certificate authority, PEM: one or more certificates and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate(String);

impl FromStr for Certificate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
        const END: &str = "-----END CERTIFICATE-----";
        let base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
        let mut inside = false;
        let mut whole = 0;
        for line in text.lines().map(str::trim_end) {
            match (line, inside) {
                (BEGIN, false) => inside = true,
                (END, true) => (inside, whole) = (false, whole + 1),
                ("", false) => {}
                (body, true) if body.bytes().all(base64) => {}
                _ => whole = usize::MAX / 2,
            }
        }
        if inside || !(1..=8).contains(&whole) || text.len() > CERTIFICATE_LEN_MAX {
            let first = text.lines().next().unwrap_or_default().chars().take(40).collect::<String>();
            return Err(form(
                "installer.bad_certificate",
                &first,
                "PEM of up to 8 certificates and nothing else",
            ));
        }
        Ok(Self(text.trim_end().to_owned()))
    }
}

pub(super) fn form(code: &'static str, given: &str, wanted: &'static str) -> Error {
    Error::Form { code, given: given.chars().take(80).collect(), wanted }
}

macro_rules! shown_as_text {
    ($($name:ty: $field:tt),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.$field)
            }
        }
    )*};
}
shown_as_text!(InstallId: 0, ChannelName: 0, AccountId: 0, RoleName: 0, Region: 0, PolicyArn: 0, HttpsUrl: text, Certificate: 0);

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: FromStr<Err = Error> + fmt::Display>(code: &str, good: &[&str], bad: &[&str]) {
        for text in good {
            assert_eq!(text.parse::<T>().unwrap().to_string(), *text);
        }
        for text in bad {
            match text.parse::<T>() {
                Ok(_) => panic!("`{text}` was taken"),
                Err(error) => assert_eq!(error.code(), code, "{text}"),
            }
        }
    }

    #[test]
    fn facts_have_their_forms() {
        check::<InstallId>(
            "installer.bad_install",
            &["ins_demo.shop.acme", "ins_a.b.c-1"],
            &[
                "",
                "ins_",
                "demo.shop.acme",
                "ins_a.b",
                "ins_a.b.c.d",
                "ins_A.b.c",
                "ins_a.b.c d",
                "ins_a.b.-c",
            ],
        );
        check::<ChannelName>("installer.bad_channel", &["stable", "a-1"], &["", "A", "a\"b", "${a}", "a b"]);
        check::<AccountId>("installer.bad_account", &["111122223333"], &["", "11112222333", "11112222333x"]);
        check::<RoleName>(
            "installer.bad_role",
            &["remit-acme", "a+=,.@_-9"],
            &["", "path/role", "arn:aws:iam::111122223333:role/x", "a\"b", "a${b}"],
        );
        check::<Region>(
            "installer.bad_region",
            &["eu-central-1", "us-gov-west-1", "cn-north-1"],
            &[
                "",
                "eu",
                "eu-1",
                "eu-central",
                "eu-central-0",
                "EU-central-1",
                "eu-central-1#",
                "eu--1",
                "eu-central-11",
            ],
        );
        check::<PolicyArn>(
            "installer.bad_arn",
            &["arn:aws:iam::aws:policy/ReadOnlyAccess", "arn:aws-cn:iam::111122223333:policy/a/b"],
            &[
                "",
                "arn:aws:iam::aws:role/x",
                "arn:aws:iam:eu:aws:policy/x",
                "arn:x:iam::aws:policy/x",
                "arn:aws:iam::aws:policy/\"",
                "arn:aws:iam::12:policy/x",
            ],
        );
        check::<HttpsUrl>(
            "installer.bad_url",
            &["https://broker.example", "https://broker.example:7451", "https://10.0.0.1/a/b-1.0"],
            &[
                "",
                "http://broker.example",
                "https://",
                "https://u@broker.example",
                "https://b.example/?a=b",
                "https://b.example/#x",
                "https://b.example:0",
                "https://b.example/$(id)",
                "https://b example",
            ],
        );
    }

    #[test]
    fn only_certificates_are_certificates() {
        let one = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----";
        check::<Certificate>(
            "installer.bad_certificate",
            &[one, &format!("{one}\n{one}")],
            &[
                "",
                "MIIB",
                "-----BEGIN CERTIFICATE-----\nMIIB",
                &format!("{one}\nREMIT_END\nrm -rf /"),
                &one.replace("MIIB", "$(id)"),
                &one.replace("CERTIFICATE", "PRIVATE KEY"),
                &one.repeat(9).replace("----------", "-----\n-----"),
                &one.replace("MIIB", &"A".repeat(7000)),
            ],
        );
    }

    #[test]
    fn each_partition_has_its_console() {
        for (region, host) in [
            ("eu-central-1", "eu-central-1.console.aws.amazon.com"),
            ("cn-north-1", "cn-north-1.console.amazonaws.cn"),
            ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
        ] {
            assert_eq!(region.parse::<Region>().unwrap().console(), host);
        }
    }
}
