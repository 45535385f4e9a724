//! The error type of operations, storage and authentication.
//!
//! Two errors have different kinds only if a client can react to them differently.
//! `transport/status.rs` decides what a client sees of an error: status code, message and
//! details. `source` is written to the log and never sent.

mod violations;

use std::fmt;
use std::time::Duration;

pub use violations::{Violation, Violations};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of an error; it decides the status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `violations` names the invalid fields.
    InvalidArgument,
    /// No credential, or an invalid, expired or revoked one.
    Unauthenticated,
    PermissionDenied,
    /// The object does not exist, or the caller must not learn that it does.
    NotFound,
    AlreadyExists,
    /// The request is valid, but the present state does not allow it.
    FailedPrecondition,
    /// A limit was reached: size, rate, connections, disk.
    ResourceExhausted,
    DeadlineExceeded,
    /// Temporary: a retry may succeed.
    Unavailable,
    /// A bug, or a failure of the system that the server runs on.
    Internal,
}

/// Stable identifiers of errors, finer than [`Kind`]; clients may match on them.
pub mod reason {
    /// The email invitation is for another address.
    pub const EMAIL_MISMATCH: &str = "EMAIL_MISMATCH";
    /// The caller's address is not verified.
    pub const EMAIL_UNVERIFIED: &str = "EMAIL_UNVERIFIED";
    /// The organization would be left without an admin.
    pub const LAST_ADMIN: &str = "LAST_ADMIN";
    /// All seats are taken.
    pub const SEAT_LIMIT: &str = "SEAT_LIMIT";
    /// The domain belongs to a public mail provider.
    pub const PUBLIC_DOMAIN: &str = "PUBLIC_DOMAIN";
    /// The address belongs to a member.
    pub const ALREADY_MEMBER: &str = "ALREADY_MEMBER";
    /// The address already has a pending invitation.
    pub const ALREADY_INVITED: &str = "ALREADY_INVITED";
    /// The invite does not allow the address's mail domain.
    pub const DOMAIN_NOT_ALLOWED: &str = "DOMAIN_NOT_ALLOWED";
    /// The invite is only for accounts of the organization's single sign-on.
    pub const SSO_REQUIRED: &str = "SSO_REQUIRED";
    /// A rate limit, or the limit of concurrent lists, was reached.
    pub const RATE_LIMITED: &str = "RATE_LIMITED";
    /// Another organization, invite or member has this external id.
    pub const EXTERNAL_ID_TAKEN: &str = "EXTERNAL_ID_TAKEN";
    /// The origin of the URL is not in the setting `invites.continue_origins`.
    pub const CONTINUE_URL_NOT_ALLOWED: &str = "CONTINUE_URL_NOT_ALLOWED";
    /// The invite has ended.
    pub const INVITE_ENDED: &str = "INVITE_ENDED";
    /// A join link cannot be updated, only replaced.
    pub const JOIN_LINK: &str = "JOIN_LINK";
    /// Only email invitations can be sent again.
    pub const NOT_AN_EMAIL_INVITATION: &str = "NOT_AN_EMAIL_INVITATION";
    /// The member is suspended.
    pub const SUSPENDED: &str = "SUSPENDED";
    /// The server has reached its maximum of concurrent requests.
    pub const OVERLOADED: &str = "OVERLOADED";
    /// Events after the cursor are older than the retention and may be deleted.
    pub const CURSOR_EXPIRED: &str = "CURSOR_EXPIRED";
    /// The event of the cursor is missing.
    pub const HISTORY_CHANGED: &str = "HISTORY_CHANGED";
    /// The organization already has the maximum number of webhooks.
    pub const WEBHOOK_LIMIT: &str = "WEBHOOK_LIMIT";
    /// The webhook is disabled.
    pub const WEBHOOK_DISABLED: &str = "WEBHOOK_DISABLED";
    /// Too many events wait for the webhook.
    pub const WEBHOOK_BACKLOG: &str = "WEBHOOK_BACKLOG";
    /// A code for signing in is from another issuer.
    pub const ISSUER_MISMATCH: &str = "ISSUER_MISMATCH";
    /// The issuer rejects a code for signing in.
    pub const SIGN_IN_REFUSED: &str = "SIGN_IN_REFUSED";
    /// The issuer's token is not for this service, or not for this sign-in.
    pub const TOKEN_REJECTED: &str = "TOKEN_REJECTED";
    /// The issuer that a person signs in with cannot be reached.
    pub const PROVIDER_UNAVAILABLE: &str = "PROVIDER_UNAVAILABLE";
    /// The organization already has the maximum number of domains.
    pub const DOMAIN_LIMIT: &str = "DOMAIN_LIMIT";
    /// The TXT record of the domain was not found.
    pub const DOMAIN_NOT_PROVED: &str = "DOMAIN_NOT_PROVED";
    /// The domain is verified for another organization.
    pub const DOMAIN_TAKEN: &str = "DOMAIN_TAKEN";
    /// The name servers returned no answer.
    pub const DNS_UNAVAILABLE: &str = "DNS_UNAVAILABLE";
    /// An admin must approve the request to join.
    pub const APPROVAL_PENDING: &str = "APPROVAL_PENDING";
    /// The link or the domain lets people join without a request.
    pub const NO_APPROVAL_NEEDED: &str = "NO_APPROVAL_NEEDED";
    /// The request to join is already decided.
    pub const REQUEST_DECIDED: &str = "REQUEST_DECIDED";
    /// The last request to join was denied, and a new one is not allowed yet.
    pub const ASK_LATER: &str = "ASK_LATER";
    /// The store's disk is full.
    pub const DISK_FULL: &str = "DISK_FULL";
}

