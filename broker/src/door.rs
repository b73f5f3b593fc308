//! The one way in: TCP, then TLS 1.3, then HTTP, each bounded, for both the API and the runners.
//!
//! A connection that is idle must cost little: ten thousand runners wait at one broker. So
//! windows and buffers are small, sessions are not resumed and nothing polls.

mod gather;
mod guests;
pub(crate) mod limits;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use crate::pki::{self, Authority, RunnerIdentity};
use gather::Gather;
pub(crate) use guests::Guest;
use guests::{Guests, Place};

/// A request's head must be there within this time (HTTP/1).
const HEADER_WITHIN: Duration = Duration::from_secs(10);
/// The most bytes of a request's headers.
const HEADER_LIST_SIZE_MAX: u32 = 16 * 1024;
/// Much longer than a poll: a connection that polls is never pinged, and seldom woken to see that.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(300);
const KEEPALIVE_WITHIN: Duration = Duration::from_secs(20);
/// HTTP/2 streams that a client may reset before they were looked at.
const PENDING_RESETS_MAX: usize = 20;
/// After an accept failed, e.g. for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How much one door lets in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The most connections at once.
    pub(crate) connections_max: usize,
    /// The most requests at once on one connection.
    pub(crate) streams_max: u32,
    /// The most bytes in flight on one connection.
    pub(crate) window: u32,
    /// After so long a connection is asked to be made anew, ± 10 %; `None` for never.
    pub(crate) age_max: Option<Duration>,
    /// Whether HTTP/1.1 is spoken too.
    pub(crate) http1: bool,
    /// Whether one connection has many requests whose answers are worth gathering.
    pub(crate) gathers: bool,
}

/// Who the client's certificate says it is, where it showed one; read once for the whole
/// connection. In the extensions of each request.
#[derive(Clone, Debug)]
pub(crate) struct Peer(pub(crate) Result<Arc<RunnerIdentity>, String>);

/// Which clients are let in by TLS.
pub(crate) enum Clients {
    /// Anybody; they prove who they are later.
    Anybody,
    /// Anybody, but a certificate that is shown must be of this authority.
    MayShowCertificate,
}

