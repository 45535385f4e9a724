//! Changes that arrive together share a transaction, and each returns as if it were alone.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::future::join_all;
use futures::poll;
use guestlist::domain::{AccountId, Organization, OrganizationId, Tier, Timestamp};
use guestlist::error::{Error, Kind, Result};
use guestlist::storage::change;
use guestlist::storage::{Connection, Statement, Store, Tx, organizations, settings};
use sea_orm::ConnectionTrait;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::commit::{on_both, store};
use crate::support::{Database, Engine};

/// What a change does after it has written its own row.
#[derive(Clone, Copy, PartialEq)]
enum Behaviour {
    Stays,
    Refuses,
    Panics,
    /// Violates a constraint, and returns the error.
    Violates,
    /// Violates a constraint, and continues as if it had not.
    Survives,
    /// Ends with writes that it does not wait for. The last of them violates a constraint.
    FailsLate,
}

impl Behaviour {
    fn of(number: usize) -> Self {
        use Behaviour::{FailsLate, Panics, Refuses, Stays, Survives, Violates};
        [Stays, Refuses, Stays, Violates, Stays, Panics, Stays, Survives, Stays, FailsLate]
            [number % 10]
    }
}

const TWICE: &str = "INSERT INTO settings (name, value) VALUES ('taken', 'again')";

async fn change(tx: &Tx, engine: Engine, number: usize) -> Result<usize> {
    settings::set(tx, &format!("change-{number}"), "made").await?;
    match Behaviour::of(number) {
        Behaviour::Stays => Ok(number),
        Behaviour::Refuses => Err(Error::not_found()),
        Behaviour::Panics => panic!("on purpose"),
        Behaviour::Violates => tx
            .run(Statement::new(TWICE, Vec::new()))
            .await
            .map(|_| number)
            .map_err(|error| Error::internal(error).with_message("it is taken")),
        Behaviour::Survives => {
            // PostgreSQL's transactions do not continue after an error.
            if engine == Engine::Sqlite {
                tx.run(Statement::new(TWICE, Vec::new())).await.expect_err("it is taken");
            }
            Ok(number)
        }
        Behaviour::FailsLate => {
            organizations::insert(tx, &with_members(0)).await?;
            organizations::insert(tx, &with_members(-1)).await?;
            Ok(number)
        }
    }
}