pub struct Error {
    pub kind: Kind,
    /// One of [`reason`], or [`Kind::name`].
    pub reason: &'static str,
    /// For people. It is sent to the client, so it must not contain secrets.
    pub message: String,
    /// The first invalid fields, for [`Kind::InvalidArgument`]. The message gives the number
    /// of the others.
    pub violations: Vec<Violation>,
    /// A retry may succeed after this time.
    pub retry_after: Option<Duration>,
    /// The cursor with which a reader of events may continue.
    pub cursor: Option<Box<str>>,
    /// The cause, for the log only.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Kind {
    /// The name of the gRPC status code; the default of [`Error::reason`].
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
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            reason: kind.name(),
            message: message.into(),
            violations: Vec::new(),
            retry_after: None,
            cursor: None,
            source: None,
        }
    }

    /// NOT_FOUND, with the same message for objects that do not exist, have ended or belong
    /// to others, so that a caller cannot distinguish these cases.
    pub fn not_found() -> Self {
        Self::new(Kind::NotFound, "not found")
    }

    pub fn permission_denied(message: impl Into<String>) -> Self {
        Self::new(Kind::PermissionDenied, message)
    }

    /// The message must not contain the reason why a credential is invalid: that would help an
    /// attacker. The reason belongs in the source.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(Kind::Unauthenticated, message)
    }

    /// INVALID_ARGUMENT for one field.
    pub fn invalid(field: impl fmt::Display, description: impl Into<String>) -> Self {
        let mut violations = Violations::default();
        violations.add(field, description);
        Self::violations(violations)
    }

    /// INVALID_ARGUMENT for several fields.
    pub fn violations(violations: Violations) -> Self {
        let message = violations.message();
        Self { violations: violations.into_kept(), ..Self::new(Kind::InvalidArgument, message) }
    }

    /// FAILED_PRECONDITION.
    pub fn precondition(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::FailedPrecondition, message).with_reason(reason)
    }

    /// INTERNAL with a general message; the cause goes to the log.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(Kind::Internal, "internal error").with_source(cause)
    }

    #[must_use]
    pub fn with_reason(mut self, reason: &'static str) -> Self {
        self.reason = reason;
        self
    }

    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    #[must_use]
    pub fn with_source(
        mut self,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(cause.into());
        self
    }

    #[must_use]
    pub fn with_cursor(mut self, cursor: String) -> Self {
        self.cursor = Some(cursor.into());
        self
    }

    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }
}

/// An error and its causes in one line. A cause is skipped if the text already contains it:
/// many libraries repeat their cause in their own text.
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
