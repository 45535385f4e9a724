//! Whether the files that are written are those that the next start will open.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sea_orm::{DbErr, sqlx};

use crate::storage::failure::unconnected;

/// The database file and its log, as they were when they were opened. Moved, deleted or
/// replaced, they go on taking writes that nobody finds again.
pub struct Place([(PathBuf, Id); 2]);

/// What identifies a file, wherever it is moved: device and inode.
type Id = (u64, u64);

impl Place {
    /// Where the files of an open database are.
    ///
    /// # Errors
    /// If they are not there.
    pub fn of(path: &Path) -> Result<Self, DbErr> {
        let place = || -> io::Result<_> {
            // SQLite follows a link, and has its log beside the file itself.
            let mut log = OsString::from(fs::canonicalize(path)?);
            log.push("-wal");
            let identified = |path: PathBuf| fs::metadata(&path).map(|file| (path, id(&file)));
            Ok(Self([identified(path.to_owned())?, identified(log.into())?]))
        };
        place().map_err(|error| unconnected(sqlx::Error::Io(error)))
    }

    /// Whether they are still there.
    ///
    /// # Errors
    /// If not, what has to be done.
    pub fn check(&self) -> Result<(), DbErr> {
        for (path, opened) in &self.0 {
            if fs::metadata(path).ok().map(|file| id(&file)) != Some(*opened) {
                let message = format!(
                    "{} was moved, deleted or replaced while the server has it open: \
                     put it back, or stop the server before a change of files",
                    path.display()
                );
                let error = io::Error::new(io::ErrorKind::NotFound, message);
                return Err(unconnected(sqlx::Error::Io(error)));
            }
        }
        Ok(())
    }
}

fn id(file: &Metadata) -> Id {
    (file.dev(), file.ino())
}
