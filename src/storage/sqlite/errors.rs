//! SQLite's errors as SeaORM's.

use sea_orm::{DbErr, sqlx};

use crate::storage::failure::{self, Failure, unconnected};

/// A statement that failed.
pub fn failed(error: rusqlite::Error) -> DbErr {
    match error {
        rusqlite::Error::SqliteFailure(failure, message) => Failure {
            code: failure.extended_code.to_string(),
            message: message.unwrap_or_else(|| failure.to_string()),
            // Its message names it.
            constraint: None,
        }
        .into(),
        other => failure::failed(sqlx::Error::Protocol(other.to_string())),
    }
}

/// The store is closed, or its writer has gone.
pub fn closed() -> DbErr {
    unconnected(sqlx::Error::PoolClosed)
}

/// Other changes have kept this one waiting for too long.
pub fn busy() -> DbErr {
    Failure {
        code: rusqlite::ffi::SQLITE_BUSY.to_string(),
        message: "the write lock was not free in time".to_owned(),
        constraint: None,
    }
    .into()
}
