//! Why a configuration was refused.

use std::fmt;

/// Everything that is wrong with a configuration, each as one line that names
/// the setting and says what would be right. Never repeats the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl ConfigError {
    /// The lines.
    pub fn problems(&self) -> &[String] {
        &self.0
    }

    pub(super) fn new(problems: Vec<String>) -> Self {
        Self(problems)
    }

    pub(super) fn one(problem: impl Into<String>) -> Self {
        Self(vec![problem.into()])
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for ConfigError {}
