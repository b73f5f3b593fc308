//! What the broker can be told: flags over environment over a TOML file over defaults.
//!
//! Reading it is a pure function of strings; nothing is opened or listened on here.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

/// The most names that the server certificate holds.
const PUBLIC_HOSTS_MAX: usize = 32;
const API_LISTEN: &str = "127.0.0.1:7450";
const RPC_LISTEN: &str = "127.0.0.1:7451";

/// What `remit-broker serve` takes. Each has a variable `REMIT_…` and a name in the TOML file too.
#[derive(Clone, Debug, Default, Args)]
pub struct Flags {
    /// Where everything is kept: database, artefacts, logs, keys.
    #[arg(long, env = "REMIT_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where people and programs of the vendor call [default: 127.0.0.1:7450].
    #[arg(long, env = "REMIT_API_LISTEN", value_name = "ADDRESS:PORT")]
    pub api_listen: Option<String>,
    /// Where runners call [default: 127.0.0.1:7451].
    #[arg(long, env = "REMIT_RPC_LISTEN", value_name = "ADDRESS:PORT")]
    pub rpc_listen: Option<String>,
    /// A name or address by which others reach the broker; the first is told to runners.
    #[arg(long, env = "REMIT_PUBLIC_HOST", value_name = "NAME", value_delimiter = ',')]
    pub public_host: Vec<String>,
    /// A TOML file with the same settings, names in snake_case.
    #[arg(long, env = "REMIT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to log, e.g. `info` or `remit_broker=debug` [default: info].
    #[arg(long, env = "REMIT_LOG", value_name = "FILTER")]
    pub log: Option<String>,
}

/// The TOML file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    api_listen: Option<String>,
    rpc_listen: Option<String>,
    #[serde(default)]
    public_host: Vec<String>,
    log: Option<String>,
}

/// What the broker was told, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Where the API listens.
    pub api_listen: SocketAddr,
    /// Where runners call.
    pub rpc_listen: SocketAddr,
    /// Names of the broker beside localhost.
    pub public_hosts: Vec<String>,
    /// What to log.
    pub log: String,
}

/// What was wrong with it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl Error {
    /// A mistake that was found elsewhere, e.g. a file that cannot be read.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// The stable code, with a section in `docs/errors/`.
    pub fn code(&self) -> &'static str {
        "broker.config_invalid"
    }
}

impl Config {
    /// A broker in this directory that listens on free ports of the loopback: for tests and `remit dev`.
    pub fn local(data_dir: impl Into<PathBuf>) -> Self {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            data_dir: data_dir.into(),
            api_listen: free,
            rpc_listen: free,
            public_hosts: vec![],
            log: "info".to_owned(),
        }
    }

    /// Flags (and what the environment gave in their place) over the text of a file over defaults.
    pub fn merge(flags: &Flags, file: Option<&str>) -> Result<Self, Error> {
        let file: File = match file {
            Some(text) => toml::from_str(text).map_err(|e| Error(format!("the file is wrong: {e}")))?,
            None => File::default(),
        };
        let pick = |flag: &Option<String>, file: Option<String>, default: &str| {
            flag.clone().or(file).unwrap_or_else(|| default.to_owned())
        };
        let data_dir = flags.data_dir.clone().or(file.data_dir).ok_or_else(|| {
            Error("no data directory: give --data-dir DIR, REMIT_DATA_DIR or data_dir in the file".to_owned())
        })?;
        let public_hosts =
            if flags.public_host.is_empty() { file.public_host } else { flags.public_host.clone() };
        check_hosts(&public_hosts)?;
        Ok(Self {
            data_dir,
            api_listen: address("api-listen", &pick(&flags.api_listen, file.api_listen, API_LISTEN))?,
            rpc_listen: address("rpc-listen", &pick(&flags.rpc_listen, file.rpc_listen, RPC_LISTEN))?,
            public_hosts,
            log: pick(&flags.log, file.log, "info"),
        })
    }
}

fn address(name: &str, text: &str) -> Result<SocketAddr, Error> {
    text.parse().map_err(|_| Error(format!("{name} is `{text}`; it must be like 127.0.0.1:7450")))
}

fn check_hosts(hosts: &[String]) -> Result<(), Error> {
    if hosts.len() > PUBLIC_HOSTS_MAX {
        return Err(Error(format!("{} public hosts are too many; at most {PUBLIC_HOSTS_MAX}", hosts.len())));
    }
    let is_host = |h: &&String| rustls_pki_types::ServerName::try_from(h.as_str()).is_ok();
    match hosts.iter().find(|h| !is_host(h)) {
        Some(bad) => Err(Error(format!("public-host `{bad}` is neither a host name nor an address"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags() -> Flags {
        Flags { data_dir: Some("/data".into()), ..Flags::default() }
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let file = "api_listen = \"127.0.0.1:1\"\nrpc_listen = \"127.0.0.1:2\"\ndata_dir = \"/other\"\n";
        let flags = Flags { api_listen: Some("127.0.0.1:3".to_owned()), ..flags() };
        let config = Config::merge(&flags, Some(file)).unwrap();
        assert_eq!(config.data_dir, PathBuf::from("/data"));
        assert_eq!((config.api_listen.port(), config.rpc_listen.port()), (3, 2));
        let config = Config::merge(&self::flags(), None).unwrap();
        assert_eq!((config.api_listen.port(), config.rpc_listen.port()), (7450, 7451));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (file, word) in [
            ("api_listen = \"nowhere\"", "api-listen"),
            ("api_lisen = \"127.0.0.1:1\"", "api_lisen"),
            ("public_host = [\"a b\"]", "a b"),
            ("public_host = 7", "public_host"),
        ] {
            let error = Config::merge(&flags(), Some(file)).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        assert!(Config::merge(&Flags::default(), None).unwrap_err().to_string().contains("--data-dir"));
    }
}