/// TLS as this broker speaks it: 1.3 only, ring.
pub(crate) fn tls(
    authority: &Authority,
    (chain, key): (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>),
    clients: &Clients,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    let builder = match clients {
        Clients::Anybody => builder.with_no_client_auth(),
        Clients::MayShowCertificate => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(authority.certificate().clone())?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|e| rustls::Error::General(e.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
    // A resumed session would skip the client's certificate, and its memory is kept for nothing.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// The names that clients may call the broker by.
pub(crate) fn hosts(public: &[String]) -> Vec<String> {
    ["localhost", "127.0.0.1", "::1"].into_iter().map(str::to_owned).chain(public.iter().cloned()).collect()
}

/// A listener with everything that its connections share.
pub(crate) struct Door {
    /// Where it listens.
    pub(crate) listener: TcpListener,
    /// TLS.
    pub(crate) tls: Arc<ServerConfig>,
    /// What answers.
    pub(crate) router: Router,
    /// How much it lets in.
    pub(crate) limits: Limits,
    /// How many connections there are.
    pub(crate) connections: prometheus_client::metrics::gauge::Gauge,
}

impl Door {
    /// Lets clients in until told to stop, then waits until the last has gone.
    pub(crate) async fn serve(self, stop: CancellationToken) {
        let guests = Guests::new(self.limits.connections_max);
        let acceptor = TlsAcceptor::from(self.tls.clone());
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let (stream, from) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    guests.make_room();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Some(place) = guests.enter(from) else {
                tracing::debug!(%from, "there is no room for another connection");
                continue;
            };
            let connection = Connection {
                acceptor: acceptor.clone(),
                router: self.router.clone(),
                limits: self.limits,
                stop: stop.clone(),
                place,
            };
            let gauge = self.connections.clone();
            tasks.spawn(async move {
                gauge.inc();
                // Boxed apart: the handshake's state must not stay for the life of the connection.
                if let Some(stream) = connection.handshake(stream).await {
                    connection.speak(stream).await;
                }
                gauge.dec();
            });
        }
        drop(self.listener);
        tasks.close();
        tasks.wait().await;
    }
}

struct Connection {
    acceptor: TlsAcceptor,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
    place: Place,
}

impl Connection {
    async fn handshake(&self, stream: TcpStream) -> Option<Box<TlsStream<TcpStream>>> {
        stream.set_nodelay(true).ok()?;
        let handshake = Box::pin(self.acceptor.accept(stream));
        tokio::select! {
            shaken = handshake => match shaken {
                Ok(stream) => Some(Box::new(stream)),
                Err(error) => {
                    tracing::debug!(%error, "a TLS handshake failed");
                    None
                }
            },
            () = self.place.guest.overstays() => None,
        }
    }

    async fn speak(self, stream: Box<TlsStream<TcpStream>>) {
        let (_, session) = stream.get_ref();
        let peer = session.peer_certificates().and_then(|chain| chain.first());
        let peer = peer.map(|c| RunnerIdentity::of_certificate(c).map(Arc::new).map_err(|e| e.to_string()));
        let peer = peer.map(Peer);
        let is_h2 = session.alpn_protocol() == Some(b"h2");
        let guest = self.place.guest.clone();
        if matches!(peer, Some(Peer(Ok(_)))) {
            guest.is_known();
        }
        let router = self.router.clone();
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            let busy = guest.busy();
            match &peer {
                Some(peer) => request.extensions_mut().insert(peer.clone()).map(drop),
                None => request.extensions_mut().insert(guest.clone()).map(drop),
            };
            // A router is always ready.
            let answer = router.clone().call(request);
            async move {
                let answer = answer.await;
                drop(busy);
                answer
            }
        });
        let io = TokioIo::new(stream);
        let ended = if is_h2 {
            let mut connection =
                Box::pin(self.h2().serve_connection(Gather::new(io, self.limits.gathers), service));
            tokio::select! {
                ended = &mut connection => ended,
                () = self.place.guest.overstays() => Ok(()),
                () = self.told_to_end() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        } else if self.limits.http1 {
            let mut connection = Box::pin(self.h1().serve_connection(io, service));
            tokio::select! {
                ended = &mut connection => ended,
                () = self.place.guest.overstays() => Ok(()),
                () = self.told_to_end() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        } else {
            Ok(())
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection broke off");
        }
    }

    /// When the broker stops or the connection is old enough.
    async fn told_to_end(&self) {
        match self.limits.age_max.map(jitter) {
            Some(age) => {
                tokio::select! {
                    () = self.stop.cancelled() => {}
                    () = tokio::time::sleep(age) => {}
                }
            }
            None => self.stop.cancelled().await,
        }
    }

    fn h2(&self) -> http2::Builder<TokioExecutor> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.limits.streams_max)
            .initial_connection_window_size(self.limits.window)
            .initial_stream_window_size(self.limits.window)
            .max_header_list_size(HEADER_LIST_SIZE_MAX)
            .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
            .max_send_buf_size(usize::try_from(self.limits.window).unwrap_or(usize::MAX))
            .keep_alive_interval(KEEPALIVE_EVERY)
            .keep_alive_timeout(KEEPALIVE_WITHIN);
        builder
    }

    fn h1(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_WITHIN)
            .max_buf_size(2 * usize::try_from(HEADER_LIST_SIZE_MAX).unwrap_or(usize::MAX));
        builder
    }
}

/// 90 to 110 % of it, so that connections made together do not end together.
fn jitter(age: Duration) -> Duration {
    let mut byte = [128u8; 1];
    // Without randomness all are of one age: a herd, but no error.
    if getrandom::fill(&mut byte).is_err() {
        tracing::warn!("no randomness for the age of a connection");
    }
    age.mul_f64(0.9 + 0.2 * f64::from(byte[0]) / 255.0)
}

/// What can keep the doors shut.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No certificate.
    #[error(transparent)]
    Pki(#[from] pki::Error),
    /// TLS would not have it.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}
