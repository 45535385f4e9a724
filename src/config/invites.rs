//! What invites and organizations start with.

use std::time::Duration;

use serde::Deserialize;

/// `[invites]`: rules of invites and organizations.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Invites {
    /// How long an email invitation works, 1 hour to 30 days.
    #[serde(with = "humantime_serde")]
    pub email_lifetime: Duration,
    /// Seats of a new organization; 0 means any number.
    pub default_seat_limit: u32,
}
