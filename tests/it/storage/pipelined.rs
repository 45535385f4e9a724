//! Guarantees that hold on PostgreSQL although a statement is sent before the results of the
//! statements ahead of it arrive.

use std::time::{Duration, Instant};

use futures::poll;
use guestlist::domain::{Action, Actor, EventData, InviteData, InviteId, Timestamp};
use guestlist::error::{Error, Kind, Result};
use guestlist::storage::audit_events::{self, NewEvent};
use guestlist::storage::change;
use guestlist::storage::{Connection, Opener, Store, Tx, settings};
use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::commit::store;
use crate::support::databases::pool;
use crate::support::{Database, Engine};

async fn on_postgres(test: impl AsyncFn(&Database, &Store)) {
    let database = Database::migrated(Engine::Postgres).await;
    let store = store(&database).await;
    test(&database, &store).await;
    store.close().await.unwrap();
    database.remove().await;
}

async fn canary(store: &Store) -> Option<String> {
    settings::get(store.read(), "canary").await.unwrap()
}

async fn run(tx: &Tx, sql: &str) -> Result<()> {
    let statement = guestlist::storage::Statement::new(sql.to_owned(), Vec::new());
    tx.run(statement).await.map(drop).map_err(Error::internal)
}

#[tokio::test(flavor = "multi_thread")]
async fn p38_a_change_that_ignores_a_statement_error_is_not_acknowledged() {
    on_postgres(async |_, store| {
        let answer: Result<()> = store
            .write(change!(async |tx| {
                settings::set(tx, "canary", "written").await?;
                // PostgreSQL has aborted the transaction, and responds to its COMMIT with
                // ROLLBACK, which is not an error.
                run(tx, "SELECT 1 / 0").await.unwrap_err();
                Ok(())
            }))
            .await;
        assert_eq!(answer.unwrap_err().kind, Kind::Internal);
        assert_eq!(canary(store).await, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p38_a_change_that_does_not_wait_for_a_statement_is_not_acknowledged() {
    on_postgres(async |database, store| {
        let lock = database.connect().await;
        lock.execute_unprepared("SELECT pg_advisory_lock(1)").await.unwrap();
        let answer: Result<()> = store
            .write(change!(async move |tx| {
                settings::set(tx, "canary", "written").await?;
                // It fails only once it has the lock, which is after it is dropped.
                let mut fails = Box::pin(run(
                    tx,
                    "DO $$ BEGIN PERFORM pg_advisory_xact_lock(1); RAISE EXCEPTION 'no'; END $$",
                ));
                assert!(poll!(&mut fails).is_pending());
                drop(fails);
                lock.execute_unprepared("SELECT pg_advisory_unlock(1)").await.unwrap();
                Ok(())
            }))
            .await;
        assert_eq!(answer.unwrap_err().kind, Kind::Internal);
        assert_eq!(canary(store).await, None);
    })
    .await;
}

/// Appends an event with a text that PostgreSQL accepts in no column.
async fn append_unwritable(tx: &Tx) -> Result<()> {
    let event = NewEvent {
        action: Action::InviteCreated,
        data: EventData::Invite(InviteData::of_id(InviteId::generate(Timestamp::from_micros(0)))),
        organization: None,
        actor: &Actor::system("test"),
        note: "\0".into(),
    };
    audit_events::append(tx, event, Timestamp::from_micros(0)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn p38_an_error_after_the_commit_was_sent_is_returned_and_leaves_nothing() {
    on_postgres(async |_, store| {
        let answer: Result<()> = store
            .write(change!(async |tx| {
                settings::set(tx, "canary", "written").await?;
                append_unwritable(tx).await
            }))
            .await;
        // It is known that nothing is stored, so this is not the error of an unconfirmed commit.
        assert_eq!(answer.unwrap_err().kind, Kind::Internal);
        assert_eq!(canary(store).await, None);
        // If more statements follow, the change returns the error of the rejected statement, not
        // that of an aborted transaction, whether the following statement was ever prepared or not.
        for behind in ["SELECT 1", "SELECT 1", "SELECT 2"] {
            let answer: Result<()> = store
                .write(change!(async move |tx| {
                    settings::set(tx, "canary", "written").await?;
                    append_unwritable(tx).await?;
                    run(tx, behind).await
                }))
                .await;
            let error = format!("{:?}", answer.unwrap_err());
            assert!(error.contains("22021"), "{behind}: {error}");
            let answer: Result<()> = store
                .write(change!(async move |tx| {
                    append_unwritable(tx).await?;
                    settings::set(tx, behind, "written").await?;
                    append_unwritable(tx).await
                }))
                .await;
            let error = format!("{:?}", answer.unwrap_err());
            assert!(error.contains("22021"), "{behind}: {error}");
        }
        assert_eq!(canary(store).await, None);
        store.write(change!(async |tx| settings::set(tx, "canary", "next").await)).await.unwrap();
        assert_eq!(canary(store).await.as_deref(), Some("next"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_run_in_the_order_in_which_they_are_sent() {
    on_postgres(async |_, store| {
        store
            .write(change!(async |tx| {
                // Each needs the effect of the one before, even to be prepared.
                futures::future::try_join3(
                    run(tx, "CREATE TEMPORARY TABLE line (place bigint) ON COMMIT DROP"),
                    run(tx, "INSERT INTO line VALUES (1)"),
                    run(tx, "SELECT 1 / place FROM line"),
                )
                .await
                .map(drop)
            }))
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_waiting_change_does_not_block_others() {
    on_postgres(async |database, store| {
        let blocker = database.connect().await;
        blocker.execute_unprepared("BEGIN").await.unwrap();
        blocker.execute_unprepared("LOCK TABLE settings").await.unwrap();
        let waiting: Vec<_> = (0..pool().max_connections)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    store
                        .write(change!(async |tx| settings::set(tx, "canary", "given up").await))
                        .await
                })
            })
            .collect();
        let of_settings = "SELECT count(*) AS number FROM pg_locks \
                           WHERE NOT granted AND relation = 'settings'::regclass";
        let since = Instant::now();
        while database.count(of_settings).await == 0 {
            assert!(since.elapsed() < Duration::from_secs(30), "nothing waits");
        }
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
        blocker.execute_unprepared("COMMIT").await.unwrap();
        store.write(change!(async |tx| settings::set(tx, "other", "next").await)).await.unwrap();
        for abandoned in waiting {
            assert!(abandoned.await.unwrap_err().is_cancelled());
        }
        assert_eq!(canary(store).await, None);
    })
    .await;
}

/// The store replaces all its connections when PostgreSQL has ended them, however they are divided.
/// Once it has noticed the end, no caller has to retry.
#[tokio::test(flavor = "multi_thread")]
async fn p35_connections_that_have_ended_are_replaced() {
    for max_connections in [1, 4, 9] {
        let database = Database::migrated(Engine::Postgres).await;
        let settings = guestlist::config::Database { max_connections, ..pool() };
        let location = database.location();
        let store = Store::open(&location, &settings, Opener::CommandLine, None).await.unwrap();
        let connection = database.connect().await;
        for round in 0..3 {
            let all = (0..2 * max_connections).map(|_| async {
                settings_of(&store).await.unwrap();
                let set = change!(async |tx: &Tx| settings::set(tx, "canary", "written").await);
                store.write(set).await.unwrap();
            });
            futures::future::join_all(all).await;
            assert!(store.pool_size().open <= max_connections, "in round {round}");
            let end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
                       WHERE datname = current_database() AND pid <> pg_backend_pid()";
            connection.execute_unprepared(end).await.unwrap();
            let since = Instant::now();
            while settings_of(&store).await.is_err() {
                assert!(since.elapsed() < Duration::from_secs(30), "the store does not recover");
            }
        }
        store.close().await.unwrap();
        // The closed store leaves no connection.
        let left = "SELECT count(*) AS number FROM pg_stat_activity \
                    WHERE datname = current_database() AND application_name = 'guestlist' \
                    AND pid <> pg_backend_pid()";
        let left = Statement::from_string(DbBackend::Postgres, left);
        let since = Instant::now();
        loop {
            let row = connection.query_one_raw(left.clone()).await.unwrap().unwrap();
            if row.try_get::<i64>("", "number").unwrap() == 0 {
                break;
            }
            assert!(since.elapsed() < Duration::from_secs(30), "a connection is left");
        }
        connection.close().await.unwrap();
        database.remove().await;
    }
}

async fn settings_of(store: &Store) -> Result<Option<String>> {
    settings::get(store.read(), "canary").await
}
