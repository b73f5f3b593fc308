//! How the broker is reached: straight, or by CONNECT through an HTTP proxy. TLS goes end to end either way,
//! so that a proxy sees no more than the broker's address.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::str::FromStr;

use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use tokio::net::TcpStream;
use tower::Service as _;

use crate::error::chain;

/// Which proxy to go by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Proxy {
    /// What `HTTPS_PROXY` and `NO_PROXY` say; straight to a loopback address.
    #[default]
    Environment,
    /// This one.
    Fixed(Uri),
    /// None, whatever the environment says.
    Off,
}

impl FromStr for Proxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::Off);
        }
        let wrong = || format!("`{text}` is neither http://HOST:PORT nor `none`");
        if text.contains('@') {
            return Err(
                "a password is no flag: give the proxy's address with it in the variable HTTPS_PROXY"
                    .to_owned(),
            );
        }
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let is_whole = uri.scheme_str() == Some("http") && uri.host().is_some() && uri.path() == "/";
        if is_whole { Ok(Self::Fixed(uri)) } else { Err(wrong()) }
    }
}

impl Proxy {
    /// The way to this broker.
    pub fn way(&self, broker: &Uri) -> Way {
        match self {
            Proxy::Off => Way::Straight,
            Proxy::Fixed(proxy) => Way::Tunnel { proxy: proxy.clone(), auth: None },
            Proxy::Environment => from_environment(&Matcher::from_env(), broker),
        }
    }
}

fn from_environment(matcher: &Matcher, broker: &Uri) -> Way {
    let host = broker.host().unwrap_or_default().trim_matches(['[', ']']);
    if host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) {
        return Way::Straight;
    }
    match matcher.intercept(broker) {
        None => Way::Straight,
        Some(by) => Way::Tunnel { proxy: by.uri().clone(), auth: by.basic_auth().cloned() },
    }
}

/// The way to one broker.
#[derive(Clone, PartialEq, Eq)]
pub enum Way {
    /// No proxy.
    Straight,
    /// Through this one.
    Tunnel {
        /// Its address.
        proxy: Uri,
        /// What it wants to hear first.
        auth: Option<HeaderValue>,
    },
}

/// Never the password.
impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::Straight => f.write_str("straight"),
            Way::Tunnel { proxy, .. } => write!(f, "through {proxy}"),
        }
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Way {
    /// A connection to this host and port.
    pub(super) async fn connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let tcp = match self {
            Way::Straight => TcpStream::connect((host, port)).await?,
            Way::Tunnel { proxy, auth } => {
                let trouble = |words: String| io::Error::other(format!("the proxy {proxy}: {words}"));
                if proxy.scheme_str() != Some("http") {
                    return Err(trouble("only proxies that are spoken to by http:// are known".to_owned()));
                }
                let mut tunnel = Tunnel::new(proxy.clone(), HttpConnector::new());
                if let Some(auth) = auth {
                    tunnel = tunnel.with_auth(auth.clone());
                }
                tunnel.call(destination(host, port)?).await.map_err(|e| trouble(chain(&e)))?.into_inner()
            }
        };
        tcp.set_nodelay(true)?;
        Ok(tcp)
    }
}

fn destination(host: &str, port: u16) -> io::Result<Uri> {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    format!("https://{host}:{port}/").parse().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn a_proxy_is_an_address_without_a_password_or_none() {
        assert_eq!("none".parse(), Ok(Proxy::Off));
        assert_eq!("http://proxy:3128".parse(), Ok(Proxy::Fixed(uri("http://proxy:3128"))));
        for wrong in ["", "proxy", "https://proxy:3128", "http://proxy/path", "socks5://proxy:1080"] {
            assert!(wrong.parse::<Proxy>().is_err(), "{wrong}");
        }
        let secret = "http://me:swordfish@proxy:3128".parse::<Proxy>().unwrap_err();
        assert!(secret.contains("HTTPS_PROXY") && !secret.contains("swordfish"), "{secret}");
    }

    #[test]
    fn the_environment_decides_but_not_over_loopback() {
        let matcher = Matcher::builder().https("http://me:swordfish@proxy:3128").no("inside.example").build();
        let Way::Tunnel { proxy, auth } = from_environment(&matcher, &uri("https://broker.example:7451"))
        else {
            panic!("there is a proxy");
        };
        assert!(auth.is_some() && !proxy.to_string().contains("swordfish"), "{proxy}");
        for straight in ["https://inside.example:7451", "https://127.0.0.1:7451", "https://[::1]:7451"] {
            assert_eq!(from_environment(&matcher, &uri(straight)), Way::Straight, "{straight}");
        }
        assert_eq!(Proxy::Off.way(&uri("https://broker.example:7451")), Way::Straight);
    }
}
