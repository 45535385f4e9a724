use std::time::Duration;

use serde::Deserialize;

use super::problems::Problems;

/// How long before the expiry of an invitation its recipient is reminded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct Before(#[serde(with = "humantime_serde")] pub Duration);

/// The most reminders of an invitation.
const MAX_REMINDERS: usize = 2;

impl Invites {
    /// How long before the expiry of an invitation its recipient is reminded, the longest first.
    pub fn reminders(&self) -> Vec<Duration> {
        let mut reminders: Vec<Duration> = self.reminders.iter().map(|before| before.0).collect();
        reminders.sort_unstable_by(|a, b| b.cmp(a));
        reminders
    }
}

pub(super) fn check(invites: &Invites, problems: &mut Problems) {
    let hour = Duration::from_secs(60 * 60);
    if !(hour..=hour * 24 * 30).contains(&invites.email_lifetime) {
        problems.add("invites.email_lifetime: must be between 1h and 30days");
    }
    let mut reminders = invites.reminders();
    if reminders.iter().any(|before| !(hour..=hour * 24 * 29).contains(before)) {
        problems.add("invites.reminders: each must be between 1h and 29days");
    }
    reminders.dedup();
    if reminders.len() > MAX_REMINDERS || reminders.len() < invites.reminders.len() {
        problems.add("invites.reminders: must have at most two different times");
    }
}

/// `[invites]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Invites {
    /// The lifetime of an email invitation without an explicit expiry; 1 hour to 30 days.
    #[serde(with = "humantime_serde")]
    pub email_lifetime: Duration,
    /// How long before the expiry of an invitation its recipient is reminded.
    pub reminders: Vec<Before>,
    /// The seat limit of new organizations; 0 means no limit.
    pub default_seat_limit: u32,
    /// The allowed origins of `continue_url`, where members continue after joining.
    pub continue_origins: Vec<String>,
}
