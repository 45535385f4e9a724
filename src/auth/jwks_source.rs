//! Reads JWK sets from files and URLs, with limits of size and time.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING};
use reqwest::{Client, Url, redirect};
use tokio::io::AsyncReadExt;

use super::jwk::{self, JwkSet};
use crate::config::JwksSource;

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The largest JWK set in bytes, after decompression.
const MAX_BYTES: usize = 1 << 20;
const MAX_BYTES_U64: u64 = MAX_BYTES as u64;
/// The longest time for the complete response.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub enum Source {
    File(std::path::PathBuf),
    Url(Url, Client),
}

impl Source {
    /// # Errors
    /// If the system's root certificates cannot be used.
    pub fn new(source: &JwksSource) -> Result<Self, BoxError> {
        match source {
            JwksSource::File(path) => Ok(Source::File(path.clone())),
            JwksSource::Url(url) => Ok(Source::Url(url.clone(), client(url)?)),
        }
    }

    /// # Errors
    /// If the set cannot be read, is too large or has no usable key.
    pub async fn read(&self) -> Result<JwkSet, BoxError> {
        let text = match self {
            Source::File(path) => read_file(path).await?,
            Source::Url(url, client) => fetch(client, url.clone()).await?,
        };
        Ok(jwk::parse_set(&text)?)
    }
}

fn client(url: &Url) -> Result<Client, BoxError> {
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

async fn read_file(path: &Path) -> Result<Vec<u8>, BoxError> {
    let mut text = Vec::new();
    tokio::fs::File::open(path).await?.take(MAX_BYTES_U64 + 1).read_to_end(&mut text).await?;
    within_bound(text)
}

async fn fetch(client: &Client, url: Url) -> Result<Vec<u8>, BoxError> {
    let request =
        client.get(url).header(ACCEPT, "application/json").header(ACCEPT_ENCODING, "gzip");
    let mut response = request.send().await.map_err(plain)?;
    if response.status() != http::StatusCode::OK {
        return Err(format!("the endpoint returned {}", response.status()).into());
    }
    let encoding = response.headers().get(CONTENT_ENCODING).cloned();
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(plain)? {
        text.extend_from_slice(&chunk);
        text = within_bound(text)?;
    }
    match encoding.as_ref().map(|encoding| encoding.as_bytes().to_ascii_lowercase()).as_deref() {
        None | Some(b"identity" | b"") => Ok(text),
        Some(b"gzip" | b"x-gzip") => gunzip(&text),
        Some(other) => {
            let other = String::from_utf8_lossy(other);
            Err(format!("the response has the encoding `{other}`, which was not requested").into())
        }
    }
}

/// The error without the URL, which may contain a secret.
fn plain(error: reqwest::Error) -> BoxError {
    if error.is_timeout() {
        return format!("no complete response within {TIMEOUT:?}").into();
    }
    error.without_url().into()
}

/// Some endpoints compress even if the request does not accept it, so gzip is always
/// accepted.
fn gunzip(compressed: &[u8]) -> Result<Vec<u8>, BoxError> {
    let mut text = Vec::new();
    let read = MultiGzDecoder::new(compressed).take(MAX_BYTES_U64 + 1).read_to_end(&mut text);
    read.map_err(|error| format!("the response is not valid gzip: {error}"))?;
    within_bound(text)
}

fn within_bound(text: Vec<u8>) -> Result<Vec<u8>, BoxError> {
    if text.len() > MAX_BYTES {
        return Err(format!("the JWK set is larger than {MAX_BYTES} bytes").into());
    }
    Ok(text)
}
