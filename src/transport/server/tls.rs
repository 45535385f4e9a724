//! TLS at the door: what it is spoken with, and how that is exchanged while
//! connections go on.
//!
//! HTTP/2 or HTTP/1.1 is the client's choice by ALPN (RFC 7301). Client
//! certificates only open the door: who calls is told by credentials. There is no
//! early data, which could be replayed.

mod dates;
mod files;

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{InconsistentKeys, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use zeroize::Zeroizing;

use dates::Dates;
pub use files::{Files, Now, Reload};

/// HTTP/2 (RFC 9113 §3.2).
pub const H2: &[u8] = b"h2";
/// HTTP/1.1.
pub const HTTP_1_1: &[u8] = b"http/1.1";

/// Bytes read of a peer whose handshake has failed.
const MAX_LAST_BYTES: u64 = 64 * 1024;

/// What TLS is spoken with. Clones share it: see [`Tls::replace`].
#[derive(Clone)]
pub struct Tls(Arc<watch::Sender<Arc<ServerConfig>>>);

/// A certificate and what belongs to it, each a text in PEM.
pub struct Pem {
    /// The server's certificate, and those that lead to its authority.
    pub certificate: Vec<u8>,
    /// Its private key, PKCS #8, PKCS #1 or SEC 1.
    pub key: Zeroizing<Vec<u8>>,
    /// The authorities of client certificates. With them, who has none is turned
    /// away.
    pub client_ca: Option<Vec<u8>>,
}

/// One of the three parts of [`Pem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// [`Pem::certificate`]
    Certificate,
    /// [`Pem::key`]
    Key,
    /// [`Pem::client_ca`]
    ClientCa,
}

/// Why TLS cannot be spoken. Holds nothing of the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// What is to blame.
    pub part: Part,
    /// Such as "holds no certificate".
    pub why: String,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = match self.part {
            Part::Certificate => "the certificate",
            Part::Key => "the certificate's key",
            Part::ClientCa => "the authority of client certificates",
        };
        write!(f, "{part} {}", self.why)
    }
}

impl std::error::Error for Unusable {}

impl Tls {
    /// Speaks TLS with this.
    ///
    /// # Errors
    /// If a part is no PEM of its kind, or they do not belong together.
    pub fn new(pem: &Pem) -> Result<Self, Unusable> {
        Ok(Self(Arc::new(watch::Sender::new(server_config(pem)?))))
    }

    /// Speaks it with this from the next connection on; those that are open, and
    /// those in the middle of their handshake, go on with what they began with.
    ///
    /// # Errors
    /// As [`Tls::new`]; nothing changes then.
    pub fn replace(&self, pem: &Pem) -> Result<(), Unusable> {
        self.0.send_replace(server_config(pem)?);
        Ok(())
    }

    /// The server's part of the handshake. The caller bounds its time.
    pub(super) async fn accept<IO>(&self, stream: IO) -> io::Result<TlsStream<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let config = Arc::clone(&self.0.borrow());
        match TlsAcceptor::from(config).accept(stream).into_fallible().await {
            Ok(stream) => Ok(stream),
            Err((error, mut stream)) => {
                part_with(&mut stream).await;
                Err(error)
            }
        }
    }
}

/// Ends a connection whose handshake failed so that the peer can read the alert:
/// closed with something left to read it would be reset, and the alert be lost.
async fn part_with(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    if stream.shutdown().await.is_ok() {
        let mut rest = stream.take(MAX_LAST_BYTES);
        // Whether it ends, breaks or goes on: it has been listened to.
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await.unwrap_or_default();
    }
}

/// The validity period of the certificate, if it can be read.
fn dates(pem: &Pem) -> Option<Dates> {
    let chain = certificates(Part::Certificate, &pem.certificate).ok()?;
    Dates::of(chain.first()?)
}

fn server_config(pem: &Pem) -> Result<Arc<ServerConfig>, Unusable> {
    // Named here: the process-wide choice belongs to nobody in particular.
    let provider = Arc::new(ring::default_provider());
    let certified = certified_key(pem, &provider)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| unusable(Part::Certificate, format!("finds no version of TLS: {e}")))?;
    let builder = match &pem.client_ca {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let roots = Arc::new(roots(authorities)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(|e| unusable(Part::ClientCa, format!("cannot be used: {e}")))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec()];
    Ok(Arc::new(config))
}

fn certified_key(pem: &Pem, provider: &CryptoProvider) -> Result<CertifiedKey, Unusable> {
    let chain = certificates(Part::Certificate, &pem.certificate)?;
    // What a parser says about a key may quote it.
    let no_key =
        || unusable(Part::Key, "holds no private key that can be used; encrypted ones cannot");
    let key = PrivateKeyDer::from_pem_slice(&pem.key).map_err(|_| no_key())?;
    let key = provider.key_provider.load_private_key(key).map_err(|_| no_key())?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        // `Unknown`: a kind of key that cannot tell its public half.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(unusable(Part::Key, "does not belong to the certificate"))
        }
        Err(error) => Err(unusable(Part::Certificate, format!("cannot be used: {error}"))),
    }
}

fn roots(authorities: &[u8]) -> Result<RootCertStore, Unusable> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(Part::ClientCa, authorities)? {
        roots
            .add(authority)
            .map_err(|e| unusable(Part::ClientCa, format!("cannot be used: {e}")))?;
    }
    Ok(roots)
}

fn certificates(part: Part, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        // The parser's own words may quote what a mistaken file holds.
        .map_err(|_| unusable(part, "is not PEM"))?;
    if found.is_empty() {
        return Err(unusable(part, "holds no certificate in PEM"));
    }
    Ok(found)
}

fn unusable(part: Part, why: impl Into<String>) -> Unusable {
    Unusable { part, why: why.into() }
}

#[cfg(test)]
mod tests;
