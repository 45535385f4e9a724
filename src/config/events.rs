use std::time::Duration;

use serde::Deserialize;

/// `[events]`
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Events {
    /// How long readers of the feed can read an event. An older cursor is rejected.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
    /// The most calls that wait for events.
    pub max_waiting: usize,
    pub max_waiting_per_account: usize,
    pub max_waiting_per_network: usize,
    pub max_waiting_per_organization: usize,
}

/// `[audit]`
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Audit {
    /// `None`: events are never deleted.
    #[serde(default, with = "humantime_serde")]
    pub retention: Option<Duration>,
}
