//! What the broker can be told: flags over environment over a TOML file over defaults.
//!
//! Reading it is a pure function of strings; nothing is opened or listened on here.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use crate::signer::Reference;
use crate::{audit, webhooks};

/// The most names that the server certificate holds.
const PUBLIC_HOSTS_MAX: usize = 32;
/// So long a silence makes a runner lost, where nothing else was said.
const SILENT_AFTER: Duration = Duration::from_secs(60);
/// What may be said, in seconds: a runner at work speaks every ten seconds at the latest, a lost one matters
/// within the hour.
const SILENT_AFTER_S: std::ops::RangeInclusive<u64> = 15..=3_600;
/// The audit log is kept so long at least, and at most, in days.
const AUDIT_KEEP_DAYS: std::ops::RangeInclusive<u32> = 30..=3_660;
const API_LISTEN: &str = "127.0.0.1:7450";
const RPC_LISTEN: &str = "127.0.0.1:7451";
/// The embedded database's file in the data directory.
const DATABASE: &str = "broker.db";

/// What `remit-broker serve` takes. Each has a variable `REMIT_…` and a name in the TOML file too.
#[derive(Clone, Debug, Default, Args)]
pub struct Flags {
    /// Where everything is kept: database, artefacts, logs, keys.
    #[arg(long, env = "REMIT_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where state is kept: `sqlite:FILE` for one broker, `postgres://USER@HOST/DATABASE` for several that
    /// share it and a data directory [default: sqlite:broker.db in the data directory].
    #[arg(long, env = "REMIT_STORE", value_name = "URL")]
    pub store: Option<String>,
    /// A file with the database's password; it never belongs into the URL.
    #[arg(long, env = "REMIT_STORE_PASSWORD_FILE", value_name = "FILE")]
    pub store_password_file: Option<PathBuf>,
    /// Where people and programs of the vendor call [default: 127.0.0.1:7450].
    #[arg(long, env = "REMIT_API_LISTEN", value_name = "ADDRESS:PORT")]
    pub api_listen: Option<String>,
    /// Where runners call [default: 127.0.0.1:7451].
    #[arg(long, env = "REMIT_RPC_LISTEN", value_name = "ADDRESS:PORT")]
    pub rpc_listen: Option<String>,
    /// A name or address by which others reach the broker; the first is told to runners.
    #[arg(long, env = "REMIT_PUBLIC_HOST", value_name = "NAME", value_delimiter = ',')]
    pub public_host: Vec<String>,
    /// So many seconds of silence make a runner lost: its install says so and starts nothing, its work
    /// waits [default: 60].
    #[arg(long, env = "REMIT_RUNNER_SILENT_AFTER", value_name = "SECONDS")]
    pub runner_silent_after: Option<u64>,
    /// Let webhooks call private addresses, and the loopback without TLS: for development.
    #[arg(long, env = "REMIT_WEBHOOK_ALLOW_PRIVATE")]
    pub webhook_allow_private: bool,
    /// Certificate authorities that webhooks trust beside the system's, PEM.
    #[arg(long, env = "REMIT_WEBHOOK_CA_FILE", value_name = "FILE")]
    pub webhook_ca_file: Option<PathBuf>,
    /// So many days the audit log is kept; what goes is proved by a signed checkpoint that stays [default: 400].
    #[arg(long, env = "REMIT_AUDIT_KEEP_DAYS", value_name = "DAYS")]
    pub audit_keep_days: Option<u32>,
    /// Ask this address in place of AWS's STS who a runner is: for tests. Whoever answers there decides who
    /// may enrol.
    #[arg(long, env = "REMIT_STS_ENDPOINT", value_name = "URL")]
    pub sts_endpoint: Option<String>,
    /// Where the next dispatch key comes from: a key of AWS KMS, ECC_NIST_P256, such as
    /// awskms:///alias/remit-dispatch?region=eu-central-1. The first start takes it; later
    /// `remit keys dispatch rotate` does [default: a file in the data directory].
    #[arg(long, env = "REMIT_DISPATCH_KMS", value_name = "URI")]
    pub dispatch_kms: Option<String>,
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
    store: Option<String>,
    store_password_file: Option<PathBuf>,
    api_listen: Option<String>,
    rpc_listen: Option<String>,
    #[serde(default)]
    public_host: Vec<String>,
    #[serde(default)]
    webhook_allow_private: bool,
    webhook_ca_file: Option<PathBuf>,
    runner_silent_after: Option<u64>,
    audit_keep_days: Option<u32>,
    sts_endpoint: Option<String>,
    dispatch_kms: Option<String>,
    log: Option<String>,
}

/// What the broker was told, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Where state is kept.
    pub store: StoreChoice,
    /// Where the API listens.
    pub api_listen: SocketAddr,
    /// Where runners call.
    pub rpc_listen: SocketAddr,
    /// Names of the broker beside localhost.
    pub public_hosts: Vec<String>,
    /// So long a silence makes a runner lost.
    pub runner_silent_after: Duration,
    /// Where the next dispatch key comes from, if it is not to be a file.
    pub dispatch_kms: Option<Reference>,
    /// Whom webhooks may call.
    pub webhooks: webhooks::Options,
    /// How long the audit log is kept.
    pub audit: audit::Options,
    /// Who is asked in place of AWS's STS.
    pub sts_endpoint: Option<String>,
    /// What to log.
    pub log: String,
}

