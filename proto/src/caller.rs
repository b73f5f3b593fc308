//! The one request by which AWS says who somebody is: `sts:GetCallerIdentity`. The runner signs it, the broker
//! makes it up again from a few words and sends it, so both must have every byte of it alike.

use remit_seal::Digest;
use remit_seal::verify::is_region;

/// Its method.
pub const METHOD: &str = "POST";
/// Its path.
pub const PATH: &str = "/";
/// Its body.
pub const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
/// The service, in the scope of its signature.
pub const SERVICE: &str = "sts";
/// The header that binds it to one enrolment: a sha256, hexadecimal.
pub const BINDING_HEADER: &str = "x-remit-binding";
/// How far the time of a signature may be from the broker's clock, in seconds.
pub const SKEW_MAX_S: i64 = 5 * 60;

/// What the digest of a binding begins with: no other digest of this house does.
const DOMAIN: &[u8] = b"remit sts:GetCallerIdentity v1\0";

/// What a proof is bound to, so that it is good once and soon.
pub type Nonce = [u8; 32];

/// What stands at the beginning of a region's name, and the domain of such regions.
const DOMAINS: [(&str, &str); 13] = [
    ("af-", "amazonaws.com"),
    ("ap-", "amazonaws.com"),
    ("ca-", "amazonaws.com"),
    ("cn-", "amazonaws.com.cn"),
    ("eu-", "amazonaws.com"),
    ("eusc-", "amazonaws.eu"),
    ("il-", "amazonaws.com"),
    ("me-", "amazonaws.com"),
    ("mx-", "amazonaws.com"),
    ("sa-", "amazonaws.com"),
    ("us-east-", "amazonaws.com"),
    ("us-west-", "amazonaws.com"),
    ("us-gov-", "amazonaws.com"),
];

/// A region of AWS whose STS can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    name: String,
    domain: &'static str,
}

impl Region {
    /// The region of this name; none for what is no region, or one that the public internet does not reach.
    pub fn new(name: &str) -> Option<Self> {
        let (_, domain) = DOMAINS.iter().find(|(begin, _)| is_region(name) && name.starts_with(begin))?;
        Some(Self { name: name.to_owned(), domain })
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The host of its STS.
    pub fn host(&self) -> String {
        format!("sts.{}.{}", self.name, self.domain)
    }
}

/// What a proof is for: nothing else can be made of it.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// The digest of the vendor's root that the runner has pinned: whose broker it believes to speak with.
    pub root: &'a Digest,
    /// The broker's nonce.
    pub nonce: &'a Nonce,
    /// The install's id.
    pub install: &'a str,
    /// The digest of the public key that is to be certified, as a SubjectPublicKeyInfo.
    pub spki: &'a Digest,
}

impl Binding<'_> {
    /// The header's value.
    pub fn header(&self) -> String {
        let length = u32::try_from(self.install.len()).unwrap_or(u32::MAX).to_be_bytes();
        let parts: [&[u8]; 6] = [
            DOMAIN,
            self.root.as_bytes(),
            self.nonce,
            self.spki.as_bytes(),
            &length,
            self.install.as_bytes(),
        ];
        Digest::of(&parts.concat()).hex()
    }
}

/// The headers that are signed beside the date and the session's token, by name.
pub fn headers(region: &Region, binding: &Binding<'_>) -> [(&'static str, String); 4] {
    [
        ("accept", "application/json".to_owned()),
        ("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_owned()),
        ("host", region.host()),
        (BINDING_HEADER, binding.header()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_region_has_its_host_and_nothing_else_has_one() {
        for (name, host) in [
            ("eu-central-1", "sts.eu-central-1.amazonaws.com"),
            ("us-gov-west-1", "sts.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
        ] {
            assert_eq!(Region::new(name).unwrap().host(), host);
        }
        for name in
            ["", "us-iso-east-1", "evil-example-1", "eu-central-1.evil.example", "eu-central-1/", "EU-WEST-1"]
        {
            assert_eq!(Region::new(name), None, "{name}");
        }
    }

    #[test]
    fn a_binding_is_of_all_its_parts() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let (nonce, other) = ([1; 32], [2; 32]);
        let all = [
            Binding { root: &a, nonce: &nonce, install: "ins_a.b.c", spki: &b },
            Binding { root: &b, nonce: &nonce, install: "ins_a.b.c", spki: &b },
            Binding { root: &a, nonce: &other, install: "ins_a.b.c", spki: &b },
            Binding { root: &a, nonce: &nonce, install: "ins_a.b.d", spki: &b },
            Binding { root: &a, nonce: &nonce, install: "ins_a.b.c", spki: &a },
        ];
        let headers: std::collections::BTreeSet<String> = all.iter().map(Binding::header).collect();
        assert_eq!(headers.len(), all.len());
    }
}
