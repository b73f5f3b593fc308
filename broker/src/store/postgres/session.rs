//! One connection with a thread of its own to drive it: whoever calls.

use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Address, words};
use crate::store::StoreError;

/// How long a broker tries to reach the server before it says that the store is away.
const REACH_WITHIN: Duration = Duration::from_secs(3);
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// A broker that hangs lets go of what it holds after `idle_in_transaction_session_timeout`; whoever waits
/// for it waits a little longer.
const SETTINGS: &str = "SET search_path = remit; SET lock_timeout = '6s'; SET statement_timeout = '30s';
    SET idle_in_transaction_session_timeout = '3s'; SET tcp_keepalives_idle = 5;
    SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3; SET tcp_user_timeout = '10s'";

/// A value that goes with a statement.
pub(super) type Value<'a> = &'a (dyn ToSql + Sync);

/// A connection. What goes on on it goes on only while somebody waits for it.
pub(super) struct Session {
    /// There until it is dropped.
    runtime: Option<Runtime>,
    client: Client,
}

impl Session {
    /// Connects; tries for a while.
    pub(super) fn open(address: &Address) -> Result<Self, StoreError> {
        let until = Instant::now() + REACH_WITHIN;
        loop {
            match Self::connect(address) {
                Ok(mut session) => {
                    session.run(SETTINGS)?;
                    return Ok(session);
                }
                Err(error) if !error.is_passing() || Instant::now() > until => return Err(error),
                Err(_) => std::thread::sleep(AGAIN_AFTER),
            }
        }
    }

    fn connect(address: &Address) -> Result<Self, StoreError> {
        let io = |error: std::io::Error| StoreError::Failed(error.to_string());
        let runtime = Builder::new_current_thread().enable_all().build().map_err(io)?;
        let connected = runtime.block_on(async {
            match &address.tls {
                Some(tls) => {
                    let tls = MakeRustlsConnect::new((**tls).clone());
                    let (client, connection) = address.config.connect(tls).await?;
                    tokio::spawn(connection);
                    Ok(client)
                }
                None => {
                    let (client, connection) = address.config.connect(NoTls).await?;
                    tokio::spawn(connection);
                    Ok(client)
                }
            }
        });
        let failed = |error: tokio_postgres::Error| match StoreError::from(error) {
            StoreError::Conflict(why) | StoreError::Unavailable(why) => {
                StoreError::Unavailable(format!("{address}: {why}"))
            }
            error => StoreError::Open { path: address.to_string(), reason: error.to_string() },
        };
        let client = connected.map_err(failed)?;
        Ok(Self { runtime: Some(runtime), client })
    }

    /// Waits for what is asked of the server.
    pub(super) fn wait<T>(&self, asked: impl Future<Output = T>) -> T {
        let runtime = self.runtime.as_ref().expect("it is taken only when the session is dropped");
        runtime.block_on(asked)
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Whether the connection is known to be lost.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs statements without parameters.
    pub(super) fn run(&mut self, sql: &str) -> Result<(), StoreError> {
        Ok(self.wait(self.client.batch_execute(sql))?)
    }

    pub(super) fn prepare(&self, sql: &str) -> Result<Statement, StoreError> {
        Ok(self.wait(self.client.prepare(sql))?)
    }

    /// What a statement finds.
    pub(super) fn rows(&self, statement: &Statement, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        Ok(self.wait(self.client.query(statement, values))?)
    }

    /// How many rows a statement changed.
    pub(super) fn execute(&self, statement: &Statement, values: &[Value<'_>]) -> Result<u64, StoreError> {
        Ok(self.wait(self.client.execute(statement, values))?)
    }

    /// What became of a transaction whose commit was not answered.
    pub(super) fn fate(&mut self, transaction: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT pg_xact_status($1::text::xid8)";
        let row = self.wait(self.client.query_one(sql, &[&transaction]))?;
        row.try_get(0).map_err(|error| StoreError::Corrupt(words(&error)))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It may be dropped on a thread that must not block.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
