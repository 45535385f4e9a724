//! `[http]` and `[cors]`; see `default.toml` for the meaning of each setting.

use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::domain::Network;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Http {
    #[serde(with = "humantime_serde")]
    pub handshake_timeout: Duration,
    #[serde(with = "humantime_serde")]
    pub first_byte_timeout: Duration,
    #[serde(with = "humantime_serde")]
    pub head_timeout: Duration,
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    #[serde(with = "humantime_serde")]
    pub write_timeout: Duration,
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    #[serde(with = "humantime_serde")]
    pub shutdown_delay: Duration,
    #[serde(with = "humantime_serde")]
    pub http1_idle_timeout: Duration,
    #[serde(with = "humantime_serde")]
    pub http2_idle_timeout: Duration,
    /// 0: no limit.
    #[serde(with = "humantime_serde")]
    pub max_connection_age: Duration,
    #[serde(with = "humantime_serde")]
    pub keep_alive_interval: Duration,
    #[serde(with = "humantime_serde")]
    pub keep_alive_timeout: Duration,
    pub max_connections: usize,
    /// The value of the setting; see [`Http::connections_per_network`].
    #[serde(default, deserialize_with = "number")]
    pub max_connections_per_network: Option<usize>,
    /// Concurrent requests with a valid credential.
    pub max_requests: usize,
    /// Concurrent calls of streaming methods with a valid credential.
    pub max_streaming_requests: usize,
    /// Concurrent requests without a valid credential, for each method that accepts them. One
    /// client network gets at most a quarter of it.
    pub max_anonymous_requests: usize,
    /// The same for each streaming method.
    pub max_anonymous_streaming_requests: usize,
    /// Concurrent streams on one HTTP/2 connection.
    pub max_streams: u32,
    /// The most bytes of a request's header list.
    pub max_header_bytes: u32,
    /// The most bytes of a request message, after decompression.
    pub max_request_bytes: usize,
    /// The most bytes of a request message without a valid credential.
    pub max_anonymous_request_bytes: usize,
    /// The most bytes of a response message, before compression.
    pub max_response_bytes: usize,
    /// The proxies whose `X-Forwarded-For` and `Forwarded` headers are trusted.
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<Network>,
}

/// By default, one network gets a quarter of all connections.
const DEFAULT_NETWORK_DIVISOR: usize = 4;

impl Http {
    /// The most concurrent connections of one network.
    pub fn connections_per_network(&self) -> usize {
        match self.max_connections_per_network {
            None => (self.max_connections / DEFAULT_NETWORK_DIVISOR).max(1),
            Some(0) => self.max_connections,
            Some(share) => share,
        }
    }

    /// Lowers `max_connections`, and the limit for one network in the same proportion.
    pub fn lower_max_connections(&mut self, to: usize) {
        if let Some(share) = self.max_connections_per_network.as_mut().filter(|share| **share > 0) {
            *share = (share.saturating_mul(to) / self.max_connections).max(1);
        }
        self.max_connections = to;
    }
}

/// Deserializes the number of a setting without a default. A value from the environment is a
/// text here: without a default, the loader does not know that the setting is a number.
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

/// Deserializes a list of networks.
pub(super) fn networks<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Network>, D::Error> {
    let network = |text: &String| {
        text.parse().map_err(|problem| D::Error::custom(format!("`{text}` {problem}")))
    };
    Vec::<String>::deserialize(from)?.iter().map(network).collect()
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Cors {
    /// Empty: CORS is disabled.
    pub allowed_origins: Vec<String>,
    /// In addition to the headers of the protocols and of tracing.
    pub allowed_headers: Vec<String>,
}
