//! Builds the mail worker from the settings.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::Config;
use crate::domain::Brand;
use crate::error::{Error, Kind, Result};
use crate::mail::{self, NoticeTemplates, Templates};
use crate::operations::Context;
use crate::workers::mail::{Bounds, Counts, MailWorker};
use crate::workers::notices::NoticeWorker;

/// `local_addr` is used in links if `public_url` is not set.
pub(super) fn new(
    config: &Config,
    brand: &Brand,
    local_addr: SocketAddr,
    context: &Context,
) -> Result<MailWorker> {
    let links = config
        .invite_links(local_addr)
        .map_err(|e| Error::new(Kind::FailedPrecondition, format!("invite_link_template: {e}")))?;
    Ok(MailWorker {
        store: context.store.clone(),
        clock: Arc::clone(&context.clock),
        keyring: Arc::clone(&context.keyring),
        templates: Templates::load(&config.mail, brand)?,
        links,
        mailer: mail::open(config)?,
        bounds: Bounds {
            parallel: config.mail.max_connections,
            timeout: config.mail.timeout,
            retry_after: config.mail.retry_after,
            max_attempts: config.mail.max_attempts,
        },
        reminders: config.invites.reminders(),
        counts: Counts::default(),
    })
}

/// The worker that sends notices over the mail worker's mail server.
pub(super) fn notices(
    config: &Config,
    brand: &Brand,
    local_addr: SocketAddr,
    context: &Context,
    mail: &Arc<MailWorker>,
) -> Result<NoticeWorker> {
    let templates = NoticeTemplates::load(&config.mail, brand)?;
    let console = format!("{}/console", config.public_base(local_addr));
    Ok(NoticeWorker {
        mail: Arc::clone(mail),
        issuers: Arc::clone(&context.issuers),
        templates: Some(templates).filter(|_| config.mail.notices),
        console: Some(console).filter(|_| config.console.enabled),
    })
}

/// Checks the templates and the mail settings; sends nothing.
pub(super) fn check(config: &Config, brand: &Brand) -> Result<()> {
    Templates::load(&config.mail, brand)?;
    NoticeTemplates::load(&config.mail, brand)?;
    mail::open(config).map(|_| ())
}
