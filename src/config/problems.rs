//! Collects the problems of a configuration, so that all are reported at once.

use std::time::Duration;

use super::ConfigError;

/// The longest duration of settings that have no other limit.
pub const MAX_DURATION: Duration = Duration::from_secs(24 * 60 * 60);

/// The problems found so far, each as one line that names its setting.
#[derive(Debug, Default)]
pub struct Problems(Vec<String>);

impl Problems {
    /// Adds a line.
    pub fn add(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }

    /// Adds a line if a duration is zero or longer than a day.
    pub fn check_duration(&mut self, key: &str, value: Duration) {
        if value.is_zero() || value > MAX_DURATION {
            self.add(format!("{key}: must be greater than 0s and at most 1day"));
        }
    }

    /// `Err` with all problems if there are any.
    pub fn into_result(self) -> Result<(), ConfigError> {
        if self.0.is_empty() { Ok(()) } else { Err(ConfigError::new(self.0)) }
    }
}
