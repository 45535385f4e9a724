//! A change that cannot be rolled back is never committed. The tests make SQLite reject statements.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization, TransactionOperation};
use tempfile::TempDir;
use tokio::time::Instant;

use super::*;
use crate::error::{Error, Kind};
use crate::storage::connection::Tx;
use crate::storage::error::WriteError;
use crate::storage::statement::Statement;
use crate::storage::write::change;

/// A store of one table. Its connection rejects the statements that `faulty` selects, while
/// `is_faulty` is set.
struct Bench {
    writer: Writer,
    connection: Connection,
    state: Arc<StoreState>,
    is_faulty: Arc<AtomicBool>,
    directory: TempDir,
}

impl Bench {
    fn new(faulty: fn(AuthAction<'_>) -> bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("guestlist.db");
        std::fs::File::create_new(&path).unwrap();
        let connection = Connection::open(&path, Duration::from_secs(10)).unwrap();
        connection.batch("CREATE TABLE made (number INTEGER)").unwrap();
        let is_faulty = Arc::new(AtomicBool::new(true));
        let now = Arc::clone(&is_faulty);
        let authorizer = move |asked: AuthContext<'_>| match now.load(Ordering::SeqCst)
            && faulty(asked.action)
        {
            true => Authorization::Deny,
            false => Authorization::Allow,
        };
        connection.with(|connection| connection.authorizer(Some(authorizer))).unwrap();
        let files = Files::of(&path).unwrap();
        let state = Arc::<StoreState>::default();
        let writer = Writer::start(connection, files, Arc::clone(&state)).unwrap();
        let connection = Connection::open(&path, Duration::from_secs(10)).unwrap();
        Self { writer, connection, state, is_faulty, directory }
    }

    /// Writes a number, and then succeeds if `stays` is set, or else fails.
    async fn change(&self, number: i64, stays: bool) -> Result<i64, WriteError> {
        let change = crate::change!(async move |tx: &Tx| {
            let sql = format!("INSERT INTO made VALUES ({number})");
            crate::storage::Connection::run(tx, Statement::new(sql, Vec::new())).await?;
            if stays { Ok(number) } else { Err(Error::not_found()) }
        });
        let until = Instant::now() + Duration::from_secs(60);
        let (job, answer) = change::job(change, until);
        self.writer.send(job).await?;
        answer.wait(busy).await
    }

    /// Runs nine changes that arrive while another connection has the lock. Every third change
    /// fails.
    async fn together(&self) -> Vec<Result<i64, WriteError>> {
        self.connection.batch("BEGIN IMMEDIATE").unwrap();
        // The first change waits for the lock, and the others wait for the first.
        let mut changes: Vec<_> = (0..9).map(|i| Box::pin(self.change(i, i % 3 != 0))).collect();
        for change in &mut changes {
            assert!(futures_util::poll!(change).is_pending());
        }
        self.connection.batch("COMMIT").unwrap();
        join_all(changes).await
    }

    fn made(&self) -> Vec<i64> {
        self.connection.with(|connection| {
            let mut all = connection.prepare("SELECT number FROM made ORDER BY number").unwrap();
            all.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        })
    }
}

fn kind(answer: Result<i64, WriteError>) -> Option<Kind> {
    match answer {
        Ok(_) => None,
        Err(WriteError::NotDone(error, _)) => Some(error.kind),
        Err(WriteError::Unknown(_)) => Some(Kind::Unavailable),
    }
}

fn is_rollback(asked: AuthAction<'_>) -> bool {
    matches!(asked, AuthAction::Transaction { operation: TransactionOperation::Rollback })
}

fn is_rollback_to(asked: AuthAction<'_>) -> bool {
    matches!(asked, AuthAction::Savepoint { operation: TransactionOperation::Rollback, .. })
}

#[tokio::test]
async fn p38_a_lone_change_that_cannot_be_rolled_back_is_not_committed() {
    let bench = Bench::new(is_rollback);
    assert_eq!(kind(bench.change(1, false).await), Some(Kind::Unavailable));
    assert_eq!(bench.made(), [0; 0]);
    // The next change does not commit it either, and is rejected as long as the rollback fails.
    assert_eq!(kind(bench.change(2, true).await), Some(Kind::Unavailable));
    assert_eq!(bench.made(), [0; 0]);

    bench.is_faulty.store(false, Ordering::SeqCst);
    assert_eq!(kind(bench.change(3, true).await), None);
    assert_eq!(bench.made(), [3]);
    bench.writer.close().await.unwrap();
}

#[tokio::test]
async fn p38_a_change_that_cannot_be_rolled_back_beside_others_is_not_committed_with_them() {
    let bench = Bench::new(is_rollback_to);
    let answers: Vec<_> = bench.together().await.into_iter().map(kind).collect();
    let expected = |i| if i % 3 == 0 { Some(Kind::NotFound) } else { None };
    assert_eq!(answers, (0..9).map(expected).collect::<Vec<_>>());
    assert_eq!(bench.made(), [1, 2, 4, 5, 7, 8], "each change ran again alone");
    bench.writer.close().await.unwrap();
}

#[tokio::test]
async fn p38_a_group_that_cannot_be_rolled_back_at_all_is_refused_whole() {
    let bench = Bench::new(|asked| is_rollback(asked) || is_rollback_to(asked));
    let answers: Vec<_> = bench.together().await.into_iter().map(kind).collect();
    // The first change may have run alone, before the others.
    assert!(answers.iter().all(|answer| *answer == Some(Kind::Unavailable)), "{answers:?}");
    assert_eq!(bench.made(), [0; 0]);
    bench.is_faulty.store(false, Ordering::SeqCst);
    assert_eq!(kind(bench.change(9, true).await), None);
    assert_eq!(bench.made(), [9]);
    bench.writer.close().await.unwrap();
}

#[tokio::test]
async fn a_change_is_skipped_if_its_caller_goes_while_it_waits_for_the_lock() {
    let bench = Bench::new(|_| false);
    for number in 0..20 {
        bench.connection.batch("BEGIN IMMEDIATE").unwrap();
        let mut change = Box::pin(bench.change(number, true));
        assert!(futures_util::poll!(&mut change).is_pending());
        // The thread has received it, and waits for the lock.
        while bench.writer.changes.capacity() < MAX_WAITING {
            tokio::task::yield_now().await;
        }
        drop(change);
        bench.connection.batch("COMMIT").unwrap();
        // When this change ends, the lock is free for the next round.
        assert_eq!(kind(bench.change(100 + number, true).await), None);
    }
    assert_eq!(bench.made(), (100..120).collect::<Vec<_>>());
    bench.writer.close().await.unwrap();
}

#[tokio::test]
async fn a_change_of_another_process_outdates_all_cached_values_and_an_own_one_does_not() {
    let bench = Bench::new(|_| false);
    let versions = &bench.state.cache_versions;
    let organization = uuid::Uuid::now_v7();
    let hang = std::time::Instant::now() + Duration::from_secs(60);
    let wait_until = |is_done: &dyn Fn() -> bool| {
        while !is_done() {
            assert!(std::time::Instant::now() < hang, "the writer does not check");
            std::thread::yield_now();
        }
    };
    wait_until(&|| versions.is_recent(std::time::Instant::now()));

    let before = versions.now();
    assert_eq!(kind(bench.change(1, true).await), None);
    // After the pause the writer checks before the next change begins.
    let pause_ends = std::time::Instant::now() + CHECK_INTERVAL;
    wait_until(&|| std::time::Instant::now() >= pause_ends);
    assert_eq!(kind(bench.change(2, true).await), None);
    assert!(versions.is_current(organization, before));

    bench.connection.batch("INSERT INTO made VALUES (3)").unwrap();
    wait_until(&|| !versions.is_current(organization, before));
    bench.writer.close().await.unwrap();
}

#[tokio::test]
async fn p33_nothing_is_acknowledged_into_files_that_were_moved_away() {
    let bench = Bench::new(|_| false);
    assert_eq!(kind(bench.change(1, true).await), None);
    let at = |name: &str| bench.directory.path().join(name);
    for name in ["guestlist.db", "guestlist.db-wal"] {
        std::fs::rename(at(name), at("elsewhere")).unwrap();
        assert_eq!(kind(bench.change(2, true).await), Some(Kind::Unavailable), "{name} was moved");
        std::fs::copy(at("elsewhere"), at(name)).unwrap();
        assert_eq!(kind(bench.change(3, true).await), Some(Kind::Unavailable), "a copy of {name}");
        std::fs::rename(at("elsewhere"), at(name)).unwrap();
        assert_eq!(kind(bench.change(4, true).await), None, "{name} was moved back");
    }
    assert_eq!(bench.made(), [1, 4, 4]);
    bench.writer.close().await.unwrap();
}
