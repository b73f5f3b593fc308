//! Settings: flag over environment over file, checked before anything starts.
//!
//! `resolve` is a pure function of texts; only `load` reads files.

mod aws;
pub mod cli;
mod install;
mod kept;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::tz::TimeZone;
use remit_seal::Digest;
use remit_seal::document::{KeySpec, Value};
use serde::Deserialize;

use crate::account::kubernetes::Cluster;
use crate::account::lock;
use crate::account::object_store;
use crate::account::secret::{Reference, Secrets};
use crate::config::cli::{JobArgs, RunArgs};
use crate::error::Coded;
use crate::process::confine::{Limits, Settings, Strictness};
use crate::proxy::{Proxy, Way};
use crate::storage::data_dir::read_bounded;

pub use aws::Aws;
pub use install::Install;

/// The greatest configuration or inputs file, in bytes.
pub const FILE_LEN_MAX: u64 = 1 << 20;
/// The most jobs at once.
const CAPACITY_MAX: usize = remit_proto::limit::CAPACITY_MAX as usize;
const CAPACITY_DEFAULT: usize = 4;
const STATUS_PORT: u16 = 7460;

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that says something wrong.
    #[error("{path} is not valid: {detail}")]
    File {
        /// Which.
        path: PathBuf,
        /// What.
        detail: String,
    },
    /// A setting that is needed and not there.
    #[error("--{0} is missing")]
    Missing(&'static str),
    /// A setting with a wrong value.
    #[error("--{name} is not valid: {detail}")]
    Invalid {
        /// Which.
        name: &'static str,
        /// What.
        detail: String,
    },
    /// The status API would be open to other machines.
    #[error("--status-listen {0} can be reached from other machines")]
    StatusNotLoopback(SocketAddr),
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::Read { .. } => "runner.config_unreadable",
            Error::File { .. } | Error::Invalid { .. } => "runner.config_invalid",
            Error::Missing(_) => "runner.config_missing",
            Error::StatusNotLoopback(_) => "runner.status_not_loopback",
        }
    }

    fn hint(&self) -> String {
        match self {
            Error::Missing(name) => {
                let variable = name.to_uppercase().replace('-', "_");
                format!("give --{name}, or REMIT_RUNNER_{variable}, or `{}` in the --config file", name.replace('-', "_"))
            }
            Error::StatusNotLoopback(_) => "listen on 127.0.0.1, or say --status-allow-remote if that is what you want: its token then crosses the network unencrypted".to_owned(),
            _ => "see `remit-runner run --help`".to_owned(),
        }
    }
}

/// Everything the runner is told, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The broker's URL, https.
    pub broker: http::Uri,
    /// The proxy to reach it by.
    pub proxy: Proxy,
    /// The install.
    pub install: Install,
    /// The pinned digest of the vendor's root.
    pub root_sha256: Option<Digest>,
    /// The channel to pin where none is pinned yet.
    pub channel: Option<String>,
    /// The broker's certificate authority, PEM.
    pub ca_pem: Vec<u8>,
    /// Where the enrolment token is.
    pub token: Option<TokenSource>,
    /// Whether to delete the token file once enrolled.
    pub consume_token: bool,
    /// Where in AWS it is.
    pub aws: Option<Aws>,
    /// The data directory.
    pub data_dir: PathBuf,
    /// Inputs given as flags: texts, typed by the release.
    pub inputs: BTreeMap<String, String>,
    /// Inputs given in a file: typed values.
    pub inputs_file: BTreeMap<String, Value>,
    /// Sensitive inputs that are fetched when they are needed, by name.
    pub secrets: BTreeMap<String, Reference>,
    /// How the Kubernetes API is reached, where `KUBECONFIG` and the pod's service account do not say.
    pub kubeconfig: Option<PathBuf>,
    /// Where the status API listens.
    pub status_listen: SocketAddr,
    /// Jobs at once.
    pub capacity: usize,
    /// Rehearse everything.
    pub sandbox: bool,
    /// The terraform program, where it is not the one on the PATH.
    pub terraform: Option<PathBuf>,
    /// How jobs are confined.
    pub jobs: Settings,
    /// More environment variables that tools may see.
    pub pass_env: Vec<String>,
    /// Where components' locks are.
    pub lock: lock::backend::At,
    /// Where terraform's states are.
    pub state: object_store::At,
    /// The customer's policy, where it is not the default.
    pub policy: Option<PathBuf>,
    /// The zone of the policy's clock.
    pub timezone: TimeZone,
    /// Whose approvals count.
    pub customer_keys: Vec<KeySpec>,
}

impl Config {
    /// The way to the broker.
    pub fn way(&self) -> Way {
        self.proxy.way(&self.broker)
    }

