//! If one organization, caller or database is blocked for long, others wait only for a limited
//! time, and so do later calls.

use std::time::{Duration, Instant};

use futures::future::join_all;
use guestlist::config;
use guestlist::domain::OrganizationId;
use guestlist::error::{Kind, Result};
use guestlist::storage::change;
use guestlist::storage::member_lists::{self, MemberFilter};
use guestlist::storage::{Connection, Opener, Statement, Store, Tx, settings};
use rustix::process::{Pid, Signal};
use sea_orm::ConnectionTrait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::cluster::{Cluster, kill};
use crate::support::databases::pool;
use crate::support::{Database, Engine};

/// A wait that takes longer hangs.
const HANG: Duration = Duration::from_secs(30);

/// Timeouts on PostgreSQL's side that are longer than any test waits.
fn unbounded() -> config::Database {
    let long = 4 * HANG;
    config::Database {
        lock_timeout: long,
        statement_timeout: long,
        idle_in_transaction_timeout: long,
        ..pool()
    }
}

async fn open(database: &Database, settings: &config::Database) -> Store {
    let location = database.location();
    let store = Store::open(&location, settings, Opener::CommandLine, None).await.unwrap();
    store.migrate(change!(async |_| Ok(()))).await.unwrap();
    store
}

async fn set(store: &Store, key: &'static str) -> Result<()> {
    let writing =
        store.write(change!(async move |tx: &Tx| settings::set(tx, key, "written").await));
    tokio::time::timeout(HANG, writing).await.expect("it returns")
}

