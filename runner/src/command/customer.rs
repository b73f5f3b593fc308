//! What a customer does on the command line: makes a key, approves, denies, halts, resumes. Each works on
//! the data directory alone, whether the runner and the broker are there or not.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use remit_seal::Refusal;
use remit_seal::customer::{CustomerApproval, Subject, Word};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::key::SigningKey;
use zeroize::Zeroizing;

use crate::attempt::pin;
use crate::config::cli::{BreakLockArgs, ChannelCommand, HaltArgs, HaltedArgs, KeyArgs, SignArgs};
use crate::error::{Coded, now_ms};
use crate::halt::{self, Halt};
use crate::policy::approval;
use crate::storage::data_dir::read_bounded;

const KEY_LEN_MAX: u64 = 16 * 1024;
/// The longest that an approval may count.
const UNTIL_MAX_MS: i64 = 31 * 24 * 60 * 60 * 1000;

/// What counts until it is revoked: a hundred years.
const UNTIL_REVOKED_MS: i64 = 36_500 * 24 * 60 * 60 * 1000;

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file.
    #[error("cannot use {path}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The key is none.
    #[error("the key in {path} cannot be used")]
    Key {
        /// Where.
        path: PathBuf,
        /// Why.
        source: Refusal,
    },
    /// It is not known whose runner it is.
    #[error("{0} is no runner's data directory that an install could be read from")]
    NoInstall(PathBuf),
    /// Something that was said makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The approval cannot be kept.
    #[error(transparent)]
    Approval(#[from] approval::Error),
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::Io { .. } => "runner.data_dir_io",
            Error::Key { .. } => "runner.customer_key_invalid",
            Error::NoInstall(_) => "runner.install_unknown",
            Error::Usage(_) => "runner.config_invalid",
            Error::Approval(error) => error.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Error::Io { .. } => "check the path and who may use it".to_owned(),
            Error::Key { .. } => "give the file that `remit-runner customer-key` made".to_owned(),
            Error::NoInstall(_) => "say it: --install ins_demo.shop.acme".to_owned(),
            Error::Usage(_) => "see `remit-runner approve --help`".to_owned(),
            Error::Approval(error) => error.hint(),
        }
    }
}

/// A new key, and beside it the public half for the runner.
pub fn make_key(args: &KeyArgs) -> Result<String, Error> {
    let mut seed = Zeroizing::new([0u8; 32]);
    getrandom::fill(&mut *seed).map_err(|e| Error::Usage(format!("there is no randomness: {e}")))?;
    let key = SigningKey::ed25519_from_seed(&seed);
    let mut public = args.out.clone().into_os_string();
    public.push(".pub");
    let public = PathBuf::from(public);
    write_new(&args.out, key.to_pem().as_bytes())?;
    let text = serde_json::to_string(&key.public()).expect("a public key is two texts");
    write_new(&public, text.as_bytes())?;
    Ok(format!(
        "made {} (keep it where the runner's machine cannot read it) and {}\nstart the runner with --customer-key {}",
        args.out.display(),
        public.display(),
        public.display()
    ))
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io)
}

/// Signs that the holder of a lock is gone for good.
pub fn break_lock(args: &BreakLockArgs) -> Result<String, Error> {
    let holding = digits(&args.holding).ok_or_else(|| {
        Error::Usage(format!("`{}` names no holding of a lock: it is 64 hexadecimal digits", args.holding))
    })?;
    let (word, what) = (Word::Approved, "the holder of this lock is gone for good".to_owned());
    let of = Said { subject: Subject::Lock(holding), word, what, until: Some("24h") };
    sign(&args.sign, of, "broken: the lock of this holder")
}

/// What is signed.
pub(super) struct Said {
    pub(super) subject: Subject,
    pub(super) word: Word,
    /// In words.
    pub(super) what: String,
    /// How long it counts where nothing else is said; until it is revoked, where that is nothing.
    pub(super) until: Option<&'static str>,
}

