//! Sends one request to an endpoint.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Response, StatusCode, redirect};
use tokio::sync::Semaphore;
use tracing::{Instrument, Span, info_span};

use super::address::AllowedAddresses;
use super::message::Message;
use super::secret::Secret;
use super::target::Targets;
use crate::domain::{Timestamp, TraceParent};
use crate::error::{Error, Result};
use crate::telemetry::trace;

/// The longest time of a request, from the connection to the end of the response.
pub const TIMEOUT: Duration = Duration::from_secs(15);
/// The most bytes of a response that are read.
const MAX_READ_BYTES: usize = 16 * 1024;
/// The most bytes of a response that are kept.
const MAX_KEPT_BYTES: usize = 2048;
/// The most concurrent requests of this process.
const MAX_IN_FLIGHT: usize = 64;
/// The longest time to read the rest of a successful response, so that the connection can be used
/// again.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Finds the addresses of a name.
pub type Lookup =
    Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Sends requests. All requests of a process use the same sender.
pub struct Sender {
    client: Client,
    targets: Targets,
    /// `ce-source` of the requests.
    source: String,
    in_flight: Semaphore,
}

/// The result of one request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attempt {
    /// The HTTP status, if there was a response.
    pub status: Option<u16>,
    /// Why it failed, in a few words; empty if it was accepted.
    pub reason: String,
    /// The beginning of the body of a response that does not accept the event.
    pub answer: String,
    /// The pause that the endpoint requests.
    pub retry_after: Option<Duration>,
}

impl Attempt {
    /// Whether the endpoint has accepted the event.
    pub fn is_accepted(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// Whether the endpoint wants no more events.
    pub fn is_gone(&self) -> bool {
        self.status == Some(StatusCode::GONE.as_u16())
    }

    fn failed(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..Self::default() }
    }
}

impl Sender {
    /// # Errors
    /// If the system's root certificates cannot be used.
    pub fn new(targets: Targets, source: String, lookup: Lookup) -> Result<Self> {
        // reqwest uses the process-wide crypto provider. One that is already installed stays.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            drop(rustls::crypto::ring::default_provider().install_default());
        }
        let resolver = Checked { addresses: targets.addresses.clone(), lookup };
        let client = Client::builder()
            .timeout(TIMEOUT)
            // A redirect could lead to any address, and so could a proxy from the environment.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(resolver))
            .pool_max_idle_per_host(4)
            .pool_idle_timeout(Duration::from_secs(20))
            .user_agent(concat!("guestlist/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(Error::internal)?;
        Ok(Self { client, targets, source, in_flight: Semaphore::new(MAX_IN_FLIGHT) })
    }

    /// Which URLs endpoints may have.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// Sends a message, signed with each of the secrets. The request takes at most `limit`.
    pub async fn send(
        &self,
        url: &str,
        message: &Message,
        secrets: &[Secret],
        now: Timestamp,
        limit: Duration,
    ) -> Attempt {
        let span = span(message);
        // Without a span of its own, the request belongs to the span of the change.
        let trace = trace::place_of(&span).or(message.trace);
        let sending = self.send_in(url, message, secrets, now, limit, trace);
        let attempt = sending.instrument(span.clone()).await;
        // A signed integer, since the tracing layer exports other numbers as text.
        span.record("http.response.status_code", attempt.status.map(i64::from));
        if !attempt.is_accepted() {
            span.record("otel.status_code", "ERROR");
            span.record("error.type", attempt.reason.as_str());
        }
        attempt
    }

    async fn send_in(
        &self,
        url: &str,
        message: &Message,
        secrets: &[Secret],
        now: Timestamp,
        limit: Duration,
        trace: Option<TraceParent>,
    ) -> Attempt {
        let Ok(_permit) = self.in_flight.acquire().await else {
            return Attempt::failed("the server stops");
        };
        // Checked again: the settings may have changed since the URL was stored.
        let url = match self.targets.parse(url) {
            Ok(url) => url,
            Err(wrong) => return Attempt::failed(format!("the URL {}", wrong.0)),
        };
        let seconds = now.as_seconds();
        let signatures: Vec<String> =
            secrets.iter().map(|it| it.sign(&message.id, seconds, &message.body)).collect();
        let mut request = self
            .client
            .post(url)
            .timeout(limit.min(TIMEOUT))
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signatures.join(" "))
            .header("ce-specversion", "1.0")
            .header("ce-id", &message.id)
            .header("ce-source", &self.source)
            .header("ce-type", &message.event_type)
            .header("ce-time", &message.time)
            .body(message.body.clone());
        if let Some(trace) = trace {
            request = request.header("traceparent", trace.to_string());
        }
        match request.send().await {
            Ok(response) => answer(response, now).await,
            Err(error) => {
                let reason = reason(&error);
                let error = error.without_url();
                tracing::debug!(%reason, ?error, "a webhook's request failed");
                Attempt::failed(reason)
            }
        }
    }
}

