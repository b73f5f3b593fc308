//! An attempt's log: cleaned, redacted and bounded line by line, spooled to a file, then sent.
//!
//! The file is the truth and offsets name places in it, so a broker that was away, and a
//! runner that was killed, go on where they were.

mod clean;
mod redact;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use remit_seal::document::Value;
use tokio::sync::Notify;

use crate::outcome::Attempt;
use crate::storage::data_dir::DataDir;

pub use clean::clean;
pub use redact::{MASK, Redactor};

/// The longest line, in bytes.
pub const LINE_LEN_MAX: usize = 64 * 1024;
/// The longest log of one attempt, in bytes.
pub const LOG_LEN_MAX: u64 = remit_proto::limit::LOG_SIZE_MAX;
/// How many bytes a second a log may grow, on average.
pub const RATE_MAX: u64 = 1 << 20;
/// How many bytes may come at once.
const BURST_LEN_MAX: u64 = 4 << 20;

/// Where an attempt's log is spooled.
pub fn path(dir: &DataDir, attempt: &Attempt) -> PathBuf {
    dir.path("logs").join(format!("{}.log", attempt.mark()))
}

/// Which of the tool's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// An attempt's log, being written.
#[derive(Clone, Debug)]
pub struct Log {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    writer: Mutex<Writer>,
    grown: Notify,
}

#[derive(Debug)]
struct Writer {
    file: File,
    len: u64,
    redactor: Redactor,
    partial: [Partial; 2],
    budget: Budget,
    dropped: u64,
    full: bool,
    ended: bool,
}

/// A line that has no end yet.
#[derive(Debug, Default)]
struct Partial {
    bytes: Vec<u8>,
    over: bool,
}

impl Log {
    /// Begins the log of an attempt.
    pub fn begin(dir: &DataDir, attempt: &Attempt, redactor: Redactor) -> std::io::Result<Self> {
        let path = path(dir, attempt);
        let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&path)?;
        let writer = Writer {
            file,
            len: 0,
            redactor,
            partial: [Partial::default(), Partial::default()],
            budget: Budget::default(),
            dropped: 0,
            full: false,
            ended: false,
        };
        let shared = Shared { path, writer: Mutex::new(writer), grown: Notify::new() };
        Ok(Self { shared: Arc::new(shared) })
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.shared.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes this value out of whatever is written from now on.
    pub fn hide(&self, secret: &Value) {
        self.writer().redactor.add(secret);
    }

    /// A text without the values that must not leave.
    pub fn redact(&self, text: &str) -> String {
        clean(self.writer().redactor.redact(text).as_bytes())
    }

    /// A value without the values that must not leave.
    pub fn redact_value(&self, value: &Value) -> Value {
        self.writer().redactor.redact_value(value)
    }

    /// One whole line.
    pub fn line(&self, text: &str) {
        self.writer().line(text.as_bytes(), false);
        self.shared.grown.notify_one();
    }

    /// Bytes as a tool writes them: lines are put together first.
    pub fn bytes(&self, stream: Stream, bytes: &[u8]) {
        self.writer().bytes(stream, bytes);
        self.shared.grown.notify_one();
    }

    /// Ends lines that a tool left open: it is gone.
    pub fn flush(&self) {
        self.writer().flush();
        self.shared.grown.notify_one();
    }

    /// Nothing more will come.
    pub fn end(&self) {
        let mut writer = self.writer();
        writer.flush();
        writer.say_dropped();
        writer.ended = true;
        drop(writer);
        self.shared.grown.notify_one();
    }

    /// The file that it is spooled to.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    pub(crate) fn extent(&self) -> (u64, bool) {
        let writer = self.writer();
        (writer.len, writer.ended)
    }

    pub(crate) async fn grown(&self) {
        self.shared.grown.notified().await;
    }
}

