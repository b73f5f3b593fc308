//! Sending a spooled log: in chunks, from where the broker's copy ends, until it has all.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use crate::backoff::Backoff;
use crate::broker::connection::{Error, Link};
use crate::outcome::Attempt;
use crate::storage::logs::Log;

/// How much is sent at once.
const CHUNK_LEN: u64 = remit_proto::limit::LOG_CHUNK_SIZE as u64;
/// How long to gather before sending, so that a chatty tool does not cost a call for each line.
const GATHER: Duration = Duration::from_millis(150);

/// Whether the broker has the whole log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shipped {
    /// It has.
    Whole,
    /// It does not want more: the attempt is not its current one.
    Unwanted,
}

/// Sends a log while it grows, and until the broker has it whole. Never gives up while the
/// broker is only away.
pub async fn ship(link: &Link, attempt: &Attempt, log: &Log) -> Shipped {
    let mut sender = Sender { link, attempt, offset: 0, backoff: Backoff::broker() };
    loop {
        let (len, ended) = log.extent();
        if sender.offset < len {
            if sender.send(log.path(), len, false).await == Some(Shipped::Unwanted) {
                return Shipped::Unwanted;
            }
        } else if ended {
            if let Some(end) = sender.send(log.path(), len, true).await {
                return end;
            }
        } else {
            log.grown().await;
            tokio::time::sleep(GATHER).await;
        }
    }
}

/// Sends what an earlier process of this runner spooled.
pub async fn ship_file(link: &Link, attempt: &Attempt, path: &Path) -> Shipped {
    let len = std::fs::metadata(path).map_or(0, |m| m.len());
    let mut sender = Sender { link, attempt, offset: 0, backoff: Backoff::broker() };
    loop {
        if let Some(end) = sender.send(path, len, sender.offset >= len).await {
            return end;
        }
    }
}

struct Sender<'a> {
    link: &'a Link,
    attempt: &'a Attempt,
    offset: u64,
    backoff: Backoff,
}

impl Sender<'_> {
    /// Sends the next piece. Answers `Some` when there is nothing more to do.
    async fn send(&mut self, path: &Path, len: u64, last: bool) -> Option<Shipped> {
        let data = match read(path, self.offset, len) {
            Ok(data) => data,
            Err(error) => {
                tracing::warn!(%error, "the spooled log cannot be read");
                return Some(Shipped::Unwanted);
            }
        };
        let last = last && self.offset + data.len() as u64 == len;
        match self.link.append_logs(self.attempt, self.offset, data, last).await {
            Ok(next) => {
                let done = last && next >= len;
                if next == self.offset && !done {
                    // It took nothing, for whatever reason: not at full speed again.
                    self.backoff.wait().await;
                }
                if next > self.offset {
                    self.backoff.reset();
                }
                self.offset = next.min(len);
                done.then_some(Shipped::Whole)
            }
            Err(error) if error.is_away() => {
                tracing::debug!(%error, "logs wait for the broker");
                self.backoff.wait().await;
                None
            }
            Err(error @ (Error::Denied(_) | Error::Refused(_) | Error::Malformed(_))) => {
                tracing::info!(%error, attempt = %self.attempt, "the broker wants no more of this log");
                Some(Shipped::Unwanted)
            }
            Err(Error::Away(_)) => None,
        }
    }
}

fn read(path: &Path, offset: u64, len: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut data = Vec::new();
    file.take(CHUNK_LEN.min(len.saturating_sub(offset))).read_to_end(&mut data)?;
    Ok(data)
}
