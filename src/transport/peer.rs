//! The other end of a request's connection.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

/// The peer's address; in the extensions of every request.
#[derive(Debug, Clone)]
pub struct Peer {
    pub address: SocketAddr,
    /// The address as text, made once for the log lines of all its requests.
    pub text: Arc<str>,
    /// Cancelled when the connection accepts no more requests and ends after the running ones.
    pub ending: CancellationToken,
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self { address, text: address.to_string().into(), ending: CancellationToken::new() }
    }
}
