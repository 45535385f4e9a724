//! Where PostgreSQL is, from its URL.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::config::Host;
use tokio_postgres::{CancelToken, Client, Config, Error, NoTls};

use super::tls::{self, Tls};

/// How long the other side may be silent about what was sent to it, or about
/// whether it is there.
const SILENCE: Duration = Duration::from_secs(10);

/// Where PostgreSQL is, and how one gets in.
#[derive(Clone)]
pub struct Address {
    config: Arc<Config>,
    tls: Option<Tls>,
}

/// Shows nothing: a password is in it.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address")
    }
}

/// What ends together with a connection's [`Client`].
pub(super) type Ends = futures_util::future::BoxFuture<'static, Result<(), Error>>;

impl Address {
    /// Reads a URL as libpq has them
    /// (<https://www.postgresql.org/docs/current/libpq-connect.html>), with
    /// `sslmode`, `sslrootcert`, `sslcert` and `sslkey`.
    ///
    /// # Errors
    /// What is wrong with it, without repeating any of it.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        let mut asked = tls::Asked::default();
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode_str(value).decode_utf8().map_err(|_| not_a_url())?;
            if !asked.take(name, &value)? {
                rest.push(pair);
            }
        }
        let mut config: Config =
            format!("{place}?{}", rest.join("&")).parse().map_err(|_| not_a_url())?;
        config
            .application_name("guestlist")
            .tcp_user_timeout(SILENCE)
            .keepalives_idle(SILENCE)
            .keepalives_interval(SILENCE / 2)
            .keepalives_retries(2);
        if config.get_hosts().is_empty() {
            return Err("must name a host".into());
        }
        // What is on this machine is reached without.
        let local = config.get_hosts().iter().any(|host| matches!(host, Host::Unix(_)));
        let tls = if local { None } else { asked.tls(&mut config)? };
        Ok(Self { config: Arc::new(config), tls })
    }

    pub(super) async fn connect(&self) -> Result<(Client, Ends), Error> {
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

    /// Asks PostgreSQL to cancel what a connection does, and waits until it has done so.
    pub(super) async fn cancel(&self, connection: &CancelToken) -> Result<(), Error> {
        match &self.tls {
            Some(tls) => connection.cancel_query(tls.clone()).await,
            None => connection.cancel_query(NoTls).await,
        }
    }
}

fn not_a_url() -> String {
    "must be a URL such as postgres://USER:PASSWORD@HOST/DATABASE, with signs that mean something \
     in URLs written as % and two hexadecimal digits"
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
