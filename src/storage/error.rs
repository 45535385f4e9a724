//! The error of the store, for both engines.
//!
//! One table maps the constraints of both engines to their meaning: in an error, SQLite names the
//! columns of a unique index, and PostgreSQL names the index.

use std::fmt;

use crate::error::{Error, Kind, reason};

/// A statement or a transaction that failed.
#[derive(Debug, Clone)]
pub struct StoreError {
    pub(super) cause: Cause,
    /// The database's own code, if the database reported the error: SQLite's extended result code,
    /// or PostgreSQL's SQLSTATE. A statement with such an error has changed nothing.
    pub(super) code: Option<String>,
    message: String,
}

/// Why a change was not acknowledged.
#[derive(Debug)]
pub(super) enum WriteError {
    /// Nothing was changed. The cause is present if a statement failed.
    NotDone(Error, Option<Cause>),
    /// The commit failed: the change may have been made.
    Unknown(StoreError),
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> Self {
        let cause = error.cause;
        WriteError::NotDone(error.into(), Some(cause))
    }
}

/// Why a transaction was not committed, or may not have been committed.
#[derive(Debug)]
pub(super) struct TransactionError {
    error: StoreError,
    /// Whether callers must assume that the changes may have been made.
    is_unknown: bool,
    pub(super) rerun: Rerun,
}

/// How the changes of a transaction may run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rerun {
    No,
    /// One change failed and all are undone. They run together again, each in a savepoint.
    InSavepoints,
    /// All are undone. Each runs again in a transaction of its own.
    Alone,
}

impl TransactionError {
    /// The transaction did not begin.
    pub(super) fn not_begun(error: StoreError) -> Self {
        Self { error, is_unknown: false, rerun: Rerun::No }
    }

    /// One change of the transaction failed.
    pub(super) fn change_failed(rerun: Rerun) -> Self {
        let error = StoreError::fault("a change beside it failed");
        Self { error, is_unknown: false, rerun }
    }

    /// The changes of the transaction may have been made.
    pub(super) fn unknown(error: StoreError) -> Self {
        Self { error, is_unknown: true, rerun: Rerun::No }
    }

    /// The transaction is undone, so several changes run again, each alone. A single change does
    /// not run again, and its caller must assume that it may have been made.
    pub(super) fn rolled_back_or_unknown(error: StoreError) -> Self {
        Self { error, is_unknown: true, rerun: Rerun::Alone }
    }

    pub(super) fn cause(&self) -> Cause {
        self.error.cause
    }

    /// The error that each change of the transaction gets.
    pub(super) fn of_change(&self) -> WriteError {
        match self.is_unknown {
            true => WriteError::Unknown(self.error.clone()),
            false => self.error.clone().into(),
        }
    }
}

/// The transaction is undone.
impl From<StoreError> for TransactionError {
    fn from(error: StoreError) -> Self {
        Self { error, is_unknown: false, rerun: Rerun::Alone }
    }
}

/// The cause of an error. Each cause is handled in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Two transactions conflict; a retry may succeed.
    Conflict,
    /// The database cannot be used: the connection has ended, none could be opened, or none became
    /// free in time.
    Away,
    /// PostgreSQL has no free connection slot.
    Crowded,
    /// Another transaction holds a lock for too long.
    Locked,
    /// A statement or a transaction took too long, or was cancelled.
    TooLong,
    /// A pooler between this process and PostgreSQL loses prepared statements.
    StatementLost,
    /// The server rejects the user or the settings, for this reason or with this remedy.
    Denied(&'static str),
    /// The disk is full.
    DiskFull,
    /// A row violates a constraint.
    Constraint(Constraint),
    /// Any other error: a fault of this program.
    Fault,
}

/// The constraints whose violation has a meaning for callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Constraint {
    /// The account of this issuer and subject exists.
    AccountExists,
    /// The account has a current membership.
    AlreadyMember,
    /// The organization has a live join link.
    JoinLinkExists,
    /// The address has a pending invitation.
    AlreadyInvited,
    /// The invite is used up.
    NoUseLeft,
    /// Another object has the external id.
    ExternalIdTaken,
    /// The domain is verified for another organization.
    DomainTaken,
    /// The account has a pending request to join.
    RequestExists,
}

