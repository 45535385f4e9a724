//! What was acknowledged is there, and of what was refused there is nothing (P33,
//! P35, P38), whatever becomes of the server, the database and the disk.
//!
//! In rounds, many callers at once change the store through a server that is a
//! process of its own, and write what each answer said into a ledger beside it
//! (`ledger`) before they ask again. A round ends at a moment that the calls
//! themselves make (`round`), never after a time. In between, everything in the
//! store is compared with the ledger (`check`): both the audit trail, which names
//! each request, and all other rows, which must be what the trail tells.
//!
//! More kills than usual, and the same again:
//!
//! ```sh
//! GUESTLIST_TEST_KILLS=1000 GUESTLIST_TEST_SEED=7 cargo test --test it durability:: -- --nocapture
//! ```
//!
//! A kill takes no power away: what the server has handed to the kernel survives
//! it, synced or not.

mod caller;
mod calls;
mod check;
mod disk;
mod feed;
mod full;
mod killed;
mod ledger;
mod model;
mod round;
mod rows;
mod wire;

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use tempfile::TempDir;

use self::caller::{Board, Caller};
use self::ledger::{Entry, Ledger, Said};
use self::round::{Moment, Round};
use self::rows::Rows;
use self::wire::Wire;
use crate::support::{Engine, Installation, Server, from_environment};

/// Calls at once, at the most.
const CALLERS: u64 = 32;
/// The connections that they share.
const CONNECTIONS: usize = 4;

/// No test takes longer unless it hangs, or was asked for more.
const HANG: Duration = Duration::from_secs(900);

/// In this time the service is back (P35).
const BACK: Duration = Duration::from_secs(5);

/// A store, its callers and their ledger.
struct World<'a> {
    at: &'a Installation,
    seed: u64,
    random: StdRng,
    key: String,
    callers: Vec<Caller>,
    ledger: Ledger,
    /// Where the ledger is, and the configuration.
    outside: TempDir,
    /// The request ids of the events that were there before the first call.
    before: HashSet<String>,
}

impl<'a> World<'a> {
    async fn new(at: &'a Installation) -> Self {
        let seed = from_environment("GUESTLIST_TEST_SEED").unwrap_or_else(rand::random);
        let outside = TempDir::new().unwrap();
        let issuer = format!("[[issuers]]\nissuer = '{}'\nkind = 'service'\n", calls::ISSUER);
        let rest = "login_provider = 'intranet'\nverified_email_domains = []\n";
        std::fs::write(outside.path().join("guestlist.toml"), issuer + rest).unwrap();

        let made = at.run(&["keys", "create", "--service", "--name", "portal", "--scope", "act"]);
        assert_eq!(made.code, 0, "{}", made.err);
        let events = Rows::read(&at.database).await.events;
        let (board, ledger) = (Board::default(), Ledger::new(outside.path()));
        let caller = |n| Caller::new(n, seed, board.clone(), ledger.clone());
        Self {
            at,
            seed,
            random: StdRng::seed_from_u64(seed),
            key: made.out.trim_end().to_owned(),
            callers: (0..CALLERS).map(caller).collect(),
            ledger,
            outside,
            before: events.into_iter().map(|event| event.request).collect(),
        }
    }

    fn serve(&self) -> Server {
        let config = self.outside.path().join("guestlist.toml");
        self.at.serve_with(&[
            ("GUESTLIST_CONFIG", &config.display().to_string()),
            ("GUESTLIST_LIMITS__INVITES_PER_ADDRESS", "1"),
        ])
    }

    /// Lets the callers call until the moment, at which `end` runs.
    async fn round(
        &mut self,
        addr: SocketAddr,
        moment: Moment,
        end: impl Fn() + Send + Sync + 'static,
    ) -> Arc<Round> {
        let round = Arc::new(Round::new(moment, end));
        let wires: Vec<Wire> = (0..CONNECTIONS).map(|_| Wire::new(addr, &self.key)).collect();
        let mut working = tokio::task::JoinSet::new();
        for (n, caller) in self.callers.drain(..).enumerate() {
            let wire = wires[n % CONNECTIONS].clone();
            working.spawn(caller.work(wire, Arc::clone(&round)));
        }
        self.callers = working.join_all().await;
        assert!(round.is_over(), "seed {}: nothing answers any more", self.seed);
        round
    }

    /// Compares the store with the ledger. A server runs on it that nobody asks.
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

    /// PostgreSQL may be at the commit of a server that is no more.
    async fn until_no_change_is_open(&self) {
        if self.at.database.engine == Engine::Sqlite {
            return;
        }
        let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                      AND pid <> pg_backend_pid() AND xact_start IS NOT NULL \
                      AND backend_type = 'client backend'";
        let since = Instant::now();
        while self.at.database.count(others).await > 0 {
            assert!(since.elapsed() < Duration::from_secs(60), "a change without an end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What the ledger has, for people; that it has something of everything.
    fn told(&self) -> String {
        let mut counts: BTreeMap<String, [usize; 4]> = BTreeMap::new();
        for Entry { call, said, .. } in self.ledger.read() {
            let column = match &said {
                Said::Acknowledged(_) => 0,
                Said::Refused { .. } if said.is_rule() => 1,
                Said::Refused { .. } if said.is_fault() => 2,
                Said::Refused { .. } => panic!("refused for no known reason: {call:?}, {said:?}"),
                Said::Unknown(_) => 3,
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
