use serde::Deserialize;

use super::http::networks;
use super::problems::Problems;
use crate::domain::Network;

/// `[webhooks]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Webhooks {
    /// The most endpoints of an organization.
    pub max_per_organization: u32,
    /// Endpoints may have URLs without TLS.
    pub allow_http: bool,
    /// Networks of endpoints that have no public address.
    #[serde(deserialize_with = "networks")]
    pub allowed_networks: Vec<Network>,
}

const MAX: u32 = 1000;

pub(super) fn check(webhooks: &Webhooks, problems: &mut Problems) {
    if webhooks.max_per_organization > MAX {
        problems.add(format!("webhooks.max_per_organization: must be at most {MAX}"));
    }
}
