//! The accept loop: what a peer may cost, and how it ends.
//!
//! Ours rather than tonic's, which leaves silent connections open, limits no
//! streams, does not end under one uncooperative client and spins when file
//! descriptors run out.

mod connection;
mod rewind;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::Service;

use self::connection::Connections;
use super::Response;
use crate::config::Http;

/// The pause after an `accept` that failed for want of something, growing from
/// the first to the second.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// The other end of a request's connection; in the extensions of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// A service that answers whatever comes off a connection.
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

/// Serves `service` on `listener` until `shutdown` resolves; then takes nothing
/// new, lets what runs finish within `settings.drain_timeout`, and cuts off the
/// rest. Returns when every connection has ended.
pub async fn serve<S: Answer>(
    listener: TcpListener,
    service: S,
    settings: &Http,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopped) = watch::channel(false);
    let connections = Arc::new(Connections::new(service, settings, stopped));
    let mut tasks = JoinSet::new();

    tokio::select! {
        () = accept(&listener, &connections, &mut tasks, settings.max_connections) => {}
        () = shutdown => {}
    }
    // Closed first: the kernel must not go on queueing connections that nobody
    // will answer.
    drop(listener);
    // Without receivers there is no connection left to tell.
    stop.send_replace(true);

    let drained = async { while tasks.join_next().await.map(report).is_some() {} };
    if tokio::time::timeout(settings.drain_timeout, drained).await.is_err() {
        tracing::warn!(connections = tasks.len(), "cut off after the drain timeout");
        tasks.shutdown().await;
    }
}

/// Accepts for ever.
async fn accept<S: Answer>(
    listener: &TcpListener,
    connections: &Arc<Connections<S>>,
    tasks: &mut JoinSet<()>,
    max_connections: usize,
) {
    let free = Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)));
    let mut pause = PAUSE.0;
    let mut full = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = tasks.join_next() => {
                report(ended);
                continue;
            }
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE.1);
                continue;
            }
        };
        pause = PAUSE.0;

        let Ok(permit) = Arc::clone(&free).try_acquire_owned() else {
            // Closing at once tells a client more than letting it wait would.
            if !full {
                tracing::warn!(max_connections, "refusing connections");
            }
            full = true;
            continue;
        };
        full = false;
        let connections = Arc::clone(connections);
        tasks.spawn(async move {
            set_nodelay(&stream);
            connections.run(stream, Peer(peer)).await;
            drop(permit);
        });
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
