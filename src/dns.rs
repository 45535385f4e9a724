//! Reads TXT records from DNS.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;

/// The longest time of a lookup, with all attempts.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest wait for one answer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;

/// A client of recursive name servers.
#[derive(Debug, Clone, Default)]
pub struct Dns {
    nameservers: Vec<SocketAddr>,
}

/// A failed lookup: it is not known whether there are records.
#[derive(Debug)]
pub struct DnsError(String);

impl fmt::Display for DnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DnsError {}

impl Dns {
    /// A client of these name servers, or of those of the system if the list is empty.
    pub fn new(nameservers: Vec<SocketAddr>) -> Self {
        Self { nameservers }
    }

    /// The values of the TXT records of a fully qualified name. Empty if the name does not exist or
    /// has no such records. CNAME records are followed, and a truncated answer is requested again
    /// by TCP.
    ///
    /// # Errors
    /// If there is no valid answer in five seconds.
    pub async fn txt(&self, name: &str) -> Result<Vec<Vec<u8>>, DnsError> {
        let error = |error: NetError| DnsError(error.to_string());
        let resolver = self.resolver().map_err(error)?;
        // The last dot: no search domain of the system is appended.
        let lookup = resolver.txt_lookup(format!("{name}."));
        let found = match tokio::time::timeout(TIMEOUT, lookup).await {
            Ok(Ok(found)) => found,
            Ok(Err(missing)) if missing.is_no_records_found() => return Ok(Vec::new()),
            Ok(Err(failed)) => return Err(error(failed)),
            Err(_) => return Err(DnsError("the name servers did not answer in time".to_owned())),
        };
        let values = found.answers().iter().filter_map(|record| match &record.data {
            RData::TXT(txt) => Some(txt.txt_data.concat()),
            _ => None,
        });
        Ok(values.collect())
    }

    /// A resolver without a cache. Lookups are rare, so each one makes its own and follows
    /// changes of the system's configuration.
    fn resolver(&self) -> Result<TokioResolver, NetError> {
        let mut builder = match self.nameservers.as_slice() {
            [] => TokioResolver::builder_tokio()?,
            given => {
                let servers = given.iter().map(server).collect();
                let config = ResolverConfig::from_name_servers(servers);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        let options = builder.options_mut();
        options.cache_size = 0;
        options.timeout = ATTEMPT_TIMEOUT;
        options.attempts = ATTEMPTS;
        options.use_hosts_file = ResolveHosts::Never;
        builder.build()
    }
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}
