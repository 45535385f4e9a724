//! The lock that lets one replica migrate at a time, and the log messages of a start that waits for
//! it.
//!
//! A start tries to take the lock repeatedly, each time in a transaction of its own. So no
//! statement or transaction waits in the database, where a time limit or a pooler would end it.

use std::time::Duration;

use sea_orm::DbBackend;
use tokio::time::Instant;

use super::connection::{Connection, Db, Tx, first};
use super::error::StoreError;
use super::statement::Statement;
use crate::error::{Result, chain};

/// An arbitrary number, the same in every replica.
const LOCK: i64 = 0x6775_6573_746c_6973;

/// The time between two attempts.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// The time until a wait is first logged; it doubles each time, until the interval is
/// `MAX_REPORT_INTERVAL`.
const FIRST_REPORT: Duration = Duration::from_secs(1);
const MAX_REPORT_INTERVAL: Duration = Duration::from_secs(30);

/// Takes the lock until the transaction ends; returns false if it is not free. On SQLite
/// the write lock of the transaction does the same.
pub(super) async fn try_lock(tx: &Tx) -> Result<bool> {
    if tx.backend() != DbBackend::Postgres {
        return Ok(true);
    }
    let sql = format!("SELECT pg_try_advisory_xact_lock({LOCK}) AS taken");
    let row = first(tx, Statement::new(sql, Vec::new())).await?;
    let mut row = row.ok_or_else(|| StoreError::fault("pg_try_advisory_xact_lock has no row"))?;
    let is_taken = row.value()?;
    if is_taken {
        // A migration may wait for locks, and run, for longer than the change of a request.
        for limit in ["lock_timeout", "statement_timeout"] {
            tx.run(Statement::new(format!("SET LOCAL {limit} = 0"), Vec::new())).await?;
        }
    }
    Ok(is_taken)
}

/// A wait for the lock, from its beginning.
pub(super) struct Wait {
    since: Instant,
    next_report: Duration,
}

impl Wait {
    pub(super) fn begin() -> Self {
        Self { since: Instant::now(), next_report: FIRST_REPORT }
    }

    /// Waits before the next attempt, and logs a long wait.
    pub(super) async fn pause(&mut self, db: &Db) {
        tokio::time::sleep(RETRY_INTERVAL).await;
        let waited = self.since.elapsed();
        if waited < self.next_report {
            return;
        }
        self.next_report = waited + waited.min(MAX_REPORT_INTERVAL);
        let holder = match holder(db).await {
            Ok(holder) => holder,
            Err(error) => {
                tracing::debug!(
                    cause = chain(&error),
                    "the holder of the migration lock cannot be found out"
                );
                None
            }
        };
        tracing::warn!(
            waited_seconds = waited.as_secs(),
            holder,
            "waiting for another replica's migration, which holds the migration lock; if that \
             replica is gone or stuck, end its session with pg_terminate_backend"
        );
    }
}

/// The session that holds the lock, if the database shows it to this user.
async fn holder(db: &Db) -> Result<Option<String>> {
    // The view shows the number of the lock in two halves.
    let (high, low) = (LOCK >> 32, LOCK & 0xffff_ffff);
    let sql = format!(
        "SELECT concat('pid ', a.pid, ', application ', a.application_name, ', user ', a.usename, \
         ', address ', coalesce(host(a.client_addr), 'not shown')) AS holder \
         FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
         WHERE l.locktype = 'advisory' AND l.granted AND l.classid = {high} AND l.objid = {low} \
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    );
    let row = first(db, Statement::new(sql, Vec::new())).await?;
    Ok(row.map(|mut row| row.value()).transpose()?)
}
