//! Mail to a mail server (SMTP), by lettre.
//!
//! The pool is ours. lettre's own puts a connection back when sending on it was
//! given up halfway, for being too slow; whoever takes it next reads the answers to
//! the mail before, and may take a refusal for an acceptance.

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
use tokio::time::timeout;

use super::message::{message, sender};
use super::{Mail, Mailer, Refusal};
use crate::config::{self, Security};
use crate::error::{Error, Kind, Result};

/// Mails on one connection; many servers end it after a hundred.
const MAILS_A_CONNECTION: u32 = 50;

/// How long saying goodbye may take.
const PARTING: Duration = Duration::from_secs(1);

/// Sends to one mail server, on connections that are used again.
pub struct Smtp {
    host: String,
    port: u16,
    security: Security,
    tls: Option<TlsParameters>,
    credentials: Option<Credentials>,
    from: Mailbox,
    hello: ClientId,
    timeout: Duration,
    most_idle: usize,
    idle: Mutex<Vec<Connection>>,
}

struct Connection {
    smtp: AsyncSmtpConnection,
    mails: u32,
}

/// At which point it went wrong: a refusal before a mail was spoken of says nothing
/// about the mail.
enum Failed {
    Connecting(SmtpError),
    Sending(SmtpError),
}

impl Smtp {
    /// A mailer for `host`; connects when there is mail.
    ///
    /// # Errors
    /// If there is no sender, or TLS cannot be had on this machine.
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
            most_idle: settings.max_connections,
            idle: Mutex::default(),
        })
    }

    async fn send_message(&self, message: &Message) -> std::result::Result<(), Failed> {
        let mut connection = self.connection().await.map_err(Failed::Connecting)?;
        let bytes = message.formatted();
        connection.smtp.send(message.envelope(), &bytes).await.map_err(Failed::Sending)?;
        connection.mails += 1;
        // Only whole conversations come here: any other connection was dropped.
        let mut idle = self.idle();
        if connection.mails < MAILS_A_CONNECTION && idle.len() < self.most_idle {
            idle.push(connection);
        }
        Ok(())
    }

    /// An idle connection that still answers, or a new one.
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
            // Fails where the server has none.
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
    async fn send(&self, mail: &Mail) -> Result<(), Refusal> {
        let message = message(mail, &self.from)?;
        match timeout(self.timeout, self.send_message(&message)).await {
            Ok(outcome) => outcome.map_err(|failed| failed.refusal()),
            Err(_) => Err(temporary("the mail server did not answer in time")),
        }
    }

    async fn rest(&self) {
        let idle = std::mem::take(&mut *self.idle());
        let part = async {
            for mut connection in idle {
                drop(connection.smtp.quit().await);
            }
        };
        // Good manners; whether the server answers does not matter.
        drop(timeout(PARTING, part).await);
    }
}

impl Failed {
    /// The log gets the cause only as long as no mail was spoken of: what a server
    /// says to a mail may repeat it.
    fn refusal(&self) -> Refusal {
        match self {
            Failed::Connecting(error) => {
                tracing::warn!(%error, "no connection to the mail server");
                temporary(match error.status() {
                    Some(code) => format!("the mail server refused to talk ({code})"),
                    None if error.is_tls() => "no secure connection to the mail server".to_owned(),
                    None if error.is_client() => {
                        "the mail server has no TLS, or no way to sign in".to_owned()
                    }
                    None if error.is_timeout() => "the mail server did not answer in time".into(),
                    None => "the mail server could not be reached".to_owned(),
                })
            }
            Failed::Sending(error) => match error.status() {
                Some(code) if error.is_permanent() => {
                    Refusal::Permanent(format!("the mail server refused it ({code})"))
                }
                Some(code) => temporary(format!("the mail server put it off ({code})")),
                // An address that this server cannot write to.
                None if error.is_client() => {
                    Refusal::Permanent("the mail server cannot write to this address".to_owned())
                }
                None => temporary("the connection to the mail server broke"),
            },
        }
    }
}

fn temporary(reason: impl Into<String>) -> Refusal {
    Refusal::Temporary(reason.into())
}

fn tls(host: &str) -> Result<TlsParameters> {
    TlsParameters::builder(host.to_owned()).set_min_tls_version(TlsVersion::Tlsv12).build().map_err(
        |e| {
            Error::new(Kind::FailedPrecondition, "mail: no TLS with this machine's certificates")
                .with_source(e)
        },
    )
}
