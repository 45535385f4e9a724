use serde::Deserialize;

use crate::domain::Creators;

/// `[organizations]`
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Organizations {
    pub creators: Creators,
}
