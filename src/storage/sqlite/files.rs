//! Checks whether SQLite's open files are still the files at their paths.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::storage::error::StoreError;

/// The database file and its log with their device and inode at the time of opening. SQLite can
/// still write to an open file that was moved, deleted or replaced since then, but the next start
/// does not find these writes.
pub struct Files([(PathBuf, (u64, u64)); 2]);

impl Files {
    /// The files of an open database.
    ///
    /// # Errors
    /// If one does not exist.
    pub fn of(path: &Path) -> Result<Self, StoreError> {
        let files = || -> io::Result<_> {
            // SQLite follows a symbolic link, and keeps its log beside the file itself.
            let mut log = OsString::from(fs::canonicalize(path)?);
            log.push("-wal");
            let identified = |path: PathBuf| fs::metadata(&path).map(|file| (path, id(&file)));
            Ok(Self([identified(path.to_owned())?, identified(log.into())?]))
        };
        files().map_err(|error| StoreError::away(error.to_string()))
    }

    /// Checks that they are still at their paths.
    ///
    /// # Errors
    /// If not, with the remedy.
    pub fn check(&self) -> Result<(), StoreError> {
        for (path, opened) in &self.0 {
            if fs::metadata(path).ok().map(|file| id(&file)) != Some(*opened) {
                return Err(StoreError::away(format!(
                    "{} was moved, deleted or replaced while the server has it open: \
                     put it back, or stop the server before a change of files",
                    path.display()
                )));
            }
        }
        Ok(())
    }
}

fn id(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}