    /// Where secrets by reference are fetched.
    pub fn secrets(&self) -> Secrets {
        Secrets::of(self.cluster())
    }

    /// The customer's Kubernetes cluster.
    pub fn cluster(&self) -> Cluster {
        Cluster::new(self.kubeconfig.clone())
    }
}

/// Where the one-time token is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// A file.
    File(PathBuf),
    /// A secrets store.
    Secret(Reference),
    /// Standard input.
    Stdin,
    /// The variable `REMIT_RUNNER_TOKEN`.
    Environment,
}

/// The file: the flags' names with `_`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    broker: Option<String>,
    proxy: Option<String>,
    install: Option<String>,
    root_sha256: Option<String>,
    channel: Option<String>,
    ca_file: Option<PathBuf>,
    token_file: Option<PathBuf>,
    token_from: Option<String>,
    consume_token: bool,
    aws_account: Option<String>,
    aws_region: Option<String>,
    data_dir: Option<PathBuf>,
    inputs: BTreeMap<String, Value>,
    inputs_file: Option<PathBuf>,
    secrets: BTreeMap<String, String>,
    kubeconfig: Option<PathBuf>,
    status_listen: Option<SocketAddr>,
    status_allow_remote: bool,
    capacity: Option<usize>,
    sandbox: bool,
    terraform: Option<PathBuf>,
    pass_env: Vec<String>,
    confinement: Option<Strictness>,
    allow_read: Vec<PathBuf>,
    allow_write: Vec<PathBuf>,
    allow_metadata: bool,
    job_processes: Option<u32>,
    job_memory_mib: Option<u64>,
    job_file_mib: Option<u64>,
    lock: Option<String>,
    state: Option<String>,
    policy: Option<PathBuf>,
    policy_timezone: Option<String>,
    customer_key: Vec<PathBuf>,
}

/// Reads the files that the arguments name and resolves the whole.
pub fn load(args: RunArgs, has_token_variable: bool) -> Result<Config, Error> {
    let file = match &args.config {
        Some(path) => parse_file(path, &read_text(path)?)?,
        None => File::default(),
    };
    let args = merge(args, file);
    resolve(args, has_token_variable, read_text)
}

struct Merged {
    args: RunArgs,
    inputs: BTreeMap<String, Value>,
    secrets: BTreeMap<String, String>,
}

fn merge(mut args: RunArgs, file: File) -> Merged {
    args.broker = args.broker.or(file.broker);
    args.proxy = args.proxy.or(file.proxy);
    args.install = args.install.or(file.install);
    args.root_sha256 = args.root_sha256.or(file.root_sha256);
    args.channel = args.channel.or(file.channel);
    args.ca_file = args.ca_file.or(file.ca_file);
    args.token_file = args.token_file.or(file.token_file);
    args.token_from = args.token_from.or(file.token_from);
    args.consume_token |= file.consume_token;
    args.aws.aws_account = args.aws.aws_account.or(file.aws_account);
    args.aws.aws_region = args.aws.aws_region.or(file.aws_region);
    args.data_dir = args.data_dir.or(file.data_dir);
    args.inputs_file = args.inputs_file.or(file.inputs_file);
    args.kubeconfig = args.kubeconfig.or(file.kubeconfig);
    args.status_listen = args.status_listen.or(file.status_listen);
    args.status_allow_remote |= file.status_allow_remote;
    args.capacity = args.capacity.or(file.capacity);
    args.sandbox |= file.sandbox;
    args.terraform = args.terraform.or(file.terraform);
    args.pass_env.extend(file.pass_env);
    args.jobs.confinement = args.jobs.confinement.or(file.confinement);
    args.jobs.allow_read.extend(file.allow_read);
    args.jobs.allow_write.extend(file.allow_write);
    args.jobs.allow_metadata |= file.allow_metadata;
    args.jobs.job_processes = args.jobs.job_processes.or(file.job_processes);
    args.jobs.job_memory_mib = args.jobs.job_memory_mib.or(file.job_memory_mib);
    args.jobs.job_file_mib = args.jobs.job_file_mib.or(file.job_file_mib);
    args.lock = args.lock.or(file.lock);
    args.state = args.state.or(file.state);
    args.policy = args.policy.or(file.policy);
    args.policy_timezone = args.policy_timezone.or(file.policy_timezone);
    args.customer_keys.extend(file.customer_key);
    Merged { args, inputs: file.inputs, secrets: file.secrets }
}

