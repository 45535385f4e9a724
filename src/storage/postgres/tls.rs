//! TLS to PostgreSQL, by the parameters of its URL.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use rustls_platform_verifier::Verifier;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

use crate::certificates::AnyCertificate;

/// Opens TLS connections.
pub(super) type Tls = tokio_postgres_rustls_improved::MakeRustlsConnect;

/// The TLS parameters of a URL.
#[derive(Default)]
pub(super) struct TlsParams {
    mode: Mode,
    authorities: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// `sslmode`, with the meaning of libpq.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Disable,
    /// TLS if the server supports it; its certificate is not checked.
    #[default]
    Prefer,
    /// TLS; the certificate is checked only if `sslrootcert` is given.
    Require,
    /// A trusted authority has signed the server's certificate.
    VerifyCa,
    /// The same, and the certificate is for the host's name.
    VerifyFull,
}

impl TlsParams {
    /// Reads a parameter of the URL; returns false if it is not about TLS.
    pub(super) fn read(&mut self, name: &str, value: &str) -> Result<bool, String> {
        match name {
            "sslmode" => self.mode = Mode::parse(value)?,
            "sslrootcert" => self.authorities = Some(value.into()),
            "sslcert" => self.certificate = Some(value.into()),
            "sslkey" => self.key = Some(value.into()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The connector, unless TLS is disabled.
    pub(super) fn tls(self, config: &mut Config) -> Result<Option<Tls>, String> {
        config.ssl_mode(match self.mode {
            Mode::Disable => return Ok(None),
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        });
        let provider = Arc::new(ring::default_provider());
        let authorities = self.authorities.as_deref().map(authorities).transpose()?;
        let verifier: Arc<dyn ServerCertVerifier> = match (self.mode, authorities) {
            (Mode::VerifyFull, Some(known)) => webpki(known, &provider)?,
            (Mode::VerifyFull, None) => Arc::new(system(&provider)?),
            (_, Some(known)) => Arc::new(AnyName(webpki(known, &provider)?)),
            (Mode::VerifyCa, None) => Arc::new(AnyName(Arc::new(system(&provider)?))),
            (_, None) => Arc::new(AnyCertificate(Arc::clone(&provider))),
        };
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let client = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let key = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| unread("sslkey", key, error))?;
                client
                    .with_client_auth_cert(certificates("sslcert", certificate)?, key)
                    .map_err(|error| format!("sslcert and sslkey: {error}"))?
            }
            (None, None) => client.with_no_client_auth(),
            _ => return Err("must name both sslcert and sslkey, or none".into()),
        };
        Ok(Some(Tls::new(client)))
    }
}

impl Mode {
    fn parse(value: &str) -> Result<Self, String> {
        Ok(match value {
            "disable" => Self::Disable,
            "allow" | "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => {
                let known = "disable, prefer, require, verify-ca or verify-full";
                return Err(format!("must have one of {known} as sslmode"));
            }
        })
    }
}

fn system(provider: &Arc<rustls::crypto::CryptoProvider>) -> Result<Verifier, String> {
    Verifier::new(Arc::clone(provider))
        .map_err(|error| format!("this system's authorities: {error}"))
}

fn webpki(
    known: RootCertStore,
    provider: &Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, String> {
    WebPkiServerVerifier::builder_with_provider(known.into(), Arc::clone(provider))
        .build()
        .map_err(|error| format!("sslrootcert: {error}"))
}

fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let mut known = RootCertStore::empty();
    for certificate in certificates("sslrootcert", path)? {
        known.add(certificate).map_err(|error| unread("sslrootcert", path, error))?;
    }
    Ok(known)
}

fn certificates(what: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unread(what, path, error))
}

fn unread(what: &str, path: &Path, error: impl std::fmt::Display) -> String {
    format!("{what}: {}: {error}", path.display())
}

/// Checks everything but the host's name.
#[derive(Debug)]
struct AnyName(Arc<dyn ServerCertVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        use CertificateError::{NotValidForName, NotValidForNameContext};

        match self.0.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(
                NotValidForName | NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
