//! Certificate, key and authorities out of files, which are looked at again and
//! again: whoever renews them only writes them.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio::time::MissedTickBehavior;
use zeroize::Zeroizing;

use super::dates::{Concern, Dates};
use super::{Part, Pem, Tls, Unusable, dates, unusable};
use crate::config;
use crate::domain::Timestamp;
use crate::error::{Error, Kind, Result};

/// Most bytes of one file.
const MAX_BYTES: u64 = 1 << 20;

/// What tells the time, for the dates of certificates.
pub type Now = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// Where the three parts are.
#[derive(Debug, Clone)]
pub struct Files {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

impl Files {
    /// Those of the settings, if TLS is spoken.
    pub fn new(settings: &config::Tls) -> Option<Self> {
        let (certificate, key) = settings.certificate_and_key()?;
        Some(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            client_ca: settings.client_ca_file.clone(),
        })
    }

    /// Reads the files; returns what TLS is served with, and the task that follows their
    /// changes. Logs a certificate that is not valid at `now`.
    ///
    /// # Errors
    /// If one cannot be read or used, by its name.
    pub async fn load(self, now: Now) -> Result<(Tls, Reload)> {
        let told = |problem| Error::new(Kind::FailedPrecondition, self.tell(&problem));
        let pem = self.read().await.map_err(told)?;
        let tls = Tls::new(&pem).map_err(told)?;
        let dates = dates(&pem);
        let used = fingerprint(&Ok(pem));
        let mut reload = Reload {
            tls: tls.clone(),
            files: self,
            used,
            refused: None,
            dates,
            concern: None,
            now,
        };
        reload.look_at_dates();
        Ok((tls, reload))
    }

    async fn read(&self) -> Result<Pem, Unusable> {
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

    fn tell(&self, problem: &Unusable) -> String {
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

/// What was in the files, or why they could not be read.
type Fingerprint = Result<[u8; 32], Unusable>;

fn fingerprint(found: &Result<Pem, Unusable>) -> Fingerprint {
    let pem = found.as_ref().map_err(Clone::clone)?;
    let mut hash = Sha256::new();
    let client_ca = pem.client_ca.as_deref().unwrap_or_default();
    for part in [&pem.certificate[..], &pem.key[..], client_ca] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Ok(hash.finalize().into())
}

/// Follows the files. By their content, not by their times or by news from the
/// kernel: files are exchanged by renaming, by links, over networks.
pub struct Reload {
    tls: Tls,
    files: Files,
    used: Fingerprint,
    /// What cannot be used, and whether that has been told.
    pub(super) refused: Option<(Fingerprint, bool)>,
    dates: Option<Dates>,
    /// What has been told about the dates.
    pub(super) concern: Option<Concern>,
    now: Now,
}

impl Reload {
    /// Looks every `period` until `stop` is done.
    pub async fn run(mut self, period: Duration, stop: impl Future<Output = ()>) {
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let follow = async {
            loop {
                ticks.tick().await;
                self.look().await;
                self.look_at_dates();
            }
        };
        tokio::select! {
            () = follow => {}
            () = stop => {}
        }
    }

    /// Takes what is new and can be used. What cannot is told once, and only if it
    /// is still there at the second look: certificate and key are two files, of
    /// which one is exchanged before the other.
    pub(super) async fn look(&mut self) {
        let read = self.files.read().await;
        let found = fingerprint(&read);
        if found == self.used {
            self.refused = None;
            return;
        }
        let replaced = read.and_then(|pem| {
            self.tls.replace(&pem)?;
            Ok(dates(&pem))
        });
        let problem = match replaced {
            Ok(dates) => {
                tracing::info!("the TLS certificate was read again");
                self.used = found;
                self.refused = None;
                self.dates = dates;
                self.concern = None;
                return;
            }
            Err(problem) => problem,
        };
        match &mut self.refused {
            Some((seen, told)) if *seen == found => {
                if !std::mem::replace(told, true) {
                    let problem = self.files.tell(&problem);
                    tracing::warn!(problem, "the TLS certificate stays as it was");
                }
            }
            _ => self.refused = Some((found, false)),
        }
    }

    /// Tells what is wrong with the certificate's dates, once.
    pub(super) fn look_at_dates(&mut self) {
        let Some(dates) = self.dates else { return };
        let concern = dates.concern((self.now)());
        if concern != self.concern
            && let Some(concern) = concern
        {
            dates.tell(concern, &self.files.certificate);
        }
        self.concern = concern;
    }
}
