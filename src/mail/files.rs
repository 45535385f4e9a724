//! Writes mails to files instead of a mail server, for development and tests.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use lettre::message::Mailbox;

use super::message::message;
use super::{Mail, Mailer, SendError};

/// Writes each mail to `<id>.eml`, readable only by the service's user, since it contains a
/// valid token. Sending the same mail again replaces its file.
pub struct Files {
    directory: PathBuf,
    from: Mailbox,
}

impl Files {
    /// `directory` is created with the first mail.
    pub fn new(directory: PathBuf, from: Mailbox) -> Self {
        Self { directory, from }
    }
}

#[async_trait]
impl Mailer for Files {
    async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let message = message(mail, &self.from)?.formatted();
        let path = self.directory.join(format!("{}.eml", mail.id));
        let written = tokio::task::spawn_blocking(move || write(&path, &message)).await;
        written.map_err(io::Error::other).and_then(|written| written).map_err(|error| {
            tracing::warn!(%error, "cannot write a mail to its file; it will be retried");
            SendError::Temporary("the mail could not be written to a file".to_owned())
        })
    }
}

/// Writes the file atomically.
fn write(path: &Path, message: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let unfinished = path.with_extension("tmp");
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(message)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}