fn resolve(
    merged: Merged,
    has_token_variable: bool,
    read: impl Fn(&Path) -> Result<String, Error>,
) -> Result<Config, Error> {
    let Merged { args, mut inputs, secrets } = merged;
    if let Some(path) = &args.inputs_file {
        inputs.extend(parse_inputs(path, &read(path)?)?);
    }
    let flags = parse_flags(&args.inputs)?;
    let secrets =
        references(secrets, &args.secrets, |name| flags.contains_key(name) || inputs.contains_key(name))?;
    let jobs = jobs(args.jobs)?;
    if let Some(path) = &args.kubeconfig {
        read(path)?;
    }
    let private = [args.inputs_file.as_deref(), args.kubeconfig.as_deref()];
    kept::keep_from_jobs(&jobs, private.into_iter().flatten(), &secrets)?;
    let said = [&args.policy, &args.config, &args.ca_file].into_iter().flatten().chain(&args.customer_keys);
    kept::keep_as_they_are(&jobs, said.map(PathBuf::as_path))?;
    let ca_file = args.ca_file.ok_or(Error::Missing("ca-file"))?;
    let install = args.install.ok_or(Error::Missing("install"))?;
    Ok(Config {
        broker: parse_broker(&args.broker.ok_or(Error::Missing("broker"))?)?,
        proxy: args.proxy.as_deref().map_or(Ok(Proxy::Environment), parse_proxy)?,
        install: install.parse().map_err(|detail| Error::Invalid { name: "install", detail })?,
        root_sha256: args.root_sha256.as_deref().map(parse_root).transpose()?,
        channel: args.channel.map(install::channel).transpose()?,
        ca_pem: read(&ca_file)?.into_bytes(),
        token: token_source(args.token_file, args.token_from.as_deref(), has_token_variable)?,
        consume_token: args.consume_token,
        aws: aws::parse(args.aws)?,
        data_dir: args.data_dir.ok_or(Error::Missing("data-dir"))?,
        inputs: flags,
        inputs_file: inputs,
        secrets,
        kubeconfig: args.kubeconfig,
        status_listen: status_listen(args.status_listen, args.status_allow_remote)?,
        capacity: capacity(args.capacity)?,
        sandbox: args.sandbox,
        terraform: args.terraform,
        jobs,
        pass_env: args.pass_env,
        lock: place("lock", args.lock.as_deref())?,
        state: place("state", args.state.as_deref())?,
        policy: args.policy,
        timezone: timezone(args.policy_timezone.as_deref())?,
        customer_keys: args
            .customer_keys
            .iter()
            .map(|path| parse_key(path, &read(path)?))
            .collect::<Result<_, _>>()?,
    })
}

fn read_text(path: &Path) -> Result<String, Error> {
    let error = |source| Error::Read { path: path.to_owned(), source };
    let missing = || error(std::io::Error::from(std::io::ErrorKind::NotFound));
    let bytes = read_bounded(path, FILE_LEN_MAX).map_err(error)?.ok_or_else(missing)?;
    String::from_utf8(bytes)
        .map_err(|_| Error::File { path: path.to_owned(), detail: "it is not UTF-8".to_owned() })
}

fn parse_file(path: &Path, text: &str) -> Result<File, Error> {
    toml::from_str(text).map_err(|e| Error::File { path: path.to_owned(), detail: e.to_string() })
}

fn parse_inputs(path: &Path, text: &str) -> Result<BTreeMap<String, Value>, Error> {
    let parsed = if path.extension().is_some_and(|e| e == "json") {
        serde_json::from_str(text).map_err(|e| place_only(&e))
    } else {
        // The parser's own words would quote the line, and with it perhaps a secret.
        toml::from_str(text).map_err(|e: toml::de::Error| {
            let line = e.span().map_or(1, |s| text[..s.start.min(text.len())].matches('\n').count() + 1);
            format!("line {line}: {}", e.message())
        })
    };
    parsed.map_err(|detail| Error::File { path: path.to_owned(), detail })
}

fn place_only(error: &serde_json::Error) -> String {
    format!(
        "line {}, column {}: inputs are one object of texts, numbers, truth values and lists of texts",
        error.line(),
        error.column()
    )
}

fn parse_flags(flags: &[String]) -> Result<BTreeMap<String, String>, Error> {
    let parse = |flag: &String| match flag.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Error::Invalid { name: "input", detail: "it looks like NAME=VALUE".to_owned() }),
    };
    flags.iter().map(parse).collect()
}

