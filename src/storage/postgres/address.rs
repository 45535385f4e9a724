//! The address of a PostgreSQL database, from its URL.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::config::Host;
#[cfg(test)]
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::{CancelToken, Client, Config, Error, NoTls};

use super::tls::{self, Tls};

/// The longest time without an acknowledgement from the server's TCP.
const TCP_TIMEOUT: Duration = Duration::from_secs(10);

/// The address of a database, with user, password and TLS settings.
#[derive(Clone)]
pub struct Address {
    config: Arc<Config>,
    tls: Option<Tls>,
}

/// Hides the content, which has a password.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address")
    }
}

/// Drives the socket of a connection; ends when its [`Client`] is dropped.
pub(super) type Driver = futures_util::future::BoxFuture<'static, Result<(), Error>>;

impl Address {
    /// Reads a URL of libpq's form
    /// (<https://www.postgresql.org/docs/current/libpq-connect.html>), with
    /// `sslmode`, `sslrootcert`, `sslcert` and `sslkey`.
    ///
    /// # Errors
    /// What is wrong, without any part of the URL, which has a password.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        // After a `?` inside a password there are no parameters; an error must not quote them.
        place.parse::<Config>().map_err(|_| not_a_url())?;
        let mut params = tls::TlsParams::default();
        let (mut name_of_application, mut fallback) = (None, "guestlist".to_owned());
        let mut rest = vec![
            format!("tcp_user_timeout={}", TCP_TIMEOUT.as_millis()),
            format!("keepalives_idle={}", TCP_TIMEOUT.as_secs()),
            format!("keepalives_interval={}", TCP_TIMEOUT.as_secs() / 2),
            "keepalives_retries=2".to_owned(),
            // A standby accepts no writes.
            "target_session_attrs=read-write".to_owned(),
        ];
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode_str(value).decode_utf8().map_err(|_| not_a_url())?;
            if params.read(name, &value)? {
                continue;
            }
            match parameter(name, &value)? {
                Parameter::Known => rest.push(pair.to_owned()),
                Parameter::As(name) => {
                    rest.push(pair.replacen(pair.split('=').next().unwrap_or_default(), name, 1));
                }
                Parameter::ApplicationName => name_of_application = Some(value.into_owned()),
                Parameter::Fallback => fallback = value.into_owned(),
                Parameter::Ignored => {}
            }
        }
        let mut config: Config =
            format!("{place}?{}", rest.join("&")).parse().map_err(|_| not_a_url())?;
        config.application_name(name_of_application.unwrap_or(fallback));
        if config.get_hosts().is_empty() {
            return Err("must name a host".into());
        }
        // A unix socket does not leave this machine.
        let local = config.get_hosts().iter().any(|host| matches!(host, Host::Unix(_)));
        let tls = if local { None } else { params.tls(&mut config)? };
        Ok(Self { config: Arc::new(config), tls })
    }

    pub(super) async fn connect(&self) -> Result<(Client, Driver), Error> {
        match &self.tls {
            Some(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await?;
                Ok((client, Box::pin(connection)))
            }
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                Ok((client, Box::pin(connection)))
            }
        }
    }

    /// Asks PostgreSQL to cancel the running statement of a connection, which it may do later.
    pub(super) async fn cancel(&self, connection: &CancelToken) -> Result<(), Error> {
        match &self.tls {
            Some(tls) => connection.cancel_query(tls.clone()).await,
            None => connection.cancel_query(NoTls).await,
        }
    }
}

/// How a parameter of the URL is handled.
enum Parameter {
    /// The driver knows it.
    Known,
    /// The driver has another name for it.
    As(&'static str),
    ApplicationName,
    /// The application's name if `application_name` is not given.
    Fallback,
    /// It has no effect.
    Ignored,
}

fn parameter(name: &str, value: &str) -> Result<Parameter, String> {
    const KNOWN: [&str; 16] = [
        "user",
        "password",
        "dbname",
        "host",
        "hostaddr",
        "port",
        "options",
        "connect_timeout",
        "tcp_user_timeout",
        "keepalives",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_retries",
        "channel_binding",
        "load_balance_hosts",
        "sslnegotiation",
    ];
    // Parameters that may only have the value that this service uses.
    let only = |values: &[&str], becomes| match values.contains(&value) {
        true => Ok(becomes),
        false => Err(format!("must have {name}={} or leave it out", values[0])),
    };
    match name {
        _ if KNOWN.contains(&name) => Ok(Parameter::Known),
        "keepalives_count" => Ok(Parameter::As("keepalives_retries")),
        "application_name" => Ok(Parameter::ApplicationName),
        "fallback_application_name" => Ok(Parameter::Fallback),
        "target_session_attrs" => only(&["read-write", "primary"], Parameter::Ignored),
        "client_encoding" => only(&["UTF8", "utf8", "UTF-8", "utf-8", "auto"], Parameter::Ignored),
        "gssencmode" => only(&["disable", "prefer"], Parameter::Ignored),
        "sslcompression" => only(&["0"], Parameter::Ignored),
        "sslsni" => only(&["1"], Parameter::Ignored),
        "passfile" | "service" | "servicefile" => {
            Err(format!("must not have {name}: neither .pgpass nor service files are read"))
        }
        // A short plain name is quoted; anything else may be a part of a password.
        _ if name.len() <= 40 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_') => {
            Err(format!("must not have the parameter {name}, which is not known"))
        }
        _ => Err("must not have a parameter that is not known".to_owned()),
    }
}

