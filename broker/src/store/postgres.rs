//! The store of several brokers: one PostgreSQL database, no leader, an object's row lock the only rule.
//!
//! A batch holds the rows of the objects it is for, in the order of their numbers, before it holds anything
//! else, so brokers wait for each other and never in a circle. What its notices lead to is held only if it
//! is free; else the notice goes to the inbox. All it writes goes out with the commit, in one round trip.

use std::sync::Arc;

use tokio_postgres::error::SqlState;

use crate::store::{Peers, Reader, Store, StoreError, Transaction};

mod address;
mod peers;
mod reader;
mod schema;
mod session;
mod transaction;

pub use address::Address;

use peers::PostgresPeers;
use reader::PostgresReader;
use session::Session;
use transaction::{PostgresTransaction, Statements};

/// A database that brokers share.
pub struct PostgresStore {
    address: Arc<Address>,
    writer: Option<Writer>,
    reader: Arc<PostgresReader>,
    peers: Arc<PostgresPeers>,
}

/// The connection that writes, with its statements.
struct Writer {
    session: Session,
    statements: Statements,
}

impl PostgresStore {
    /// Connects, and brings the database's tables up to date.
    pub fn open(address: Address) -> Result<Box<dyn Store>, StoreError> {
        let address = Arc::new(address);
        let mut session = Session::open(&address)?;
        schema::migrate(&mut session)?;
        let reader = Arc::new(PostgresReader::new(address.clone()));
        let peers = Arc::new(PostgresPeers::new(address.clone()));
        let mut store = Self { address, writer: None, reader, peers };
        store.writer = Some(Writer::new(session)?);
        Ok(Box::new(store))
    }
}

impl Writer {
    fn new(mut session: Session) -> Result<Self, StoreError> {
        session.run(
            "SET synchronous_commit = on; SET enable_seqscan = off; SET enable_hashjoin = off;
                     SET enable_mergejoin = off; SET plan_cache_mode = force_generic_plan",
        )?;
        let statements = Statements::prepare(&mut session)?;
        Ok(Self { session, statements })
    }
}

impl Store for PostgresStore {
    fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, StoreError> {
        if self.writer.as_ref().is_none_or(|writer| writer.session.is_closed()) {
            self.writer = None;
            self.writer = Some(Writer::new(Session::open(&self.address)?)?);
        }
        let Some(writer) = &mut self.writer else {
            return Err(StoreError::Unavailable("there is no connection".to_owned()));
        };
        Ok(Box::new(PostgresTransaction::new(&mut writer.session, &writer.statements, &self.address)))
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.reader.clone()
    }

    fn peers(&self) -> Option<Arc<dyn Peers>> {
        Some(self.peers.clone())
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else {
            // The connection is lost: the transaction is, too.
            return StoreError::Conflict(words(&error));
        };
        let text = format!("{} ({})", db.message(), db.code().code());
        match (db.code(), &db.code().code()[..2]) {
            (&SqlState::UNIQUE_VIOLATION | &SqlState::LOCK_NOT_AVAILABLE | &SqlState::QUERY_CANCELED, _) => {
                StoreError::Conflict(text)
            }
            // A transaction that was broken off, by the server or by a conflict.
            (_, "40" | "25") => StoreError::Conflict(text),
            // No room, no connections, going down.
            (_, "53" | "57" | "08") => StoreError::Unavailable(text),
            (_, "XX") => StoreError::Corrupt(text),
            _ => StoreError::Failed(text),
        }
    }
}

/// An error with what caused it.
fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
