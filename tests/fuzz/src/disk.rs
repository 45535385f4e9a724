//! A store on disk that can be restored to an earlier state.

use std::sync::Arc;

use guestlist::clock::{Clock, OffsetClock};
use guestlist::config::{Config, Sources};
use guestlist::domain::{ApiKeySecret, Timestamp};
use guestlist::keyring::Keyring;
use guestlist::operations::keys::{CreateKey, create_key};
use guestlist::operations::setup::{Setup, prepare};
use guestlist::storage::{Location, Opener, Row, Statement, Store, sqlite};
use tempfile::TempDir;

/// See the module.
pub struct Disk {
    pub store: Store,
    pub config: Config,
    pub clock: OffsetClock,
    pub keyring: Arc<Keyring>,
    /// A separate connection, which sees the commits of the other connections.
    connection: sqlite::Connection,
    /// The statements that restore the kept state.
    restore: String,
    pub directory: TempDir,
}

impl Disk {
    /// A new store with its schema and with a stopped clock.
    pub async fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("guestlist-fuzz-").tempdir();
        let directory = folder.expect("a folder");
        let mut config = Config::load(Sources::default()).expect("the default settings");
        config.data_dir = directory.path().to_owned();
        let clock = OffsetClock::default();
        // 2030-01-01, so that a time in an input means the same in every run.
        clock.stop_at(Timestamp::from_micros(1_893_456_000_000_000));

        let location = Location::from_config(&config).expect("a file");
        let opened = Store::open(&location, &config.database, Opener::Server, None).await;
        let store = opened.expect("the store opens");
        let keyring = Arc::new(Keyring::generate().expect("a key"));
        let setup = Setup {
            migrate: true,
            fingerprints: keyring.fingerprints(),
            new_secret_key: None,
            first_key_file: directory.path().join("first.key"),
        };
        prepare(&store, setup, clock.now()).await.expect("the schema is made");

        let Location::Sqlite(path) = location else { panic!("SQLite is the default") };
        let waits = config.database.acquire_timeout;
        let connection = sqlite::Connection::open(&path, waits).expect("a second connection");
        Self { store, config, clock, keyring, connection, restore: String::new(), directory }
    }

    /// A new key.
    pub async fn key(&self, input: CreateKey) -> ApiKeySecret {
        create_key(&self.store, input, self.clock.now()).await.expect("a key is made")
    }

    /// Keeps a copy of the current state, which [`Disk::restore`] restores.
    pub async fn keep(&mut self) {
        let copy = self.directory.path().join("kept.db");
        self.run(&format!("VACUUM INTO '{}'", copy.display())).await;
        self.run(&format!("ATTACH '{}' AS kept; PRAGMA foreign_keys = OFF", copy.display())).await;
        let names = "SELECT name FROM kept.sqlite_schema WHERE type = 'table'";
        let tables = self.values(names).into_iter().map(|name| name.unwrap::<String>());
        let each = |table: String| {
            format!(
                "DELETE FROM main.{table}; INSERT INTO main.{table} SELECT * FROM kept.{table};"
            )
        };
        let all: String = tables.map(each).collect();
        self.restore = format!("BEGIN IMMEDIATE; {all} COMMIT");
    }

    /// A number that changes whenever another connection commits.
    pub async fn version(&self) -> i64 {
        self.values("PRAGMA data_version").remove(0).unwrap()
    }

    /// Restores the state that [`Disk::keep`] kept.
    pub async fn restore(&self) {
        self.run(&self.restore).await;
    }

    async fn run(&self, sql: &str) {
        for statement in sql.split(';').filter(|statement| !statement.trim().is_empty()) {
            let statement = Statement::new(statement.to_owned(), Vec::new());
            self.connection.run(&statement).expect("valid SQL");
        }
    }

    /// The values of a query of one column.
    fn values(&self, sql: &'static str) -> Vec<sea_orm::Value> {
        let result = self.connection.run(&Statement::new(sql, Vec::new())).expect("valid SQL");
        result.rows.into_iter().flat_map(Row::into_values).collect()
    }
}
