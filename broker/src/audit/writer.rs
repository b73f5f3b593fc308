//! The one who writes: gathers what was decided, follows what people asked of objects, and adds blocks. While
//! one block is stored the next gathers, so nobody waits for more than two.

use std::sync::Arc;
use std::time::Duration;

use remit_loops::Body;
use remit_seal::document::AuditPlace;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::block::{New, Tip};
use super::{Asked, Audit, Chain, of};
use crate::dispatch::DispatchKeys;
use crate::engine::{self, Engine};
use crate::store::StoreError;

/// How often the log of events is looked at.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);
/// How often failed authentications are written down, and old blocks are looked for.
const SELDOM: Duration = Duration::from_secs(10);
/// How many decisions one block holds.
const BLOCK_MAX: usize = 64;
/// How many events are looked at in one go.
const PAGE: usize = 1_000;
/// How many pages of events one turn looks at before it looks after those who wait.
const PAGES_MAX: usize = 8;
/// Where brokers share a database, no event is taken before all that came before it is visible.
const SETTLED_MS: i64 = 5_000;

type Reply = oneshot::Sender<Result<AuditPlace, StoreError>>;

/// Writes until the broker closes; whoever asked before that gets an answer.
pub(crate) async fn run(audit: Arc<Audit>, keys: Arc<DispatchKeys>, closing: CancellationToken) {
    let taken = audit.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    let Some(mut inbox) = taken else { return };
    let mut writer = Writer { audit: audit.clone(), keys, tip: None, passed: 0, seldom: Instant::now() };
    let mut tick = tokio::time::interval(FOLLOW_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut waiting = Vec::new();
    loop {
        tokio::select! {
            _ = inbox.recv_many(&mut waiting, BLOCK_MAX) => writer.write(&mut waiting).await,
            _ = tick.tick() => writer.turn().await,
            () = closing.cancelled() => break,
        }
    }
    writer.end(&mut inbox).await;
}

struct Writer {
    audit: Arc<Audit>,
    keys: Arc<DispatchKeys>,
    /// Where the chain stands, as far as is known here.
    tip: Option<Tip>,
    /// How far the log of events was looked at in vain.
    passed: u64,
    seldom: Instant,
}

impl Writer {
    fn engine(&self) -> &Engine {
        &self.audit.engine
    }

    fn chain(&self) -> &Chain {
        &self.audit.chain
    }

    /// Answers who still waits, and takes in what people asked last.
    async fn end(&mut self, inbox: &mut mpsc::Receiver<Asked>) {
        inbox.close();
        let mut waiting = Vec::new();
        while let Some(asked) = inbox.recv().await {
            waiting.push(asked);
        }
        self.write(&mut waiting).await;
        self.seldom = Instant::now();
        self.turn().await;
    }

    /// Writes down what somebody waits for.
    async fn write(&mut self, waiting: &mut Vec<Asked>) {
        while !waiting.is_empty() {
            let block = waiting.drain(..waiting.len().min(BLOCK_MAX));
            let (news, replies): (Vec<New>, Vec<Reply>) = block.map(|asked| (asked.new, asked.reply)).unzip();
            let written = self.add(news).await;
            for reply in replies {
                // Who asked may have gone away.
                let _ = reply.send(written.clone());
            }
        }
    }

    /// What is done by the clock.
    async fn turn(&mut self) {
        let done = self.follow().await;
        let done = if self.seldom <= Instant::now() { done.and(self.seldom().await) } else { done };
        if let Err(error) = done {
            self.tip = None;
            tracing::warn!(%error, "the audit log has to wait");
        }
    }

    /// Takes in what people asked of objects since.
    async fn follow(&mut self) -> Result<(), StoreError> {
        for _ in 0..PAGES_MAX {
            let tip = self.tip().await?;
            let from = tip.log.max(self.passed);
            let page = self.engine().asked_after(from, PAGE, SETTLED_MS).await?;
            let mut asked = page.asked.iter().peekable();
            while asked.peek().is_some() {
                let some: Vec<&engine::Asked> = asked.by_ref().take(BLOCK_MAX).collect();
                let log =
                    if asked.peek().is_some() { some.last().map_or(from, |a| a.seq) } else { page.last };
                let news = some.into_iter().map(entry_of).collect();
                if !self.add_at(news, log).await? {
                    // Another broker follows it too, and was faster.
                    return Ok(());
                }
            }
            self.passed = self.passed.max(page.last);
            if !page.is_full {
                break;
            }
        }
        Ok(())
    }

    async fn seldom(&mut self) -> Result<(), StoreError> {
        self.seldom = Instant::now() + SELDOM;
        let refused = std::mem::take(&mut *self.audit.refused());
        if !refused.counts.is_empty() {
            let new = New { by: "broker".to_owned(), code: "authentication.failed", ..New::default() };
            let new = new.fact("since", refused.since.unwrap_or_default().0);
            let count =
                |new: New, ((door, code), n): ((&str, &str), u64)| new.fact(&format!("{door} {code}"), n);
            self.add(vec![refused.counts.into_iter().fold(new, count)]).await?;
        }
        let Some(tip) = self.tip.clone() else { return Ok(()) };
        super::keep::cut(&self.audit, &self.keys, &tip.place).await
    }

    /// Adds a block of what was decided here, after whatever others add meanwhile.
    async fn add(&mut self, news: Vec<New>) -> Result<AuditPlace, StoreError> {
        loop {
            let log = self.tip().await?.log;
            match self.add_at(news.clone(), log).await {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) => {
                    self.tip = None;
                    return Err(error);
                }
            }
            return Ok(self.tip().await?.place);
        }
    }

    /// Adds a block, if nobody was faster.
    async fn add_at(&mut self, news: Vec<New>, log: u64) -> Result<bool, StoreError> {
        let tip = self.tip().await?;
        let news = news.into_iter().map(|new| Ok((new, salt()?))).collect::<Result<Vec<_>, StoreError>>()?;
        let (block, next) = tip.next(self.engine().now(), log, news);
        let added = self.chain().add(next.place.block, &block).await?;
        self.tip = added.then_some(next);
        Ok(added)
    }

    /// Where the chain stands; begins it where there is none.
    async fn tip(&mut self) -> Result<Tip, StoreError> {
        if let Some(tip) = &self.tip {
            return Ok(tip.clone());
        }
        let mut found = self.chain().tip().await?;
        while found.is_none() {
            let begun = New { by: "broker".to_owned(), code: "log.begun", ..New::default() };
            let begun = begun.fact("version", env!("CARGO_PKG_VERSION"));
            let none = Tip::none(salt()?);
            // The log of events is older than the audit log where an older broker made it.
            let (block, next) = none.next(self.engine().now(), 0, vec![(begun, salt()?)]);
            found = match self.chain().add(1, &block).await? {
                true => Some(next),
                false => self.chain().tip().await?,
            };
        }
        self.tip.clone_from(&found);
        found.ok_or_else(|| StoreError::Failed("the audit log has no beginning".to_owned()))
    }
}

/// What a person asked of an object, as an entry. What exactly is in the event, which the digest is of.
fn entry_of(asked: &engine::Asked) -> New {
    let new = of(&asked.object, asked.by.clone(), "signal");
    let new = new.fact("seq", asked.seq).fact("event", asked.digest.hex());
    match &asked.body {
        Body::Signal(signal) => {
            new.fact("signal", name_of(&serde_json::to_value(signal).unwrap_or_default()))
        }
        Body::Report(_) | Body::Notice(_) | Body::Tick => new,
    }
}

/// `{"install":{"deploy":{…}}}` is `deploy`.
fn name_of(signal: &serde_json::Value) -> String {
    let inner = signal.as_object().and_then(|kind| kind.values().next());
    match inner {
        Some(serde_json::Value::Object(signal)) => signal.keys().next().cloned().unwrap_or_default(),
        Some(serde_json::Value::String(signal)) => signal.clone(),
        _ => String::new(),
    }
}

fn salt() -> Result<String, StoreError> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|e| StoreError::Failed(format!("no randomness: {e}")))?;
    Ok(hex::encode(bytes))
}
