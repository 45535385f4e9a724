//! What an engine said, as SeaORM has it of sqlx, so that one table tells the
//! errors of both engines apart.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use sea_orm::sqlx::error::{DatabaseError, ErrorKind};
use sea_orm::{DbErr, RuntimeErr, sqlx};

/// A statement that the engine refused.
#[derive(Debug)]
pub(super) struct Failure {
    /// SQLite's extended result code, or PostgreSQL's SQLSTATE.
    pub(super) code: String,
    pub(super) message: String,
    /// The constraint's name, where the engine tells it.
    pub(super) constraint: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(code: {}) {}", self.code, self.message)
    }
}

impl Error for Failure {}

impl DatabaseError for Failure {
    fn message(&self) -> &str {
        &self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.code))
    }

    fn constraint(&self) -> Option<&str> {
        self.constraint.as_deref()
    }

    fn kind(&self) -> ErrorKind {
        // <https://sqlite.org/rescode.html>,
        // <https://www.postgresql.org/docs/current/errcodes-appendix.html>
        match self.code.as_str() {
            "1555" | "2067" | "23505" => ErrorKind::UniqueViolation,
            "787" | "23503" => ErrorKind::ForeignKeyViolation,
            "1299" | "23502" => ErrorKind::NotNullViolation,
            "275" | "23514" => ErrorKind::CheckViolation,
            _ => ErrorKind::Other,
        }
    }

    fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
        self
    }
}

impl From<Failure> for DbErr {
    fn from(failure: Failure) -> Self {
        failed(sqlx::Error::Database(Box::new(failure)))
    }
}

/// Whether an engine itself said it, and so has done nothing of what it was asked.
pub(super) fn is_answer(error: &DbErr) -> bool {
    matches!(error, DbErr::Exec(RuntimeErr::SqlxError(error))
        if matches!(error.as_ref(), sqlx::Error::Database(_)))
}

/// A statement that failed.
pub(super) fn failed(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}

/// There is no connection to run a statement on.
pub(super) fn unconnected(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(error.into()))
}
