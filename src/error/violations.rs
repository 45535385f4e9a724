//! The invalid fields of a request, in bounded memory.

use std::fmt::{self, Write};

/// One invalid field of a request (`google.rpc.BadRequest.FieldViolation`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field's path with its names in the `.proto`, such as `filter.user_ids[2]`.
    pub field: String,
    /// Describes the valid values. Must not repeat the given value.
    pub description: String,
}

/// Collects violations: keeps the first [`Violations::MAX_KEPT`] and only counts the
/// others, so that memory is bounded even for a request with a million invalid values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations {
    kept: Vec<Violation>,
    dropped: usize,
}

impl Violations {
    pub const MAX_KEPT: usize = 16;

    /// The length from which [`Violations::message`] adds no more fields.
    const MAX_MESSAGE_BYTES: usize = 512;

    /// `field` is formatted only if the violation is kept.
    pub fn add(&mut self, field: impl fmt::Display, description: impl Into<String>) {
        if self.kept.len() < Self::MAX_KEPT {
            let (field, description) = (field.to_string(), description.into());
            self.kept.push(Violation { field, description });
        } else {
            self.dropped += 1;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub fn into_kept(self) -> Vec<Violation> {
        self.kept
    }

    /// One line: the first violation, as many more as fit, and the number of the others.
    pub fn message(&self) -> String {
        let mut message = String::new();
        let mut shown = 0;
        for Violation { field, description } in &self.kept {
            let length = message.len() + field.len() + description.len();
            if shown > 0 && length > Self::MAX_MESSAGE_BYTES {
                break;
            }
            let separator = if shown > 0 { "; " } else { "" };
            // Writing to a String does not fail.
            let _ = write!(message, "{separator}{field}: {description}");
            shown += 1;
        }
        let others = self.kept.len() - shown + self.dropped;
        if others > 0 {
            let _ = write!(message, "; and {others} more");
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p43_sixteen_violations_are_kept_and_the_others_are_counted() {
        let mut violations = Violations::default();
        assert!(violations.is_empty());
        for i in 0..100_000 {
            violations.add(format_args!("f[{i}]"), "x");
        }
        let message = violations.message();
        assert!(message.starts_with("f[0]: x; f[1]: x; "), "{message}");
        assert!(message.ends_with("f[15]: x; and 99984 more"), "{message}");
        assert_eq!(violations.into_kept().len(), Violations::MAX_KEPT);
    }

    #[test]
    fn p43_a_message_is_short_even_with_long_field_names() {
        let mut violations = Violations::default();
        for i in 0..20 {
            violations.add(format_args!("{}[{i}]", "long".repeat(50)), "is wrong");
        }
        let message = violations.message();
        assert!(message.len() < 600, "{message}");
        assert!(message.ends_with("[1]: is wrong; and 18 more"), "{message}");
    }
}
