//! Rendering and sending of mails: invitations, and notices of changes.
//!
//! A rendered invitation contains a valid token. It is kept in memory only, unless no mail server
//! is configured and mails are written to files.

mod files;
mod look;
mod message;
mod notices;
mod phrases;
mod smtp;
mod templates;

use std::sync::Arc;

use async_trait::async_trait;

use crate::config::Config;
use crate::domain::{EmailAddress, Logo, Timestamp};
use crate::error::Result;

pub use files::Files;
pub use notices::{Change, Notice, NoticeTemplates};
pub use smtp::Smtp;
pub use templates::{Invitation, Templates};

/// A mail to one recipient.
pub struct Mail {
    /// The part of the Message-ID before the `@`. Equal if the same mail is sent twice, so
    /// that mail programs recognise the repetition.
    pub id: String,
    pub to: EmailAddress,
    /// One line.
    pub subject: String,
    /// The text version of the mail.
    pub text: String,
    /// The HTML version of the mail.
    pub html: String,
    /// The image that the HTML version shows.
    pub logo: Option<Logo>,
    pub date: Timestamp,
}

/// Why a mail was not sent. The reason is shown to admins. It must not contain the address or the
/// response of a mail server, which may quote the mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendError {
    /// A retry may succeed.
    Temporary(String),
    /// A retry will not succeed.
    Permanent(String),
}

/// Sends mails. It may be called twice with the same mail, if the first result is unknown.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Sends one mail, in a bounded time. `Ok` means that the mail server has accepted it.
    async fn send(&self, mail: &Mail) -> Result<(), SendError>;

    /// Called when no mail is pending: closes idle connections.
    async fn close_idle(&self) {}
}

/// The configured mailer. Does not connect yet.
///
/// # Errors
/// If the settings are invalid.
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