fn with_members(member_count: i64) -> Organization {
    let now = Timestamp::from_micros(0);
    Organization {
        id: OrganizationId::generate(now),
        name: "Acme".parse().unwrap(),
        invite_domains: Vec::new(),
        tier: Tier::Free,
        creator: AccountId::generate(now),
        created_at: now,
        updated_at: now,
        version: 1,
        member_count,
        seat_limit: 0,
        next_member_end: None,
        attributes: Default::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p38_each_of_thousands_of_concurrent_changes_fails_alone() {
    const CHANGES: usize = 4000;
    on_both(async |engine, store| {
        store.write(change!(async |tx| settings::set(tx, "taken", "once").await)).await.unwrap();
        let mut running = JoinSet::new();
        for number in 0..CHANGES {
            let store = store.clone();
            running.spawn(async move {
                let change = change!(async move |tx: &Tx| change(tx, engine, number).await);
                // Each change has its own task, so that the number of one that panics is known.
                // Few organizations, so that groups form on PostgreSQL as well.
                let organization = Uuid::from_u128(number as u128 % 8).into();
                let answer =
                    tokio::spawn(async move { store.write_in(organization, change).await });
                let answer = answer.await;
                (number, answer.map_err(|error| error.is_panic()))
            });
        }
        while let Some(done) = running.join_next().await {
            let (number, answer) = done.unwrap();
            let written = settings::get(store.read(), &format!("change-{number}")).await.unwrap();
            match (Behaviour::of(number), answer) {
                (Behaviour::Stays | Behaviour::Survives, Ok(Ok(answered))) => {
                    assert_eq!((answered, written.as_deref()), (number, Some("made")));
                }
                (Behaviour::Refuses, Ok(Err(error))) => {
                    assert_eq!((error.kind, written), (Kind::NotFound, None));
                }
                (Behaviour::Violates, Ok(Err(error))) => {
                    assert_eq!((&*error.message, written), ("it is taken", None));
                }
                (Behaviour::FailsLate, Ok(Err(error))) => {
                    assert_eq!((error.kind, written), (Kind::Internal, None));
                }
                (Behaviour::Panics, Err(true)) => assert_eq!(written, None),
                (_, other) => panic!("change {number} returned {other:?}"),
            }
        }
    })
    .await;
}

/// Makes a group of changes: they arrive while another connection holds SQLite's lock.
async fn at_once<T: Send + 'static>(
    database: &Database,
    mut changes: Vec<impl Future<Output = T> + Unpin>,
) -> Vec<T> {
    let connection = database.connect().await;
    connection.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    for change in &mut changes {
        assert!(poll!(change).is_pending(), "no change can write now");
    }
    connection.execute_unprepared("COMMIT").await.unwrap();
    join_all(changes).await
}

async fn all(store: &Store) -> Vec<usize> {
    let mut stored = Vec::new();
    for number in 0..TOGETHER {
        if settings::get(store.read(), &format!("change-{number}")).await.unwrap().is_some() {
            stored.push(number);
        }
    }
    stored
}

const TOGETHER: usize = 20;
const ODD_ONE: usize = 10;

/// Changes of one organization on PostgreSQL. The first waits for a lock until the others
/// wait for it. Returns their results (the transaction's id) and how often each has run.
async fn run_behind_the_first(
    behaviours: &'static [Behaviour],
) -> (Vec<Result<i64>>, Vec<usize>, Vec<usize>) {
    let database = Database::migrated(Engine::Postgres).await;
    let store = store(&database).await;
    store.write(change!(async |tx| settings::set(tx, "taken", "once").await)).await.unwrap();
    let runs: Arc<Vec<_>> = Arc::new(behaviours.iter().map(|_| AtomicUsize::new(0)).collect());
    let changes = behaviours.iter().enumerate().map(|(number, behaviour)| {
        let (store, runs) = (store.clone(), Arc::clone(&runs));
        let change = change!(async move |tx: &Tx| {
            runs[number].fetch_add(1, Ordering::SeqCst);
            if number == 0 {
                wait_for_requests(tx).await?;
            }
            if *behaviour == Behaviour::Refuses {
                return Err(Error::not_found());
            }
            settings::set(tx, &format!("change-{number}"), "made").await?;
            let id = transaction_id(tx).await?;
            if *behaviour == Behaviour::Violates {
                let twice = tx.run(Statement::new(TWICE, Vec::new())).await;
                twice.map_err(Error::internal)?;
            }
            if *behaviour == Behaviour::FailsLate {
                organizations::insert(tx, &with_members(-1)).await?;
            }
            Ok(id)
        });
        Box::pin(async move { store.write_in(Uuid::from_u128(1).into(), change).await })
    });
    let answers = grouped(&database, changes.collect()).await;
    let stored = all(&store).await;
    store.close().await.unwrap();
    database.remove().await;
    (answers, stored, runs.iter().map(|runs| runs.load(Ordering::SeqCst)).collect())
}

/// Makes a group of all changes but the first, on PostgreSQL: they arrive while the first waits
/// for a lock ([`wait_for_requests`]).
async fn grouped<T: Send + 'static>(
    database: &Database,
    mut changes: Vec<impl Future<Output = T> + Unpin>,
) -> Vec<T> {
    let connection = database.connect().await;
    connection.execute_unprepared("BEGIN; LOCK TABLE requests").await.unwrap();
    assert!(poll!(&mut changes[0]).is_pending());
    let waits =
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'requests'::regclass";
    let since = std::time::Instant::now();
    while database.count(waits).await == 0 {
        assert!(since.elapsed() < std::time::Duration::from_secs(30), "nothing waits");
    }
    // The first change has begun, so the others wait for it.
    for change in &mut changes[1..] {
        assert!(poll!(change).is_pending());
    }
    connection.execute_unprepared("COMMIT").await.unwrap();
    let answers = join_all(changes).await;
    connection.close().await.unwrap();
    answers
}

/// Waits for the lock that the test holds.
async fn wait_for_requests(tx: &Tx) -> Result<()> {
    let lock = Statement::new("LOCK TABLE requests", Vec::new());
    tx.run(lock).await.map(drop).map_err(Error::internal)
}

