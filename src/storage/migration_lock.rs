//! The lock that lets one replica migrate at a time, and what a start says while it
//! waits for it.
//!
//! It is tried for again and again, in a transaction each: the database then never
//! holds a statement or a transaction that waits, which its own time limits or a
//! pooler in between would end.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use tokio::time::Instant;

use super::error::OrError;
use super::tx::{Db, Tx};
use crate::error::{Result, chain};

/// Any number, as long as every replica uses the same.
const LOCK: i64 = 0x6775_6573_746c_6973;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// When a wait is first told of; each time after is twice as long, up to a bound.
const FIRST_REPORT: Duration = Duration::from_secs(1);
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

/// Takes the lock until the transaction ends, if it is free. On SQLite the write
/// lock of the transaction does the same.
pub(super) async fn try_lock(tx: &Tx) -> Result<bool> {
    if tx.get_database_backend() != DbBackend::Postgres {
        return Ok(true);
    }
    let sql = format!("SELECT pg_try_advisory_xact_lock({LOCK}) AS taken");
    let row = tx.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await;
    let row = row.or_error()?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound("pg_try_advisory_xact_lock".to_owned()));
    let is_taken = row.and_then(|row| row.try_get("", "taken")).or_error()?;
    if is_taken {
        // A migration may wait and work for longer than a change of a caller's.
        for bound in ["lock_timeout", "statement_timeout"] {
            tx.execute_unprepared(&format!("SET LOCAL {bound} = 0")).await.or_error()?;
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

    /// Waits before the next try, and tells the log when it is time.
    pub(super) async fn pause(&mut self, db: &Db) {
        tokio::time::sleep(PAUSE).await;
        let waited = self.since.elapsed();
        if waited < self.next_report {
            return;
        }
        self.next_report = waited + waited.min(LONGEST_SILENCE);
        let holder = match holder(db).await {
            Ok(holder) => holder,
            Err(error) => {
                tracing::debug!(cause = chain(&error), "the holder of a lock is not known");
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

/// The session that has the lock, as far as the database shows it to this user.
async fn holder(db: &Db) -> std::result::Result<Option<String>, DbErr> {
    // The lock's number is shown in two halves.
    let (high, low) = (LOCK >> 32, LOCK & 0xffff_ffff);
    let sql = format!(
        "SELECT concat('pid ', a.pid, ', application ', a.application_name, ', user ', a.usename, \
         ', address ', coalesce(host(a.client_addr), 'not shown')) AS holder \
         FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
         WHERE l.locktype = 'advisory' AND l.granted AND l.classid = {high} AND l.objid = {low} \
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    );
    let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    row.map(|row| row.try_get("", "holder")).transpose()
}
