//! A way between a program and a server where a request or its answer can be held back: what a crash in
//! the middle of a write looks like from both ends.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// What happens to the request that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// The server never sees it.
    Request,
    /// The server has done it, and nobody hears.
    Answer,
}

#[derive(Default)]
struct Plan {
    /// What to hold, what its first line begins with and holds, and how many to let pass before.
    hold: Option<(Hold, &'static str, &'static str, u32)>,
    caught: bool,
    shut: bool,
    /// Whether whatever is held is let go, by cutting its connection.
    cut: bool,
}

#[derive(Clone)]
pub(crate) struct Valve {
    pub(crate) addr: SocketAddr,
    plan: Arc<(Mutex<Plan>, Condvar)>,
}

impl Valve {
    /// In front of this server.
    pub(crate) fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let valve = Self { addr: listener.local_addr().unwrap(), plan: Arc::default() };
        let (own, server) = (valve.clone(), server.to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (own, server) = (own.clone(), server.clone());
                std::thread::spawn(move || own.connect(&client, &server));
            }
        });
        valve
    }

    /// Holds the next request of this method whose path holds this text, once so many have passed.
    pub(crate) fn hold(&self, how: Hold, method: &'static str, text: &'static str, after: u32) {
        let mut plan = self.plan.0.lock().unwrap();
        *plan = Plan { hold: Some((how, method, text, after)), ..Plan::default() };
    }

    pub(crate) fn has_caught(&self) -> bool {
        self.plan.0.lock().unwrap().caught
    }

    /// Lets everything pass from now on; what is held is cut off.
    pub(crate) fn open(&self) {
        *self.plan.0.lock().unwrap() = Plan { cut: true, ..Plan::default() };
        self.plan.1.notify_all();
    }

    /// Nothing passes, as if the server were gone.
    pub(crate) fn shut(&self) {
        self.plan.0.lock().unwrap().shut = true;
    }

    fn connect(&self, client: &TcpStream, server: &str) {
        let Ok(server) = TcpStream::connect(server) else { return };
        let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let held = Arc::new(Mutex::new(false));
        let (own, answer_held) = (self.clone(), held.clone());
        std::thread::spawn(move || own.requests(from, to, &answer_held));
        self.answers(server, client.try_clone().unwrap(), &held);
    }

    fn requests(&self, mut from: TcpStream, mut to: TcpStream, answer_held: &Mutex<bool>) {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(n @ 1..) = from.read(&mut bytes) {
            match self.look(&bytes[..n]) {
                Look::Pass => {}
                Look::Cut => break,
                Look::Hold(Hold::Request) => {
                    self.wait();
                    break;
                }
                Look::Hold(Hold::Answer) => *answer_held.lock().unwrap() = true,
            }
            if to.write_all(&bytes[..n]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    fn answers(&self, mut from: TcpStream, mut to: TcpStream, held: &Mutex<bool>) {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(n @ 1..) = from.read(&mut bytes) {
            if *held.lock().unwrap() {
                self.plan.0.lock().unwrap().caught = true;
                self.wait();
                break;
            }
            if to.write_all(&bytes[..n]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    fn look(&self, bytes: &[u8]) -> Look {
        let mut plan = self.plan.0.lock().unwrap();
        if plan.shut {
            return Look::Cut;
        }
        let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line).into_owned();
        let Some((how, method, text, after)) = &mut plan.hold else { return Look::Pass };
        if !line.starts_with(*method) || !line.contains(*text) {
            return Look::Pass;
        }
        if *after > 0 {
            *after -= 1;
            return Look::Pass;
        }
        let how = *how;
        plan.hold = None;
        plan.caught |= how == Hold::Request;
        Look::Hold(how)
    }

    fn wait(&self) {
        let plan = self.plan.0.lock().unwrap();
        drop(self.plan.1.wait_while(plan, |plan| !plan.cut).unwrap());
    }
}

enum Look {
    Pass,
    Cut,
    Hold(Hold),
}
