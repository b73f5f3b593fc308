//! Why a runner does not start: whichever of its parts could not be set up.

use std::net::SocketAddr;

use crate::broker::{connection, identity, trust};
use crate::error::Coded;
use crate::policy;
use crate::process::confine;
use crate::storage::{data_dir, journal};

/// Why the runner did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The confinement of jobs.
    #[error(transparent)]
    Confine(#[from] confine::Error),
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] data_dir::Error),
    /// The identity.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The policy.
    #[error(transparent)]
    Policy(#[from] policy::Error),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] connection::TlsError),
    /// What the vendor's keys are.
    #[error(transparent)]
    Trust(#[from] trust::Error),
    /// The backend of terraform's states.
    #[error("cannot listen on loopback for terraform's states")]
    States(#[source] std::io::Error),
    /// The status API's address is taken.
    #[error("cannot listen on {addr} for the status API")]
    Status {
        /// Where.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::Confine(error) => error.code(),
            Error::DataDir(error) => error.code(),
            Error::Identity(error) => error.code(),
            Error::Journal(error) => error.code(),
            Error::Policy(error) => error.code(),
            Error::Tls(error) => error.code(),
            Error::Trust(error) => error.code(),
            Error::Status { .. } => "runner.status_listen",
            Error::States(_) => "runner.state_listen",
        }
    }

    fn hint(&self) -> String {
        match self {
            Error::Confine(error) => error.hint(),
            Error::DataDir(error) => error.hint(),
            Error::Identity(error) => error.hint(),
            Error::Journal(error) => error.hint(),
            Error::Policy(error) => error.hint(),
            Error::Tls(error) => error.hint(),
            Error::Trust(error) => error.hint(),
            Error::States(_) => "let the runner listen on 127.0.0.1".to_owned(),
            Error::Status { .. } => {
                "give another --status-listen, e.g. 127.0.0.1:0 for any free port".to_owned()
            }
        }
    }
}
