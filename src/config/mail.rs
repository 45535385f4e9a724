//! `[mail]`; see `default.toml` for the meaning of each setting.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use super::Config;
use super::problems::Problems;
use crate::domain::EmailAddress;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Mail {
    /// The mail server. `None`: mails are written to files.
    pub host: Option<String>,
    /// 0: the default, [`Security::port`].
    pub port: u16,
    pub security: Security,
    /// Set together with `password`.
    pub username: Option<String>,
    pub password: Option<SecretString>,
    pub from: Option<Sender>,
    /// A template of one line. `None`: in the language of the mail.
    pub subject: Option<String>,
    pub language: Language,
    /// A directory with one subdirectory for each language.
    pub template_dir: Option<PathBuf>,
    /// Send notices: mails about changes, such as a decided request to join.
    pub notices: bool,
    /// The longest time for sending one mail.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The pause after the first failed attempt. Later pauses double, up to 4 hours.
    #[serde(with = "humantime_serde")]
    pub retry_after: Duration,
    pub max_attempts: u32,
    /// Concurrent mails, each on its own connection.
    pub max_connections: usize,
}

/// Encryption of the connection to the mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// STARTTLS (RFC 3207). No mail is sent to a server without it.
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// No encryption: an eavesdropper can read the tokens and join.
    None,
}

/// The sender of the mails.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Sender {
    /// Display name; may be empty.
    pub name: String,
    pub address: EmailAddress,
}

/// A language tag; also the name of a subdirectory of the templates.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Language(String);

impl Security {
    /// The default port.
    pub const fn port(self) -> u16 {
        match self {
            Security::StartTls => 587,
            Security::Tls => 465,
            Security::None => 25,
        }
    }
}

impl Language {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Language {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let clean = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if (2..=35).contains(&text.len()) && text.chars().all(clean) {
            Ok(Self(text))
        } else {
            Err("must be a language tag such as en or pt-BR".into())
        }
    }
}

impl TryFrom<String> for Sender {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        const LIKE: &str = "must be like invitations@acme.com or Acme <invitations@acme.com>";
        let (name, address) = match text.trim().strip_suffix('>') {
            Some(text) => text.rsplit_once('<').ok_or(LIKE)?,
            None => ("", text.as_str()),
        };
        let name = name.trim().trim_matches('"').to_owned();
        let address = address.parse().map_err(|_| LIKE)?;
        if name.len() > 128 || name.chars().any(char::is_control) {
            return Err(LIKE.into());
        }
        Ok(Self { name, address })
    }
}

/// Checks ranges, and the settings that depend on each other.
pub(super) fn check(config: &Config, problems: &mut Problems) {
    let mail = &config.mail;
    if mail.host.as_ref().is_some_and(|host| host.is_empty() || host.contains([':', '/', ' '])) {
        problems
            .add("mail.host: must be a host name or an IPv4 address; set the port with mail.port");
    }
    if mail.username.is_some() != mail.password.is_some() {
        problems.add("mail.username, mail.password: set both, or neither");
    }
    match &mail.host {
        Some(_) if mail.from.is_none() => problems.add(
            "mail.from: is missing; mail.host needs a sender, such as \
             Acme <invitations@acme.com>",
        ),
        Some(host) if mail.password.is_some() && mail.security == Security::None => {
            if !is_this_machine(host) {
                problems.add(
                    "mail.security: with \"none\" the password would be sent unencrypted; use \
                     \"starttls\" or \"tls\"",
                );
            }
        }
        Some(_) => {}
        None => {
            if mail.port != 0 || mail.username.is_some() {
                problems.add("mail.host: is missing; mail.port and mail.username need it");
            }
        }
    }
    problems.check_duration("mail.timeout", mail.timeout);
    problems.check_duration("mail.retry_after", mail.retry_after);
    if !(1..=1000).contains(&mail.max_attempts) {
        problems.add("mail.max_attempts: must be between 1 and 1000");
    }
    if !(1..=100).contains(&mail.max_connections) {
        problems.add("mail.max_connections: must be between 1 and 100");
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
