//! The accept loop, with limits on the cost of a peer, and graceful shutdown.
//!
//! tonic's own server is not used: it keeps silent connections open, does not limit streams, does
//! not shut down while one client does not cooperate, and spins when file descriptors run out.

mod connection;
mod connection_limit;
mod counters;
mod head;
mod lifetime;
mod reject;
mod rewind;
pub mod tls;
mod write_timeout;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::connection::{Connections, HttpService};
pub use self::connection_limit::MAX_PROBE_CONNECTIONS;
use self::connection_limit::{Access, ConnectionLimit};
pub use self::counters::Counters;
use self::tls::Tls;
use crate::config::Http;

/// The pause after an `accept` that failed for lack of a resource. It doubles up to the maximum.
const MIN_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// The lifetime of a connection for probes. A probe waits at most a few seconds for its response.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// Serves `service` on `listener`, over TLS if `tls` is given, until `shutdown` resolves. Then it
/// accepts no more requests, lets running ones finish within `settings.drain_timeout`, and cuts off
/// the rest. Returns when every connection has ended.
pub async fn serve<S: HttpService>(
    listener: TcpListener,
    service: S,
    settings: &Http,
    tls: Option<Tls>,
    counters: Counters,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopped) = watch::channel(false);
    let mut acceptor = Acceptor {
        limit: ConnectionLimit::new(settings, counters.clone()),
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
        () = acceptor.accept(&listener) => {}
        () = shutdown => {}
    }
    acceptor.close(listener);
    // Not `send`, which fails without receivers: every connection may have ended already.
    stop.send_replace(true);

    let mut tasks = acceptor.tasks;
    let drained = async { while tasks.join_next().await.map(report).is_some() {} };
    if tokio::time::timeout(settings.drain_timeout, drained).await.is_err() {
        tracing::warn!(
            connections = tasks.len(),
            "the drain timeout has passed: closing connections with running requests"
        );
        tasks.shutdown().await;
    }
}

/// Accepts connections up to the limit.
struct Acceptor<S> {
    connections: Arc<Connections<S>>,
    limit: ConnectionLimit,
    tasks: JoinSet<()>,
    counters: Counters,
}

impl<S: HttpService> Acceptor<S> {
    /// Accepts connections and never returns.
    async fn accept(&mut self, listener: &TcpListener) {
        let mut pause = MIN_PAUSE;
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
                    pause = MIN_PAUSE;
                    self.spawn(stream, peer);
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(
                        %error,
                        "accepting a connection failed; trying again after a pause"
                    );
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(MAX_PAUSE);
                }
            }
        }
    }

    /// Accepts the connections in the kernel's queue, on which a request may already have arrived;
    /// the kernel rejects later connections.
    fn close(&mut self, listener: TcpListener) {
        let waiting = listener.into_std().and_then(|listener| {
            // The listener does not block: `accept` fails once the queue is empty.
            while let Ok((stream, peer)) = listener.accept() {
                stream.set_nonblocking(true)?;
                self.spawn(TcpStream::from_std(stream)?, peer);
            }
            Ok(())
        });
        if let Err(error) = waiting {
            tracing::warn!(
                %error,
                "accepting the last connections failed; those in the queue are lost"
            );
        }
    }

    fn spawn(&mut self, stream: TcpStream, peer: SocketAddr) {
        // Without a permit it is closed: for the client this is a clearer signal than silence.
        let Some((permit, access)) = self.limit.admit(peer.ip()) else { return };
        let connections = Arc::clone(&self.connections);
        let open = OpenGuard::new(&self.counters);
        self.tasks.spawn(async move {
            // Released when the connection ends or the task is aborted.
            let _held = (permit, open);
            set_nodelay(&stream);
            let run = connections.run(stream, peer.into(), access);
            match access {
                Access::Full => run.await,
                Access::Probe => {
                    if tokio::time::timeout(PROBE_TIMEOUT, Box::pin(run)).await.is_err() {
                        tracing::debug!(
                            %peer,
                            "the time-out of a connection for probes has passed; closing it"
                        );
                    }
                }
            }
        });
    }
}

/// Counts a connection while it is open.
struct OpenGuard(Counters);

impl OpenGuard {
    fn new(counters: &Counters) -> Self {
        counters.opened();
        Self(counters.clone())
    }
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.closed();
    }
}

/// Without TCP_NODELAY small responses wait for the delayed acknowledgement of the peer.
fn set_nodelay(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        // The peer has closed the connection; the next read fails.
        tracing::debug!(%error, "setting TCP_NODELAY failed");
    }
}

/// Whether an error of `accept` concerns one connection and not the listener.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// Logs a panic, which ends only its own connection. The panic hook logs the text of the panic.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        tracing::error!("the task of a connection panicked; the connection is closed");
    }
}

#[cfg(test)]
mod tests;
