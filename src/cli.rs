//! The command line: what can be said on it, and what is then done.

mod healthcheck;
mod keys;
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

/// Organizations, their members and the invites that bring people in: one
/// service over gRPC, gRPC-Web and Connect.
///
/// Every setting can also be given in the environment, as GUESTLIST_ and its name
/// in capitals, or in a configuration file; the README lists them all.
#[derive(Debug, Parser)]
#[command(name = "guestlist", version, args_conflicts_with_subcommands = false)]
pub struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

/// The settings that have a flag. All of them may stand before or after a command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
struct Settings {
    /// Address and port to serve on (GUESTLIST_LISTEN).
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Directory of the SQLite store, the first key and the secret key
    /// (GUESTLIST_DATA_DIR).
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// sqlite:PATH or postgres://… With a password in it, better say it as
    /// GUESTLIST_DATABASE_URL: others on this machine can see command lines.
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// Configuration file (GUESTLIST_CONFIG).
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// File with the secret keys, one a line, the first seals
    /// (GUESTLIST_SECRET_KEY_FILE).
    #[arg(long, global = true, value_name = "FILE")]
    secret_key_file: Option<String>,
    /// Address and port for /metrics alone (GUESTLIST_METRICS_LISTEN).
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    metrics_listen: Option<String>,
    /// File with the certificate chain that TLS is spoken with
    /// (GUESTLIST_TLS__CERTIFICATE_FILE).
    #[arg(long, global = true, value_name = "FILE")]
    tls_certificate_file: Option<String>,
    /// File with the certificate's private key (GUESTLIST_TLS__KEY_FILE).
    #[arg(long, global = true, value_name = "FILE")]
    tls_key_file: Option<String>,
    /// File with the authorities of client certificates, which are needed then
    /// (GUESTLIST_TLS__CLIENT_CA_FILE).
    #[arg(long, global = true, value_name = "FILE")]
    tls_client_ca_file: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves until SIGTERM or SIGINT. This is what happens without a command.
    Serve,
    /// Brings the store's schema up to date.
    Migrate,
    /// Makes, lists and revokes API keys, also beside a running server.
    #[command(subcommand)]
    Keys(Keys),
    /// Checks the settings and the files they name, and says what is wrong.
    CheckConfig,
    /// Asks the server at the configured address whether it is ready; exit code 0
    /// if so, 1 if not.
    Healthcheck,
}

#[derive(Debug, Subcommand)]
enum Keys {
    /// Makes a key and prints it, the only time it can be seen. Makes the store if
    /// there is none; never migrates one.
    Create(CreateKey),
    /// Lists all keys, revoked and expired ones too, without their secrets.
    List,
    /// Revokes a key for good; every server knows within a second.
    Revoke {
        /// The 16 digits between the two underscores of the key.
        id: KeyId,
    },
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("owner").required(true).args(["email", "account", "service"]))]
struct CreateKey {
    /// For the person with this address, who is made if new. You vouch for the
    /// address.
    #[arg(long)]
    email: Option<EmailAddress>,
    /// For the account of this id.
    #[arg(long, value_name = "ID")]
    account: Option<AccountId>,
    /// For the service called --name, which is made if new.
    #[arg(long, requires = "name")]
    service: bool,
    /// The person's display name, or the service's name.
    #[arg(long, conflicts_with = "account")]
    name: Option<String>,
    /// Bind the key to this organization.
    #[arg(long, value_name = "ID")]
    org: Option<OrganizationId>,
    /// What the key may do besides: `operator` runs the service, `act` acts for
    /// people whom an internal service has signed in (with --service).
    #[arg(long, value_name = "operator|act")]
    scope: Option<KeyScope>,
    /// How long the key works, such as 90d or 12h, at most to the end of the year
    /// 9999; for ever without.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    expires: Option<std::time::Duration>,
}

/// Why a command did not do what it should.
#[derive(Debug)]
pub enum Failure {
    /// What was said on the command line or in a setting is wrong: exit code 2.
    Usage(String),
    /// It went wrong: exit code 1.
    Failed(Error),
    /// A second signal came before the end: exit code 1.
    Aborted,
    /// The server is not ready: exit code 1.
    NotReady(String),
}

impl Cli {
    /// Does what was said.
    ///
    /// # Errors
    /// With what went wrong, for people; see [`Failure::exit_code`].
    pub fn run(self) -> Result<(), Failure> {
        let config = self.settings.load()?;
        match self.command.unwrap_or(Command::Serve) {
            Command::Serve => serve::serve(config),
            Command::Migrate => store::migrate(&config),
            Command::Keys(Keys::Create(what)) => keys::create(&config, what),
            Command::Keys(Keys::List) => keys::list(&config),
            Command::Keys(Keys::Revoke { id }) => keys::revoke(&config, id),
            Command::CheckConfig => check_config(&config),
            Command::Healthcheck => healthcheck::healthcheck(&config),
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
    store::say("the configuration is right")
}

impl Failure {
    /// What the process ends with.
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
            Failure::Aborted => f.write_str("ended at once, before all requests were finished"),
            // The reader runs the service, so the causes are for them.
            Failure::Failed(error) => f.write_str(&chain(error)),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests;
