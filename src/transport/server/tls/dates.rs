//! From when until when a certificate is valid. One that is not is served all the
//! same: clients refuse it, and only renewing it helps.

use std::time::{Duration, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::domain::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// "Soon" is a sixth of a certificate's lifetime, at most this: renewals begin with a
/// third of it left.
const LONGEST_SOON: Duration = DAY.saturating_mul(14);

/// The first and the last moment of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dates {
    not_before: Duration,
    not_after: Duration,
}

/// What is wrong with a certificate's dates at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern {
    /// It is not valid yet.
    Early,
    /// It expires soon.
    Soon,
    /// It has expired.
    Expired,
}

impl Dates {
    /// Those of the server's own certificate. The others of the chain do not count:
    /// clients find other ways to an authority, and some chains hold an expired one on
    /// purpose.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let validity = Certificate::from_der(certificate).ok()?.tbs_certificate.validity;
        Some(Self {
            not_before: validity.not_before.to_unix_duration(),
            not_after: validity.not_after.to_unix_duration(),
        })
    }

    /// What is wrong with them now, if anything.
    pub fn concern(&self, now: Timestamp) -> Option<Concern> {
        let now = Duration::from_micros(u64::try_from(now.as_micros()).unwrap_or_default());
        let soon = (self.not_after.saturating_sub(self.not_before) / 6).min(LONGEST_SOON);
        if now > self.not_after {
            Some(Concern::Expired)
        } else if now < self.not_before {
            Some(Concern::Early)
        } else if self.not_after - now <= soon {
            Some(Concern::Soon)
        } else {
            None
        }
    }

    /// Writes a concern into the log.
    pub fn tell(&self, concern: Concern, file: &std::path::Path) {
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
            Concern::Early => tracing::warn!(
                %file,
                %not_before,
                "the TLS certificate is not valid yet and clients refuse it; check this machine's \
                 clock, or put a valid one into tls.certificate_file"
            ),
            Concern::Soon => tracing::warn!(
                %file,
                %not_after,
                "the TLS certificate expires soon; put a renewed one into tls.certificate_file, \
                 which is read again without a restart"
            ),
        }
    }
}
