//! The mail that carries invitations.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use super::Config;
use super::problems::Problems;
use crate::domain::EmailAddress;

/// `[mail]`: how invitations reach people. Without a host they are written to
/// files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Mail {
    /// The mail server.
    pub host: Option<String>,
    /// Its port; 0 is what is usual for `security`.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// Whom to sign in as; together with `password`, or not at all.
    pub username: Option<String>,
    /// With which password.
    pub password: Option<SecretString>,
    /// Who the mail is from.
    pub from: Option<Sender>,
    /// A template of one line.
    pub subject: String,
    /// Which of the templates to use.
    pub language: Language,
    /// Directory of templates, in a directory for each language.
    pub template_dir: Option<PathBuf>,
    /// How long sending one mail may take.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The first pause before a mail is tried again; they double.
    #[serde(with = "humantime_serde")]
    pub retry_after: Duration,
    /// How often a mail is tried before it is given up.
    pub max_attempts: u32,
    /// Mails on their way at a time, each on a connection of its own.
    pub max_connections: usize,
}

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// TLS, asked for by STARTTLS (RFC 3207); a server without it gets no mail.
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// Nothing: whoever can listen can join.
    None,
}

/// Who the mail is from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Sender {
    /// The name people see; may be empty.
    pub name: String,
    /// The address.
    pub address: EmailAddress,
}

/// A language tag, which is also the name of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Language(String);

impl Security {
    /// The usual port.
    pub const fn port(self) -> u16 {
        match self {
            Security::StartTls => 587,
            Security::Tls => 465,
            Security::None => 25,
        }
    }
}

impl Language {
    /// The tag.
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

/// What a single setting's type cannot say.
pub(super) fn check(config: &Config, problems: &mut Problems) {
    let mail = &config.mail;
    if mail.host.as_ref().is_some_and(|host| host.is_empty() || host.contains([':', '/', ' '])) {
        problems
            .add("mail.host: must be a name or an IPv4 address; the port has a setting of its own");
    }
    if mail.username.is_some() != mail.password.is_some() {
        problems.add("mail.username, mail.password: give both, or neither");
    }
    match &mail.host {
        Some(_) if mail.from.is_none() => problems.add(
            "mail.from: is missing; with mail.host, say who the mail is from, such as \
             Acme <invitations@acme.com>",
        ),
        Some(host) if mail.password.is_some() && mail.security == Security::None => {
            if !is_this_machine(host) {
                problems.add(
                    "mail.security: with \"none\" the password would be sent for everybody to \
                     read; use \"starttls\" or \"tls\"",
                );
            }
        }
        Some(_) => {}
        None => {
            if mail.port != 0 || mail.username.is_some() {
                problems.add("mail.host: is missing; mail.port and the like need it");
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
