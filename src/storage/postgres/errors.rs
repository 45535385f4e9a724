//! PostgreSQL's errors as SeaORM's.

use std::error::Error as _;
use std::io;

use sea_orm::{DbErr, sqlx};
use tokio_postgres::Error;

use crate::storage::failure::{self, Failure, unconnected};

/// A statement that failed, or a connection that could not be had.
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
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    match source.map(io::Error::kind) {
        Some(kind) => unconnected(sqlx::Error::Io(io::Error::new(kind, told(&error)))),
        None if error.is_closed() => unconnected(sqlx::Error::PoolClosed),
        None => failure::failed(sqlx::Error::Protocol(told(&error))),
    }
}

fn told(error: &Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
