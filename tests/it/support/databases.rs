//! The stores of tests: each test has its own SQLite file, or its own PostgreSQL database, which is
//! cloned from a migrated template.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use guestlist::config;
use guestlist::storage::change;
use guestlist::storage::postgres::Address;
use guestlist::storage::{Location, Opener, Store};
use sea_orm::{ConnectionTrait, DbErr, Statement};
use tempfile::TempDir;

use super::direct_connection::DirectConnection;

/// The engines. Tests check every property of the data on both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// A store for one test, which is removed after the test.
pub struct Database {
    pub engine: Engine,
    /// The data directory; with SQLite the store is in it.
    pub directory: TempDir,
    /// `GUESTLIST_DATABASE_URL`
    pub url: String,
    name: Option<String>,
}

impl Database {
    /// An empty store, without a schema.
    pub async fn empty(engine: Engine) -> Self {
        Self::new(engine, "template0").await
    }

    /// A store whose schema is up to date. (On SQLite the server creates the schema.)
    pub async fn migrated(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => Self::new(engine, "").await,
            Engine::Postgres => {
                let template = template().await;
                Self::new(engine, &template).await
            }
        }
    }

    /// A SQLite store on a disk that the test has mounted.
    pub fn on_disk(disk: &Path) -> Self {
        Self::sqlite(TempDir::new_in(disk).unwrap())
    }

    /// A store on a PostgreSQL server of the test's own. It is removed together with that server.
    pub fn on_server(url: String) -> Self {
        let directory = TempDir::new().unwrap();
        Self { engine: Engine::Postgres, directory, url, name: None }
    }

    fn sqlite(directory: TempDir) -> Self {
        let url = format!("sqlite:{}/guestlist.db", directory.path().display());
        Self { engine: Engine::Sqlite, directory, url, name: None }
    }

    async fn new(engine: Engine, template: &str) -> Self {
        let directory = TempDir::new().unwrap();
        if engine == Engine::Sqlite {
            return Self::sqlite(directory);
        }
        let name = unique_name("test");
        administer(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        Self { engine, directory, url: url_of(&name), name: Some(name) }
    }

    /// The location of the store, to open it directly.
    pub fn location(&self) -> Location {
        match self.engine {
            Engine::Sqlite => Location::Sqlite(self.directory.path().join("guestlist.db")),
            Engine::Postgres => Location::Postgres(Address::parse(&self.url).unwrap()),
        }
    }

    /// One connection, separate from the server's own, to read rows. Its session settings stay set.
    pub async fn connect(&self) -> DirectConnection {
        match self.location() {
            Location::Sqlite(path) => DirectConnection::on_file(&path),
            Location::Postgres(_) => DirectConnection::on_server(&self.url).await,
        }
    }

    /// As `connect`, but returns an error if the database server does not run.
    pub async fn try_connect(&self) -> Result<DirectConnection, DbErr> {
        match self.location() {
            Location::Sqlite(path) => Ok(DirectConnection::on_file(&path)),
            Location::Postgres(_) => DirectConnection::try_on_server(&self.url).await,
        }
    }

    /// The result of a query that returns one number.
    pub async fn count(&self, sql: &str) -> i64 {
        let connection = self.connect().await;
        let statement = Statement::from_string(connection.get_database_backend(), sql);
        let row = connection.query_one_raw(statement).await.unwrap().unwrap();
        let count = row.try_get_by_index(0).unwrap();
        connection.close().await.unwrap();
        count
    }

    /// Waits until readers of events can get all committed events: tests on other databases of the
    /// same server delay the feed while their transactions write.
    pub async fn settle(&self) {
        if self.engine == Engine::Sqlite {
            return;
        }
        let now = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
        let oldest = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint";
        let now = self.count(now).await;
        while self.count(oldest).await < now {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Closes all connections to a PostgreSQL database and rejects new ones, or allows them again.
    pub async fn allow_connections(&self, allow: bool) {
        let name = self.name.as_deref().expect("only a PostgreSQL database has a name");
        administer(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {allow}")).await;
        if !allow {
            let those = format!("SELECT pid FROM pg_stat_activity WHERE datname = '{name}'");
            administer(&format!("SELECT pg_terminate_backend(pid) FROM ({those}) AS t")).await;
        }
    }

    /// Removes the store of the test.
    pub async fn remove(self) {
        if let Some(name) = self.name {
            administer(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        }
    }
}

/// Few connections and long timeouts, because many tests run in parallel.
pub fn pool() -> config::Database {
    config::Database {
        max_connections: 8,
        acquire_timeout: Duration::from_secs(60),
        lock_timeout: Duration::from_secs(3),
        statement_timeout: Duration::from_secs(8),
        idle_in_transaction_timeout: Duration::from_secs(3),
        migrate_on_start: true,
        prepared_statements: config::PreparedStatements::Auto,
    }
}

fn unique_name(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("guestlist_{prefix}_{}_{next}", std::process::id())
}

/// The temporary PostgreSQL server. When this process ends, the standard input of the script
/// closes, and the script stops the server.
struct Server {
    url: String,
    _script: Option<Child>,
}

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    if let Ok(url) = std::env::var("GUESTLIST_TEST_POSTGRES_URL") {
        return Server { url, _script: None };
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres");
    let mut child = Command::new(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("tests/postgres starts");
    let mut url = String::new();
    let stdout = child.stdout.take().expect("its output is piped");
    BufReader::new(stdout).read_line(&mut url).expect("its output is text");
    assert!(
        url.starts_with("postgres://"),
        "no PostgreSQL to test on: install it (tests/run does), or set GUESTLIST_TEST_POSTGRES_URL"
    );
    Server { url: url.trim().to_owned(), _script: Some(child) }
});

fn url_of(database: &str) -> String {
    let (server, _) = SERVER.url.rsplit_once('/').expect("the URL names a database");
    format!("{server}/{database}")
}

async fn administer(sql: &str) {
    let connection = DirectConnection::on_server(&SERVER.url).await;
    connection.execute_unprepared(sql).await.unwrap();
}

/// The migrated database from which others are cloned; it is made once per process.
async fn template() -> String {
    static TEMPLATE: Mutex<Option<String>> = Mutex::new(None);
    // Each test has its own runtime, so a blocking lock is held while the template is made: the
    // other tests wait for the lock on their own blocking threads.
    let made = tokio::task::spawn_blocking(|| {
        let mut template = TEMPLATE.lock().unwrap_or_else(|e| e.into_inner());
        if template.is_none() {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            *template = Some(runtime.block_on(make_template()));
        }
        template.clone()
    });
    made.await.unwrap().expect("the template was made")
}

async fn make_template() -> String {
    let name = unique_name("template");
    administer(&format!("CREATE DATABASE {name} TEMPLATE template0")).await;
    let location = Location::Postgres(Address::parse(&url_of(&name)).unwrap());
    let store = Store::open(&location, &pool(), Opener::CommandLine, None).await.unwrap();
    store.migrate(change!(async |_| Ok(()))).await.unwrap();
    store.close().await.unwrap();
    name
}
