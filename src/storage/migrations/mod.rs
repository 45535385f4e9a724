//! The schema's migrations, oldest first. A migration is never edited once it is
//! released: add the next one.

mod columns;
mod connection;
mod m0001_initial;

use std::sync::{Arc, PoisonError};

use sea_orm::DbBackend;
use sea_orm_migration::{MigrationTrait, MigratorTrait};

use super::connection::{Connection, Tx, first};
use super::error::StoreError;
use super::postgres;
use super::statement::Statement;
use crate::error::{Error, Kind, Result};

/// The store's schema, compared with the one that this program needs. Lists contain names of
/// migrations, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schema {
    /// The store has no schema.
    Missing,
    /// It is the schema that this program needs.
    Current,
    /// These migrations are not applied yet.
    Behind(Vec<String>),
    /// A newer program has applied these migrations.
    Ahead(Vec<String>),
}

impl Schema {
    /// Rejects every schema except the current one, with a message for operators.
    ///
    /// # Errors
    /// FAILED_PRECONDITION; the message contains the remedy.
    pub(super) fn require_current(&self) -> Result<()> {
        let message = match self {
            Schema::Current => return Ok(()),
            Schema::Missing => "the store has no schema yet: run `guestlist migrate`".to_owned(),
            Schema::Behind(_) => {
                "the store's schema is not up to date: run `guestlist migrate`, after every server \
                 of an older version has been stopped or replaced"
                    .to_owned()
            }
            Schema::Ahead(names) => format!(
                "the store's schema is newer than this program, which does not know migration {}: \
                 use the version whose `guestlist migrate` or `guestlist serve` made it",
                names.join(", ")
            ),
        };
        Err(Error::new(Kind::FailedPrecondition, message))
    }
}

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_initial::Migration)]
    }
}

/// Brings the schema up to date, inside a transaction.
///
/// # Errors
/// FAILED_PRECONDITION if it is newer than this program.
pub(super) async fn up(tx: &Tx) -> Result<()> {
    match schema(tx).await? {
        Schema::Current => return Ok(()),
        ahead @ Schema::Ahead(_) => return ahead.require_current(),
        Schema::Missing | Schema::Behind(_) => {}
    }
    let failure = connection::Failure::default();
    let made = async {
        let (backend, transaction) = (tx.backend(), tx.transaction());
        let connection =
            connection::database_connection(backend, transaction, Arc::clone(&failure)).await?;
        Migrator::up(&connection, None).await
    };
    let Err(error) = made.await else {
        if tx.backend() == DbBackend::Postgres {
            tx.run(Statement::new(postgres::RAISE_EPOCH, Vec::new())).await?;
        }
        return Ok(());
    };
    let failure = failure.lock().unwrap_or_else(PoisonError::into_inner).take();
    let failure = failure.unwrap_or_else(|| StoreError::fault(error.to_string()));
    tx.failed(&failure);
    Err(failure.into())
}

/// The schema of the store.
pub(super) async fn schema(db: &impl Connection) -> Result<Schema> {
    let table = match db.backend() {
        DbBackend::Postgres => "SELECT 1 WHERE to_regclass('seaql_migrations') IS NOT NULL",
        _ => "SELECT 1 FROM sqlite_master WHERE name = 'seaql_migrations'",
    };
    let mut applied = Vec::<String>::new();
    if first(db, Statement::new(table, Vec::new())).await?.is_some() {
        let versions = "SELECT version FROM seaql_migrations ORDER BY version";
        for mut row in db.run(Statement::new(versions, Vec::new())).await?.rows {
            applied.push(row.value()?);
        }
    }
    let known: Vec<_> =
        Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    Ok(compare(&known, &applied))
}

fn compare(known: &[String], applied: &[String]) -> Schema {
    let without = |all: &[String], others: &[String]| -> Vec<String> {
        all.iter().filter(|name| !others.contains(name)).cloned().collect()
    };
    let (ahead, behind) = (without(applied, known), without(known, applied));
    if applied.is_empty() {
        Schema::Missing
    } else if !ahead.is_empty() {
        Schema::Ahead(ahead)
    } else if !behind.is_empty() {
        Schema::Behind(behind)
    } else {
        Schema::Current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_applied_migrations_determine_the_state_of_the_schema() {
        let names =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let known = names(&["a", "b"]);
        for (applied, expected, words) in [
            (&[][..], Schema::Missing, "no schema"),
            (&["a"], Schema::Behind(names(&["b"])), "not up to date"),
            (&["a", "b", "c"], Schema::Ahead(names(&["c"])), "migration c"),
            (&["b", "c"], Schema::Ahead(names(&["c"])), "newer"),
        ] {
            let schema = compare(&known, &names(applied));
            assert_eq!(schema, expected, "{applied:?}");
            let error = schema.require_current().unwrap_err();
            assert_eq!(error.kind, Kind::FailedPrecondition);
            assert!(error.message.contains(words), "{error}");
            assert!(error.message.contains("`guestlist migrate`"), "{error}");
        }
        let schema = compare(&known, &known);
        assert_eq!(schema, Schema::Current);
        assert!(schema.require_current().is_ok());
    }
}
