//! The schema's history, oldest first. A migration that has been released is
//! never edited: add the next one.

mod columns;
mod m0001_initial;
mod m0002_invitations;
mod m0003_fewer_pages;

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

use super::error::OrError;
use super::sqlite;
use super::tx::{Db, Readers, Transaction, Tx};
use crate::error::Result;

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_initial::Migration),
            Box::new(m0002_invitations::Migration),
            Box::new(m0003_fewer_pages::Migration),
        ]
    }
}

/// Brings the schema up to date, inside a transaction.
pub(super) async fn up(tx: &Tx) -> Result<()> {
    match &tx.engine {
        Transaction::Postgres(transaction) => Migrator::up(transaction, None).await,
        Transaction::Sqlite(connection) => {
            let connection =
                sqlite::database_connection(Arc::clone(connection)).await.or_error()?;
            Migrator::up(&connection, None).await
        }
    }
    .or_error()
}

/// The names of the migrations that the schema lacks, oldest first.
pub(super) async fn pending(db: &Db) -> Result<Vec<String>> {
    if let Readers::Postgres(pool) = &db.engine {
        let pending = Migrator::get_pending_migrations_read_only(pool).await.or_error()?;
        return Ok(pending.iter().map(|migration| migration.name().to_owned()).collect());
    }
    // SeaORM asks sqlx what tables SQLite has.
    let ask = |sql: &str| db.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql));
    let table = ask("SELECT name FROM sqlite_master WHERE name = 'seaql_migrations'");
    let mut applied = Vec::new();
    if !table.await.or_error()?.is_empty() {
        for row in ask("SELECT version FROM seaql_migrations").await.or_error()? {
            applied.push(row.try_get::<String>("", "version").or_error()?);
        }
    }
    let all = Migrator::migrations().into_iter().map(|migration| migration.name().to_owned());
    Ok(all.filter(|name| !applied.contains(name)).collect())
}
