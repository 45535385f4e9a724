//! The store has each acknowledged change and nothing of a rejected change (P33, P35, P38),
//! whatever happens to the server, the database and the disk.
//!
//! The tests run in rounds. Many callers at once change the store through a server in its own
//! process. Each caller writes each result to a ledger outside the store (`ledger`) before it sends
//! the next request. The numbers of calls decide when a round ends (`round`), never a time. Between
//! rounds, everything in the store is compared with the ledger (`check`): the audit trail, which
//! has the id of each request, and all other rows, which must agree with the trail.
//!
//! More kills than usual, and a seed, so that a run can be repeated:
//!
//! ```sh
//! GUESTLIST_TEST_KILLS=1000 GUESTLIST_TEST_SEED=7 cargo test --test it durability:: -- --nocapture
//! ```
//!
//! A kill is not a power failure: data that the server has passed to the kernel survives it, synced
//! or not.

mod caller;
mod calls;
mod check;
mod disk;
mod feed;
mod full;
mod grpc_client;
mod killed;
mod ledger;
mod model;
mod round;
mod rows;

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use tempfile::TempDir;

use self::caller::{Caller, SharedLinks};
use self::grpc_client::GrpcClient;
use self::ledger::{CallOutcome, Entry, Ledger};
use self::round::{Moment, Round};
use self::rows::Rows;
use crate::support::{Engine, Installation, Server, from_environment};

/// The number of callers: the greatest number of calls at once.
const CALLERS: u64 = 32;
/// The number of connections that the callers share.
const CONNECTIONS: usize = 4;

/// A test that takes longer hangs, unless it is started with more work than usual.
const HANG: Duration = Duration::from_secs(900);

/// The service is back within this time (P35).
const RECOVERY_LIMIT: Duration = Duration::from_secs(5);

/// A store, its callers and their ledger.
struct Fixture<'a> {
    at: &'a Installation,
    seed: u64,
    random: StdRng,
    key: String,
    callers: Vec<Caller>,
    ledger: Ledger,
    /// The directory of the ledger and the configuration.
    directory: TempDir,
    /// The request ids of the events that existed before the first call.
    before: HashSet<String>,
}

impl<'a> Fixture<'a> {
    async fn new(at: &'a Installation) -> Self {
        let seed = from_environment("GUESTLIST_TEST_SEED").unwrap_or_else(rand::random);
        let directory = TempDir::new().unwrap();
        let issuer = format!("[[issuers]]\nissuer = '{}'\nkind = 'service'\n", calls::ISSUER);
        let rest = "login_provider = 'intranet'\nverified_email_domains = []\n";
        std::fs::write(directory.path().join("guestlist.toml"), issuer + rest).unwrap();

        let output = at.run(&["keys", "create", "--service", "--name", "portal", "--scope", "act"]);
        assert_eq!(output.code, 0, "{}", output.err);
        let events = Rows::read(&at.database).await.events;
        let (shared_links, ledger) = (SharedLinks::default(), Ledger::new(directory.path()));
        let caller = |n| Caller::new(n, seed, shared_links.clone(), ledger.clone());
        Self {
            at,
            seed,
            random: StdRng::seed_from_u64(seed),
            key: output.out.trim_end().to_owned(),
            callers: (0..CALLERS).map(caller).collect(),
            ledger,
            directory,
            before: events.into_iter().map(|event| event.request).collect(),
        }
    }

    fn serve(&self) -> Server {
        let config = self.directory.path().join("guestlist.toml");
        self.at.serve_with(&[
            ("GUESTLIST_CONFIG", &config.display().to_string()),
            ("GUESTLIST_LIMITS__INVITES_PER_ADDRESS", "1"),
        ])
    }

    /// Lets the callers make calls until `moment`; then runs `end`.
    async fn round(
        &mut self,
        addr: SocketAddr,
        moment: Moment,
        end: impl Fn() + Send + Sync + 'static,
    ) -> Arc<Round> {
        let round = Arc::new(Round::new(moment, end));
        let clients: Vec<GrpcClient> =
            (0..CONNECTIONS).map(|_| GrpcClient::new(addr, &self.key)).collect();
        let mut working = tokio::task::JoinSet::new();
        for (n, caller) in self.callers.drain(..).enumerate() {
            let client = clients[n % CONNECTIONS].clone();
            working.spawn(caller.work(client, Arc::clone(&round)));
        }
        self.callers = working.join_all().await;
        assert!(round.is_over(), "seed {}: the server does not respond", self.seed);
        round
    }

    /// Compares the store with the ledger. A server may run on it, but receives no requests.
    async fn check(&self) {
        self.until_no_change_is_open().await;
        let rows = Rows::read(&self.at.database).await;
        let findings = check::check(&self.ledger.read(), &rows, &self.before).0;
        let first = &findings[..findings.len().min(20)];
        assert!(
            findings.is_empty(),
            "seed {}: {} findings, of which the first are:\n{}",
            self.seed,
            findings.len(),
            first.join("\n")
        );
    }

    /// Waits, because PostgreSQL may still run a commit of a server that was killed.
    async fn until_no_change_is_open(&self) {
        if self.at.database.engine == Engine::Sqlite {
            return;
        }
        let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                      AND pid <> pg_backend_pid() AND xact_start IS NOT NULL \
                      AND backend_type = 'client backend'";
        let since = Instant::now();
        while self.at.database.count(others).await > 0 {
            assert!(since.elapsed() < Duration::from_secs(60), "a transaction does not end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The counts of the ledger as text. Asserts that each kind of call was acknowledged.
    fn summary(&self) -> String {
        let mut counts: BTreeMap<String, [usize; 4]> = BTreeMap::new();
        for Entry { call, outcome, .. } in self.ledger.read() {
            let column = match &outcome {
                CallOutcome::Acknowledged(_) => 0,
                CallOutcome::Refused { .. } if outcome.is_rule() => 1,
                CallOutcome::Refused { .. } if outcome.is_fault() => 2,
                CallOutcome::Refused { .. } => {
                    panic!("rejected for no known reason: {call:?}, {outcome:?}")
                }
                CallOutcome::Unknown(_) => 3,
            };
            counts.entry(call.name()).or_default()[column] += 1;
        }
        let mut text = "acknowledged, refused by a rule, failed, unknown\n".to_owned();
        for (name, columns) in counts {
            assert!(columns[0] > 0, "{name} was never acknowledged: {columns:?}");
            text += &format!("{name}: {columns:?}\n");
        }
        text
    }
}
