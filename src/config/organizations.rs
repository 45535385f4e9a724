//! Who makes organizations.

use serde::Deserialize;

use crate::domain::Creators;

/// `[organizations]`: rules of organizations.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Organizations {
    /// Who may make one.
    pub creators: Creators,
}
