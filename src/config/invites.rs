use std::time::Duration;

use serde::Deserialize;

/// `[invites]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Invites {
    /// The lifetime of an email invitation without an explicit expiry; 1 hour to 30 days.
    #[serde(with = "humantime_serde")]
    pub email_lifetime: Duration,
    /// The seat limit of new organizations; 0 means no limit.
    pub default_seat_limit: u32,
    /// The origins that the URLs may have that members go on to.
    pub continue_origins: Vec<String>,
}
