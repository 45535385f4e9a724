//! The accept loop: what a peer may cost, and how it ends.
//!
//! Ours rather than tonic's, which leaves silent connections open, limits no
//! streams, does not end under one uncooperative client and spins when file
//! descriptors run out.

mod connection;
mod counters;
mod head;
mod lifetime;
mod places;
mod refusal;
mod rewind;
mod taking;
pub mod tls;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::Service;

use self::connection::Connections;
pub use self::counters::Counters;
pub use self::places::PROBES;
use self::places::{Access, Admission};
use self::tls::Tls;
use super::Response;
use crate::config::Http;

/// The pause after an `accept` that failed for want of something, growing from
/// the first to the second.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// From its first byte to its end, a connection that is there for a probe alone.
/// Probes wait a second for their answer, or a few.
const PROBE_TIME: Duration = Duration::from_secs(3);

/// The other end of a request's connection; in the extensions of every request.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The same as text, for the line that each of its requests has in the log.
    pub text: Arc<str>,
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self { address, text: address.to_string().into() }
    }
}

/// A service that answers whatever comes off a connection, and is ready at any time.
pub trait Answer:
    Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Answer for S where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// Serves `service` on `listener`, over TLS if there is `tls`, until `shutdown`
/// resolves; then takes nothing new, lets what runs finish within `settings.drain_timeout`, and cuts off the
/// rest. Returns when every connection has ended.
pub async fn serve<S: Answer>(
    listener: TcpListener,
    service: S,
    settings: &Http,
    tls: Option<Tls>,
    counters: Counters,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopped) = watch::channel(false);
    let mut door = Door {
        admission: Admission::new(settings, counters.clone()),
        connections: Arc::new(Connections::new(
            service,
            settings.clone(),
            tls,
            stopped,
            counters.clone(),
        )),
        tasks: JoinSet::new(),
        counters,
    };
    tokio::select! {
        () = door.accept(&listener) => {}
        () = shutdown => {}
    }
    door.close(listener);
    // Without receivers there is no connection left to tell.
    stop.send_replace(true);

    let mut tasks = door.tasks;
    let drained = async { while tasks.join_next().await.map(report).is_some() {} };
    if tokio::time::timeout(settings.drain_timeout, drained).await.is_err() {
        tracing::warn!(connections = tasks.len(), "cut off after the drain timeout");
        tasks.shutdown().await;
    }
}

/// Lets connections in, as many as may be at a time.
struct Door<S> {
    connections: Arc<Connections<S>>,
    admission: Admission,
    tasks: JoinSet<()>,
    counters: Counters,
}

impl<S: Answer> Door<S> {
    /// Accepts for ever.
    async fn accept(&mut self, listener: &TcpListener) {
        let mut pause = PAUSE.0;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(ended) = self.tasks.join_next() => {
                    report(ended);
                    continue;
                }
            };
            match accepted {
                Ok((stream, peer)) => {
                    pause = PAUSE.0;
                    self.let_in(stream, peer);
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
        }
    }

    /// Lets in those whom the kernel has already connected, who may have sent a
    /// request; the next one is refused.
    fn close(&mut self, listener: TcpListener) {
        let waiting = listener.into_std().and_then(|listener| {
            // Asked until there is nobody left, since it does not block.
            while let Ok((stream, peer)) = listener.accept() {
                stream.set_nonblocking(true)?;
                self.let_in(TcpStream::from_std(stream)?, peer);
            }
            Ok(())
        });
        if let Err(error) = waiting {
            tracing::warn!(%error, "connections are lost at the end");
        }
    }

    fn let_in(&mut self, stream: TcpStream, peer: SocketAddr) {
        // Closing at once tells a client more than letting it wait would.
        let Some((place, access)) = self.admission.admit(peer.ip()) else { return };
        let connections = Arc::clone(&self.connections);
        let open = Open::new(&self.counters);
        self.tasks.spawn(async move {
            // Given back in the end, and when the task is cut off.
            let _held = (place, open);
            set_nodelay(&stream);
            let run = connections.run(stream, peer.into(), access);
            match access {
                Access::Full => run.await,
                Access::Probe => {
                    if tokio::time::timeout(PROBE_TIME, Box::pin(run)).await.is_err() {
                        tracing::debug!(%peer, "a connection for probes has had its time");
                    }
                }
            }
        });
    }
}

/// Counts a connection as long as it is open.
struct Open(Counters);

impl Open {
    fn new(counters: &Counters) -> Self {
        counters.opened();
        Self(counters.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.closed();
    }
}

/// Without it small answers wait for the peer's delayed acknowledgement.
fn set_nodelay(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        // The peer has gone already; reading will tell.
        tracing::debug!(%error, "TCP_NODELAY cannot be set");
    }
}

/// Errors that say something about the connection, not about the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// A panic ends its connection and nothing else; the panic hook has its text.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        tracing::error!("a connection ended in a panic");
    }
}

#[cfg(test)]
mod tests;