pub(super) fn sign(args: &SignArgs, of: Said, said: &str) -> Result<String, Error> {
    let install = match &args.install {
        Some(install) => install.clone(),
        None => crate::storage::journal::install_of(&args.data_dir.join("journal"))
            .ok_or_else(|| Error::NoInstall(args.data_dir.clone()))?,
    };
    let until = args.until.as_deref().or(of.until);
    let for_ms = until.map(duration_ms).transpose()?.unwrap_or(UNTIL_REVOKED_MS);
    let by =
        args.by.clone().or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| "the customer".to_owned());
    let (at_ms, Said { subject, word, what, .. }) = (now_ms(), of);
    let until_ms = at_ms + for_ms;
    let approval = CustomerApproval { install, subject, word, what, by, at_ms, until_ms };
    let key = read_key(&args.key)?;
    let wrong = |source| Error::Key { path: args.key.clone(), source };
    let signed = Envelope::sign(PayloadType::Approval, &approval, &[&key]).map_err(wrong)?.to_bytes();
    if let Some(out) = &args.out {
        write_new(out, &signed)?;
        return Ok(format!(
            "{said} in {}; put it into the folder approvals of the data directory, or POST it to /v1/approvals of the status API",
            out.display()
        ));
    }
    approval::keep(&args.data_dir.join(approval::FOLDER), &signed)?;
    Ok(until.map_or_else(|| said.to_owned(), |until| format!("{said} (for {until})")))
}

fn read_key(path: &Path) -> Result<SigningKey, Error> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let pem = read_bounded(path, KEY_LEN_MAX).map_err(io)?;
    let pem = Zeroizing::new(pem.ok_or_else(|| io(io::ErrorKind::NotFound.into()))?);
    SigningKey::from_pem(&String::from_utf8_lossy(&pem))
        .map_err(|source| Error::Key { path: path.to_owned(), source })
}

/// The hexadecimal digits of a sha256.
pub(super) fn digits(text: &str) -> Option<String> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let is_digest =
        digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    is_digest.then(|| digits.to_owned())
}

/// `90m`, `24h`, `7d`.
fn duration_ms(text: &str) -> Result<i64, Error> {
    let wrong = || Error::Usage(format!("`{text}` is no time such as 90m, 24h or 7d, of at most 31d"));
    let unit = text.chars().last().ok_or_else(wrong)?;
    let unit_ms: i64 = match unit {
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        _ => return Err(wrong()),
    };
    let count = i64::from_str(&text[..text.len() - unit.len_utf8()]).map_err(|_| wrong())?;
    let ms = count.checked_mul(unit_ms).filter(|ms| (1..=UNTIL_MAX_MS).contains(ms));
    ms.ok_or_else(wrong)
}

/// Says which channel is pinned, or pins another.
pub fn channel(command: &ChannelCommand) -> Result<String, Error> {
    let (ChannelCommand::Show { data_dir } | ChannelCommand::Set { data_dir, .. }) = command;
    let io = |source| Error::Io { path: data_dir.clone(), source };
    let pinned = pin::read_in(data_dir).map_err(io)?.ok_or_else(|| Error::NoInstall(data_dir.clone()))?;
    let ChannelCommand::Set { channel, .. } = command else { return Ok(pinned) };
    if !remit_seal::verify::is_name(channel) {
        let words = format!("`{channel}` is no name of a channel: use 1 to 40 of a-z, 0-9 and `-`");
        return Err(Error::Usage(words));
    }
    pin::write_in(data_dir, channel).map_err(io)?;
    Ok(format!("releases of channel {channel} run from the next job on; it was {pinned}"))
}

/// Throws the switch.
pub fn halt(args: &HaltArgs) -> Result<String, Error> {
    let how = if args.now { Halt::Now } else { Halt::New };
    halt::halt(&args.data_dir, how, &halt::asker())
        .map_err(|source| Error::Io { path: args.data_dir.clone(), source })?;
    Ok(match how {
        Halt::Now => "halted: nothing new begins, and what runs is being ended",
        Halt::New => "halted: nothing new begins; what runs goes on",
    }
    .to_owned())
}

/// Takes it back.
pub fn resume(args: &HaltedArgs) -> Result<String, Error> {
    halt::resume(&args.data_dir, &halt::asker())
        .map_err(|source| Error::Io { path: args.data_dir.clone(), source })?;
    Ok("resumed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_approval_counts_for_a_bounded_time() {
        assert_eq!(duration_ms("90m").unwrap(), 5_400_000);
        assert_eq!(duration_ms("31d").unwrap(), UNTIL_MAX_MS);
        for wrong in ["", "h", "0h", "-1h", "32d", "1y", "9999999999999999999d", "1é"] {
            assert!(duration_ms(wrong).is_err(), "{wrong}");
        }
    }
}
