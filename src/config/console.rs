use serde::Deserialize;

/// `[console]`
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Console {
    pub enabled: bool,
}
