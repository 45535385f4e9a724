//! `guestlist backup`

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::Failure;
use super::export::{cannot_write, finish};
use super::progress::Progress;
use super::store::{print, require_store, with_store};
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::storage::{Location, Schema, Store, TableRows};

/// Copies the store to a file. The copy gets the name of the file only after it is checked and
/// flushed to the disk.
pub(super) fn back_up(config: &Config, file: &Path) -> Result<(), Failure> {
    if let Location::Postgres(_) = Location::from_config(config)? {
        let message =
            "the store is on PostgreSQL: use pg_dump, or PostgreSQL's continuous archiving";
        return Err(Error::new(Kind::FailedPrecondition, message).into());
    }
    require_store(config)?;
    refuse_existing(file)?;
    let unfinished = unfinished(file);
    let handle = open_unfinished(&unfinished)?;
    let progress = Progress::new();
    let copied = with_store(config, async |store| copy(store, &unfinished, &progress).await);
    let made = progress.end().and(copied).and_then(|rows| {
        handle.sync_all().map_err(|why| cannot_write(&unfinished, why))?;
        let bytes = handle.metadata().map_err(|why| cannot_write(&unfinished, why))?.len();
        refuse_existing(file)?;
        finish(&unfinished, file)?;
        Ok((rows, bytes))
    });
    let (rows, bytes) = match made {
        Ok(made) => made,
        Err(error) => {
            std::fs::remove_file(&unfinished).map_err(|why| cannot_write(&unfinished, why))?;
            return Err(error.into());
        }
    };
    print(&format!(
        "saved to {}: {bytes} bytes, {}\n\
         note: the secret key is not in the file; without it, the invite tokens and webhook secrets \
         in the file cannot be used: keep a copy of the key in another place",
        file.display(),
        summary(&rows)
    ))
}

/// The number of rows as text for the operator.
pub(super) fn summary(rows: &TableRows) -> String {
    format!(
        "organizations {}, accounts {}, members {} (with former ones), invites {} (with ended ones)",
        rows.of("organizations"),
        rows.of("accounts"),
        rows.of("members"),
        rows.of("invites")
    )
}

async fn copy(store: &Store, to: &Path, progress: &Progress) -> Result<TableRows> {
    if store.schema().await? == Schema::Missing {
        let message = "there is nothing to save: the store has no schema yet";
        return Err(Error::new(Kind::FailedPrecondition, message));
    }
    store.back_up(to, &mut |percent| match percent {
        100 => progress.show("100 % copied, checking the copy"),
        _ => progress.show(&format!("{percent} % copied")),
    })
}

fn refuse_existing(file: &Path) -> Result<()> {
    match std::fs::symlink_metadata(file) {
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(why) => Err(cannot_write(file, why)),
        Ok(_) => Err(Error::new(
            Kind::FailedPrecondition,
            format!("{} exists: choose another name", file.display()),
        )),
    }
}

/// The name of the unfinished copy, in the same directory. It is always the same, so that the
/// next backup overwrites the copy of a killed command.
fn unfinished(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".unfinished");
    name.into()
}

/// Opens an empty file that only its owner can read, and locks it against another backup.
fn open_unfinished(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(|why| cannot_write(path, why))?;
    file.try_lock().map_err(|why| {
        let message = format!("{} is written by another backup", path.display());
        Error::internal(why).with_message(message)
    })?;
    file.set_len(0).map_err(|why| cannot_write(path, why))?;
    Ok(file)
}
