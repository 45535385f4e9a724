//! Reads JWK sets from files and URLs, with limits of size and time.

use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING};
use reqwest::{Client, Url};
use tokio::io::AsyncReadExt;

use super::fetch::{self, BoxError};
use super::jwk::{self, JwkSet};
use crate::config::JwksSource;

/// The largest JWK set in bytes, after decompression.
const MAX_BYTES: usize = 1 << 20;
const MAX_BYTES_U64: u64 = MAX_BYTES as u64;

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
            JwksSource::Url(url) => Ok(Source::Url(url.clone(), fetch::client(url)?)),
        }
    }

    /// # Errors
    /// If the set cannot be read, is too large or has no usable key.
    pub async fn read(&self) -> Result<JwkSet, BoxError> {
        let text = match self {
            Source::File(path) => read_file(path).await?,
            Source::Url(url, client) => download(client, url.clone()).await?,
        };
        Ok(jwk::parse_set(&text)?)
    }
}

async fn read_file(path: &Path) -> Result<Vec<u8>, BoxError> {
    let mut text = Vec::new();
    tokio::fs::File::open(path).await?.take(MAX_BYTES_U64 + 1).read_to_end(&mut text).await?;
    within_bound(text)
}

async fn download(client: &Client, url: Url) -> Result<Vec<u8>, BoxError> {
    let request =
        client.get(url).header(ACCEPT, "application/json").header(ACCEPT_ENCODING, "gzip");
    let response = request.send().await.map_err(fetch::plain)?;
    if response.status() != http::StatusCode::OK {
        return Err(format!("the endpoint returned {}", response.status()).into());
    }
    let encoding = response.headers().get(CONTENT_ENCODING).cloned();
    let text = fetch::body(response, MAX_BYTES).await?;
    match encoding.as_ref().map(|encoding| encoding.as_bytes().to_ascii_lowercase()).as_deref() {
        None | Some(b"identity" | b"") => Ok(text),
        Some(b"gzip" | b"x-gzip") => gunzip(&text),
        Some(other) => {
            let other = String::from_utf8_lossy(other);
            Err(format!("the response has the encoding `{other}`, which was not requested").into())
        }
    }
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