impl Writer {
    fn bytes(&mut self, stream: Stream, bytes: &[u8]) {
        let keep = LINE_LEN_MAX + self.redactor.reach();
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let partial = &mut self.partial[stream as usize];
            let (text, ends) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let room = keep.saturating_sub(partial.bytes.len()).min(text.len());
            partial.bytes.extend_from_slice(&text[..room]);
            partial.over |= room < text.len();
            if ends {
                self.end_line(stream);
            }
        }
    }

    fn end_line(&mut self, stream: Stream) {
        let partial = std::mem::take(&mut self.partial[stream as usize]);
        self.line(&partial.bytes, partial.over);
    }

    fn flush(&mut self) {
        for stream in [Stream::Out, Stream::Err] {
            if !self.partial[stream as usize].bytes.is_empty() {
                self.end_line(stream);
            }
        }
    }

    /// Redacts before anything is cut, so that no half of a secret is left at a cut.
    fn line(&mut self, bytes: &[u8], over: bool) {
        let text = self.redactor.redact(&clean(bytes));
        let mut line = crate::outcome::cut(text, LINE_LEN_MAX);
        if over && !line.ends_with('…') {
            line.push_str(" …");
        }
        line.push('\n');
        if self.full || !self.budget.spend(line.len() as u64) {
            self.dropped += 1;
            return;
        }
        self.say_dropped();
        self.write(&line);
    }

    fn say_dropped(&mut self) {
        if self.dropped > 0 && !self.full {
            let dropped = std::mem::take(&mut self.dropped);
            self.write(&format!("[remit: {dropped} lines left out, more than {RATE_MAX} bytes a second]\n"));
        }
    }

    fn write(&mut self, line: &str) {
        if self.len + line.len() as u64 > LOG_LEN_MAX - 128 {
            self.full = true;
            self.put(&format!("[remit: the log ends here, at its bound of {LOG_LEN_MAX} bytes]\n"));
            return;
        }
        self.put(line);
    }

    /// A full disk ends the log, not the job.
    fn put(&mut self, line: &str) {
        match self.file.write_all(line.as_bytes()) {
            Ok(()) => self.len += line.len() as u64,
            Err(error) => {
                tracing::warn!(%error, "the log can be spooled no further");
                self.full = true;
                let _ = self.file.set_len(self.len);
            }
        }
    }
}

/// Bytes that may be written now: grows with time up to a burst.
#[derive(Debug)]
struct Budget {
    left: u64,
    at: Instant,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: BURST_LEN_MAX, at: Instant::now() }
    }
}

impl Budget {
    fn spend(&mut self, len: u64) -> bool {
        let now = Instant::now();
        let millis = u64::try_from(now.duration_since(self.at).as_millis()).unwrap_or(u64::MAX);
        let earned = millis.saturating_mul(RATE_MAX) / 1000;
        if earned > 0 {
            self.left = self.left.saturating_add(earned).min(BURST_LEN_MAX);
            self.at = now;
        }
        let fits = self.left >= len;
        if fits {
            self.left -= len;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(secrets: &[&str]) -> (tempfile::TempDir, Log) {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temp.path()).unwrap();
        let values: Vec<Value> = secrets.iter().map(|s| Value::String((*s).to_owned())).collect();
        let attempt = Attempt { job: "job_a".to_owned(), attempt: 1, fence: 1 };
        let log = Log::begin(&dir, &attempt, Redactor::new(&values)).unwrap();
        (temp, log)
    }

    fn text(log: &Log) -> String {
        std::fs::read_to_string(log.path()).unwrap()
    }

    #[test]
    fn a_secret_in_two_writes_is_found() {
        let (_temp, log) = log(&["topsecretvalue"]);
        log.bytes(Stream::Out, b"the key is topsec");
        log.bytes(Stream::Err, b"other\n");
        log.bytes(Stream::Out, b"retvalue, keep it\nopen end");
        log.end();
        assert_eq!(text(&log), "other\nthe key is [redacted], keep it\nopen end\n");
    }

    #[test]
    fn a_secret_across_the_cut_of_a_long_line_is_found() {
        let (_temp, log) = log(&["topsecretvalue"]);
        let mut line = vec![b'x'; LINE_LEN_MAX - 6];
        line.extend_from_slice(b"topsecretvalue");
        line.extend(vec![b'y'; LINE_LEN_MAX]);
        log.bytes(Stream::Out, &line);
        log.end();
        let text = text(&log);
        assert!(text.len() <= LINE_LEN_MAX + 8 && !text.contains("topse"), "{}", text.len());
    }

    #[test]
    fn a_flood_is_cut_and_says_so() {
        let (_temp, log) = log(&[]);
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        for _ in 0..16 * 1024 {
            log.bytes(Stream::Out, &line);
        }
        log.end();
        let text = text(&log);
        assert!(text.len() < 10 << 20, "{}", text.len());
        assert!(text.contains("lines left out"));
    }
}
