//! Sends batches of spans to the receiver.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use reqwest::redirect;
use tokio::runtime::{Builder, Runtime};

/// A client with a runtime of its own: batches are sent by a thread of the exporter, also when
/// the server's runtime has ended.
#[derive(Debug)]
pub struct Client {
    runtime: Runtime,
    client: reqwest::Client,
    /// Whether the last request failed. Only the first of several failures is a warning.
    is_failing: AtomicBool,
}

impl Client {
    /// `timeout` is the longest time of one request.
    ///
    /// # Errors
    /// If the system's root certificates cannot be used.
    pub fn new(timeout: Duration) -> Result<Self, HttpError> {
        // reqwest uses the process-wide crypto provider. One that is already installed stays.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            drop(rustls::crypto::ring::default_provider().install_default());
        }
        let client = reqwest::Client::builder()
            .timeout(timeout)
            // A redirect could lead to another host than the configured one.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("guestlist/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, client, is_failing: AtomicBool::new(false) })
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        // Without the URL, which may contain a secret.
        let answer = self.client.execute(request).await.map_err(reqwest::Error::without_url)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(reqwest::Error::without_url)?;
        let mut response = Response::new(body);
        *response.status_mut() = status;
        Ok(response)
    }

    /// Logs the first of several failures, and their end.
    fn note(&self, failure: Option<String>) {
        let was_failing = self.is_failing.swap(failure.is_some(), Ordering::Relaxed);
        match failure {
            Some(failure) if was_failing => tracing::debug!(failure, "sending spans fails again"),
            Some(failure) => tracing::warn!(
                failure,
                "cannot send the spans of traces; they are lost, requests go on, and later spans \
                 are sent when the receiver accepts them (further failures are not logged)"
            ),
            None if was_failing => tracing::info!("the spans of traces are sent again"),
            None => {}
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.runtime.block_on(self.send(request));
        self.note(match &sent {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("the receiver returned {}", response.status())),
            Err(error) => Some(crate::error::chain(&**error)),
        });
        sent
    }
}
