//! The bounds of the door: what a peer may cost.

use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::domain::Network;

/// `[http]`: limits of connections, requests and messages.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Http {
    /// How long a TLS handshake may take.
    #[serde(with = "humantime_serde")]
    pub handshake_timeout: Duration,
    /// How long a new connection may be silent.
    #[serde(with = "humantime_serde")]
    pub first_byte_timeout: Duration,
    /// How long a request's head may take to arrive whole.
    #[serde(with = "humantime_serde")]
    pub head_timeout: Duration,
    /// The longest a request may take, whatever deadline the client asked for.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// How long a peer may take nothing of what is sent to it.
    #[serde(with = "humantime_serde")]
    pub write_timeout: Duration,
    /// How long requests that are running at shutdown may take to finish.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    /// How long an HTTP/1 connection may be idle between two requests.
    #[serde(with = "humantime_serde")]
    pub http1_idle_timeout: Duration,
    /// How long an HTTP/2 connection may be without a request.
    #[serde(with = "humantime_serde")]
    pub http2_idle_timeout: Duration,
    /// How old a connection may become; 0 for any age.
    #[serde(with = "humantime_serde")]
    pub max_connection_age: Duration,
    /// How long an HTTP/2 connection may be idle before it is pinged.
    #[serde(with = "humantime_serde")]
    pub keep_alive_interval: Duration,
    /// How long the answer to a ping may take.
    #[serde(with = "humantime_serde")]
    pub keep_alive_timeout: Duration,
    /// Connections at a time; more are refused at once.
    pub max_connections: usize,
    /// Of those, the connections of one network: see [`Http::connections_per_network`].
    #[serde(default, deserialize_with = "number")]
    pub max_connections_per_network: Option<usize>,
    /// Requests of callers with a valid credential running at a time; more are refused
    /// with RESOURCE_EXHAUSTED.
    pub max_requests: usize,
    /// The same for their calls of streaming methods.
    pub max_streaming_requests: usize,
    /// Requests without a valid credential running at a time, for each method that is
    /// open to them; a quarter of it for each client network.
    pub max_anonymous_requests: usize,
    /// The same for each streaming method.
    pub max_anonymous_streaming_requests: usize,
    /// Concurrent streams on one HTTP/2 connection.
    pub max_streams: u32,
    /// Bytes of a request's header list.
    pub max_header_bytes: u32,
    /// Bytes of a request message, after decompression.
    pub max_request_bytes: usize,
    /// Bytes of a request message without a valid credential.
    pub max_anonymous_request_bytes: usize,
    /// Bytes of a response message, before compression.
    pub max_response_bytes: usize,
    /// The proxies whose word about the client's address counts.
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<Network>,
}

/// One in so many of all connections is what one network may have.
const NETWORKS: usize = 4;

impl Http {
    /// Connections of one network at a time.
    pub fn connections_per_network(&self) -> usize {
        match self.max_connections_per_network {
            None => (self.max_connections / NETWORKS).max(1),
            Some(0) => self.max_connections,
            Some(share) => share,
        }
    }

    /// Lets fewer connections in, of which one network may have the same part as
    /// before.
    pub fn lower_max_connections(&mut self, to: usize) {
        if let Some(share) = self.max_connections_per_network.as_mut().filter(|share| **share > 0) {
            *share = (share.saturating_mul(to) / self.max_connections).max(1);
        }
        self.max_connections = to;
    }
}

/// A number that has no default, which the environment gives as a text.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<usize>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "must be a whole number")]
    enum Given {
        Number(usize),
        Text(String),
    }
    match Given::deserialize(from)? {
        Given::Number(number) => Ok(Some(number)),
        Given::Text(text) => {
            text.parse().map(Some).map_err(|_| D::Error::custom("must be a whole number"))
        }
    }
}

fn networks<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Network>, D::Error> {
    let network = |text: &String| {
        text.parse().map_err(|problem| D::Error::custom(format!("`{text}` {problem}")))
    };
    Vec::<String>::deserialize(from)?.iter().map(network).collect()
}

/// `[cors]`: which web pages may call from a browser.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Cors {
    /// Exact origins such as `https://app.example.com`. Empty: CORS is off.
    pub allowed_origins: Vec<String>,
    /// Names of further request headers that pages may send.
    pub allowed_headers: Vec<String>,
}
