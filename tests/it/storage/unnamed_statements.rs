//! Statements without a name, which a pooler in transaction mode needs, and PostgreSQL on
//! several hosts. `tests/operations/pooler` tests with a real pooler.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use guestlist::config::{self, PreparedStatements};
use guestlist::error::{Error, Kind, Result};
use guestlist::storage::postgres::{self, Address};
use guestlist::storage::{Connection, Opener, Statement, Store, Tx, change, settings};
use sea_orm::Value;
use tokio::net::TcpListener;

use crate::support::databases::pool;
use crate::support::{Database, Engine};

/// Makes PostgreSQL forget its prepared statements. Behind a pooler they are lost when the next
/// transaction runs on another connection.
const FORGET: &str = "DEALLOCATE ALL";

const NAMED: &str = "SELECT count(*) AS number FROM pg_prepared_statements";

/// Tests a store with one connection for short reads, one for lists and two for changes.
async fn with(prepared_statements: PreparedStatements, test: impl AsyncFn(&Store)) {
    let database = Database::migrated(Engine::Postgres).await;
    let settings = config::Database { prepared_statements, max_connections: 4, ..pool() };
    let location = database.location();
    let store = Store::open(&location, &settings, Opener::CommandLine, None).await.unwrap();
    test(&store).await;
    store.close().await.unwrap();
    database.remove().await;
}

async fn run(db: &impl Connection, sql: &'static str) -> Result<Vec<Value>> {
    let result = db.run(Statement::new(sql, Vec::new())).await?;
    Ok(result.rows.into_iter().flat_map(|row| row.into_values()).collect())
}

async fn canary(store: &Store) -> Result<Option<String>> {
    settings::get(store.read(), "canary").await
}

#[tokio::test(flavor = "multi_thread")]
async fn p35_a_read_whose_prepared_statement_is_lost_runs_without_a_name() {
    with(PreparedStatements::Auto, async |store| {
        assert_eq!(canary(store).await.unwrap(), None);
        run(store.read(), FORGET).await.unwrap();
        assert_eq!(canary(store).await.unwrap(), None);
        // From now on no statement has a name.
        assert_eq!(run(store.read(), NAMED).await.unwrap(), [Value::from(0_i64)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p38_a_change_whose_prepared_statement_is_lost_is_repeated_once() {
    with(PreparedStatements::Auto, async |store| {
        let attempts = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&attempts);
        let answer: Result<()> = store
            .write(change!(async move |tx: &Tx| {
                counted.fetch_add(1, Ordering::Relaxed);
                settings::set(tx, "first", "written").await?;
                settings::get(tx, "canary").await?;
                run(tx, FORGET).await?;
                assert_eq!(settings::get(tx, "canary").await?, None, "the first attempt is undone");
                settings::set(tx, "canary", "written").await
            }))
            .await;
        answer.unwrap();
        assert_eq!(attempts.load(Ordering::Relaxed), 2);
        assert_eq!(canary(store).await.unwrap().as_deref(), Some("written"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p35_with_names_required_reads_fail_until_statements_are_kept_again() {
    with(PreparedStatements::On, async |store| {
        canary(store).await.unwrap();
        run(store.read(), FORGET).await.unwrap();
        for _ in 0..2 {
            let error: Error = canary(store).await.unwrap_err();
            assert_eq!(error.kind, Kind::Unavailable);
            assert!(error.message.contains("pooler"), "{error}");
        }
        store.check_writable().await.unwrap();
        assert_eq!(canary(store).await.unwrap(), None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_named_statements_are_kept_by_postgresql() {
    for (setting, is_named) in [(PreparedStatements::Off, false), (PreparedStatements::On, true)] {
        with(setting, async |store| {
            let written = store.write(change!(async |tx: &Tx| {
                settings::set(tx, "canary", "written").await?;
                run(tx, NAMED).await
            }));
            let named = [written.await.unwrap(), {
                assert_eq!(canary(store).await.unwrap().as_deref(), Some("written"));
                run(store.read(), NAMED).await.unwrap()
            }];
            for number in named {
                assert_eq!(number != [Value::from(0_i64)], is_named, "{setting:?}: {number:?}");
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p35_a_silent_host_does_not_use_up_the_timeout_of_the_next_host() {
    let database = Database::migrated(Engine::Postgres).await;
    // The kernel accepts connections, but the host never responds.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = database.url.replacen('@', &format!("@127.0.0.1:{port},"), 1);
    let address = Address::parse(&format!("{url}?sslmode=disable")).unwrap();
    let within = Duration::from_secs(10);
    postgres::Connection::open(&address, within).await.unwrap();
    // The next connection begins with the host that works.
    let since = Instant::now();
    postgres::Connection::open(&address, within).await.unwrap();
    assert!(since.elapsed() < within / 2);
    database.remove().await;
}
