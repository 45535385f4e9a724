use std::time::Duration;

use serde::Deserialize;

/// `[events]`
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Events {
    /// How long readers of the feed may come back for an event.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
}

/// `[audit]`
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Audit {
    /// `None`: events are never deleted.
    #[serde(default, with = "humantime_serde")]
    pub retention: Option<Duration>,
}
