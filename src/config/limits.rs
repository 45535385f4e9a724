//! How often things may be done.

use serde::Deserialize;

use super::problems::Problems;

/// `[limits]`: how often invites are made, shown and used, and how many lists run at a
/// time; 0 means any number.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Limits {
    /// Organizations of one account within an hour.
    pub organizations_per_account: u32,
    /// Invites of one account within an hour.
    pub invites_per_account: u32,
    /// Invites to one organization within an hour.
    pub invites_per_organization: u32,
    /// Email invitations to one address within an hour.
    pub invites_per_address: u32,
    /// Previews of one account within a minute.
    pub previews_per_account: u32,
    /// Previews of one network within a minute.
    pub previews_per_network: u32,
    /// Joins and refusals of one account within a minute.
    pub joins_per_account: u32,
    /// Joins and refusals of one network within a minute.
    pub joins_per_network: u32,
    /// Lists and searches of one organization at a time.
    pub lists_per_organization: u32,
}

const MOST: u32 = 1_000_000_000;

/// Refuses numbers that limit nothing.
pub(super) fn check(limits: &Limits, problems: &mut Problems) {
    let numbers = [
        ("organizations_per_account", limits.organizations_per_account),
        ("invites_per_account", limits.invites_per_account),
        ("invites_per_organization", limits.invites_per_organization),
        ("invites_per_address", limits.invites_per_address),
        ("previews_per_account", limits.previews_per_account),
        ("previews_per_network", limits.previews_per_network),
        ("joins_per_account", limits.joins_per_account),
        ("joins_per_network", limits.joins_per_network),
        ("lists_per_organization", limits.lists_per_organization),
    ];
    for (key, value) in numbers {
        if value > MOST {
            problems.add(format!("limits.{key}: must be at most {MOST}; 0 means any number"));
        }
    }
}
