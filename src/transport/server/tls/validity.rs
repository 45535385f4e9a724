//! The validity period of a certificate. An expired certificate is still served: clients reject it,
//! as they would reject a missing one, until it is renewed.

use std::time::{Duration, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::domain::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// "Soon" is the last sixth of the lifetime, but at most this: renewals begin in the last third.
const MAX_SOON: Duration = DAY.saturating_mul(14);

/// The first and the last valid time, since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    not_before: Duration,
    not_after: Duration,
}

/// A reason to warn about a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern {
    NotYetValid,
    ExpiresSoon,
    Expired,
}

impl Validity {
    /// The validity of the server's own certificate. Intermediate certificates do not count:
    /// clients find other paths to an authority, and some chains contain an expired one on purpose.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let validity = Certificate::from_der(certificate).ok()?.tbs_certificate.validity;
        Some(Self {
            not_before: validity.not_before.to_unix_duration(),
            not_after: validity.not_after.to_unix_duration(),
        })
    }

    /// The reason to warn at `now`, if any.
    pub fn concern(&self, now: Timestamp) -> Option<Concern> {
        let now = Duration::from_micros(u64::try_from(now.as_micros()).unwrap_or_default());
        let soon = (self.not_after.saturating_sub(self.not_before) / 6).min(MAX_SOON);
        if now > self.not_after {
            Some(Concern::Expired)
        } else if now < self.not_before {
            Some(Concern::NotYetValid)
        } else if self.not_after - now <= soon {
            Some(Concern::ExpiresSoon)
        } else {
            None
        }
    }

    pub fn log(&self, concern: Concern, file: &std::path::Path) {
        let file = file.display();
        let date = |since_epoch| humantime::format_rfc3339_seconds(UNIX_EPOCH + since_epoch);
        let (not_before, not_after) = (date(self.not_before), date(self.not_after));
        match concern {
            Concern::Expired => tracing::warn!(
                %file,
                %not_after,
                "the TLS certificate has expired and clients refuse it; put a renewed one into \
                 tls.certificate_file, which is read again without a restart"
            ),
            Concern::NotYetValid => tracing::warn!(
                %file,
                %not_before,
                "the TLS certificate is not valid yet and clients refuse it; check this machine's \
                 clock, or put a valid one into tls.certificate_file"
            ),
            Concern::ExpiresSoon => tracing::warn!(
                %file,
                %not_after,
                "the TLS certificate expires soon; put a renewed one into tls.certificate_file, \
                 which is read again without a restart"
            ),
        }
    }
}
