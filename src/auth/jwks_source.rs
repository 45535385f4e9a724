//! Where an issuer's JWK set is read from: a file or a web address, within bounds.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING};
use reqwest::{Client, Url, redirect};
use tokio::io::AsyncReadExt;

use super::jwk::{self, JwkSet};
use crate::config::JwksSource;

/// Any failure to read a set.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Largest JWK set that is read, in bytes, after decompression.
const MAX_BYTES: usize = 1 << 20;
const BOUND: u64 = MAX_BYTES as u64;
/// How long the endpoint may take for its whole answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Something a JWK set can be read from again and again.
#[derive(Debug)]
pub enum Source {
    /// A file on this machine.
    File(std::path::PathBuf),
    /// A web address, with the client that asks it.
    Url(Url, Client),
}

impl Source {
    /// Makes ready to read; reads nothing yet.
    ///
    /// # Errors
    /// If the machine's root certificates cannot be used.
    pub fn new(source: &JwksSource) -> Result<Self, BoxError> {
        match source {
            JwksSource::File(path) => Ok(Source::File(path.clone())),
            JwksSource::Url(url) => Ok(Source::Url(url.clone(), client(url)?)),
        }
    }

    /// Reads the set.
    ///
    /// # Errors
    /// If it cannot be had, is too large, or is not usable.
    pub async fn read(&self) -> Result<JwkSet, BoxError> {
        let text = match self {
            Source::File(path) => read_file(path).await?,
            Source::Url(url, client) => fetch(client, url.clone()).await?,
        };
        Ok(jwk::parse_set(&text)?)
    }
}

fn client(url: &Url) -> Result<Client, BoxError> {
    // reqwest asks for a process-wide choice. Whoever made one before keeps it.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    let mut builder = Client::builder()
        .timeout(TIMEOUT)
        // A redirect could lead away from the address that was configured.
        .redirect(redirect::Policy::none())
        .user_agent(concat!("guestlist/", env!("CARGO_PKG_VERSION")));
    if url.scheme() == "http" {
        // On this machine (the configuration takes no other): no proxy leads there.
        builder = builder.no_proxy();
    }
    Ok(builder.build()?)
}

async fn read_file(path: &Path) -> Result<Vec<u8>, BoxError> {
    let mut text = Vec::new();
    tokio::fs::File::open(path).await?.take(BOUND + 1).read_to_end(&mut text).await?;
    within_bound(text)
}

async fn fetch(client: &Client, url: Url) -> Result<Vec<u8>, BoxError> {
    let request =
        client.get(url).header(ACCEPT, "application/json").header(ACCEPT_ENCODING, "gzip");
    let mut response = request.send().await.map_err(plain)?;
    if response.status() != http::StatusCode::OK {
        return Err(format!("the endpoint answered {}", response.status()).into());
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
            Err(format!("the answer is encoded with `{other}`, which was not asked for").into())
        }
    }
}

/// Says what a request failed on, without the address, which may hold a secret.
fn plain(error: reqwest::Error) -> BoxError {
    if error.is_timeout() {
        return format!("no whole answer came within {TIMEOUT:?}").into();
    }
    error.without_url().into()
}

/// Some endpoints compress whatever the request accepts.
fn gunzip(compressed: &[u8]) -> Result<Vec<u8>, BoxError> {
    let mut text = Vec::new();
    let read = MultiGzDecoder::new(compressed).take(BOUND + 1).read_to_end(&mut text);
    read.map_err(|error| format!("the answer is not the gzip it says it is: {error}"))?;
    within_bound(text)
}

fn within_bound(text: Vec<u8>) -> Result<Vec<u8>, BoxError> {
    if text.len() > MAX_BYTES {
        return Err(format!("the JWK set is larger than {MAX_BYTES} bytes").into());
    }
    Ok(text)
}
