//! Whom a webhook may call: an https address of the internet, and nobody in the broker's own network.
//!
//! Names are looked up by the client that connects, and what they lead to is checked there: a name that
//! leads elsewhere the second time gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Why an address is not called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("`{0}` is no address of a webhook")]
    Form(String),
    #[error("a webhook needs https: what it tells is nobody else's")]
    Plain,
    #[error("the address holds a user or password; the signature says who is calling")]
    Credentials,
    #[error("{0} is in a private network, and this broker calls nobody there")]
    Private(String),
}

/// An address that may be called, as far as one can see without looking names up.
pub(crate) fn check(url: &str, allow_private: bool) -> Result<Url, Refused> {
    let form = || Refused::Form(url.chars().take(100).collect());
    let parsed = Url::parse(url).map_err(|_| form())?;
    let host = parsed.host_str().ok_or_else(form)?.trim_matches(['[', ']']).to_owned();
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(Refused::Credentials);
    }
    let address: Option<IpAddr> = host.parse().ok();
    let is_here = address.is_some_and(|ip| ip.is_loopback()) || host == "localhost";
    match parsed.scheme() {
        "https" => {}
        "http" if allow_private && is_here => {}
        "http" => return Err(Refused::Plain),
        _ => return Err(form()),
    }
    let is_private = address.is_some_and(is_private) || host == "localhost" || host.ends_with(".localhost");
    if is_private && !allow_private {
        return Err(Refused::Private(host));
    }
    Ok(parsed)
}

/// Looks names up, and knows only public addresses.
pub(super) struct Public {
    pub(super) allow_private: bool,
}

impl Resolve for Public {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> =
                found.into_iter().filter(|a| allow_private || !is_private(a.ip())).collect();
            if allowed.is_empty() {
                return Err(Box::new(Refused::Private(host)) as Box<dyn std::error::Error + Send + Sync>);
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

pub(super) fn resolver(allow_private: bool) -> Arc<Public> {
    Arc::new(Public { allow_private })
}

/// Whether an address is not one of the public internet (RFC 6890 and its successors).
pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_private_v4(ip),
        IpAddr::V6(ip) => is_private_v6(ip),
    }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19))
}

fn is_private_v6(ip: Ipv6Addr) -> bool {
    let s = ip.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    // An IPv4 address in the clothes of IPv6 is judged by itself.
    let inner = match s {
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] => Some(v4(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    };
    inner.is_some_and(is_private_v4)
        || ip.is_loopback()
        || ip.is_unspecified()
        || ip.is_multicast()
        || s[0] & 0xfe00 == 0xfc00
        || s[0] & 0xffc0 == 0xfe80
        || s[0] & 0xffc0 == 0xfec0
        || (s[0] == 0x64 && s[1] == 0xff9b && s[2] == 1)
        || (s[0] == 0x2001 && (s[1] == 0xdb8 || s[1] == 0))
        || s[0] == 0x100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_known_in_all_their_clothes() {
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::10.0.0.1",
            "2002:7f00:1::",
            "::10.0.0.1",
            "ff02::1",
            "2001:db8::1",
            "fec0::1",
        ] {
            assert!(is_private(text.parse().unwrap()), "{text}");
        }
        for text in ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::1.1.1.1"]
        {
            assert!(!is_private(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn only_https_of_the_internet_is_called() {
        for good in
            ["https://example.com/hook", "https://example.com:8443/a?b=c", "https://[2606:4700::1111]/"]
        {
            check(good, false).unwrap();
        }
        for (bad, why) in [
            ("http://example.com/", Refused::Plain),
            ("https://user:pw@example.com/", Refused::Credentials),
            ("https://127.0.0.1/", Refused::Private("127.0.0.1".into())),
            ("https://2130706433/", Refused::Private("127.0.0.1".into())),
            ("https://[::ffff:10.0.0.1]/", Refused::Private("::ffff:a00:1".into())),
            ("https://localhost/", Refused::Private("localhost".into())),
            ("ftp://example.com/", Refused::Form("ftp://example.com/".into())),
            ("nonsense", Refused::Form("nonsense".into())),
        ] {
            assert_eq!(check(bad, false).unwrap_err(), why, "{bad}");
        }
        check("http://127.0.0.1:9/", true).unwrap();
        assert_eq!(check("http://10.0.0.1/", true).unwrap_err(), Refused::Plain);
    }

    #[tokio::test]
    async fn a_name_that_leads_to_a_private_address_leads_nowhere() {
        let look = async |allow_private| {
            let name = "localhost".parse().unwrap();
            resolver(allow_private).resolve(name).await.map(|addresses| addresses.count())
        };
        let refused = look(false).await.unwrap_err().to_string();
        assert!(refused.contains("private network"), "{refused}");
        assert!(look(true).await.unwrap() > 0);
    }
}