fn not_a_url() -> String {
    "must be a URL such as postgres://USER:PASSWORD@HOST/DATABASE, with reserved characters \
     written as % and two hexadecimal digits"
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_as_libpq_reads_it() {
        let address = Address::parse(
            "postgres://me:p%40ss@db.internal:6432/guests?sslmode=require&options=-c%20a%3D1",
        )
        .unwrap();
        assert_eq!(address.config.get_user(), Some("me"));
        assert_eq!(address.config.get_password(), Some(&b"p@ss"[..]));
        assert_eq!(address.config.get_hosts(), [Host::Tcp("db.internal".into())]);
        assert_eq!(address.config.get_ports(), [6432]);
        assert_eq!(address.config.get_dbname(), Some("guests"));
        assert_eq!(address.config.get_options(), Some("-c a=1"));
        assert!(address.tls.is_some());
    }

    #[test]
    fn tls_is_used_unless_it_is_said_not_to_be_or_nothing_leaves_the_machine() {
        let tls = |url: &str| Address::parse(url).unwrap().tls.is_some();
        assert!(tls("postgres://db/guests"));
        assert!(tls("postgres://db/guests?sslmode=verify-full"));
        assert!(!tls("postgres://db/guests?sslmode=disable"));
        assert!(!tls("postgres:///guests?host=/run/postgresql&sslmode=require"));
    }

    #[test]
    fn parameters_are_taken_ignored_or_named() {
        let name = |query: &str| {
            let address = Address::parse(&format!("postgres://db/guests?{query}")).unwrap();
            address.config.get_application_name().map(str::to_owned)
        };
        assert_eq!(name(""), Some("guestlist".into()));
        assert_eq!(name("application_name=invites"), Some("invites".into()));
        assert_eq!(name("fallback_application_name=x"), Some("x".into()));
        assert_eq!(
            name("fallback_application_name=x&application_name=invites"),
            Some("invites".into())
        );
        let address = Address::parse("postgres://db/g?keepalives_idle=30&keepalives_count=7");
        let address = address.unwrap();
        assert_eq!(address.config.get_keepalives_idle(), Duration::from_secs(30));
        assert_eq!(address.config.get_keepalives_retries(), Some(7));
        assert_eq!(address.config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        for harmless in [
            "client_encoding=utf8",
            "gssencmode=disable",
            "connect_timeout=3",
            "target_session_attrs=read-write",
        ] {
            assert_eq!(name(harmless), Some("guestlist".into()));
        }
        for wrong in ["pgbouncer=true", "passfile=/x", "client_encoding=latin1", "schema=x"] {
            let error = Address::parse(&format!("postgres://db/guests?{wrong}")).unwrap_err();
            assert!(error.contains(wrong.split('=').next().unwrap()), "{error}");
        }
        // The end of a password.
        let error = Address::parse("postgres://me:1?secret@db/guests").unwrap_err();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn p05_what_is_wrong_is_said_without_repeating_any_of_it() {
        for url in [
            "postgres://SECRET@db:SECRET/guests",
            "postgres://db/guests?sslmode=SECRET",
            "postgres://db/guests?SECRET=1",
            "postgres://db/guests?sslrootcert=%FFSECRET",
            "postgres://db/guests?sslcert=SECRET",
            "postgres:///SECRET",
        ] {
            let error = Address::parse(url).expect_err(url);
            assert!(!error.contains("SECRET"), "{error}");
            assert!(error.starts_with("must "), "{error}");
        }
        let address = Address::parse("postgres://me:SECRET@db/guests").unwrap();
        assert!(!format!("{address:?}").contains("SECRET"));
    }
}
