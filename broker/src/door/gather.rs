//! Gathers what a connection's requests answer at about the same time into one TLS record and one
//! system call.
//!
//! HTTP/2 would write each answer by itself: the connection is woken after the first one and runs
//! before the others. So before it writes it lets run once whoever is ready, and writes then.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};

/// The most that is gathered; TLS has no larger records.
const GATHER_MAX: usize = 16 * 1024;
/// A larger buffer is not kept: ten thousand runners are idle and say little.
const KEEP_MAX: usize = 4 * 1024;

/// A connection that gathers what is written to it.
pub(super) struct Gather<T> {
    inner: T,
    /// What waits to be written.
    waiting: Vec<u8>,
    /// How much of it is written.
    written: usize,
    /// Whether the others get a turn before each write.
    yields: bool,
    /// They have had it.
    has_yielded: bool,
}

impl<T: Write + Unpin> Gather<T> {
    /// Without `yields` only what one request writes at once is gathered.
    pub(super) fn new(inner: T, yields: bool) -> Self {
        Self { inner, waiting: Vec::new(), written: 0, yields, has_yielded: false }
    }

    /// Writes all that waits.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.waiting.get(self.written..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.inner).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        if self.waiting.capacity() > KEEP_MAX {
            self.waiting = Vec::new();
        }
        self.waiting.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

impl<T: Read + Unpin> Read for Gather<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<T: Write + Unpin> Write for Gather<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.yields && !self.has_yielded {
            self.has_yielded = true;
            // A task that wakes itself goes behind all that are ready.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.waiting.len() >= GATHER_MAX {
            ready!(self.poll_drain(cx))?;
        }
        let count = buf.len().min(GATHER_MAX - self.waiting.len());
        self.waiting.extend_from_slice(&buf[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        self.has_yielded = false;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::*;

    /// Takes at most `most` bytes at once, and remembers each write.
    #[derive(Default)]
    struct Wire {
        most: usize,
        writes: Vec<Vec<u8>>,
        flushes: usize,
    }

    impl Write for Wire {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            let count = buf.len().min(self.most);
            self.writes.push(buf[..count].to_vec());
            Poll::Ready(Ok(count))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.flushes += 1;
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn write(gather: &mut Gather<Wire>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<usize> {
        Pin::new(gather).poll_write(cx, bytes).map(Result::unwrap)
    }

    #[test]
    fn what_is_written_between_flushes_goes_out_at_once_after_the_others_had_their_turn() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut cx = Context::from_waker(&waker);
        let mut gather = Gather::new(Wire { most: 1 << 20, ..Wire::default() }, true);
        for round in 1..=2 {
            assert_eq!(write(&mut gather, &mut cx, b"one"), Poll::Pending, "the others first");
            assert_eq!(woken.0.load(Ordering::Relaxed), round, "and it comes back by itself");
            assert_eq!(write(&mut gather, &mut cx, b"one"), Poll::Ready(3));
            assert_eq!(write(&mut gather, &mut cx, b"two"), Poll::Ready(3));
            assert_eq!(gather.inner.writes.len(), round - 1, "nothing goes out before the flush");
            assert!(Pin::new(&mut gather).poll_flush(&mut cx).is_ready());
            assert_eq!(gather.inner.writes[round - 1], b"onetwo");
            assert_eq!((gather.inner.flushes, gather.waiting.len()), (round, 0));
        }
    }

    #[test]
    fn much_is_written_in_pieces_and_whole() {
        let mut cx = Context::from_waker(Waker::noop());
        let mut gather = Gather::new(Wire { most: 5_000, ..Wire::default() }, false);
        let bytes: Vec<u8> = (0..50_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        let mut sent = 0;
        while sent < bytes.len() {
            if let Poll::Ready(count) = write(&mut gather, &mut cx, &bytes[sent..]) {
                sent += count;
            }
        }
        assert!(Pin::new(&mut gather).poll_flush(&mut cx).is_ready());
        assert_eq!(gather.inner.writes.concat(), bytes);
        assert!(gather.waiting.capacity() <= KEEP_MAX, "a large buffer is not kept");
    }
}
