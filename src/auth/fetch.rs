//! Requests to issuers, with limits of size and time.

use std::time::Duration;

use reqwest::{Client, Response, Url, redirect};

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The longest time for the complete response.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// A client for this URL.
///
/// # Errors
/// If the system's root certificates cannot be used.
pub fn client(url: &Url) -> Result<Client, BoxError> {
    // reqwest uses the process-wide crypto provider. One that is already installed stays.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    let mut builder = Client::builder()
        .timeout(TIMEOUT)
        // A redirect could lead to another host than the configured one.
        .redirect(redirect::Policy::none())
        .user_agent(concat!("guestlist/", env!("CARGO_PKG_VERSION")));
    if url.scheme() == "http" {
        // The settings accept http for loopback addresses only, which no proxy can reach.
        builder = builder.no_proxy();
    }
    Ok(builder.build()?)
}

/// The body of a response.
///
/// # Errors
/// If it is larger than `max` bytes, or does not arrive.
pub async fn body(mut response: Response, max: usize) -> Result<Vec<u8>, BoxError> {
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(plain)? {
        text.extend_from_slice(&chunk);
        if text.len() > max {
            return Err(format!("the response is larger than {max} bytes").into());
        }
    }
    Ok(text)
}

/// The error without the URL, which may contain a secret.
pub fn plain(error: reqwest::Error) -> BoxError {
    if error.is_timeout() {
        return format!("no complete response within {TIMEOUT:?}").into();
    }
    error.without_url().into()
}
