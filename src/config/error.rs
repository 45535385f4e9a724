use std::fmt;

/// All problems of a configuration. Each line names the setting and describes valid values;
/// it never contains the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl ConfigError {
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
