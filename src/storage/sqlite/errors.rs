//! SQLite's errors as SeaORM has them of sqlx, so that one table tells those of
//! both engines apart.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use sea_orm::sqlx::error::{DatabaseError, ErrorKind};
use sea_orm::{DbErr, RuntimeErr, sqlx};

/// What SQLite said.
#[derive(Debug)]
struct Failure {
    /// The extended result code, as text.
    code: String,
    message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(code: {}) {}", self.code, self.message)
    }
}

impl StdError for Failure {}

impl DatabaseError for Failure {
    fn message(&self) -> &str {
        &self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.code))
    }

    fn kind(&self) -> ErrorKind {
        // SQLITE_CONSTRAINT_… <https://sqlite.org/rescode.html>
        match self.code.as_str() {
            "1555" | "2067" => ErrorKind::UniqueViolation,
            "787" => ErrorKind::ForeignKeyViolation,
            "1299" => ErrorKind::NotNullViolation,
            "275" => ErrorKind::CheckViolation,
            _ => ErrorKind::Other,
        }
    }

    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }
}

/// A statement that failed.
pub fn failed(error: rusqlite::Error) -> DbErr {
    let error = match error {
        rusqlite::Error::SqliteFailure(failure, message) => {
            sqlx::Error::Database(Box::new(Failure {
                code: failure.extended_code.to_string(),
                message: message.unwrap_or_else(|| failure.to_string()),
            }))
        }
        other => sqlx::Error::Protocol(other.to_string()),
    };
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}

/// The store is closed, or its writer has gone.
pub fn closed() -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(sqlx::Error::PoolClosed.into()))
}
