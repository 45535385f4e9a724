//! TLS at the door.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::problems::Problems;

/// `[tls]`: with a certificate and its key, the service speaks TLS.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Tls {
    /// The certificate chain in PEM, the server's own first.
    pub certificate_file: Option<PathBuf>,
    /// The private key in PEM.
    pub key_file: Option<PathBuf>,
    /// The authorities of client certificates in PEM, which are needed then.
    pub client_ca_file: Option<PathBuf>,
    /// How often the files are looked at.
    #[serde(with = "humantime_serde")]
    pub reload_interval: Duration,
}

impl Tls {
    /// The files of certificate and key, if TLS is spoken.
    pub fn certificate_and_key(&self) -> Option<(&Path, &Path)> {
        Some((self.certificate_file.as_deref()?, self.key_file.as_deref()?))
    }

    /// What addresses of this service begin with.
    pub fn scheme(&self) -> &'static str {
        if self.certificate_and_key().is_some() { "https" } else { "http" }
    }
}

/// What a single setting's type cannot say.
pub(super) fn check(tls: &Tls, problems: &mut Problems) {
    if tls.certificate_file.is_some() != tls.key_file.is_some() {
        problems.add("tls.certificate_file, tls.key_file: give both, or neither");
    }
    if tls.client_ca_file.is_some() && tls.certificate_and_key().is_none() {
        problems.add(
            "tls.client_ca_file: needs tls.certificate_file and tls.key_file; without TLS nobody \
             is asked for a certificate",
        );
    }
    problems.check_duration("tls.reload_interval", tls.reload_interval);
}
