//! The schema's history, oldest first. A migration that has been released is
//! never edited: add the next one.

mod columns;
mod connection;
mod m0001_initial;
mod m0002_invitations;
mod m0003_fewer_pages;

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

use super::error::OrError;
use super::tx::{Db, Transaction, Tx};
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
        Transaction::Postgres(transaction) => through(transaction).await,
        Transaction::Sqlite(connection) => through(connection).await,
    }
    .or_error()
}

async fn through<C>(transaction: &Arc<C>) -> std::result::Result<(), DbErr>
where
    C: ConnectionTrait + Send + Sync + 'static,
{
    let connection = connection::database_connection(Arc::clone(transaction)).await?;
    Migrator::up(&connection, None).await
}

/// The names of the migrations that the schema lacks, oldest first.
pub(super) async fn pending(db: &Db) -> Result<Vec<String>> {
    // SeaORM asks sqlx what tables there are.
    let backend = db.get_database_backend();
    let ask = |sql: &str| db.query_all_raw(Statement::from_string(backend, sql));
    let table = match backend {
        DbBackend::Postgres => {
            "SELECT 1 AS found WHERE to_regclass('seaql_migrations') IS NOT NULL"
        }
        _ => "SELECT name FROM sqlite_master WHERE name = 'seaql_migrations'",
    };
    let mut applied = Vec::new();
    if !ask(table).await.or_error()?.is_empty() {
        for row in ask("SELECT version FROM seaql_migrations").await.or_error()? {
            applied.push(row.try_get::<String>("", "version").or_error()?);
        }
    }
    let all = Migrator::migrations().into_iter().map(|migration| migration.name().to_owned());
    Ok(all.filter(|name| !applied.contains(name)).collect())
}
