//! `guestlist export`

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::Failure;
use super::records;
use super::store::{print, require_store, with_store};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::domain::Timestamp;
use crate::error::{Error, Result};
use crate::operations::transfer::{self, Counts};
use crate::storage::Store;

/// Writes the store to a file. The export gets the name of the file only after it is complete and
/// flushed to the disk.
pub(super) fn export(config: &Config, file: &Path) -> Result<(), Failure> {
    require_store(config)?;
    let unfinished = unfinished(file);
    let made = with_store(config, async |store| {
        store.require_current_schema().await?;
        write(store, &unfinished, SystemClock.now()).await
    });
    let counts = match made.and_then(|counts| finish(&unfinished, file).map(|()| counts)) {
        Ok(counts) => counts,
        Err(error) => {
            if unfinished.exists() {
                std::fs::remove_file(&unfinished).map_err(|why| cannot_write(&unfinished, why))?;
            }
            return Err(error.into());
        }
    };
    print(&format!("exported to {}: {}", file.display(), summary(&counts)))
}

/// The number of records of each kind, as text for the operator.
pub(super) fn summary(counts: &Counts) -> String {
    format!(
        "accounts {}, organizations {}, members {}, former members {}, pending invitations {}",
        counts.accounts,
        counts.organizations,
        counts.members,
        counts.departures,
        counts.invitations
    )
}

/// The name of the unfinished export of this process, in the same directory.
fn unfinished(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{}.unfinished", std::process::id()));
    name.into()
}

async fn write(store: &Store, path: &Path, now: Timestamp) -> Result<Counts> {
    // Only the owner can read the file: it contains names and addresses.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = BufWriter::new(file.map_err(|why| cannot_write(path, why))?);
    let mut line = |mut line: Vec<u8>| {
        line.push(b'\n');
        file.write_all(&line).map_err(|why| cannot_write(path, why))
    };
    line(records::header(now)?)?;
    let counts = transfer::export(store, now, |record| line(records::line(record)?)).await?;
    let file = file.into_inner().map_err(|why| cannot_write(path, why.into_error()))?;
    file.sync_all().map_err(|why| cannot_write(path, why))?;
    Ok(counts)
}

/// Renames a file that is already flushed to the disk, and flushes its directory.
pub(super) fn finish(unfinished: &Path, file: &Path) -> Result<()> {
    std::fs::rename(unfinished, file).map_err(|why| cannot_write(file, why))?;
    let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty());
    let directory = File::open(directory.unwrap_or(Path::new(".")));
    directory.and_then(|directory| directory.sync_all()).map_err(|why| cannot_write(file, why))
}

pub(super) fn cannot_write(path: &Path, why: std::io::Error) -> Error {
    let message = format!("cannot write {}: {why}", path.display());
    Error::internal(why).with_message(message)
}
