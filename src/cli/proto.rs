//! `guestlist proto`

use std::path::Path;

use super::Failure;
use super::store::print;
use crate::error::Error;
use crate::proto::SOURCES;

/// Writes the `.proto` files into a directory, which is created if it is missing. Files of the
/// same names are replaced.
pub(super) fn write(out: &Path) -> Result<(), Failure> {
    for (path, text) in SOURCES {
        let file = out.join(path);
        let made = file.parent().map_or(Ok(()), std::fs::create_dir_all);
        made.and_then(|()| std::fs::write(&file, text)).map_err(|error| {
            let message = format!("cannot write {}: {error}", file.display());
            Error::internal(error).with_message(message)
        })?;
    }
    print(&format!("wrote {} files to {}", SOURCES.len(), out.display()))
}
