//! The mail that carries invitations: what it says and how it gets away.
//!
//! A rendered mail holds a live token. It exists in memory alone, unless it is
//! written to a file for want of a mail server.

mod files;
mod message;
mod smtp;
mod templates;

use std::sync::Arc;

use async_trait::async_trait;

use crate::config::Config;
use crate::domain::{EmailAddress, Timestamp};
use crate::error::Result;

pub use files::Files;
pub use smtp::Smtp;
pub use templates::{Invitation, Templates};

/// A mail to one person.
pub struct Mail {
    /// What stands before the `@` of its Message-ID: the same for the same mail, so
    /// that a repeat is recognised.
    pub id: String,
    /// To whom.
    pub to: EmailAddress,
    /// One line.
    pub subject: String,
    /// For those who read text.
    pub text: String,
    /// The same in HTML.
    pub html: String,
    /// When it was written.
    pub date: Timestamp,
}

/// Why a mail did not get away. The reason is shown to admins: it holds no address
/// and nothing that a mail server said, since that may repeat the mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Trying again may help.
    Temporary(String),
    /// It never will.
    Permanent(String),
}

/// Gets mail away. It may be asked to send the same mail again when it is not
/// known what became of it.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Sends one mail, within a bounded time. `Ok` means that somebody else has
    /// taken it.
    async fn send(&self, mail: &Mail) -> Result<(), Refusal>;

    /// Lets go of connections: nothing waits to be sent.
    async fn rest(&self) {}
}

/// The mailer that the settings ask for.
///
/// # Errors
/// If its settings do not lead to one.
pub fn open(config: &Config) -> Result<Arc<dyn Mailer>> {
    match &config.mail.host {
        Some(host) => Ok(Arc::new(Smtp::new(host, &config.mail)?)),
        None => {
            let from = message::sender(config.mail.from.as_ref())?;
            Ok(Arc::new(Files::new(config.data_dir.join("mail"), from)))
        }
    }
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("id", &self.id).finish_non_exhaustive()
    }
}
