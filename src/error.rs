//! The one error type of operations, storage and authentication.
//!
//! There are few kinds, on purpose: a kind is what a caller can act on. What a
//! client sees of an error (its code, public message and details) is decided in
//! one place, `transport/status.rs`; `source` is for the log and never leaves.

mod violations;

use std::fmt;
use std::time::Duration;

pub use violations::{Violation, Violations};

/// A shorthand used wherever an operation can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a caller can act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request itself is wrong; `violations` name the fields.
    InvalidArgument,
    /// No credential, or one that is broken, expired or revoked.
    Unauthenticated,
    /// The caller is known but may not do this.
    PermissionDenied,
    /// It does not exist, or the caller has no business with it.
    NotFound,
    /// What should be made is there already.
    AlreadyExists,
    /// Right in itself, but not in the present state.
    FailedPrecondition,
    /// A limit was reached: size, rate, connections, disk.
    ResourceExhausted,
    /// The time allowed for the request ran out.
    DeadlineExceeded,
    /// The store cannot be reached; trying again may help.
    Unavailable,
    /// A fault of ours.
    Internal,
}

/// Stable words that tell errors of one kind apart; clients may match on them.
pub mod reason {
    /// The email invitation is for another address.
    pub const EMAIL_MISMATCH: &str = "EMAIL_MISMATCH";
    /// The caller's address is not verified.
    pub const EMAIL_UNVERIFIED: &str = "EMAIL_UNVERIFIED";
    /// Nobody else could manage the organization.
    pub const LAST_ADMIN: &str = "LAST_ADMIN";
    /// All seats are taken.
    pub const SEAT_LIMIT: &str = "SEAT_LIMIT";
    /// The domain belongs to a public mail provider.
    pub const PUBLIC_DOMAIN: &str = "PUBLIC_DOMAIN";
    /// The account is a member already.
    pub const ALREADY_MEMBER: &str = "ALREADY_MEMBER";
    /// The address has a pending invitation already.
    pub const ALREADY_INVITED: &str = "ALREADY_INVITED";
    /// The caller's mail domain is not one of those allowed.
    pub const DOMAIN_NOT_ALLOWED: &str = "DOMAIN_NOT_ALLOWED";
    /// Only accounts of the organization's single sign-on may use this.
    pub const SSO_REQUIRED: &str = "SSO_REQUIRED";
    /// Too many of these in too short a time.
    pub const RATE_LIMITED: &str = "RATE_LIMITED";
    /// The invite has ended.
    pub const INVITE_ENDED: &str = "INVITE_ENDED";
    /// The join link is replaced, not changed.
    pub const JOIN_LINK: &str = "JOIN_LINK";
    /// Only email invitations can be sent again.
    pub const NOT_AN_EMAIL_INVITATION: &str = "NOT_AN_EMAIL_INVITATION";
    /// The member is suspended.
    pub const SUSPENDED: &str = "SUSPENDED";
    /// The server has as many requests as it takes.
    pub const OVERLOADED: &str = "OVERLOADED";
    /// The disk under the store is full.
    pub const DISK_FULL: &str = "DISK_FULL";
}

/// What an operation answers when it does not succeed.
pub struct Error {
    /// The kind, which decides the status code.
    pub kind: Kind,
    /// A stable word; the kind's own name where nothing finer is known.
    pub reason: &'static str,
    /// For people; safe to show to the caller.
    pub message: String,
    /// The wrong fields, for `Kind::InvalidArgument`; the first of them, if they are
    /// many: the message says how many there are besides.
    pub violations: Vec<Violation>,
    /// When trying again may help.
    pub retry_after: Option<Duration>,
    /// The cause, for the log only.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Kind {
    /// The kind's own name, which is also its default reason.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::InvalidArgument => "INVALID_ARGUMENT",
            Kind::Unauthenticated => "UNAUTHENTICATED",
            Kind::PermissionDenied => "PERMISSION_DENIED",
            Kind::NotFound => "NOT_FOUND",
            Kind::AlreadyExists => "ALREADY_EXISTS",
            Kind::FailedPrecondition => "FAILED_PRECONDITION",
            Kind::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Kind::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Kind::Unavailable => "UNAVAILABLE",
            Kind::Internal => "INTERNAL",
        }
    }
}

impl Error {
    /// An error of `kind` with a message for people.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            reason: kind.name(),
            message: message.into(),
            violations: Vec::new(),
            retry_after: None,
            source: None,
        }
    }

    /// The one NOT_FOUND that unknown, foreign and dead things share, so that a
    /// stranger cannot tell them apart.
    pub fn not_found() -> Self {
        Self::new(Kind::NotFound, "not found")
    }

    /// A member without the right to this.
    pub fn permission_denied(message: impl Into<String>) -> Self {
        Self::new(Kind::PermissionDenied, message)
    }

    /// No usable credential. The message never says what exactly was wrong with
    /// one that was given.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(Kind::Unauthenticated, message)
    }

    /// One wrong field.
    pub fn invalid(field: impl fmt::Display, description: impl Into<String>) -> Self {
        let mut violations = Violations::default();
        violations.add(field, description);
        Self::violations(violations)
    }

    /// Several wrong fields.
    pub fn violations(violations: Violations) -> Self {
        let message = violations.message();
        Self { violations: violations.into_kept(), ..Self::new(Kind::InvalidArgument, message) }
    }

    /// The present state forbids it; `reason` says which rule.
    pub fn precondition(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::FailedPrecondition, message).with_reason(reason)
    }

    /// A fault of ours; the cause goes to the log.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(Kind::Internal, "internal error").with_source(cause)
    }

    /// Sets the stable reason.
    #[must_use]
    pub fn with_reason(mut self, reason: &'static str) -> Self {
        self.reason = reason;
        self
    }

    /// Sets the message for people.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// Attaches the cause.
    #[must_use]
    pub fn with_source(
        mut self,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(cause.into());
        self
    }

    /// Says when trying again may help.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }
}

/// An error and its causes in one line, each said once: many libraries repeat
/// their cause in their own text.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, chain(self))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn std::error::Error + 'static))
    }
}
