//! Runs a group of changes in one transaction, on either engine.
//!
//! A change that fails before it has written leaves nothing to roll back. If a change fails after
//! it has written, the whole group is rolled back and runs again. On SQLite, each change then runs
//! in a savepoint; if the transaction itself fails then, each change runs in a transaction of its
//! own. On PostgreSQL, each change runs directly in a transaction of its own: a rollback to a
//! savepoint would release the organization's lock there, and the transaction would keep its id.
//! Changes of another server could then have later ids and earlier versions, and ids are positions
//! in the feed of events.
//!
//! All results are sent after the commit: an error may depend on an earlier change of the group.

use std::sync::Arc;

use tokio::time::Instant;

use super::change::{ChangeOutcome, Job};
use crate::storage::connection::{StoreState, Transaction};
use crate::storage::error::{Rerun, StoreError, TransactionError};
use crate::storage::sqlite::Connection;
use crate::storage::statistics::observe;

/// Begins and ends transactions, one after another.
pub(super) trait Session: Send {
    /// Begins a transaction.
    fn begin(&mut self) -> impl Future<Output = Result<Transaction, StoreError>> + Send;

    /// Commits it.
    fn commit(
        &mut self,
        transaction: &Transaction,
    ) -> impl Future<Output = Result<(), TransactionError>> + Send;

    /// Rolls it back. Even if that fails, no later transaction commits its writes.
    fn roll_back(
        &mut self,
        transaction: &Transaction,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Runs changes and sends each result to its caller.
pub(super) async fn run(
    session: &mut impl Session,
    state: &Arc<StoreState>,
    mut group: Vec<Box<dyn Job>>,
) {
    let mut in_savepoints = false;
    loop {
        let result = attempt(session, state, &mut group, in_savepoints).await;
        let rerun = result.as_ref().map_or_else(|error| error.rerun, |()| Rerun::No);
        if rerun == Rerun::No || group.len() < 2 {
            return answer(group, &result);
        }
        // These changes would wait as long again.
        for job in group.extract_if(.., |job| job.has_waited_too_long()) {
            job.answer(Ok(()));
        }
        if rerun == Rerun::Alone {
            break;
        }
        in_savepoints = true;
    }
    for job in group {
        let mut alone = vec![job];
        let result = attempt(session, state, &mut alone, false).await;
        answer(alone, &result);
    }
}

fn answer(group: Vec<Box<dyn Job>>, result: &Result<(), TransactionError>) {
    for job in group {
        job.answer(result.as_ref().copied().map_err(TransactionError::of_change));
    }
}

/// Runs the group in one transaction. Changes whose caller no longer waits are removed from it.
async fn attempt(
    session: &mut impl Session,
    state: &Arc<StoreState>,
    group: &mut Vec<Box<dyn Job>>,
    in_savepoints: bool,
) -> Result<(), TransactionError> {
    let now = Instant::now();
    group.retain(|job| !job.is_abandoned());
    for late in group.extract_if(.., |job| job.until() <= now) {
        late.answer(Err(StoreError::timed_out().into()));
    }
    if group.is_empty() {
        return Ok(());
    }
    let statistics = &state.statistics;
    let transaction = session.begin().await.map_err(|error| {
        statistics.failed(error.cause);
        TransactionError::not_begun(error)
    })?;
    let begun = std::time::Instant::now();
    let result = match run_all(&transaction, state, group, in_savepoints).await {
        Ok(true) => {
            group.iter_mut().for_each(|job| job.commits());
            let commit_begun = std::time::Instant::now();
            let committed = session.commit(&transaction).await;
            observe(&statistics.commits, commit_begun);
            let committed = committed.inspect_err(|error| statistics.failed(error.cause()));
            group.iter_mut().for_each(|job| job.committed());
            committed
        }
        run => {
            let rolled_back = session.roll_back(&transaction).await;
            run.map(drop).and(rolled_back.map_err(TransactionError::rolled_back_or_unknown))
        }
    };
    observe(&statistics.transactions, begun);
    // Also after a failure: the store may have committed all the same.
    state.cache_versions.outdate(group.iter().map(|job| job.outdated()));
    result
}

/// Runs changes; returns whether there is something to commit.
async fn run_all(
    transaction: &Transaction,
    state: &Arc<StoreState>,
    group: &mut [Box<dyn Job>],
    in_savepoints: bool,
) -> Result<bool, TransactionError> {
    if let [alone] = group {
        return match alone.run(transaction, state).await {
            ChangeOutcome::Changed => transaction.check_open().map(|()| true),
            ChangeOutcome::Unchanged | ChangeOutcome::Failed => Ok(false),
        };
    }
    let mut has_changed = false;
    for job in group {
        let outcome = match transaction {
            Transaction::Sqlite(connection) if in_savepoints => {
                connection.command("SAVEPOINT change")?;
                let outcome = job.run(transaction, state).await;
                end_savepoint(connection, outcome)?
            }
            _ => job.run(transaction, state).await,
        };
        match outcome {
            ChangeOutcome::Changed => has_changed = true,
            ChangeOutcome::Unchanged => {}
            ChangeOutcome::Failed => return Err(transaction.change_failed()),
        }
        transaction.check_open()?;
    }
    Ok(has_changed)
}

/// Keeps what a change has written in its savepoint, or undoes it if the change has failed.
fn end_savepoint(
    connection: &Connection,
    outcome: ChangeOutcome,
) -> Result<ChangeOutcome, StoreError> {
    if outcome == ChangeOutcome::Failed {
        connection.command("ROLLBACK TO change")?;
        return Ok(ChangeOutcome::Unchanged);
    }
    connection.command("RELEASE change")?;
    Ok(outcome)
}
