use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use super::problems::Problems;

/// `[domains]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Domains {
    /// The name servers for lookups. Empty: those of the system.
    pub nameservers: Vec<SocketAddr>,
    /// How often the proof of a verified domain is checked.
    #[serde(with = "humantime_serde")]
    pub check_interval: Duration,
    /// How long a proof may be missing before the domain lapses.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
    /// Whether `invite_domains` have an effect for verified domains only.
    pub require_proof: bool,
}

const LEAST_INTERVAL: Duration = Duration::from_secs(60);
const MAX_INTERVAL: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const MAX_GRACE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

pub(super) fn check(domains: &Domains, problems: &mut Problems) {
    if !(LEAST_INTERVAL..=MAX_INTERVAL).contains(&domains.check_interval) {
        problems.add("domains.check_interval: must be between 1min and 30days");
    }
    if domains.grace > MAX_GRACE {
        problems.add("domains.grace: must be at most 365days");
    }
}