#[tokio::test(flavor = "multi_thread")]
async fn p38_waiting_changes_of_an_organization_share_a_postgres_transaction() {
    use Behaviour::{Refuses, Stays};

    let (answers, stored, runs) = run_behind_the_first(&[Stays, Stays, Refuses, Stays]).await;
    let [Ok(first), Ok(second), Err(refused), Ok(fourth)] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert_ne!(first, second);
    assert_eq!(second, fourth, "they share a transaction");
    assert_eq!(refused.kind, Kind::NotFound);
    assert_eq!(stored, [0, 1, 3]);
    assert_eq!(runs, [1, 1, 1, 1], "a rejection before any write repeats nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn p38_a_change_that_fails_after_a_write_is_undone_alone_on_postgres() {
    use Behaviour::{FailsLate, Stays, Violates};

    let (answers, stored, runs) =
        run_behind_the_first(&[Stays, Stays, Violates, Stays, FailsLate, Stays]).await;
    for (number, answer) in answers.iter().enumerate() {
        match answer {
            Ok(_) => assert!(![2, 4].contains(&number), "{number}"),
            Err(error) => {
                assert!([2, 4].contains(&number), "{number}: {error:?}");
                assert_eq!(error.kind, Kind::Internal, "{error:?}");
            }
        }
    }
    assert_eq!(stored, [0, 1, 3, 5]);
    assert!(runs.iter().all(|runs| *runs <= 2), "each runs twice at most: {runs:?}");
}

/// Changes an organization; returns its version and the position of the change's events.
async fn advance(tx: &Tx, id: OrganizationId) -> Result<(i64, i64)> {
    let mut organization = organizations::lock(tx, id).await?.unwrap();
    organization.version += 1;
    organizations::set_version(tx, organization.at_version()).await?;
    Ok((organization.version, transaction_id(tx).await?))
}

async fn transaction_id(tx: &Tx) -> Result<i64> {
    let id = Statement::new("SELECT pg_current_xact_id()::text::bigint", Vec::new());
    let rows = tx.run(id).await.map_err(Error::internal)?.rows;
    let id = rows.into_iter().next().unwrap().into_values().next();
    let Some(sea_orm::Value::BigInt(Some(id))) = id else { panic!("{id:?}") };
    Ok(id)
}

/// A change fails after it has written, another server changes the organization, and then a
/// change runs that was in one transaction with the failed change.
#[tokio::test(flavor = "multi_thread")]
async fn p44_events_keep_the_order_of_versions_when_a_grouped_change_fails() {
    let database = Database::migrated(Engine::Postgres).await;
    let (store, replica) = (store(&database).await, store(&database).await);
    let organization = with_members(1);
    let id = organization.id;
    let insert = change!(async move |tx: &Tx| organizations::insert(tx, &organization).await);
    store.write(insert).await.unwrap();

    let first = change!(async move |tx: &Tx| {
        wait_for_requests(tx).await?;
        advance(tx, id).await
    });
    let fails = change!(async move |tx: &Tx| {
        advance(tx, id).await?;
        Err::<(i64, i64), _>(Error::not_found())
    });
    let (others, of_replica) = (replica.clone(), Arc::new(Mutex::new(None)));
    let last = {
        let of_replica = Arc::clone(&of_replica);
        change!(async move |tx: &Tx| {
            // The failed change before it holds no lock any more.
            let change = change!(async move |tx: &Tx| advance(tx, id).await);
            *of_replica.lock().unwrap() = Some(others.write_in(id, change).await?);
            advance(tx, id).await
        })
    };
    let changes = [first, fails, last].map(|change| {
        let store = store.clone();
        Box::pin(async move { store.write_in(id, change).await })
    });
    let answers = grouped(&database, changes.into()).await;

    let [Ok(first), Err(failed), Ok(last)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(failed.kind, Kind::NotFound);
    let of_replica = of_replica.lock().unwrap().take().expect("the last has run");
    let mut by_version = [*first, of_replica, *last];
    by_version.sort_unstable();
    assert_eq!(by_version.map(|(version, _)| version), [2, 3, 4]);
    assert!(by_version.is_sorted_by_key(|(_, position)| *position), "{by_version:?}");

    for store in [store, replica] {
        store.close().await.unwrap();
    }
    database.remove().await;
}

/// Twenty changes at once. One of them affects the whole transaction.
async fn run_with_odd_change(
    odd_statements: &'static [&'static str],
) -> (Database, Store, Vec<Result<usize>>, usize) {
    let database = Database::migrated(Engine::Sqlite).await;
    let store = store(&database).await;
    let runs = Arc::new(AtomicUsize::new(0));
    let changes = (0..TOGETHER).map(|number| {
        let (store, runs) = (store.clone(), Arc::clone(&runs));
        Box::pin(async move {
            let change = change!(async move |tx: &Tx| {
                settings::set(tx, &format!("change-{number}"), "made").await?;
                if number == ODD_ONE {
                    runs.fetch_add(1, Ordering::SeqCst);
                    for sql in odd_statements {
                        tx.run(Statement::new(*sql, Vec::new())).await.map_err(Error::internal)?;
                    }
                }
                Ok(number)
            });
            store.write(change).await
        })
    });
    let answers = at_once(&database, changes.collect()).await;
    (database, store, answers, runs.load(Ordering::SeqCst))
}

/// Each other change is made and acknowledged, once.
async fn assert_only_the_odd_one_failed(store: &Store, answers: &[Result<usize>]) {
    for (number, answer) in answers.iter().enumerate() {
        match answer {
            Ok(answered) => assert_eq!((*answered, number == ODD_ONE), (number, false)),
            Err(error) => {
                assert_eq!((error.kind, number), (Kind::Unavailable, ODD_ONE), "{error:?}");
            }
        }
    }
    let others: Vec<_> = (0..TOGETHER).filter(|number| *number != ODD_ONE).collect();
    assert_eq!(all(store).await, others);
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn p38_a_commit_error_is_returned_only_to_the_change_that_caused_it() {
    let (_database, store, answers, runs) = run_with_odd_change(&[
        "PRAGMA defer_foreign_keys = ON",
        "INSERT INTO api_keys (id, secret_hash, account_id, created_at) \
         VALUES ('0000000000000000', x'00', x'00', 0)",
    ])
    .await;
    // It runs with the others, and then perhaps by itself.
    assert!((1..=2).contains(&runs), "{runs}");
    assert_only_the_odd_one_failed(&store, &answers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p38_a_change_that_ends_the_shared_transaction_fails_alone() {
    let (_database, store, answers, _) = run_with_odd_change(&["ROLLBACK"]).await;
    assert_only_the_odd_one_failed(&store, &answers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_waiting_change_is_not_started() {
    let database = Database::migrated(Engine::Sqlite).await;
    let store = store(&database).await;
    let connection = database.connect().await;
    connection.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    let change = |number: usize| {
        let store = store.clone();
        Box::pin(async move {
            let name = format!("change-{number}");
            store.write(change!(async move |tx| settings::set(tx, &name, "made").await)).await
        })
    };
    // The writer waits for the lock with the first change; the other changes wait for the writer.
    let mut waits: Vec<_> = (0..TOGETHER).map(change).collect();
    for change in &mut waits {
        assert!(poll!(change).is_pending());
    }
    let abandoned = waits.split_off(ODD_ONE);
    drop(abandoned);
    connection.execute_unprepared("COMMIT").await.unwrap();
    for answer in join_all(waits).await {
        answer.unwrap();
    }
    assert_eq!(all(&store).await, (0..ODD_ONE).collect::<Vec<_>>());
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn p38_a_change_larger_than_the_memory_cache_is_rolled_back() {
    const ROWS: i64 = 1000; // two pages each
    let database = Database::empty(Engine::Sqlite).await;
    store(&database).await.close().await.unwrap(); // creates the file
    let connection = database.connect().await;
    let run = async |sql: String| connection.execute_unprepared(&sql).await.unwrap();
    let with = async |filling: &str| {
        let sql =
            format!("SELECT count(*) FROM t WHERE filling = hex(zeroblob(3500)) || '{filling}'");
        let statement = sea_orm::Statement::from_string(connection.get_database_backend(), sql);
        let row = connection.query_one_raw(statement).await.unwrap().unwrap();
        row.try_get_by_index::<i64>(0).unwrap()
    };
    run("CREATE TABLE t (filling TEXT NOT NULL)".to_owned()).await;
    run(format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}) \
         INSERT INTO t SELECT hex(zeroblob(3500)) || 'before' FROM n"
    ))
    .await;
    run("BEGIN IMMEDIATE; SAVEPOINT change".to_owned()).await;
    run("UPDATE t SET filling = hex(zeroblob(3500)) || 'after'".to_owned()).await;
    assert_eq!((with("before").await, with("after").await), (0, ROWS));
    run("ROLLBACK TO change; RELEASE change; COMMIT".to_owned()).await;
    assert_eq!((with("before").await, with("after").await), (ROWS, 0));
    connection.close().await.unwrap();
}
