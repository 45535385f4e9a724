//! The command line.

mod accounts;
mod backup;
mod demo;
mod export;
mod healthcheck;
mod import;
mod keys;
mod progress;
mod proto;
mod records;
mod restore;
mod secret_key;
mod serve;
mod store;

use std::fmt;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};

use crate::app;
use crate::config::{Config, ConfigError, Sources};
use crate::domain::{AccountId, EmailAddress, KeyId, KeyScope, OrganizationId};
use crate::error::{Error, chain};
use crate::operations::keys::ServiceName;

/// Organizations, their members and invites: one service over gRPC, gRPC-Web, Connect and
/// REST.
///
/// Every setting can also be set by an environment variable (GUESTLIST_ and its name in
/// capitals) or in a configuration file; deploy/settings.md lists them all.
#[derive(Debug, Parser)]
#[command(name = "guestlist", version, args_conflicts_with_subcommands = false)]
pub struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

/// The settings with a flag. They are accepted before and after a command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
struct Settings {
    /// Address and port of the listener (GUESTLIST_LISTEN).
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Directory for the SQLite database, the first API key and the secret key
    /// (GUESTLIST_DATA_DIR).
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// sqlite:PATH or postgres://… Use GUESTLIST_DATABASE_URL for a URL with a password:
    /// other users of this machine can see command lines.
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// Configuration file (GUESTLIST_CONFIG).
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// File with the secret keys, one per line; the first key encrypts
    /// (GUESTLIST_SECRET_KEY_FILE).
    #[arg(long, global = true, value_name = "FILE")]
    secret_key_file: Option<String>,
    /// Address and port of a separate listener for /metrics (GUESTLIST_METRICS_LISTEN).
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    metrics_listen: Option<String>,
    /// PEM file with the certificate chain; enables TLS
    /// (GUESTLIST_TLS__CERTIFICATE_FILE).
    #[arg(long, global = true, value_name = "FILE")]
    tls_certificate_file: Option<String>,
    /// PEM file with the certificate's private key (GUESTLIST_TLS__KEY_FILE).
    #[arg(long, global = true, value_name = "FILE")]
    tls_key_file: Option<String>,
    /// PEM file with certificate authorities; clients then need a certificate
    /// (GUESTLIST_TLS__CLIENT_CA_FILE).
    #[arg(long, global = true, value_name = "FILE")]
    tls_client_ca_file: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server until SIGTERM or SIGINT. The default command.
    Serve,
    /// Serves an example to look at, until ctrl-c: two organizations with people and invites.
    ///
    /// Prints the address of the console and keys for it. The store is in a temporary folder,
    /// which is removed at the end; of all settings only --listen counts.
    Demo,
    /// Migrates the database schema.
    Migrate,
    /// Creates, lists and revokes API keys, also while a server is running.
    #[command(subcommand)]
    Keys(Keys),
    /// Erases accounts, also while a server is running.
    #[command(subcommand)]
    Accounts(Accounts),
    /// Writes all organizations, accounts, members and pending invitations to a file.
    ///
    /// The file has one record a line, all as of one moment, also while a server is running. It
    /// has names and addresses, but no tokens and keys.
    Export {
        /// The file; one with this name is replaced.
        file: PathBuf,
    },
    /// Adds the records of a file that `export` has written.
    ///
    /// The file can also be made from another product's export (deploy/import.md). Records that
    /// are in the store already stay as they are, so that a file can be imported again. On
    /// SQLite no server may be running.
    Import {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        options: import::Options,
    },
    /// Copies the SQLite database to a file, also while a server is running.
    ///
    /// The file has the database as it is at one moment. It is checked before it gets its name.
    /// The secret key is not in it: keep a copy of it in another place.
    Backup {
        /// The file, which must not exist.
        file: PathBuf,
    },
    /// Puts a backup in the place of the SQLite database. No server may be running.
    ///
    /// The backup must be of this or an older version, and the settings must have its secret key.
    Restore {
        /// The file that `backup` has written. It stays as it is.
        file: PathBuf,
        /// Replace an existing database, which is kept under another name.
        #[arg(long)]
        replace: bool,
    },
    /// Changes what is encrypted with the secret keys, also while a server is running.
    #[command(subcommand)]
    SecretKey(SecretKey),
    /// Checks the settings and the files that they name. With several secret keys, says which of
    /// them the store still needs.
    CheckConfig,
    /// Checks whether the server at the configured address is ready; exit code 0 if it is, 1
    /// if not.
    Healthcheck,
    /// Writes the `.proto` files of the API that this program serves, for code generators.
    Proto {
        /// The directory to write to.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum Keys {
    /// Creates a key and prints it. It cannot be read again later. Creates the store if it
    /// does not exist; does not migrate an existing one.
    Create(CreateKey),
    /// Lists all keys, including revoked and expired ones, without their secrets.
    List,
    /// Revokes a key permanently. All servers reject it within a second.
    Revoke {
        /// The key's id: the 16 digits between its two underscores.
        id: KeyId,
    },
}

#[derive(Debug, Subcommand)]
enum Accounts {
    /// Removes a person from the store. This cannot be undone.
    ///
    /// Ends the account's memberships, keys and pending invitations, and removes its name,
    /// address, picture and sign-in. The account's id stays in the audit trail. If the account
    /// is the last admin of an organization with other members, the command fails and changes
    /// nothing.
    Erase {
        /// The account's id.
        id: AccountId,
    },
}

#[derive(Debug, Subcommand)]
enum SecretKey {
    /// Encrypts all invite tokens and webhook secrets with the first secret key that are
    /// encrypted with another one.
    ///
    /// All servers must have been started with this first key. If the command ends early, run it
    /// again. Afterwards `check-config` says whether the other keys are needed.
    Reseal,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("owner").required(true).args(["email", "account", "service"]))]
