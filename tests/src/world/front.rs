//! What stands before several brokers: passes each connection to the next of them that is in.
//!
//! As load balancers do, it closes the connections of one that is taken out.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;

const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Passes connections on until it is dropped.
pub(super) struct Front {
    /// Where it listens.
    pub(super) port: u16,
    state: Arc<State>,
}

struct State {
    backends: Vec<Backend>,
    next: AtomicUsize,
    ended: AtomicBool,
}

struct Backend {
    port: u16,
    is_in: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Front {
    /// Listens on a free port before these.
    ///
    /// # Errors
    /// No port is free.
    pub(super) fn start(backends: &[u16]) -> Result<Front> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let backend =
            |port: &u16| Backend { port: *port, is_in: AtomicBool::new(true), open: Mutex::default() };
        let backends = backends.iter().map(backend).collect();
        let state = Arc::new(State { backends, next: AtomicUsize::new(0), ended: AtomicBool::new(false) });
        let passing = state.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if passing.ended.load(Ordering::Acquire) {
                    return;
                }
                passing.pass(&client);
            }
        });
        Ok(Front { port, state })
    }

    /// Gives one no more connections, and closes those that it has.
    pub(super) fn take_out(&self, backend: usize) {
        self.state.backends[backend].is_in.store(false, Ordering::Release);
        self.state.backends[backend].close();
    }

    /// Gives one connections again.
    pub(super) fn put_in(&self, backend: usize) {
        self.state.backends[backend].is_in.store(true, Ordering::Release);
    }
}

impl State {
    /// To the next that takes it; whom nobody takes is hung up on.
    fn pass(&self, client: &TcpStream) {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let count = self.backends.len();
        let in_turn = (0..count).map(|n| &self.backends[(first + n) % count]);
        for backend in in_turn.filter(|backend| backend.is_in.load(Ordering::Acquire)) {
            let to = ([127, 0, 0, 1], backend.port).into();
            if let Ok(server) = TcpStream::connect_timeout(&to, CONNECT_WITHIN)
                && backend.join(client.try_clone(), server).is_ok()
            {
                return;
            }
        }
    }
}

impl Backend {
    fn join(&self, client: io::Result<TcpStream>, server: TcpStream) -> io::Result<()> {
        let client = client?;
        let (from_client, from_server) = (client.try_clone()?, server.try_clone()?);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.extend([client.try_clone()?, server.try_clone()?]);
        thread::spawn(move || copy(from_client, server));
        thread::spawn(move || copy(from_server, client));
        Ok(())
    }

    fn close(&self) {
        for stream in self.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // It may be closed already.
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    drop(io::copy(&mut from, &mut to));
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}

impl Drop for Front {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::Release);
        self.state.backends.iter().for_each(Backend::close);
        // Wakes the listener, which then finds that it has ended.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}
