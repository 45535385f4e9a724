use serde::Deserialize;

use super::problems::Problems;

/// `[limits]`; 0 means no limit.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Limits {
    /// In an hour.
    pub organizations_per_account: u32,
    /// In an hour.
    pub invites_per_account: u32,
    /// In an hour.
    pub invites_per_organization: u32,
    /// In an hour.
    pub invites_per_address: u32,
    /// In a minute.
    pub previews_per_account: u32,
    /// In a minute.
    pub previews_per_network: u32,
    /// Attempts to join or decline in a minute.
    pub joins_per_account: u32,
    /// Attempts to join or decline in a minute.
    pub joins_per_network: u32,
    /// Steps of signing in on our pages, in a minute.
    pub sign_ins_per_network: u32,
    /// Concurrent lists and searches.
    pub lists_per_organization: u32,
}

const MAX: u32 = 1_000_000_000;

/// Rejects numbers so large that they are probably a mistake.
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
        ("sign_ins_per_network", limits.sign_ins_per_network),
        ("lists_per_organization", limits.lists_per_organization),
    ];
    for (key, value) in numbers {
        if value > MAX {
            problems.add(format!("limits.{key}: must be at most {MAX}; 0 means no limit"));
        }
    }
}
