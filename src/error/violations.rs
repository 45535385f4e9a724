//! The wrong fields of a request, in bounded memory.

use std::fmt::{self, Write};

/// One wrong field of a request (`google.rpc.BadRequest.FieldViolation`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field as the `.proto` names it, such as `filter.user_ids[2]`.
    pub field: String,
    /// What is wrong with it and what would be right. Never repeats the value.
    pub description: String,
}

/// Collects violations: keeps the first [`Violations::KEPT`] and counts the others, so
/// that a request with a million wrong values costs no memory for each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations {
    kept: Vec<Violation>,
    dropped: usize,
}

impl Violations {
    /// How many are kept.
    pub const KEPT: usize = 16;

    /// Bytes of the message that names the kept ones, before it counts the others.
    const MESSAGE_BYTES: usize = 512;

    /// Adds one. `field` is written out only if it is kept.
    pub fn add(&mut self, field: impl fmt::Display, description: impl Into<String>) {
        if self.kept.len() < Self::KEPT {
            let (field, description) = (field.to_string(), description.into());
            self.kept.push(Violation { field, description });
        } else {
            self.dropped += 1;
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Those that are kept.
    pub fn into_kept(self) -> Vec<Violation> {
        self.kept
    }

    /// All of it in one line: at least the first, as many more as fit, and the number
    /// of the others.
    pub fn message(&self) -> String {
        let mut message = String::new();
        let mut told = 0;
        for Violation { field, description } in &self.kept {
            let length = message.len() + field.len() + description.len();
            if told > 0 && length > Self::MESSAGE_BYTES {
                break;
            }
            let separator = if told > 0 { "; " } else { "" };
            // Writing to a String does not fail.
            let _ = write!(message, "{separator}{field}: {description}");
            told += 1;
        }
        let others = self.kept.len() - told + self.dropped;
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
    fn p43_sixteen_are_kept_and_the_others_counted() {
        let mut violations = Violations::default();
        assert!(violations.is_empty());
        for i in 0..100_000 {
            violations.add(format_args!("f[{i}]"), "x");
        }
        let message = violations.message();
        assert!(message.starts_with("f[0]: x; f[1]: x; "), "{message}");
        assert!(message.ends_with("f[15]: x; and 99984 more"), "{message}");
        assert_eq!(violations.into_kept().len(), Violations::KEPT);
    }

    #[test]
    fn p43_a_message_is_short_whatever_the_fields_are() {
        let mut violations = Violations::default();
        for i in 0..20 {
            violations.add(format_args!("{}[{i}]", "long".repeat(50)), "is wrong");
        }
        let message = violations.message();
        assert!(message.len() < 600, "{message}");
        assert!(message.ends_with("[1]: is wrong; and 18 more"), "{message}");
    }
}