/// Waits until this many connections wait for a lock in PostgreSQL.
async fn wait_for_waiting(database: &Database, number: i64) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                   AND wait_event_type = 'Lock'";
    let since = Instant::now();
    while database.count(waiting).await != number {
        assert!(since.elapsed() < HANG, "there are never {number} waiting connections");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p42_abandoned_changes_release_their_connections_while_a_lock_is_held() {
    let database = Database::migrated(Engine::Postgres).await;
    let store = open(&database, &unbounded()).await;
    let blocker = database.connect().await;
    blocker.execute_unprepared("BEGIN; LOCK TABLE outbox").await.unwrap();
    // More than there are connections for changes.
    let abandoned: Vec<_> = (0..12)
        .map(|_| {
            let store = store.clone();
            let change = change!(async |tx: &Tx| {
                let locked = tx.run(Statement::new("LOCK TABLE outbox", Vec::new())).await;
                locked.map(drop).map_err(guestlist::error::Error::internal)
            });
            tokio::spawn(async move { store.write(change).await })
        })
        .collect();
    wait_for_waiting(&database, 4).await;
    abandoned.iter().for_each(tokio::task::JoinHandle::abort);
    join_all(abandoned).await;
    set(&store, "canary").await.unwrap();
    store.check_writable().await.unwrap();
    wait_for_waiting(&database, 0).await;
    blocker.execute_unprepared("COMMIT").await.unwrap();
    store.close().await.unwrap();
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p42_lists_use_separate_connections_and_end_when_abandoned() {
    let database = Database::migrated(Engine::Postgres).await;
    let store = open(&database, &unbounded()).await;
    let blocker = database.connect().await;
    blocker.execute_unprepared("BEGIN; LOCK TABLE members").await.unwrap();
    let lists: Vec<_> = (0..12)
        .map(|_| {
            let store = store.clone();
            let organization = OrganizationId::from(uuid::Uuid::nil());
            tokio::spawn(async move {
                member_lists::count(store.read(), organization, &MemberFilter::default(), None)
                    .await
            })
        })
        .collect();
    wait_for_waiting(&database, 2).await;
    set(&store, "canary").await.unwrap();
    lists.iter().for_each(tokio::task::JoinHandle::abort);
    join_all(lists).await;
    wait_for_waiting(&database, 0).await;
    blocker.execute_unprepared("COMMIT").await.unwrap();
    store.close().await.unwrap();
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p42_a_lock_timeout_returns_unavailable() {
    let database = Database::migrated(Engine::Postgres).await;
    let lock_timeout = Duration::from_millis(100);
    let store = open(&database, &config::Database { lock_timeout, ..unbounded() }).await;
    let blocker = database.connect().await;
    blocker.execute_unprepared("BEGIN; LOCK TABLE settings").await.unwrap();
    assert_eq!(set(&store, "canary").await.unwrap_err().kind, Kind::Unavailable);
    blocker.execute_unprepared("COMMIT").await.unwrap();
    set(&store, "canary").await.unwrap();
    store.close().await.unwrap();
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p35_waiting_changes_time_out_together_and_not_one_after_another() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let database = Database::migrated(engine).await;
        // Eight times this timeout is longer than `HANG`.
        let acquire_timeout = HANG / 6;
        let settings = config::Database { acquire_timeout, max_connections: 1, ..unbounded() };
        let store = open(&database, &settings).await;
        let blocker = database.connect().await;
        let block = match engine {
            Engine::Sqlite => "BEGIN IMMEDIATE",
            Engine::Postgres => "BEGIN; LOCK TABLE settings",
        };
        blocker.execute_unprepared(block).await.unwrap();
        let holds_the_one_connection = {
            let store = store.clone();
            let change = change!(async |tx: &Tx| settings::set(tx, "held", "written").await);
            tokio::spawn(async move { store.write(change).await })
        };
        if engine == Engine::Postgres {
            wait_for_waiting(&database, 1).await;
        }
        // If they ran one after the other, each would also wait for the budgets of those before it.
        let answers = join_all((0..8).map(|_| set(&store, "canary")));
        let answers = tokio::time::timeout(HANG, answers).await.expect("the budget is shared");
        for answer in answers {
            assert_eq!(answer.unwrap_err().kind, Kind::Unavailable, "{engine:?}");
        }
        holds_the_one_connection.abort();
        blocker.execute_unprepared("ROLLBACK").await.unwrap();
        set(&store, "canary").await.unwrap();
        store.close().await.unwrap();
        blocker.close().await.unwrap();
        database.remove().await;
    }
}

/// The process of a PostgreSQL server and its children, which are stopped and continued together.
fn processes(postmaster: Pid) -> Vec<Pid> {
    let pid = postmaster.as_raw_nonzero();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let children = children.split_whitespace().map(|pid| pid.parse().unwrap());
    std::iter::once(postmaster).chain(children.filter_map(Pid::from_raw)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn p33_p35_a_frozen_database_is_unavailable_until_it_continues() {
    let cluster = Cluster::start(&std::env::temp_dir());
    let database = Database::on_server(cluster.url.clone());
    let settings = config::Database {
        acquire_timeout: Duration::from_secs(2),
        statement_timeout: Duration::from_secs(1),
        ..pool()
    };
    let store = open(&database, &settings).await;
    set(&store, "before").await.unwrap();
    let (started, has_started) = tokio::sync::oneshot::channel();
    let (resume, may_resume) = tokio::sync::oneshot::channel::<()>();
    let channels = std::sync::Mutex::new(Some((started, may_resume)));
    let underway = {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .write(change!(async move |tx: &Tx| {
                    settings::set(tx, "underway", "written").await?;
                    settings::get(tx, "before").await?;
                    let channels = channels.lock().unwrap().take();
                    if let Some((started, may_resume)) = channels {
                        started.send(()).unwrap();
                        may_resume.await.unwrap();
                    }
                    Ok(())
                }))
                .await
        })
    };
    has_started.await.unwrap();
    let frozen = processes(cluster.postmaster());
    frozen.iter().for_each(|process| kill(*process, Signal::STOP));
    resume.send(()).unwrap();
    let answers = join_all((0..8).map(|_| set(&store, "canary"))).await;
    let committing = tokio::time::timeout(HANG, underway).await.expect("it returns").unwrap();
    let read = tokio::time::timeout(HANG, settings::get(store.read(), "before")).await;
    let writable = tokio::time::timeout(HANG, store.check_writable()).await;
    frozen.iter().for_each(|process| kill(*process, Signal::CONT));

    for answer in answers {
        assert_eq!(answer.unwrap_err().kind, Kind::Unavailable);
    }
    assert_eq!(committing.unwrap_err().kind, Kind::Unavailable);
    assert_eq!(read.expect("it returns").unwrap_err().kind, Kind::Unavailable);
    assert!(writable.expect("it returns").is_err());

    let since = Instant::now();
    while set(&store, "after").await.is_err() {
        assert!(since.elapsed() < HANG, "the store does not recover");
    }
    // The changes that were rejected before they began have left nothing.
    assert_eq!(settings::get(store.read(), "canary").await.unwrap(), None);
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn p35_a_read_only_database_is_unavailable_until_it_is_writable() {
    let database = Database::migrated(Engine::Postgres).await;
    let settings = config::Database { acquire_timeout: Duration::from_secs(1), ..pool() };
    let store = open(&database, &settings).await;
    set(&store, "before").await.unwrap();
    let connection = database.connect().await;
    let read_only = |is: &str| {
        format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only \
             = {is}', current_database()); END $$"
        )
    };
    connection.execute_unprepared(&read_only("on")).await.unwrap();
    let end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    connection.execute_unprepared(end).await.unwrap();
    assert_eq!(set(&store, "canary").await.unwrap_err().kind, Kind::Unavailable);
    store.check_writable().await.unwrap_err();
    connection.execute_unprepared(&read_only("off")).await.unwrap();
    let since = Instant::now();
    while set(&store, "canary").await.is_err() {
        assert!(since.elapsed() < HANG, "the store does not recover");
    }
    store.check_writable().await.unwrap();
    store.close().await.unwrap();
    connection.close().await.unwrap();
    database.remove().await;
}

/// Relays the bytes of a server in pieces of a few bytes.
async fn relay_in_pieces(listener: TcpListener, server: String) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let server = TcpStream::connect(&server).await.unwrap();
        client.set_nodelay(true).unwrap();
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
        tokio::spawn(async move {
            let mut piece = [0; 5];
            while let Ok(number @ 1..) = from_server.read(&mut piece).await {
                if to_client.write_all(&piece[..number]).await.is_err() {
                    return;
                }
                // The other side reads this piece before the next one.
                for _ in 0..8 {
                    tokio::task::yield_now().await;
                }
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_prepared_when_responses_arrive_in_small_pieces() {
    let database = Database::migrated(Engine::Postgres).await;
    let (_, behind_user) = database.url.split_once('@').unwrap();
    let (server, _) = behind_user.split_once('/').unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let relay = listener.local_addr().unwrap().to_string();
    let through = Database::on_server(database.url.replace(server, &relay));
    let relay = tokio::spawn(relay_in_pieces(listener, server.to_owned()));
    let store = open(&through, &unbounded()).await;
    for key in ["one", "two", "three"] {
        let writing = store.write(change!(async move |tx: &Tx| {
            for _ in 0..8 {
                settings::set(tx, key, "written").await?;
            }
            settings::get(tx, key).await.map(drop)
        }));
        tokio::time::timeout(HANG, writing).await.expect("it does not wait for ever").unwrap();
    }
    store.close().await.unwrap();
    relay.abort();
    database.remove().await;
}
