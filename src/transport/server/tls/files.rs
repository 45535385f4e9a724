//! Reads certificate, key and authorities from files, and reads them again when they change, so
//! that a renewal needs no restart.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio::time::MissedTickBehavior;
use zeroize::Zeroizing;

use super::validity::{Concern, Validity};
use super::{Part, Pem, PemError, Tls, unusable, validity};
use crate::config;
use crate::domain::Timestamp;
use crate::error::{Error, Kind, Result};

/// The maximum size of one file.
const MAX_BYTES: u64 = 1 << 20;

/// The clock for the validity of certificates.
pub type Now = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// The paths of the three files.
#[derive(Debug, Clone)]
pub struct Files {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

impl Files {
    /// The files of the settings, if TLS is on.
    pub fn new(settings: &config::Tls) -> Option<Self> {
        let (certificate, key) = settings.certificate_and_key()?;
        Some(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            client_ca: settings.client_ca_file.clone(),
        })
    }

    /// Reads the files. Returns the TLS configuration and the task that follows changes. Logs a
    /// certificate that is not valid at `now` or expires soon.
    ///
    /// # Errors
    /// If a file cannot be read or used. The error names the setting and path of the file.
    pub async fn load(self, now: Now) -> Result<(Tls, Reload)> {
        let error = |problem| Error::new(Kind::FailedPrecondition, self.describe(&problem));
        let pem = self.read().await.map_err(error)?;
        let tls = Tls::new(&pem).map_err(error)?;
        let validity = validity(&pem);
        let used = fingerprint(&Ok(pem));
        let mut reload = Reload {
            tls: tls.clone(),
            files: self,
            used,
            rejected: None,
            validity,
            concern: None,
            now,
        };
        reload.check_validity();
        Ok((tls, reload))
    }

    async fn read(&self) -> Result<Pem, PemError> {
        let read = async |part, path: &Path| {
            read(path).await.map_err(|error| unusable(part, format!("cannot be read: {error}")))
        };
        let certificate = read(Part::Certificate, &self.certificate).await?.to_vec();
        let key = read(Part::Key, &self.key).await?;
        let client_ca = match &self.client_ca {
            Some(path) => Some(read(Part::ClientCa, path).await?.to_vec()),
            None => None,
        };
        Ok(Pem { certificate, key, client_ca })
    }

    fn describe(&self, problem: &PemError) -> String {
        let (setting, path) = match problem.part {
            Part::Certificate => ("tls.certificate_file", Some(&self.certificate)),
            Part::Key => ("tls.key_file", Some(&self.key)),
            Part::ClientCa => ("tls.client_ca_file", self.client_ca.as_ref()),
        };
        let path = path.map(|path| path.display().to_string()).unwrap_or_default();
        format!("{setting}: {path} {}", problem.why)
    }
}

async fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    tokio::fs::File::open(path).await?.take(MAX_BYTES + 1).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("it is larger than {MAX_BYTES} bytes")));
    }
    Ok(bytes)
}

/// A hash of the files, or the error of reading them.
type Fingerprint = Result<[u8; 32], PemError>;

fn fingerprint(found: &Result<Pem, PemError>) -> Fingerprint {
    let pem = found.as_ref().map_err(Clone::clone)?;
    let mut hash = Sha256::new();
    let client_ca = pem.client_ca.as_deref().unwrap_or_default();
    for part in [&pem.certificate[..], &pem.key[..], client_ca] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Ok(hash.finalize().into())
}

/// Follows changes of the files. It compares their content and uses neither file times nor events
/// of the kernel: files are replaced by renames, by links and over networks.
pub struct Reload {
    tls: Tls,
    files: Files,
    used: Fingerprint,
    /// Files that cannot be used, and whether that is logged.
    pub(super) rejected: Option<(Fingerprint, bool)>,
    validity: Option<Validity>,
    /// The current concern, which is already logged.
    pub(super) concern: Option<Concern>,
    now: Now,
}

impl Reload {
    /// Checks the files every `period` until `stop` resolves.
    pub async fn run(mut self, period: Duration, stop: impl Future<Output = ()>) {
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let follow = async {
            loop {
                ticks.tick().await;
                self.check_files().await;
                self.check_validity();
            }
        };
        tokio::select! {
            () = follow => {}
            () = stop => {}
        }
    }

    /// Uses files that have changed. Files that cannot be used are logged once, and only at the
    /// second check: certificate and key are two files, and one is replaced before the other.
    pub(super) async fn check_files(&mut self) {
        let read = self.files.read().await;
        let found = fingerprint(&read);
        if found == self.used {
            self.rejected = None;
            return;
        }
        let replaced = read.and_then(|pem| {
            self.tls.replace(&pem)?;
            Ok(validity(&pem))
        });
        let problem = match replaced {
            Ok(validity) => {
                tracing::info!("the TLS certificate was replaced");
                self.used = found;
                self.rejected = None;
                self.validity = validity;
                self.concern = None;
                return;
            }
            Err(problem) => problem,
        };
        match &mut self.rejected {
            Some((seen, logged)) if *seen == found => {
                if !std::mem::replace(logged, true) {
                    let problem = self.files.describe(&problem);
                    tracing::warn!(
                        problem,
                        "the new TLS files cannot be used; the old certificate stays"
                    );
                }
            }
            _ => self.rejected = Some((found, false)),
        }
    }

    /// Logs a new concern about the validity once.
    pub(super) fn check_validity(&mut self) {
        let Some(validity) = self.validity else { return };
        let concern = validity.concern((self.now)());
        if concern != self.concern
            && let Some(concern) = concern
        {
            validity.log(concern, &self.files.certificate);
        }
        self.concern = concern;
    }
}
