//! Puts a backup in the place of a SQLite store.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::backup::{TableRows, check_backup};
use super::{location, sqlite};
use crate::error::{Error, Kind, Result};

/// The first bytes of every SQLite database.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The result of a restore.
#[derive(Debug)]
pub struct Restored {
    pub rows: TableRows,
    /// The new path of the store that was there before, if there was one.
    pub kept: Option<PathBuf>,
}

/// Whether a store that is already there may be replaced, and how it is renamed.
pub struct Replace {
    pub is_allowed: bool,
    /// The suffix that is added to its path.
    pub suffix: String,
}

/// Copies a backup to the path of a SQLite store. `check_key` gets the fingerprint of the secret
/// key of the backup. The store that is already there does not change before the last step.
///
/// # Errors
/// FAILED_PRECONDITION if a server uses the store, if there is one and it may not be replaced,
/// or if the backup cannot be used; that of `check_key`; or if a file cannot be written.
pub async fn restore(
    backup: &Path,
    store: &Path,
    replace: &Replace,
    check_key: impl FnOnce(Option<&str>) -> Result<()>,
) -> Result<Restored> {
    let mut source = open_backup(backup)?;
    location::make_directory(store)?;
    // Held until the end, so that no server starts meanwhile.
    let _lock = location::lock_file(store)?;
    // SQLite follows a symbolic link, and keeps its log beside the file itself.
    let store = match fs::canonicalize(store) {
        Err(why) if why.kind() == ErrorKind::NotFound => store.to_owned(),
        path => path.map_err(|why| cannot("read", store, why))?,
    };
    let exists = store.exists();
    if exists {
        refuse_itself(backup, &source, &store)?;
        if !replace.is_allowed {
            let message = format!(
                "there is a store at {}: use --replace, which keeps it under another name, or \
                 another --data-dir",
                store.display()
            );
            return Err(Error::new(Kind::FailedPrecondition, message));
        }
    }
    // A command that was killed may have left this file; it is written again.
    let unfinished = with_suffix(&store, ".restoring");
    let made = async {
        write_copy(&mut source, &unfinished)?;
        let about = |error: Error| {
            let message = format!("cannot use {}: {}", backup.display(), error.message);
            error.with_message(message)
        };
        sqlite::detach(&unfinished).map_err(|why| {
            let message = format!("it is no SQLite database, or is damaged: {why}");
            about(Error::new(Kind::FailedPrecondition, message))
        })?;
        let found = check_backup(&unfinished).await.map_err(about)?;
        check_key(found.secret_key_fingerprint.as_deref()).map_err(about)?;
        let file = File::open(&unfinished).and_then(|file| file.sync_all());
        file.map_err(|why| cannot("write", &unfinished, why))?;
        Ok(found.rows)
    };
    let rows = match made.await {
        Ok(rows) => rows,
        Err(error) => {
            remove(&unfinished)?;
            return Err(error);
        }
    };
    let kept = match exists {
        true => Some(keep(&store, &replace.suffix)?),
        false => None,
    };
    // This happens before the rename: otherwise SQLite would use the old log as the log of the
    // backup.
    for suffix in ["-wal", "-shm", "-journal"] {
        remove(&with_suffix(&store, suffix))?;
    }
    sync_directory(&store)?;
    fs::rename(&unfinished, &store).map_err(|why| cannot("write", &store, why))?;
    sync_directory(&store)?;
    Ok(Restored { rows, kept })
}

fn open_backup(path: &Path) -> Result<File> {
    let mut file = File::open(path).map_err(|why| cannot("read", path, why))?;
    let mut magic = Vec::new();
    let read = file.by_ref().take(MAGIC.len() as u64).read_to_end(&mut magic);
    read.map_err(|why| cannot("read", path, why))?;
    if magic != MAGIC {
        let message = format!("cannot use {}: it is no SQLite database", path.display());
        return Err(Error::new(Kind::FailedPrecondition, message));
    }
    let log = with_suffix(path, "-wal");
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        let message = format!(
            "cannot use {}: {} has changes that are not in it; make backups with \
             `guestlist backup`",
            path.display(),
            log.display()
        );
        return Err(Error::new(Kind::FailedPrecondition, message));
    }
    File::open(path).map_err(|why| cannot("read", path, why))
}

fn refuse_itself(path: &Path, backup: &File, store: &Path) -> Result<()> {
    let id = |file: fs::Metadata| (file.dev(), file.ino());
    let backup = backup.metadata().map(id).map_err(|why| cannot("read", path, why))?;
    let there = fs::metadata(store).map(id).map_err(|why| cannot("read", store, why))?;
    if backup == there {
        let message = format!("{} is the store itself", path.display());
        return Err(Error::new(Kind::FailedPrecondition, message));
    }
    Ok(())
}

/// Copies the backup into a file that its owner alone can read.
fn write_copy(source: &mut File, to: &Path) -> Result<()> {
    remove(to)?;
    let mut file = location::open_private(to).map_err(|why| cannot("write", to, why))?;
    let copied = std::io::copy(source, &mut file).and_then(|_| file.sync_all());
    copied.map_err(|why| cannot("write", to, why))
}

/// Gives the store's file and its log a second name. The log is needed because a killed server
/// leaves changes in it.
fn keep(store: &Path, suffix: &str) -> Result<PathBuf> {
    let kept = with_suffix(store, suffix);
    for part in ["", "-wal"] {
        let (from, to) = (with_suffix(store, part), with_suffix(&kept, part));
        match fs::hard_link(&from, &to) {
            Err(why) if why.kind() == ErrorKind::NotFound && part == "-wal" => {}
            linked => linked.map_err(|why| cannot("write", &to, why))?,
        }
    }
    Ok(kept)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(why) if why.kind() != ErrorKind::NotFound => Err(cannot("remove", path, why)),
        _ => Ok(()),
    }
}

fn sync_directory(of: &Path) -> Result<()> {
    let directory = of.parent().filter(|directory| !directory.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|why| cannot("write", directory, why))
}

fn cannot(what: &str, path: &Path, why: std::io::Error) -> Error {
    let message = format!("cannot {what} {}: {why}", path.display());
    Error::internal(why).with_message(message)
}
