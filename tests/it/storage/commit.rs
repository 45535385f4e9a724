//! The store acknowledges a change only when the database has acknowledged its commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use guestlist::error::{Error, Kind};
use guestlist::storage::change;
use guestlist::storage::{Connection, Opener, Statement, Store, settings};
use sea_orm::ConnectionTrait;

use crate::support::databases::pool;
use crate::support::{Database, Engine};

pub(super) async fn store(database: &Database) -> Store {
    let store =
        Store::open(&database.location(), &pool(), Opener::CommandLine, None).await.unwrap();
    store.migrate(change!(async |_| Ok(()))).await.unwrap();
    store
}

pub(super) async fn on_both(test: impl AsyncFn(Engine, &Store)) {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let database = Database::migrated(engine).await;
        let store = store(&database).await;
        test(engine, &store).await;
        store.close().await.unwrap();
        database.remove().await;
    }
}

/// Statements that make the database reject the commit of the transaction that runs them: they
/// violate a constraint that is checked only at the commit.
const REFUSED_AT_COMMIT: [(Engine, &[&str]); 2] = [
    (
        Engine::Sqlite,
        &[
            "PRAGMA defer_foreign_keys = ON",
            "INSERT INTO api_keys (id, secret_hash, account_id, created_at) \
             VALUES ('0000000000000000', x'00', x'00', 0)",
        ],
    ),
    (
        Engine::Postgres,
        &[
            "ALTER TABLE api_keys ALTER CONSTRAINT api_keys_account_id_fkey \
             DEFERRABLE INITIALLY DEFERRED",
            "INSERT INTO api_keys (id, secret_hash, account_id, created_at) \
             VALUES ('0000000000000000', '\\x00', gen_random_uuid(), 0)",
        ],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn p38_a_failed_commit_is_never_acknowledged() {
    on_both(async |engine, store| {
        let (_, statements) =
            REFUSED_AT_COMMIT.into_iter().find(|(which, _)| *which == engine).unwrap();
        let runs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&runs);
        let answer = store
            .write(change!(async move |tx| {
                counted.fetch_add(1, Ordering::SeqCst);
                settings::set(tx, "canary", "written").await?;
                for statement in statements {
                    tx.run(Statement::new(*statement, Vec::new()))
                        .await
                        .map_err(Error::internal)?;
                }
                Ok("acknowledged")
            }))
            .await;
        let error = answer.unwrap_err();
        assert_eq!(error.kind, Kind::Unavailable, "{error:?}");
        assert_eq!(runs.load(Ordering::SeqCst), 1, "an unconfirmed commit is not repeated");
        assert_eq!(settings::get(store.read(), "canary").await.unwrap(), None);
        // The next change can use the connection.
        store.write(change!(async |tx| settings::set(tx, "canary", "next").await)).await.unwrap();
        let canary = settings::get(store.read(), "canary").await.unwrap();
        assert_eq!(canary.as_deref(), Some("next"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p33_a_rejected_change_leaves_nothing() {
    on_both(async |engine, store| {
        let refused: Result<(), Error> = store
            .write(change!(async |tx| {
                settings::set(tx, "canary", "written").await?;
                Err(Error::not_found())
            }))
            .await;
        assert_eq!(refused.unwrap_err().kind, Kind::NotFound);
        assert_eq!(settings::get(store.read(), "canary").await.unwrap(), None);

        // A change that panics and a change that is abandoned halfway leave nothing, too.
        let (panicking, abandoned) = (store.clone(), store.clone());
        let panicked = tokio::spawn(async move {
            panicking
                .write::<()>(change!(async |tx| {
                    settings::set(tx, "canary", "written").await?;
                    panic!("on purpose");
                }))
                .await
        });
        assert!(panicked.await.unwrap_err().is_panic());
        let (written, was_written) = tokio::sync::oneshot::channel();
        let written = Arc::new(std::sync::Mutex::new(Some(written)));
        let abandoned_task = tokio::spawn(async move {
            abandoned
                .write::<()>(change!(async move |tx| {
                    settings::set(tx, "canary", "written").await?;
                    if let Some(written) = written.lock().unwrap().take() {
                        written.send(()).unwrap();
                    }
                    std::future::pending().await
                }))
                .await
        });
        was_written.await.unwrap();
        match engine {
            // SQLite runs each statement at once, so a change has nothing to wait for.
            Engine::Sqlite => {
                let error: Error = abandoned_task.await.unwrap().unwrap_err();
                assert_eq!(error.kind, Kind::Internal, "{error:?}");
            }
            Engine::Postgres => {
                abandoned_task.abort();
                assert!(abandoned_task.await.unwrap_err().is_cancelled());
            }
        }

        store.write(change!(async |tx| settings::set(tx, "other", "next").await)).await.unwrap();
        assert_eq!(settings::get(store.read(), "canary").await.unwrap(), None);
    })
    .await;
}

/// The statement that makes the disk full for a change, and the one that makes room again.
const FULL: [(Engine, &str, &str); 2] = [
    // SQLite also returns "disk full" at a limit of pages, which can be set: here the number of
    // pages that the file has now.
    (Engine::Sqlite, "PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1000000"),
    (
        Engine::Postgres,
        "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$; \
         CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON settings \
         FOR EACH ROW WHEN (length(NEW.value) > 1000) EXECUTE FUNCTION no_room()",
        "DROP TRIGGER no_room ON settings",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn p35_p42_a_full_store_rejects_changes_until_there_is_space() {
    for (engine, full, room) in FULL {
        let database = Database::migrated(engine).await;
        let store = store(&database).await;
        let connection = database.connect().await;
        let set = async |sql: &'static str| match engine {
            // The setting applies only to the connection that writes.
            Engine::Sqlite => store
                .write(change!(async move |tx| {
                    tx.run(Statement::new(sql, Vec::new())).await.map(drop).map_err(Error::internal)
                }))
                .await
                .unwrap(),
            Engine::Postgres => drop(connection.execute_unprepared(sql).await.unwrap()),
        };
        set(full).await;
        store.check_writable().await.unwrap();
        let long = "x".repeat(1 << 20);
        let refused =
            store.write(change!(async move |tx| settings::set(tx, "canary", &long).await)).await;
        let error = refused.unwrap_err();
        assert_eq!((error.kind, error.reason), (Kind::ResourceExhausted, "DISK_FULL"), "{error:?}");
        assert_eq!(settings::get(store.read(), "canary").await.unwrap(), None);

        let error = store.check_writable().await.unwrap_err();
        assert_eq!(error.reason, "DISK_FULL", "{error:?}");
        set(room).await;
        store.check_writable().await.unwrap();
        store.write(change!(async |tx| settings::set(tx, "canary", "next").await)).await.unwrap();
        store.check_writable().await.unwrap();
        connection.close().await.unwrap();
        store.close().await.unwrap();
        database.remove().await;
    }
}
