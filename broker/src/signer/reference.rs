//! Where a key is in AWS KMS, as people write it: `awskms:///KEY`, KEY being an ARN, an id or an alias.
//!
//! The form is that of cosign and of the Go cloud kit, without an endpoint: where a signature comes from is
//! for the environment to say, not for a text that is passed around.

use std::fmt;
use std::str::FromStr;

const SCHEME: &str = "awskms://";
/// The longest reference, in bytes.
const LEN_MAX: usize = 512;

/// Where a key is in AWS KMS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    key: String,
    region: Option<String>,
}

/// What is wrong with the text of a reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

impl Reference {
    /// Whether this text is meant to be one.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    /// As KMS is asked for it: an ARN, an id, or `alias/NAME`.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Its region, if it says so itself.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// The same key by the name that KMS answers with, so that an alias that moves on is not followed.
    pub(super) fn resolved(&self, key_id: Option<&str>, region: &str) -> Self {
        let name = key_id.filter(|id| is_id(id)).or(key_id.filter(|id| arn_region(id).is_some()));
        let key = name.unwrap_or(&self.key).to_owned();
        let region = arn_region(&key).unwrap_or(region).to_owned();
        Self { key, region: Some(region) }
    }
}

impl FromStr for Reference {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let wrong =
            |why: &str| Err(Malformed(format!("`{}` is no key of AWS KMS: {why}", text.escape_debug())));
        let Some(rest) = text.strip_prefix(SCHEME) else {
            return wrong("it does not begin with awskms://");
        };
        if text.len() > LEN_MAX {
            return wrong("it is too long");
        }
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        let key = path.strip_prefix('/').unwrap_or(path);
        let arn_region = arn_region(key);
        if !(is_id(key) || is_alias(key) || arn_region.is_some()) {
            return match key.split_once('/') {
                Some((host, _)) if host.contains([':', '.']) && !key.starts_with("arn:") => {
                    wrong("an endpoint does not belong there: set AWS_ENDPOINT_URL_KMS")
                }
                _ => {
                    wrong("it names an ARN, the id of a key or `alias/NAME`, such as awskms:///alias/release")
                }
            };
        }
        let region = match query.map(|query| query.strip_prefix("region=").filter(|r| is_region(r))) {
            None => None,
            Some(None) => return wrong("after `?` only `region=NAME` is known"),
            Some(region) => region,
        };
        if arn_region.is_some() && region.is_some() && arn_region != region {
            return wrong("the ARN says another region than `?region=`");
        }
        Ok(Self { key: key.to_owned(), region: arn_region.or(region).map(str::to_owned) })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}/{}", self.key)?;
        match &self.region {
            Some(region) if arn_region(&self.key).is_none() => write!(f, "?region={region}"),
            _ => Ok(()),
        }
    }
}

fn is_region(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_alias(text: &str) -> bool {
    let is_char = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-');
    text.strip_prefix("alias/").is_some_and(|name| !name.is_empty() && name.bytes().all(is_char))
}

/// `1234abcd-12ab-34cd-56ef-1234567890ab`, or `mrk-` and 32 digits.
fn is_id(text: &str) -> bool {
    let is_hex = |part: &str| part.bytes().all(|b| b.is_ascii_hexdigit());
    match text.strip_prefix("mrk-") {
        Some(digits) => digits.len() == 32 && is_hex(digits),
        None => {
            let lengths: Vec<usize> = text.split('-').map(str::len).collect();
            lengths == [8, 4, 4, 4, 12] && text.split('-').all(is_hex)
        }
    }
}

/// The region of `arn:PARTITION:kms:REGION:ACCOUNT:key/ID` or `…:alias/NAME`.
fn arn_region(text: &str) -> Option<&str> {
    let mut parts = text.splitn(6, ':');
    let (arn, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    let is_sound = arn == "arn"
        && partition.starts_with("aws")
        && is_region(partition)
        && service == "kms"
        && is_region(region)
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && (is_alias(resource) || resource.strip_prefix("key/").is_some_and(is_id));
    is_sound.then_some(region)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
    const ARN: &str = "arn:aws:kms:us-east-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    #[test]
    fn the_usual_ways_to_write_a_key_are_understood() {
        let mrk = format!("mrk-{}", "1".repeat(32));
        for (text, key, region, shown) in [
            (format!("awskms:///{ARN}"), ARN, Some("us-east-2"), None),
            (
                format!("awskms:///{ARN}?region=us-east-2"),
                ARN,
                Some("us-east-2"),
                Some(format!("awskms:///{ARN}")),
            ),
            (format!("awskms:///{ID}"), ID, None, None),
            (format!("awskms:///{mrk}?region=eu-west-1"), mrk.as_str(), Some("eu-west-1"), None),
            ("awskms:///alias/remit/release".to_owned(), "alias/remit/release", None, None),
            (
                "awskms://alias/release?region=eu-central-1".to_owned(),
                "alias/release",
                Some("eu-central-1"),
                Some("awskms:///alias/release?region=eu-central-1".to_owned()),
            ),
            (
                "awskms:///arn:aws-cn:kms:cn-north-1:111122223333:alias/a".to_owned(),
                "arn:aws-cn:kms:cn-north-1:111122223333:alias/a",
                Some("cn-north-1"),
                None,
            ),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!((reference.key(), reference.region()), (key, region), "{text}");
            let shown = shown.unwrap_or(text);
            assert_eq!(reference.to_string(), shown);
            assert_eq!(shown.parse::<Reference>().unwrap(), reference);
        }
    }

    #[test]
    fn what_is_no_reference_is_named() {
        for (text, word) in [
            ("gcpkms://projects/x", "begin with"),
            ("awskms://", "ARN"),
            ("awskms:///", "ARN"),
            ("awskms:///alias/", "ARN"),
            ("awskms:///alias/a b", "ARN"),
            ("awskms:///release", "ARN"),
            ("awskms://localhost:4566/alias/release", "AWS_ENDPOINT_URL_KMS"),
            ("awskms:///alias/a?endpoint=x", "region=NAME"),
            ("awskms:///alias/a?region=", "region=NAME"),
            ("awskms:///alias/a?region=EU", "region=NAME"),
            ("awskms:///arn:aws:s3:us-east-2:111122223333:key/x", "ARN"),
            ("awskms:///arn:aws:kms:us-east-2:1111:alias/x", "ARN"),
            ("awskms:///arn:aws:kms:us-east-2:111122223333:alias/x?region=eu-west-1", "another region"),
            (&format!("awskms:///alias/{}", "a".repeat(600)), "too long"),
        ] {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn an_alias_becomes_the_key_that_it_means_now() {
        let alias: Reference = "awskms:///alias/a".parse().unwrap();
        assert_eq!(alias.resolved(Some(ARN), "us-east-2").to_string(), format!("awskms:///{ARN}"));
        assert_eq!(
            alias.resolved(Some(ID), "eu-west-1").to_string(),
            format!("awskms:///{ID}?region=eu-west-1")
        );
        assert_eq!(alias.resolved(None, "eu-west-1").to_string(), "awskms:///alias/a?region=eu-west-1");
    }
}