/// PostgreSQL's name of the constraint · SQLite's columns or name · meaning.
const CONSTRAINTS: [(&str, &str, Constraint); 10] = [
    ("accounts_issuer_subject", "accounts.issuer, accounts.subject", Constraint::AccountExists),
    (
        "members_one_per_account",
        "members.account_id, members.organization_id",
        Constraint::AlreadyMember,
    ),
    (
        "invites_one_pending_email",
        "invites.email, invites.organization_id",
        Constraint::AlreadyInvited,
    ),
    ("invites_one_join_link", "invites.organization_id", Constraint::JoinLinkExists),
    ("invites_uses", "invites_uses", Constraint::NoUseLeft),
    (
        "organizations_external_id",
        "organizations.creator_id, organizations.external_id",
        Constraint::ExternalIdTaken,
    ),
    (
        "members_external_id",
        "members.organization_id, members.external_id",
        Constraint::ExternalIdTaken,
    ),
    (
        "invites_external_id",
        "invites.organization_id, invites.external_id",
        Constraint::ExternalIdTaken,
    ),
    ("domains_one_verified", "domains.domain", Constraint::DomainTaken),
    (
        "join_requests_one_pending",
        "join_requests.account_id, join_requests.organization_id",
        Constraint::RequestExists,
    ),
];

