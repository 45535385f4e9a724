//! The settings, one struct for each section.
//!
//! `default.toml` is embedded and documents every setting. A file, the environment
//! (`GUESTLIST_…`) and the command line override it, in that order. Unknown settings and
//! incomplete configurations are rejected.

mod check;
mod console;
mod database;
mod domains;
mod error;
mod events;
mod http;
mod identity;
mod invites;
mod limits;
mod links;
mod load;
mod mail;
mod organizations;
mod pages;
mod problems;
mod protected;
pub mod reference;
mod sign_in;
mod tls;
mod webhooks;

use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

pub use console::Console;
pub use database::{Database, PreparedStatements};
pub use domains::Domains;
pub use error::ConfigError;
pub use events::{Audit, Events};
pub use http::{Cors, Http};
pub use identity::{Algorithm, Issuer, JwksSource, Trust, VerifiableDomains};
pub use invites::{Before, Invites};
pub use limits::Limits;
pub use links::reachable;
pub use load::Sources;
pub use mail::{Language, Mail, Security, Sender};
pub use organizations::Organizations;
pub use pages::Pages;
pub use protected::is_protected;
pub use sign_in::{SignIn, SignInToken};
pub use tls::Tls;
pub use webhooks::Webhooks;

/// The reference of all settings, with their defaults.
pub const DEFAULT: &str = include_str!("default.toml");

/// All settings; see `default.toml` for the meaning of each one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    /// `None`: SQLite in the data directory.
    pub database_url: Option<SecretString>,
    pub secret_key_file: Option<PathBuf>,
    /// One or more keys, separated by commas.
    pub secret_key: Option<SecretString>,
    /// `None`: `listen` serves `/metrics` to loopback addresses.
    pub metrics_listen: Option<SocketAddr>,
    pub public_preview: bool,
    pub public_url: Option<String>,
    /// See [`Config::invite_links`].
    pub invite_link_template: String,
    pub http: Http,
    pub tls: Tls,
    pub cors: Cors,
    pub console: Console,
    pub pages: Pages,
    pub database: Database,
    pub organizations: Organizations,
    pub invites: Invites,
    pub limits: Limits,
    pub events: Events,
    #[serde(default)]
    pub audit: Audit,
    pub webhooks: Webhooks,
    pub domains: Domains,
    pub mail: Mail,
    pub log: Log,
    pub issuers: Vec<Issuer>,
}

/// `[log]`: the log on standard error.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Log {
    /// A tracing filter such as `info` or `guestlist=debug,warn`.
    pub filter: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    Text,
    /// One JSON object per line.
    Json,
}

#[cfg(test)]
mod tests;
