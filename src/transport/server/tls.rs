//! TLS: the certificate and its replacement while connections are open.
//!
//! The client chooses HTTP/2 or HTTP/1.1 by ALPN (RFC 7301). A client certificate only admits a
//! connection and does not identify the caller: credentials do. Early data is off, since it can be
//! replayed.

mod files;
mod validity;

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

pub use files::{Files, Now, Reload};
use validity::Validity;

/// The ALPN name of HTTP/2 (RFC 9113 §3.2).
pub const H2: &[u8] = b"h2";
pub const HTTP_1_1: &[u8] = b"http/1.1";

/// After a failed handshake, up to this many bytes are read from the peer.
const MAX_LAST_BYTES: u64 = 64 * 1024;

/// The TLS configuration. Clones share it: see [`Tls::replace`].
#[derive(Clone)]
pub struct Tls(Arc<watch::Sender<Arc<ServerConfig>>>);

/// A certificate, its key and the client authorities, each in PEM.
pub struct Pem {
    /// The server's certificate and its intermediate certificates.
    pub certificate: Vec<u8>,
    /// The private key in PKCS #8, PKCS #1 or SEC 1.
    pub key: Zeroizing<Vec<u8>>,
    /// The authorities of client certificates. If given, a client without a certificate is
    /// rejected.
    pub client_ca: Option<Vec<u8>>,
}

/// A part of [`Pem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// [`Pem::certificate`]
    Certificate,
    /// [`Pem::key`]
    Key,
    /// [`Pem::client_ca`]
    ClientCa,
}

/// The error for a PEM file that cannot be used. It contains no part of the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PemError {
    pub part: Part,
    /// The text after the name of the part, such as "holds no certificate".
    pub why: String,
}

impl fmt::Display for PemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = match self.part {
            Part::Certificate => "the certificate",
            Part::Key => "the certificate's key",
            Part::ClientCa => "the authority of client certificates",
        };
        write!(f, "{part} {}", self.why)
    }
}

impl std::error::Error for PemError {}

impl Tls {
    /// # Errors
    /// If a part is not PEM of its kind, or if certificate and key do not belong together.
    pub fn new(pem: &Pem) -> Result<Self, PemError> {
        Ok(Self(Arc::new(watch::Sender::new(server_config(pem)?))))
    }

    /// Replaces the certificate for new connections. Open connections and running handshakes keep
    /// the old one.
    ///
    /// # Errors
    /// The same as [`Tls::new`]; after an error the old certificate stays.
    pub fn replace(&self, pem: &Pem) -> Result<(), PemError> {
        self.0.send_replace(server_config(pem)?);
        Ok(())
    }

    /// Runs the server's side of the handshake. The caller sets the time-out.
    pub(super) async fn accept<IO>(&self, stream: IO) -> io::Result<TlsStream<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let config = Arc::clone(&self.0.borrow());
        match TlsAcceptor::from(config).accept(stream).into_fallible().await {
            Ok(stream) => Ok(stream),
            Err((error, mut stream)) => {
                close_after_alert(&mut stream).await;
                Err(error)
            }
        }
    }
}

/// Closes a connection after a failed handshake so that the peer can read the alert: closing with
/// unread bytes would reset the connection, and the alert would be lost.
async fn close_after_alert(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    if stream.shutdown().await.is_ok() {
        let mut rest = stream.take(MAX_LAST_BYTES);
        // The result does not matter: the connection is closed next.
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await.unwrap_or_default();
    }
}

/// The validity period of the certificate, if it parses.
fn validity(pem: &Pem) -> Option<Validity> {
    let chain = certificates(Part::Certificate, &pem.certificate).ok()?;
    Validity::of(chain.first()?)
}

fn server_config(pem: &Pem) -> Result<Arc<ServerConfig>, PemError> {
    // Explicit, since the process-wide default may be set elsewhere.
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

fn certified_key(pem: &Pem, provider: &CryptoProvider) -> Result<CertifiedKey, PemError> {
    let chain = certificates(Part::Certificate, &pem.certificate)?;
    // The errors of the parser may quote the key.
    let no_key =
        || unusable(Part::Key, "holds no private key that can be used; encrypted ones cannot");
    let key = PrivateKeyDer::from_pem_slice(&pem.key).map_err(|_| no_key())?;
    let key = provider.key_provider.load_private_key(key).map_err(|_| no_key())?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        // `Unknown`: this kind of key does not give its public part.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(unusable(Part::Key, "does not belong to the certificate"))
        }
        Err(error) => Err(unusable(Part::Certificate, format!("cannot be used: {error}"))),
    }
}

fn roots(authorities: &[u8]) -> Result<RootCertStore, PemError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(Part::ClientCa, authorities)? {
        roots
            .add(authority)
            .map_err(|e| unusable(Part::ClientCa, format!("cannot be used: {e}")))?;
    }
    Ok(roots)
}

fn certificates(part: Part, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        // The errors of the parser may quote the file.
        .map_err(|_| unusable(part, "is not PEM"))?;
    if found.is_empty() {
        return Err(unusable(part, "holds no certificate in PEM"));
    }
    Ok(found)
}

fn unusable(part: Part, why: impl Into<String>) -> PemError {
    PemError { part, why: why.into() }
}

#[cfg(test)]
mod tests;