impl StoreError {
    pub(super) fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, code: None, message: message.into() }
    }

    /// An error that is a fault of this program.
    pub(super) fn fault(message: impl Into<String>) -> Self {
        Self::new(Cause::Fault, message)
    }

    /// The database cannot be reached, or no connection is free.
    pub(super) fn away(message: impl Into<String>) -> Self {
        Self::new(Cause::Away, message)
    }

    /// No connection became free in time, or the database did not respond in time.
    pub(super) fn timed_out() -> Self {
        Self::away("timed out waiting for the database")
    }

    /// The store is closed.
    pub(super) fn closed() -> Self {
        Self::away("the store is closed")
    }

    /// An error that the database reported. `constraint` is the constraint's name, if the
    /// database gives it.
    pub(super) fn reported(
        code: impl Into<String>,
        constraint: Option<&str>,
        message: impl Into<String>,
    ) -> Self {
        let (code, message) = (code.into(), message.into());
        let cause = database_cause(&code, constraint, &message);
        Self { cause, code: Some(code), message }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "(code: {code}) {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for StoreError {}

impl Cause {
    /// Whether the change may succeed when it runs again from its beginning. Only for
    /// failures before its commit was sent.
    pub(super) fn is_worth_a_retry(self) -> bool {
        matches!(
            self,
            Cause::Conflict
                | Cause::Away
                | Cause::Crowded
                | Cause::Constraint(
                    Constraint::AccountExists
                        | Constraint::JoinLinkExists
                        | Constraint::RequestExists
                )
        )
    }
}

/// The cause of an error that the database reported. PostgreSQL's codes are SQLSTATEs of five
/// characters, those of SQLite are extended result codes.
fn database_cause(code: &str, constraint: Option<&str>, message: &str) -> Cause {
    match code {
        "40001" | "40P01" => return Cause::Conflict,
        "53100" => return Cause::DiskFull,
        "53300" => return Cause::Crowded,
        "55P03" => return Cause::Locked,
        // 57014: the time limit of a statement, or a cancellation. 25P04: the time limit of a
        // transaction.
        "57014" | "25P04" => return Cause::TooLong,
        // 25P03: this process was idle in a transaction for too long. 25006: the server accepts no
        // changes.
        "25P03" | "25006" => return Cause::Away,
        "26000" | "42P05" => return Cause::StatementLost,
        "08P01" if message.contains("prepared statement") => return Cause::StatementLost,
        "28000" | "28P01" => {
            return Cause::Denied("PostgreSQL does not let the user of database_url in");
        }
        "3D000" => return Cause::Denied("the database that database_url names is not there"),
        "42501" => {
            return Cause::Denied(
                "the database user lacks a right: make it the owner of the database, or GRANT \
                 CREATE ON SCHEMA public to it",
            );
        }
        _ => {}
    }
    // Class 08: connection; 53: resources; 57P: the server shuts down or starts, or has ended an
    // idle connection; 58: the operating system.
    if code.len() == 5 && ["08", "53", "57P", "58"].iter().any(|class| code.starts_with(class)) {
        return Cause::Away;
    }
    if code.len() < 5 {
        // The lower byte of an extended code is the primary code.
        match code.parse::<u32>().map(|code| code & 0xff) {
            // SQLITE_BUSY, SQLITE_LOCKED
            Ok(5 | 6) => return Cause::Conflict,
            // SQLITE_IOERR, SQLITE_CANTOPEN
            Ok(10 | 14) => return Cause::Away,
            // SQLITE_FULL
            Ok(13) => return Cause::DiskFull,
            _ => {}
        }
    }
    CONSTRAINTS
        .into_iter()
        .find(|(name, columns, _)| match constraint {
            Some(constraint) => constraint == *name,
            None => message.rsplit(": ").next().is_some_and(|what| what == *columns),
        })
        .map_or(Cause::Fault, |(_, _, meaning)| Cause::Constraint(meaning))
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let answer = match error.cause {
            Cause::Conflict => Error::new(Kind::Unavailable, "too many changes at once, try again"),
            Cause::Away | Cause::Crowded => {
                Error::new(Kind::Unavailable, "the store cannot be reached, try again")
            }
            Cause::Locked => Error::new(
                Kind::Unavailable,
                "another change has held this up for too long, try again",
            ),
            Cause::TooLong => Error::new(Kind::Unavailable, "the store took too long, try again"),
            Cause::StatementLost => {
                Error::new(Kind::Unavailable, "the store is behind a pooler in transaction mode")
            }
            Cause::Denied(why) => Error::new(Kind::Unavailable, why),
            Cause::DiskFull => Error::new(Kind::ResourceExhausted, "the store's disk is full")
                .with_reason(reason::DISK_FULL),
            Cause::Constraint(Constraint::AlreadyMember) => {
                Error::new(Kind::AlreadyExists, "already a member")
                    .with_reason(reason::ALREADY_MEMBER)
            }
            Cause::Constraint(Constraint::AlreadyInvited) => {
                Error::new(Kind::AlreadyExists, "already invited")
                    .with_reason(reason::ALREADY_INVITED)
            }
            Cause::Constraint(Constraint::DomainTaken) => {
                Error::new(Kind::AlreadyExists, "another organization has this domain")
                    .with_reason(reason::DOMAIN_TAKEN)
            }
            Cause::Constraint(Constraint::NoUseLeft) => Error::not_found(),
            Cause::Constraint(Constraint::ExternalIdTaken) => {
                Error::new(Kind::AlreadyExists, "another one has this external id")
                    .with_reason(reason::EXTERNAL_ID_TAKEN)
            }
            Cause::Constraint(
                Constraint::AccountExists | Constraint::JoinLinkExists | Constraint::RequestExists,
            ) => Error::new(
                Kind::Unavailable,
                "changed by another request at the same time, try again",
            ),
            Cause::Fault => return Error::internal(error),
        };
        answer.with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraint_names_of_both_databases_map_to_the_same_cause() {
        for (sqlite, postgres, meaning) in [
            (
                "UNIQUE constraint failed: members.account_id, members.organization_id",
                "members_one_per_account",
                Constraint::AlreadyMember,
            ),
            (
                "UNIQUE constraint failed: accounts.issuer, accounts.subject",
                "accounts_issuer_subject",
                Constraint::AccountExists,
            ),
            (
                "UNIQUE constraint failed: invites.email, invites.organization_id",
                "invites_one_pending_email",
                Constraint::AlreadyInvited,
            ),
            (
                "UNIQUE constraint failed: invites.organization_id",
                "invites_one_join_link",
                Constraint::JoinLinkExists,
            ),
            (
                "UNIQUE constraint failed: domains.domain",
                "domains_one_verified",
                Constraint::DomainTaken,
            ),
            ("CHECK constraint failed: invites_uses", "invites_uses", Constraint::NoUseLeft),
            (
                "UNIQUE constraint failed: organizations.creator_id, organizations.external_id",
                "organizations_external_id",
                Constraint::ExternalIdTaken,
            ),
            (
                "UNIQUE constraint failed: members.organization_id, members.external_id",
                "members_external_id",
                Constraint::ExternalIdTaken,
            ),
            (
                "UNIQUE constraint failed: invites.organization_id, invites.external_id",
                "invites_external_id",
                Constraint::ExternalIdTaken,
            ),
        ] {
            let expected = Cause::Constraint(meaning);
            assert_eq!(database_cause("2067", None, sqlite), expected, "{sqlite}");
            let message = "duplicate key value violates unique constraint";
            assert_eq!(database_cause("23505", Some(postgres), message), expected);
        }
    }

    #[test]
    fn error_codes_map_to_their_causes() {
        for (code, expected) in [
            ("40001", Cause::Conflict),
            ("40P01", Cause::Conflict),
            ("517", Cause::Conflict),
            ("08006", Cause::Away),
            ("53300", Cause::Crowded),
            ("53200", Cause::Away),
            ("55P03", Cause::Locked),
            ("57014", Cause::TooLong),
            ("25P04", Cause::TooLong),
            ("25P03", Cause::Away),
            ("57P05", Cause::Away),
            ("25006", Cause::Away),
            ("26000", Cause::StatementLost),
            ("42P05", Cause::StatementLost),
            ("58030", Cause::Away),
            ("57P01", Cause::Away),
            ("778", Cause::Away),
            ("53100", Cause::DiskFull),
            ("13", Cause::DiskFull),
            ("42P01", Cause::Fault),
            ("1", Cause::Fault),
        ] {
            assert_eq!(database_cause(code, None, ""), expected, "{code}");
        }
    }
}
