//! The address of a PostgreSQL database, from its URL.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio::time::{Instant, timeout};
use tokio_postgres::config::Host;
use tokio_postgres::config::{LoadBalanceHosts, SslMode};
use tokio_postgres::{CancelToken, Client, Config, Error, NoTls};

use super::errors::not_connected;
use super::tls::{self, Tls};
use crate::storage::error::StoreError;

/// The longest time without an acknowledgement from the server's TCP.
const TCP_TIMEOUT: Duration = Duration::from_secs(10);

/// The address of a database, with user, password and TLS settings.
#[derive(Clone)]
pub struct Address {
    /// The settings for each host of the URL, in the order of the URL.
    hosts: Arc<[Config]>,
    /// The index of the host of the last connection; before it, of the host to try first.
    last: Arc<AtomicUsize>,
    tls: Option<Tls>,
}

/// Hides the content, which contains a password.
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
    /// If the URL is not valid. The URL contains a password, so the message repeats no part of it
    /// except names of parameters and paths of TLS files.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        // Checked before the parameters: if the `?` is a part of a password, the text after it is
        // no parameters, and an error must not quote it.
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
        let local = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        let tls = if local { None } else { params.tls(&mut config)? };
        let hosts = each_host(place, &rest, &config)?;
        let first = match config.get_load_balance_hosts() {
            LoadBalanceHosts::Random => uuid::Uuid::new_v4().as_u64_pair().1 as usize % hosts.len(),
            _ => 0,
        };
        Ok(Self { hosts, last: Arc::new(AtomicUsize::new(first)), tls })
    }

    /// Connects to the first host that accepts changes, beginning with the host of the last
    /// connection. Each host gets an equal share of the remaining time, since a host may not
    /// answer.
    pub(super) async fn connect(&self, within: Duration) -> Result<(Client, Driver), StoreError> {
        let until = Instant::now() + within;
        let (first, number) = (self.last.load(Ordering::Relaxed), self.hosts.len());
        let mut failure = StoreError::timed_out();
        for tried in 0..number {
            let host = (first + tried) % number;
            let left = u32::try_from(number - tried).unwrap_or(u32::MAX);
            let share = until.saturating_duration_since(Instant::now()) / left;
            match timeout(share, self.connect_to(&self.hosts[host])).await {
                Ok(Ok(connected)) => {
                    self.last.store(host, Ordering::Relaxed);
                    return Ok(connected);
                }
                Ok(Err(error)) => failure = not_connected(error),
                Err(_) => failure = StoreError::timed_out(),
            }
        }
        Err(failure)
    }

    async fn connect_to(&self, host: &Config) -> Result<(Client, Driver), Error> {
        match &self.tls {
            Some(tls) => {
                let (client, connection) = host.connect(tls.clone()).await?;
                Ok((client, Box::pin(connection)))
            }
            None => {
                let (client, connection) = host.connect(NoTls).await?;
                Ok((client, Box::pin(connection)))
            }
        }
    }

    /// Requests that PostgreSQL cancels the running statement of a connection. PostgreSQL may
    /// cancel it after this returns.
    pub(super) async fn cancel(&self, connection: &CancelToken) -> Result<(), Error> {
        match &self.tls {
            Some(tls) => connection.cancel_query(tls.clone()).await,
            None => connection.cancel_query(NoTls).await,
        }
    }
}

/// The settings for each host of a URL.
fn each_host(place: &str, params: &[String], all: &Config) -> Result<Arc<[Config]>, String> {
    let (hosts, ports) = (all.get_hosts(), all.get_ports());
    let addresses = all.get_hostaddrs();
    if !addresses.is_empty() && addresses.len() != hosts.len() {
        return Err("must have one hostaddr for each host".into());
    }
    if ports.len() > 1 && ports.len() != hosts.len() {
        return Err("must have one port for each host".into());
    }
    // The same URL without hosts.
    let (scheme, rest) = place.split_once("://").ok_or_else(not_a_url)?;
    let (user, rest) = rest.split_once('@').map_or(("", rest), |(user, rest)| (user, rest));
    let database = rest.split_once('/').map_or("", |(_, database)| database);
    let is_place = |param: &&String| {
        ["host=", "hostaddr=", "port="].iter().any(|name| param.starts_with(name))
    };
    let others = params.iter().filter(|param| !is_place(param)).map(String::as_str);
    let others = others.collect::<Vec<_>>().join("&");
    let url = format!("{scheme}://{user}@/{database}?{others}");
    let mut common: Config = url.parse().map_err(|_| not_a_url())?;
    common.ssl_mode(all.get_ssl_mode());
    if let Some(name) = all.get_application_name() {
        common.application_name(name);
    }
    let mut each = Vec::with_capacity(hosts.len());
    for (number, host) in hosts.iter().enumerate() {
        let mut config = common.clone();
        match host {
            // If a password contains `@`, the text after it is parsed as a host.
            Host::Tcp(name) if name.contains([',', '@']) => return Err(not_a_url()),
            Host::Tcp(name) => config.host(name),
            // A unix socket does not leave this machine.
            Host::Unix(path) => config.host_path(path).ssl_mode(SslMode::Disable),
        };
        if let Some(address) = addresses.get(number) {
            config.hostaddr(*address);
        }
        if let Some(port) = ports.get(number).or(ports.first()) {
            config.port(*port);
        }
        each.push(config);
    }
    Ok(each.into())
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
mod tests;
