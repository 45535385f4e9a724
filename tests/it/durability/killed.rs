//! The server, or the database, is killed while it is under load.

use std::time::{Duration, Instant};

use guestlist::storage::postgres::{self, Address};
use rand::RngExt;
use rustix::process::{Pid, Signal};

use super::ledger::CallOutcome;
use super::round::Moment;
use super::{Fixture, HANG, RECOVERY_LIMIT};
use crate::support::cluster::{Cluster, kill};
use crate::support::{
    Code, Database, Installation, Server, from_environment, own, run_installed_on,
};

/// The number of kills after which the store is compared with the ledger.
const CHECK_INTERVAL: u64 = 10;

/// The process that is killed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Victim {
    Server,
    Database(Signal),
}

mod p33_acknowledged_changes_survive_a_kill {
    use super::*;

    #[test]
    fn sqlite() {
        let directory = std::env::temp_dir();
        run_installed_on(Database::on_disk(&directory), HANG, async |at| {
            kill_repeatedly(at, None, 40).await;
        });
    }

    #[test]
    fn postgres() {
        let cluster = Cluster::start(&std::env::temp_dir());
        run_installed_on(Database::on_server(cluster.url.clone()), HANG, async |at| {
            kill_repeatedly(at, Some(&cluster), 20).await;
        });
    }
}

/// Kills the server repeatedly; each third time the database instead, if the test has its own.
async fn kill_repeatedly(at: &Installation, cluster: Option<&Cluster>, usual: u64) {
    let kills = from_environment("GUESTLIST_TEST_KILLS").unwrap_or(usual);
    let mut fixture = Fixture::new(at).await;
    let mut server = fixture.serve();
    let mut was_database = false;
    for n in 1..=kills {
        let victim = match n % 6 {
            3 if cluster.is_some() => Victim::Database(Signal::QUIT),
            0 if cluster.is_some() => Victim::Database(Signal::KILL),
            _ => Victim::Server,
        };
        let (process, signal) = match (victim, cluster) {
            (Victim::Database(signal), Some(cluster)) => (cluster.postmaster(), signal),
            _ => (process_of(&server), Signal::KILL),
        };
        let moment = random_moment(&mut fixture);
        let round = fixture.round(server.addr, moment, move || kill(process, signal)).await;
        let recovered_after = round.first().expect("a call was acknowledged");
        assert!(
            !was_database || recovered_after < RECOVERY_LIMIT,
            "it was back after {recovered_after:?}"
        );

        was_database = victim != Victim::Server;
        if was_database {
            // The server keeps running, and reconnects by itself.
            wait_for_database(at).await;
        } else {
            server.kill();
            server = fixture.serve();
        }
        if n % CHECK_INTERVAL == 0 || n == kills {
            wait_for_server(&server, &fixture.key).await;
            fixture.check().await;
        }
    }
    assert_eq!(server.stop().code, Some(0));
    println!("seed {}, {kills} kills\n{}", fixture.seed, fixture.summary());
    let unknown = |outcome: &CallOutcome| matches!(outcome, CallOutcome::Unknown(_));
    assert!(
        fixture.ledger.read().iter().any(|entry| unknown(&entry.outcome)),
        "no call was running"
    );
}

/// A random moment: early or late, in the middle of a group of changes or between groups.
fn random_moment(fixture: &mut Fixture<'_>) -> Moment {
    Moment {
        acknowledged: fixture.random.random_range(1..=200),
        unanswered: [0, 4, 8, 16][fixture.random.random_range(0..4)],
        checked_on_send: fixture.random.random(),
        failed: 0,
        max_acknowledged: usize::MAX,
    }
}

pub async fn wait_for_database(at: &Installation) {
    let since = Instant::now();
    let address = Address::parse(&at.database.url).unwrap();
    while postgres::Connection::open(&address, RECOVERY_LIMIT).await.is_err() {
        assert!(since.elapsed() < Duration::from_secs(60), "the database does not come back");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub fn process_of(server: &Server) -> Pid {
    Pid::from_raw(server.pid().try_into().unwrap()).unwrap()
}

/// Waits until the server responds; after a kill of the database, until it has a new connection
/// (P35).
async fn wait_for_server(server: &Server, key: &str) {
    let since = Instant::now();
    while let Err(failure) = server.person(key).get_caller(own::GetCallerRequest {}).await {
        assert!(
            failure.code == Code::Unavailable && since.elapsed() < RECOVERY_LIMIT,
            "{failure:?}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