/// The span of a request, a child of the span of the change. The URL is not in it: it may be a
/// secret.
fn span(message: &Message) -> Span {
    if !trace::is_sampled(message.trace) {
        return Span::none();
    }
    let span = info_span!(
        target: "otel::root",
        "webhook",
        otel.kind = "client",
        otel.status_code = tracing::field::Empty,
        "error.type" = tracing::field::Empty,
        http.request.method = "POST",
        http.response.status_code = tracing::field::Empty,
        guestlist.event.id = message.id,
        "guestlist.event.type" = message.event_type,
    );
    trace::set_parent(&span, message.trace, None);
    span
}

async fn answer(mut response: Response, now: Timestamp) -> Attempt {
    let status = response.status();
    let retry_after = match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            retry_after(response.headers(), now)
        }
        _ => None,
    };
    let reason = match status {
        status if status.is_success() => String::new(),
        status if status.is_redirection() => "the answer is a redirect".to_owned(),
        _ => "the answer has an error status".to_owned(),
    };
    let answer = if status.is_success() {
        // The status alone decides; the body is not needed.
        drop(tokio::time::timeout(DRAIN_TIMEOUT, read(&mut response)).await);
        String::new()
    } else {
        let mut kept = read(&mut response).await;
        kept.truncate(MAX_KEPT_BYTES);
        printable(&kept)
    };
    Attempt { status: Some(status.as_u16()), reason, answer, retry_after }
}

/// The beginning of the body, as far as it arrives.
async fn read(response: &mut Response) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < MAX_READ_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let room = MAX_READ_BYTES - bytes.len();
                bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
            }
            // The bytes that arrived before are kept.
            Ok(None) | Err(_) => break,
        }
    }
    bytes
}

/// Bytes as a text that databases can store.
fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}")
}

/// `Retry-After` (RFC 9110 §10.2.3): seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at: SystemTime = httpdate::parse_http_date(text).ok()?;
    let at = at.duration_since(UNIX_EPOCH).ok()?;
    let now = Duration::from_micros(u64::try_from(now.as_micros()).ok()?);
    Some(at.saturating_sub(now))
}

/// A short reason that shows an admin what to do, and reveals nothing about the server's network.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref::<LookupError>() {
            return refused.to_string();
        }
        cause = error.source();
    }
    let reason = match error {
        error if error.is_timeout() => "there was no answer in time",
        error if error.is_connect() => "the connection failed",
        _ => "the connection ended before the answer",
    };
    reason.to_owned()
}

/// Looks up a name once and returns its allowed addresses. The client connects to these addresses,
/// so that a second lookup cannot have another result.
struct Checked {
    addresses: AllowedAddresses,
    lookup: Lookup,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LookupError {
    NotFound,
    NotAllowed,
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LookupError::NotFound => "the host has no address",
            LookupError::NotAllowed => "the host has no public address",
        })
    }
}

impl StdError for LookupError {}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let found = (self.lookup)(name.as_str().to_owned());
        let addresses = self.addresses.clone();
        Box::pin(async move {
            let found = found.await.map_err(|_| LookupError::NotFound)?;
            if found.is_empty() {
                return Err(LookupError::NotFound.into());
            }
            let permitted: Vec<SocketAddr> =
                found.into_iter().filter(|at| addresses.permits(at.ip())).collect();
            if permitted.is_empty() {
                return Err(LookupError::NotAllowed.into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

/// Uses the system's resolver.
pub fn system_lookup() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.collect())
        })
    })
}

#[cfg(test)]
mod tests;
