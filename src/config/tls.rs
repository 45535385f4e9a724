//! `[tls]`

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::problems::Problems;

/// With a certificate and its key, the listener accepts only TLS.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Tls {
    /// The certificate chain in PEM, the server's certificate first.
    pub certificate_file: Option<PathBuf>,
    /// The private key in PEM.
    pub key_file: Option<PathBuf>,
    /// The certificate authorities for client certificates in PEM. `None`: clients need no
    /// certificate.
    pub client_ca_file: Option<PathBuf>,
    /// The files are checked for changes in this interval.
    #[serde(with = "humantime_serde")]
    pub reload_interval: Duration,
}

impl Tls {
    /// The files of certificate and key, if TLS is enabled.
    pub fn certificate_and_key(&self) -> Option<(&Path, &Path)> {
        Some((self.certificate_file.as_deref()?, self.key_file.as_deref()?))
    }

    /// The scheme of the service's URLs.
    pub fn scheme(&self) -> &'static str {
        if self.certificate_and_key().is_some() { "https" } else { "http" }
    }
}

/// Checks the settings that depend on each other.
pub(super) fn check(tls: &Tls, problems: &mut Problems) {
    if tls.certificate_file.is_some() != tls.key_file.is_some() {
        problems.add("tls.certificate_file, tls.key_file: set both, or neither");
    }
    if tls.client_ca_file.is_some() && tls.certificate_and_key().is_none() {
        problems.add(
            "tls.client_ca_file: needs tls.certificate_file and tls.key_file; without TLS, clients \
             present no certificate",
        );
    }
    problems.check_duration("tls.reload_interval", tls.reload_interval);
}
