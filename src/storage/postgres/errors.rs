//! Converts errors of PostgreSQL to errors of the store.

use std::error::Error as _;
use std::io;

use tokio_postgres::Error;

use crate::storage::error::{Cause, StoreError};

/// SQLSTATE read_only_sql_transaction: the server accepts no changes.
pub const READ_ONLY: &str = "25006";

/// The log message when prepared statements get lost.
pub const LOSES_STATEMENTS: &str = "PostgreSQL no longer knows a statement that was prepared on the \
     same connection: a pooler in transaction mode is in between. Set \
     database.prepared_statements to off, or use PgBouncer 1.21 or newer with \
     max_prepared_statements; until then nothing is served";

/// The error if a pooler rejects a startup parameter: clients of PgBouncer cannot set options for a
/// connection.
const REFUSED_OPTIONS: &str = "a pooler refuses a parameter of database_url, such as options: set it \
     in PostgreSQL by ALTER ROLE or ALTER DATABASE instead, and leave it out of the URL";

/// The error of every statement once prepared statements are known to get lost.
pub fn loses_statements() -> StoreError {
    StoreError::reported("26000", None, LOSES_STATEMENTS)
}

/// The error of a connection that could not be opened.
pub fn not_connected(error: Error) -> StoreError {
    if error.as_db_error().is_some_and(|refused| refused.message().contains("startup parameter")) {
        return unusable(REFUSED_OPTIONS);
    }
    if error.as_db_error().is_some() || io_error(&error) {
        return failed(error);
    }
    let text = text(&error);
    if text.contains("password missing") {
        let why = "PostgreSQL asks for a password, and database_url has none";
        return unusable(why);
    }
    match text.contains("TLS") {
        true => StoreError::away(text),
        false => unusable(text),
    }
}

/// The error of settings that do not lead to a usable database.
pub fn unusable(why: impl Into<String>) -> StoreError {
    StoreError::new(Cause::Denied("the store cannot be used as configured"), why)
}

/// The error of a failed statement or connection.
pub fn failed(error: Error) -> StoreError {
    if let Some(reported) = error.as_db_error() {
        // Without its detail, which quotes values.
        return StoreError::reported(
            reported.code().code(),
            reported.constraint(),
            reported.message(),
        );
    }
    match io_error(&error) || error.is_closed() {
        true => StoreError::away(text(&error)),
        false => StoreError::fault(text(&error)),
    }
}

fn io_error(error: &Error) -> bool {
    error.source().is_some_and(|source| source.is::<io::Error>())
}

fn text(error: &Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
