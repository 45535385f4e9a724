//! The other end of a request's connection.

use std::net::SocketAddr;
use std::sync::Arc;

/// The peer's address; in the extensions of every request.
#[derive(Debug, Clone)]
pub struct Peer {
    pub address: SocketAddr,
    /// The address as text, made once for the log lines of all its requests.
    pub text: Arc<str>,
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self { address, text: address.to_string().into() }
    }
}