struct CreateKey {
    /// For the person with this address; creates the account if needed. The address counts as
    /// verified.
    #[arg(long)]
    email: Option<EmailAddress>,
    /// For the account with this id.
    #[arg(long, value_name = "ID")]
    account: Option<AccountId>,
    /// For the service with the name --name; creates the account if needed.
    #[arg(long, requires = "name")]
    service: bool,
    /// The person's display name, or the service's name.
    #[arg(long, conflicts_with = "account")]
    name: Option<String>,
    /// Restrict the key to this organization.
    #[arg(long, value_name = "ID")]
    org: Option<OrganizationId>,
    /// Additional rights: `operator` administrates the service; `act` (with --service) acts
    /// for people that an internal service has signed in; `events` reads the events and the
    /// state of all organizations
    #[arg(long, value_name = "operator|act|events")]
    scope: Option<KeyScope>,
    /// Lifetime of the key, such as 90d or 12h, at most until the end of the year 9999.
    /// Without it, the key does not expire.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    expires: Option<std::time::Duration>,
}

/// The error of a command.
#[derive(Debug)]
pub enum Failure {
    /// An invalid command line or setting: exit code 2.
    Usage(String),
    /// Exit code 1.
    Failed(Error),
    /// A second signal arrived before all requests had finished: exit code 1.
    Aborted,
    /// The server is not ready: exit code 1.
    NotReady(String),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn run(self) -> Result<(), Failure> {
        let config = self.settings.load()?;
        match self.command.unwrap_or(Command::Serve) {
            Command::Demo => demo::demo(config.listen),
            Command::Serve => serve::serve(config),
            Command::Migrate => store::migrate(&config),
            Command::Keys(Keys::Create(what)) => keys::create(&config, what),
            Command::Keys(Keys::List) => keys::list(&config),
            Command::Keys(Keys::Revoke { id }) => keys::revoke(&config, id),
            Command::Accounts(Accounts::Erase { id }) => accounts::erase(&config, id),
            Command::Export { file } => export::export(&config, &file),
            Command::Import { file, options } => import::import(&config, &file, options),
            Command::Backup { file } => backup::back_up(&config, &file),
            Command::Restore { file, replace } => restore::restore(&config, &file, replace),
            Command::SecretKey(SecretKey::Reseal) => secret_key::reseal(&config),
            Command::CheckConfig => check_config(&config),
            Command::Healthcheck => healthcheck::healthcheck(&config),
            Command::Proto { out } => proto::write(&out),
        }
    }
}

impl Settings {
    fn load(self) -> Result<Config, ConfigError> {
        let given = [
            ("--listen", "listen", self.listen),
            ("--data-dir", "data_dir", self.data_dir),
            ("--database-url", "database_url", self.database_url),
            ("--secret-key-file", "secret_key_file", self.secret_key_file),
            ("--metrics-listen", "metrics_listen", self.metrics_listen),
            ("--tls-certificate-file", "tls.certificate_file", self.tls_certificate_file),
            ("--tls-key-file", "tls.key_file", self.tls_key_file),
            ("--tls-client-ca-file", "tls.client_ca_file", self.tls_client_ca_file),
        ];
        let flags =
            given.into_iter().filter_map(|(flag, key, value)| Some((flag, key, value?))).collect();
        Config::load(Sources {
            file: self.config,
            environment: std::env::vars_os().collect(),
            flags,
        })
    }
}

fn check_config(config: &Config) -> Result<(), Failure> {
    store::block_on(app::check(config))?;
    let mut lines = vec!["the configuration is valid".to_owned()];
    lines.extend(secret_key::uses_of_other_keys(config));
    store::print(&lines.join("\n"))
}

impl Failure {
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Usage(_) => 2,
            Failure::Failed(_) | Failure::Aborted | Failure::NotReady(_) => 1,
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Failure::Usage(error.to_string())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Failed(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(what) | Failure::NotReady(what) => f.write_str(what),
            Failure::Aborted => f.write_str("ended immediately, before all requests had finished"),
            // The reader is the operator, so the causes are shown.
            Failure::Failed(error) => f.write_str(&chain(error)),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests;
