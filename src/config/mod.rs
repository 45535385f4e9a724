//! The settings: one small struct per concern.
//!
//! `default.toml` is embedded and is the reference of every setting. A file, the
//! environment (`GUESTLIST_…`) and the command line lie over it, in that order.
//! Unknown keys are refused, and so is half a configuration.

mod check;
mod database;
mod error;
mod http;
mod identity;
mod invites;
mod limits;
mod links;
mod load;
mod mail;
mod organizations;
mod problems;
pub mod reference;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

pub use database::Database;
pub use error::ConfigError;
pub use http::{Cors, Http};
pub use identity::{Algorithm, Issuer, JwksSource, Trust, VouchedDomains};
pub use invites::Invites;
pub use limits::Limits;
pub use links::reachable;
pub use load::Sources;
pub use mail::{Language, Mail, Security, Sender};
pub use organizations::Organizations;
pub use tls::Tls;

/// The reference of every setting, with its default.
pub const DEFAULT: &str = include_str!("default.toml");

/// Every setting of the service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to serve.
    pub listen: SocketAddr,
    /// Where files are kept: the SQLite store, the first key, the secret key.
    pub data_dir: PathBuf,
    /// `sqlite:PATH` or `postgres://…`; by default SQLite in the data directory.
    pub database_url: Option<SecretString>,
    /// File with the secret keys that seal tokens, one a line, the first seals.
    pub secret_key_file: Option<PathBuf>,
    /// The secret keys themselves, separated by commas, instead of a file.
    pub secret_key: Option<SecretString>,
    /// Where to serve `/metrics` alone; by default beside the rest, to loopback only.
    pub metrics_listen: Option<SocketAddr>,
    /// Whether `GetOrganizationInviteSummary` answers callers without a credential.
    pub public_preview: bool,
    /// Where people reach this service.
    pub public_url: Option<String>,
    /// What links to invites look like: see [`Config::invite_links`].
    pub invite_link_template: String,
    /// `[http]`
    pub http: Http,
    /// `[tls]`
    pub tls: Tls,
    /// `[cors]`
    pub cors: Cors,
    /// `[database]`
    pub database: Database,
    /// `[organizations]`
    pub organizations: Organizations,
    /// `[invites]`
    pub invites: Invites,
    /// `[limits]`
    pub limits: Limits,
    /// `[mail]`
    pub mail: Mail,
    /// `[log]`
    pub log: Log,
    /// `[[issuers]]`
    pub issuers: Vec<Issuer>,
}

/// `[log]`: what is written to standard error.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Log {
    /// A tracing filter such as `info` or `guestlist=debug,warn`.
    pub filter: String,
    /// `auto`: text on a terminal, JSON otherwise; or `text` or `json`.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[cfg(test)]
mod tests;
