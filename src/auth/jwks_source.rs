//! Where an issuer's JWK set is read from: a file or a web address, within bounds.

use std::path::Path;
use std::time::Duration;

use reqwest::{Client, Url, redirect};
use tokio::io::AsyncReadExt;

use super::jwk::{self, PublicKey};
use crate::config::JwksSource;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Largest JWK set that is read, in bytes.
const MAX_BYTES: usize = 1 << 20;
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
    pub async fn read(&self) -> Result<Vec<PublicKey>, BoxError> {
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
    let bound = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    tokio::fs::File::open(path).await?.take(bound + 1).read_to_end(&mut text).await?;
    within_bound(text)
}

async fn fetch(client: &Client, url: Url) -> Result<Vec<u8>, BoxError> {
    let mut response = client.get(url).header("accept", "application/json").send().await?;
    if response.status() != http::StatusCode::OK {
        return Err(format!("it answered {}", response.status()).into());
    }
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        text.extend_from_slice(&chunk);
        text = within_bound(text)?;
    }
    Ok(text)
}

fn within_bound(text: Vec<u8>) -> Result<Vec<u8>, BoxError> {
    if text.len() > MAX_BYTES {
        return Err(format!("it is larger than {MAX_BYTES} bytes").into());
    }
    Ok(text)
}
