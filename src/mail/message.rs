//! Formats a [`Mail`] as a message (RFC 5322, MIME).

use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};

use super::{Mail, SendError};
use crate::config::Sender;
use crate::domain::{EmailAddress, Timestamp};
use crate::error::{Error, Kind, Result};

/// The sender of mails in files, if the settings name none.
const DEFAULT_SENDER: &str = "guestlist@localhost";

/// The Content-ID of the logo.
pub(super) const LOGO: &str = "logo@guestlist";

/// Marks the mail as automatic, so that servers send no absence notes (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> std::result::Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

pub(super) fn sender(from: Option<&Sender>) -> Result<Mailbox> {
    let Some(from) = from else {
        return mailbox(&DEFAULT_SENDER.parse().map_err(Error::internal)?, "Guestlist");
    };
    mailbox(&from.address, &from.name)
}

fn mailbox(email: &EmailAddress, name: &str) -> Result<Mailbox> {
    let address = address(email).map_err(|e| {
        Error::new(Kind::FailedPrecondition, "mail.from: mail cannot be sent from this address")
            .with_source(e)
    })?;
    Ok(Mailbox::new(Some(name.to_owned()).filter(|name| !name.is_empty()), address))
}

fn address(email: &EmailAddress) -> std::result::Result<Address, lettre::address::AddressError> {
    let (_, domain) = email.as_str().rsplit_once('@').unwrap_or_default();
    Address::new(email.local_part(), domain)
}

/// Formats the message. No text can add a header: headers contain only addresses, the
/// one-line subject and our id, and lettre encodes them.
pub(super) fn message(mail: &Mail, from: &Mailbox) -> Result<Message, SendError> {
    let cannot = || SendError::Permanent("no mail can be sent to this address".to_owned());
    let to = address(&mail.to).map_err(|_| cannot())?;
    Message::builder()
        .date(time(mail.date))
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(&mail.subject)
        .message_id(Some(format!("<{}@{}>", mail.id, from.email.domain())))
        .header(AutoSubmitted)
        .multipart(body(mail).map_err(|_| cannot())?)
        .map_err(|_| cannot())
}

/// Text and HTML; the logo belongs to the HTML (RFC 2387).
fn body(mail: &Mail) -> Result<MultiPart, lettre::message::header::ContentTypeErr> {
    let Some(logo) = &mail.logo else {
        return Ok(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()));
    };
    let image = Attachment::new_inline(LOGO.to_owned())
        .body(logo.bytes.to_vec(), ContentType::parse(logo.media_type)?);
    let html = MultiPart::related().singlepart(SinglePart::html(mail.html.clone()));
    Ok(MultiPart::alternative()
        .singlepart(SinglePart::plain(mail.text.clone()))
        .multipart(html.singlepart(image)))
}

fn time(at: Timestamp) -> std::time::SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(at.shown().as_seconds()).unwrap_or(0))
}
