//! Word from broker to broker: LISTEN and NOTIFY, gathered for ten milliseconds, lost without harm.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use remit_loops::ObjectId;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, channel};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Address, words};
use crate::store::{Heard, Peers, StoreError};

/// How long word is gathered before it goes out: a notification a commit would cost more than the commit.
const GATHER: Duration = Duration::from_millis(10);
/// The server takes less than 8,000 bytes a notification.
const PAYLOAD_MAX: usize = 7_800;
/// Of more objects than this nothing is said but that there are many.
const CHANGED_MAX: usize = 2_000;
/// How much word may wait to be heard; what comes on top is lost, and said to be.
const WAITING_MAX: usize = 256;
/// Says that more changed than can be told.
const EVERYTHING: &str = "*";
/// How long to wait before the next try to connect.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// The other brokers of a database.
pub(super) struct PostgresPeers {
    address: Arc<Address>,
    /// This broker's name in what it says, so that it does not listen to itself.
    own: String,
    gathered: Mutex<Gathered>,
    wake: Notify,
    line: Mutex<Option<Line>>,
}

#[derive(Default)]
struct Gathered {
    changed: HashSet<Arc<ObjectId>>,
    everything: bool,
}

/// The connection for word. Only the one who listens uses it.
struct Line {
    runtime: Option<Runtime>,
    client: Client,
    heard: Receiver<String>,
    said: Instant,
}

impl PostgresPeers {
    pub(super) fn new(address: Arc<Address>) -> Self {
        // Two brokers of one process and one moment are told apart by the counter.
        static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut random = [0; 8];
        let drawn = getrandom::fill(&mut random);
        debug_assert!(drawn.is_ok(), "a name that another has only makes word of it unheard");
        let own = format!("{}-{}-{number}", hex::encode(random), std::process::id());
        let (gathered, line) = (Mutex::default(), Mutex::new(None));
        Self { address, own, gathered, wake: Notify::new(), line }
    }

    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be said now, as payloads.
    fn take_gathered(&self) -> Vec<String> {
        let Gathered { changed, everything } = std::mem::take(&mut *self.gathered());
        if everything {
            return vec![format!("{}\n{EVERYTHING}", self.own)];
        }
        let mut payloads: Vec<String> = vec![];
        for id in changed {
            let id = id.to_string();
            match payloads.last_mut().filter(|last| last.len() + id.len() < PAYLOAD_MAX) {
                Some(last) => *last = format!("{last}\n{id}"),
                None => payloads.push(format!("{}\n{id}", self.own)),
            }
        }
        payloads
    }

    /// What somebody said, unless it was this broker itself.
    fn hear(&self, payload: &str, heard: &mut Heard) {
        let mut lines = payload.lines();
        if lines.next() == Some(&self.own) {
            return;
        }
        for line in lines {
            match line.parse() {
                Ok(id) => heard.changed.push(id),
                // A star, or a name from a newer broker.
                Err(_) => heard.everything = true,
            }
        }
    }

    /// Says what is gathered and waits for what others say.
    async fn talk(&self, line: &mut Line, wait: Duration) -> Result<Heard, StoreError> {
        let mut heard = Heard::default();
        let end = tokio::time::Instant::now() + wait;
        loop {
            let to_say = !self.gathered().is_empty();
            let say_at = tokio::time::Instant::from_std(line.said + GATHER);
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(say_at), if to_say => {
                    for payload in self.take_gathered() {
                        line.client.execute("SELECT pg_notify('remit', $1)", &[&payload]).await?;
                    }
                    line.said = Instant::now();
                }
                payload = line.heard.recv() => {
                    let lost = || StoreError::Unavailable("the connection for word is lost".to_owned());
                    self.hear(&payload.ok_or_else(lost)?, &mut heard);
                    while let Ok(payload) = line.heard.try_recv() {
                        self.hear(&payload, &mut heard);
                    }
                    if heard != Heard::default() {
                        return Ok(heard);
                    }
                }
                () = self.wake.notified(), if !to_say => {}
                () = tokio::time::sleep_until(end) => return Ok(heard),
            }
        }
    }
}

impl Gathered {
    fn is_empty(&self) -> bool {
        self.changed.is_empty() && !self.everything
    }
}

impl Peers for PostgresPeers {
    fn announce(&self, changed: &[Arc<ObjectId>]) {
        let mut gathered = self.gathered();
        let was_empty = gathered.is_empty();
        if gathered.changed.len() + changed.len() > CHANGED_MAX {
            gathered.everything = true;
            gathered.changed.clear();
        }
        if !gathered.everything {
            gathered.changed.extend(changed.iter().cloned());
        }
        drop(gathered);
        if was_empty {
            self.wake.notify_one();
        }
    }

    fn listen(&self, wait: Duration) -> Heard {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let everything = Heard { changed: vec![], everything: true };
        let Some(open) = &mut *line else {
            match Line::open(&self.address) {
                // Whatever was said before, nobody heard it here.
                Ok(open) => {
                    *line = Some(open);
                    return everything;
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot listen to the other brokers");
                    std::thread::sleep(AGAIN_AFTER.min(wait));
                    return Heard::default();
                }
            }
        };
        let Some(runtime) = open.runtime.take() else { return everything };
        let talked = runtime.block_on(self.talk(open, wait));
        open.runtime = Some(runtime);
        talked.unwrap_or_else(|error| {
            tracing::debug!(%error, "the other brokers cannot be heard for a moment");
            *line = None;
            Heard::default()
        })
    }
}

impl Line {
    fn open(address: &Address) -> Result<Self, StoreError> {
        let io = |error: std::io::Error| StoreError::Failed(error.to_string());
        let runtime = Builder::new_current_thread().enable_all().build().map_err(io)?;
        let connected = runtime.block_on(async {
            let (client, heard) = match &address.tls {
                Some(tls) => connect(address, MakeRustlsConnect::new((**tls).clone())).await?,
                None => connect(address, NoTls).await?,
            };
            client.batch_execute("LISTEN remit").await?;
            Ok::<_, tokio_postgres::Error>((client, heard))
        });
        let (client, heard) = connected.map_err(|error| StoreError::Unavailable(words(&error)))?;
        Ok(Self { runtime: Some(runtime), client, heard, said: Instant::now() })
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // It may be dropped on a thread that must not block.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Connects; a task passes on what is notified until the connection ends.
async fn connect<T>(address: &Address, tls: T) -> Result<(Client, Receiver<String>), tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, mut connection) = address.config.connect(tls).await?;
    let (to, heard) = channel(WAITING_MAX);
    tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(notification) = message
                && to.try_send(notification.payload().to_owned()).is_err()
            {
                // Too much, or nobody listens any more: the end of the line tells that word was lost.
                return;
            }
        }
    });
    Ok((client, heard))
}