/// Where a broker keeps its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreChoice {
    /// In a file of its own.
    Sqlite(PathBuf),
    /// In a database that it shares with other brokers.
    Postgres {
        /// Where, without a password.
        url: String,
        /// Where the password is, if there is one.
        password_file: Option<PathBuf>,
    },
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
        let data_dir = data_dir.into();
        Self {
            store: StoreChoice::Sqlite(data_dir.join(DATABASE)),
            data_dir,
            api_listen: free,
            rpc_listen: free,
            public_hosts: vec![],
            webhooks: webhooks::Options { allow_private: true, ca_file: None },
            audit: audit::Options::default(),
            runner_silent_after: SILENT_AFTER,
            sts_endpoint: None,
            dispatch_kms: None,
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
        let dispatch_kms = flags.dispatch_kms.as_deref().or(file.dispatch_kms.as_deref());
        let dispatch_kms = dispatch_kms.map(str::parse::<Reference>).transpose();
        let store = flags.store.clone().or(file.store);
        let password_file = flags.store_password_file.clone().or(file.store_password_file);
        Ok(Self {
            store: store_choice(store.as_deref(), password_file, &data_dir)?,
            data_dir,
            api_listen: address("api-listen", &pick(&flags.api_listen, file.api_listen, API_LISTEN))?,
            rpc_listen: address("rpc-listen", &pick(&flags.rpc_listen, file.rpc_listen, RPC_LISTEN))?,
            public_hosts,
            webhooks: webhooks::Options {
                allow_private: flags.webhook_allow_private || file.webhook_allow_private,
                ca_file: flags.webhook_ca_file.clone().or(file.webhook_ca_file),
            },
            audit: audit_kept(flags.audit_keep_days.or(file.audit_keep_days))?,
            runner_silent_after: silence(flags.runner_silent_after.or(file.runner_silent_after))?,
            sts_endpoint: flags.sts_endpoint.clone().or(file.sts_endpoint).map(sts_endpoint).transpose()?,
            dispatch_kms: dispatch_kms.map_err(|e| Error(format!("dispatch-kms: {e}")))?,
            log: pick(&flags.log, file.log, "info"),
        })
    }
}

fn store_choice(
    url: Option<&str>,
    password_file: Option<PathBuf>,
    data_dir: &Path,
) -> Result<StoreChoice, Error> {
    let wrong = "the store must be `sqlite:FILE` or `postgres://USER@HOST/DATABASE`";
    match url {
        None => Ok(StoreChoice::Sqlite(data_dir.join(DATABASE))),
        Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
            Ok(StoreChoice::Postgres { url: url.to_owned(), password_file })
        }
        Some(url) => match url.strip_prefix("sqlite:").filter(|file| !file.is_empty()) {
            Some(file) => Ok(StoreChoice::Sqlite(PathBuf::from(file))),
            None => Err(Error::new(wrong)),
        },
    }
}

fn silence(seconds: Option<u64>) -> Result<Duration, Error> {
    let Some(seconds) = seconds else { return Ok(SILENT_AFTER) };
    if SILENT_AFTER_S.contains(&seconds) {
        return Ok(Duration::from_secs(seconds));
    }
    let (least, most) = (SILENT_AFTER_S.start(), SILENT_AFTER_S.end());
    Err(Error(format!("runner-silent-after is {seconds}; it must be from {least} to {most} seconds")))
}

fn audit_kept(days: Option<u32>) -> Result<audit::Options, Error> {
    let usual = audit::Options::default();
    let keep_days = days.unwrap_or(usual.keep_days);
    if AUDIT_KEEP_DAYS.contains(&keep_days) {
        return Ok(audit::Options { keep_days, ..usual });
    }
    let (least, most) = (AUDIT_KEEP_DAYS.start(), AUDIT_KEEP_DAYS.end());
    Err(Error(format!("audit-keep-days is {keep_days}; it must be from {least} to {most} days")))
}

fn sts_endpoint(url: String) -> Result<String, Error> {
    let is_good = |uri: http::Uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.authority().is_some_and(|a| !a.as_str().contains('@'))
            && uri.path_and_query().is_none_or(|path| path == "/")
    };
    if url.parse().is_ok_and(is_good) {
        return Ok(url);
    }
    Err(Error(format!("sts-endpoint is `{url}`; it must be like http://127.0.0.1:5000, and no more")))
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
    fn the_store_is_a_file_unless_a_database_is_named() {
        let store = |store: Option<&str>| {
            Config::merge(&Flags { store: store.map(str::to_owned), ..flags() }, None).unwrap().store
        };
        assert_eq!(store(None), StoreChoice::Sqlite("/data/broker.db".into()));
        assert_eq!(store(Some("sqlite:/else/where.db")), StoreChoice::Sqlite("/else/where.db".into()));
        let url = "postgres://remit@db/remit".to_owned();
        assert_eq!(store(Some(&url)), StoreChoice::Postgres { url, password_file: None });
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (file, word) in [
            ("api_listen = \"nowhere\"", "api-listen"),
            ("api_lisen = \"127.0.0.1:1\"", "api_lisen"),
            ("public_host = [\"a b\"]", "a b"),
            ("public_host = 7", "public_host"),
            ("store = \"mysql://x\"", "sqlite:FILE"),
            ("store = \"sqlite:\"", "postgres://"),
            ("runner_silent_after = 5", "from 15 to 3600"),
            ("sts_endpoint = \"ftp://x\"", "sts-endpoint"),
            ("sts_endpoint = \"http://x/path\"", "sts-endpoint"),
            ("sts_endpoint = \"http://user@x\"", "sts-endpoint"),
            ("dispatch_kms = \"alias/dispatch\"", "awskms://"),
        ] {
            let error = Config::merge(&flags(), Some(file)).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        assert!(Config::merge(&Flags::default(), None).unwrap_err().to_string().contains("--data-dir"));
    }
}
