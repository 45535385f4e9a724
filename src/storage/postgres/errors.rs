//! PostgreSQL's errors as SeaORM's.

use std::error::Error as _;
use std::io;

use sea_orm::{DbErr, sqlx};
use tokio_postgres::Error;

use crate::storage::failure::{self, Failure, unconnected};

/// What the log says where prepared statements get lost.
pub const LOSES_STATEMENTS: &str = "PostgreSQL no longer knows a statement that was prepared on the \
     same connection: a pooler in transaction mode is in between. Use its session mode, or \
     PgBouncer 1.21 or newer with max_prepared_statements; until then nothing is served";

/// What an error says about its connection.
pub enum Meaning {
    /// Nothing.
    Statement,
    /// It leads to a server that takes no changes.
    NotPrimary,
    /// What was prepared on it is gone, or is another connection's.
    StatementLost,
}

/// What an error says about its connection.
pub fn meaning(error: &Error) -> Meaning {
    let Some(said) = error.as_db_error() else { return Meaning::Statement };
    match said.code().code() {
        "25006" => Meaning::NotPrimary,
        "26000" | "42P05" => Meaning::StatementLost,
        // What PgBouncer says, newer ones too.
        "08P01" if said.message().contains("prepared statement") => Meaning::StatementLost,
        _ => Meaning::Statement,
    }
}

/// What is answered once prepared statements are known to get lost.
pub fn loses_statements() -> DbErr {
    Failure { code: "26000".into(), message: LOSES_STATEMENTS.into(), constraint: None }.into()
}

/// A connection that could not be had.
pub fn not_connected(error: Error) -> DbErr {
    if error.as_db_error().is_some() || of_io(&error).is_some() {
        return failed(error);
    }
    let told = told(&error);
    if told.contains("password missing") {
        let why = "PostgreSQL asks for a password, and database_url has none";
        return unconnected(sqlx::Error::Configuration(why.into()));
    }
    match told.contains("TLS") {
        true => unconnected(sqlx::Error::Tls(told.into())),
        false => unconnected(sqlx::Error::Configuration(told.into())),
    }
}

/// A statement that failed.
pub fn failed(error: Error) -> DbErr {
    if let Some(said) = error.as_db_error() {
        // Not its detail, which quotes values.
        return Failure {
            code: said.code().code().to_owned(),
            message: said.message().to_owned(),
            constraint: said.constraint().map(str::to_owned),
        }
        .into();
    }
    match of_io(&error) {
        Some(kind) => unconnected(sqlx::Error::Io(io::Error::new(kind, told(&error)))),
        None if error.is_closed() => unconnected(sqlx::Error::PoolClosed),
        None => failure::failed(sqlx::Error::Protocol(told(&error))),
    }
}

fn of_io(error: &Error) -> Option<io::ErrorKind> {
    error.source()?.downcast_ref().map(io::Error::kind)
}

fn told(error: &Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