/// Where secrets are, by name; the flags go before the file. One name has one value.
fn references(
    file: BTreeMap<String, String>,
    flags: &[String],
    is_given: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, Reference>, Error> {
    let wrong = |detail: String| Error::Invalid { name: "secret", detail };
    let mut texts = file;
    for flag in flags {
        let (name, text) =
            flag.split_once('=').ok_or_else(|| wrong("it looks like NAME=REFERENCE".to_owned()))?;
        texts.insert(name.to_owned(), text.to_owned());
    }
    let parse = |(name, text): (String, String)| {
        if is_given(&name) {
            return Err(wrong(format!("`{name}` is given both as a value and as a reference")));
        }
        let reference = text.parse().map_err(|words| wrong(format!("`{name}`: {words}")))?;
        Ok((name, reference))
    };
    texts.into_iter().map(parse).collect()
}

fn parse_broker(text: &str) -> Result<http::Uri, Error> {
    let wrong = |detail: &str| Error::Invalid { name: "broker", detail: format!("`{text}`: {detail}") };
    let uri: http::Uri = text.parse().map_err(|_| wrong("not a URL"))?;
    if uri.scheme_str() != Some("https") {
        return Err(wrong("it begins with https://"));
    }
    if uri.host().is_none() || !matches!(uri.path(), "" | "/") {
        return Err(wrong("it is https://HOST:PORT and no more"));
    }
    Ok(uri)
}

fn parse_proxy(text: &str) -> Result<Proxy, Error> {
    text.parse().map_err(|detail| Error::Invalid { name: "proxy", detail })
}

fn parse_root(text: &str) -> Result<Digest, Error> {
    let text = if text.starts_with("sha256:") { text.to_owned() } else { format!("sha256:{text}") };
    text.parse()
        .map_err(|_| Error::Invalid { name: "root-sha256", detail: "it is 64 hexadecimal digits".to_owned() })
}

/// Where something is kept: `file` where nothing is said.
fn place<T: FromStr<Err = String> + Default>(name: &'static str, text: Option<&str>) -> Result<T, Error> {
    text.map_or_else(
        || Ok(T::default()),
        |text| text.parse().map_err(|detail| Error::Invalid { name, detail }),
    )
}

fn timezone(name: Option<&str>) -> Result<TimeZone, Error> {
    let wrong = |e: jiff::Error| Error::Invalid { name: "policy-timezone", detail: e.to_string() };
    name.map_or(Ok(TimeZone::UTC), |name| TimeZone::get(name).map_err(wrong))
}

/// The public half, as `remit-runner customer-key` writes it.
fn parse_key(path: &Path, text: &str) -> Result<KeySpec, Error> {
    let wrong = |detail: String| Error::File { path: path.to_owned(), detail };
    let key: KeySpec = serde_json::from_str(text).map_err(|e| wrong(e.to_string()))?;
    key.id().map_err(|e| wrong(e.to_string()))?;
    Ok(key)
}

fn jobs(args: JobArgs) -> Result<Settings, Error> {
    let relative = args.allow_read.iter().chain(&args.allow_write).find(|path| !path.is_absolute());
    if let Some(path) = relative {
        let detail = format!("`{}` is not an absolute path", path.display());
        return Err(Error::Invalid { name: "allow-read or --allow-write", detail });
    }
    Ok(Settings {
        strictness: args.confinement.unwrap_or_default(),
        metadata: args.allow_metadata,
        read: args.allow_read,
        write: args.allow_write,
        limits: Limits::with(args.job_processes, args.job_memory_mib, args.job_file_mib),
    })
}

fn token_source(
    file: Option<PathBuf>,
    from: Option<&str>,
    has_variable: bool,
) -> Result<Option<TokenSource>, Error> {
    let wrong = |detail: String| Error::Invalid { name: "token-from", detail };
    Ok(match (file, from) {
        (Some(_), Some(_)) => return Err(wrong("there is a --token-file, too".to_owned())),
        (None, Some(text)) => Some(TokenSource::Secret(text.parse().map_err(wrong)?)),
        (Some(path), None) if path == Path::new("-") => Some(TokenSource::Stdin),
        (Some(path), None) => Some(TokenSource::File(path)),
        (None, None) => has_variable.then_some(TokenSource::Environment),
    })
}

fn status_listen(given: Option<SocketAddr>, allow_remote: bool) -> Result<SocketAddr, Error> {
    let addr = given.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, STATUS_PORT)));
    if addr.ip().is_loopback() || allow_remote {
        return Ok(addr);
    }
    Err(Error::StatusNotLoopback(addr))
}

fn capacity(given: Option<usize>) -> Result<usize, Error> {
    match given.unwrap_or(CAPACITY_DEFAULT) {
        n @ 1..=CAPACITY_MAX => Ok(n),
        n => Err(Error::Invalid { name: "capacity", detail: format!("{n} is not 1 to {CAPACITY_MAX}") }),
    }
}

#[cfg(test)]
mod tests;
