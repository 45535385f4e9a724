//! Sends mails to a mail server by SMTP, with lettre.
//!
//! The connection pool is our own. lettre's pool keeps a connection on which sending was
//! cancelled halfway, by a timeout. The next mail on that connection would read the responses
//! to the cancelled one, and could count as accepted although it was rejected.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lettre::Message;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{Error as SmtpError, client::TlsVersion};
use secrecy::ExposeSecret;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{Instrument, info_span};

use super::message::{message, sender};
use super::{Mail, Mailer, SendError};
use crate::config::{self, Security};
use crate::error::{Error, Kind, Result};

/// Many servers close a connection after a hundred mails.
const MAX_MAILS_PER_CONNECTION: u32 = 50;

/// The longest time for the QUIT commands to all idle connections.
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);

/// Sends to one mail server, with a pool of connections.
pub struct Smtp {
    host: String,
    port: u16,
    security: Security,
    tls: Option<TlsParameters>,
    credentials: Option<Credentials>,
    from: Mailbox,
    hello: ClientId,
    timeout: Duration,
    max_idle: usize,
    /// One for each connection that may be open. Several workers send mails.
    permits: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

struct Connection {
    smtp: AsyncSmtpConnection,
    mails: u32,
}

/// The stage at which sending failed. A permanent error while connecting does not mean that the
/// mail can never be sent.
enum SmtpFailure {
    Connecting(SmtpError),
    Sending(SmtpError),
}

impl Smtp {
    /// Does not connect yet: the first mail does.
    ///
    /// # Errors
    /// If the sender is invalid, or TLS cannot use this system's certificates.
    pub fn new(host: &str, settings: &config::Mail) -> Result<Self> {
        let from = sender(settings.from.as_ref())?;
        let tls = match settings.security {
            Security::None => None,
            Security::StartTls | Security::Tls => Some(tls(host)?),
        };
        let credentials = settings.username.clone().zip(settings.password.as_ref());
        let port = if settings.port == 0 { settings.security.port() } else { settings.port };
        Ok(Self {
            host: host.to_owned(),
            port,
            security: settings.security,
            tls,
            credentials: credentials
                .map(|(name, password)| Credentials::new(name, password.expose_secret().into())),
            hello: ClientId::Domain(from.email.domain().to_owned()),
            from,
            timeout: settings.timeout,
            max_idle: settings.max_connections,
            permits: Semaphore::new(settings.max_connections),
            idle: Mutex::default(),
        })
    }

    async fn send_message(&self, message: &Message) -> std::result::Result<(), SmtpFailure> {
        // The semaphore is never closed, so this does not fail.
        let _permit = self.permits.acquire().await;
        let mut connection = self.connection().await.map_err(SmtpFailure::Connecting)?;
        let bytes = message.formatted();
        connection.smtp.send(message.envelope(), &bytes).await.map_err(SmtpFailure::Sending)?;
        connection.mails += 1;
        // Only connections without a cancelled mail reach this line; others were dropped.
        let mut idle = self.idle();
        if connection.mails < MAX_MAILS_PER_CONNECTION && idle.len() < self.max_idle {
            idle.push(connection);
        }
        Ok(())
    }

    /// An idle connection that still responds, or a new one.
    async fn connection(&self) -> std::result::Result<Connection, SmtpError> {
        loop {
            let Some(mut connection) = self.idle().pop() else { break };
            if connection.smtp.test_connected().await {
                return Ok(connection);
            }
        }
        let at = (self.host.as_str(), self.port);
        let wrapper = self.tls.clone().filter(|_| self.security == Security::Tls);
        let limit = Some(self.timeout);
        let mut smtp =
            AsyncSmtpConnection::connect_tokio1(at, limit, &self.hello, wrapper, None).await?;
        if let (Security::StartTls, Some(tls)) = (self.security, &self.tls) {
            // Fails if the server does not offer STARTTLS.
            smtp.starttls(tls.clone(), &self.hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            smtp.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(Connection { smtp, mails: 0 })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Mailer for Smtp {
    async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let message = message(mail, &self.from)?;
        let span = info_span!(
            target: "otel",
            "smtp",
            otel.kind = "client",
            otel.status_code = tracing::field::Empty,
            server.address = self.host,
        );
        let sending = timeout(self.timeout, self.send_message(&message)).instrument(span.clone());
        let sent = match sending.await {
            Ok(outcome) => outcome.map_err(|failure| failure.send_error()),
            Err(_) => Err(temporary("the mail server did not respond in time")),
        };
        if sent.is_err() {
            span.record("otel.status_code", "ERROR");
        }
        sent
    }

    async fn close_idle(&self) {
        let idle = std::mem::take(&mut *self.idle());
        let quit = async {
            for mut connection in idle {
                drop(connection.smtp.quit().await);
            }
        };
        // QUIT is optional; an error has no consequence.
        drop(timeout(QUIT_TIMEOUT, quit).await);
    }
}

impl SmtpFailure {
    /// Logs the cause only while connecting: a server's response to a mail may quote it.
    fn send_error(&self) -> SendError {
        match self {
            SmtpFailure::Connecting(error) => {
                tracing::warn!(%error, "cannot connect to the mail server; mails will be retried");
                temporary(match error.status() {
                    Some(code) => format!("the mail server rejected the connection ({code})"),
                    None if error.is_tls() => {
                        "the TLS handshake with the mail server failed".into()
                    }
                    None if error.is_client() => {
                        "the mail server offers no TLS, or no supported authentication".to_owned()
                    }
                    None if error.is_timeout() => "the mail server did not respond in time".into(),
                    None => "the mail server could not be reached".to_owned(),
                })
            }
            SmtpFailure::Sending(error) => match error.status() {
                Some(code) if error.is_permanent() => {
                    SendError::Permanent(format!("the mail server rejected the mail ({code})"))
                }
                Some(code) => {
                    temporary(format!("the mail server temporarily rejected the mail ({code})"))
                }
                // The server does not support this kind of address (SMTPUTF8).
                None if error.is_client() => SendError::Permanent(
                    "the mail server does not support this kind of address".to_owned(),
                ),
                None => temporary("the connection to the mail server was lost"),
            },
        }
    }
}

fn temporary(reason: impl Into<String>) -> SendError {
    SendError::Temporary(reason.into())
}

fn tls(host: &str) -> Result<TlsParameters> {
    TlsParameters::builder(host.to_owned()).set_min_tls_version(TlsVersion::Tlsv12).build().map_err(
        |e| {
            Error::new(Kind::FailedPrecondition, "mail: cannot use this system's certificates")
                .with_source(e)
        },
    )
}
