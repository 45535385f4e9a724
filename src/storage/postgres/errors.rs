//! PostgreSQL's errors as SeaORM's.

use std::error::Error as _;
use std::io;

use sea_orm::{DbErr, sqlx};
use tokio_postgres::Error;

use crate::storage::failure::{self, Failure, unconnected};

/// A connection that could not be had.
pub fn not_connected(error: Error) -> DbErr {
    match error.as_db_error().is_some() || of_io(&error).is_some() {
        true => failed(error),
        // The two sides do not agree on how to speak.
        false => unconnected(sqlx::Error::Tls(told(&error).into())),
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
