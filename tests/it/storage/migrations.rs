//! Starts of a server: on a new store, on an old one, together with others, and with the wrong key.

use std::sync::Arc;

use futures::future::join_all;
use guestlist::app::App;
use guestlist::clock::SystemClock;
use guestlist::config::{Config, Sources};
use guestlist::error::{Error, Kind};
use guestlist::keyring::Keyring;
use guestlist::storage::change;
use guestlist::storage::postgres::Address;
use guestlist::storage::{Location, Opener, Schema, Store};
use sea_orm::{ConnectionTrait, Statement};
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::support::databases::pool;
use crate::support::{Database, Engine};

async fn start(database: &Database, data_dir: &TempDir, key: &str) -> Result<App, Error> {
    let mut config = Config::load(Sources::default()).unwrap();
    config.listen = ([127, 0, 0, 1], 0).into();
    config.data_dir = data_dir.path().to_owned();
    config.database_url = Some(SecretString::from(database.url.clone()));
    config.secret_key = Some(SecretString::from(key.to_owned()));
    config.database = pool();
    let listener = TcpListener::bind(config.listen).await.unwrap();
    App::start(config, listener, Arc::new(SystemClock)).await
}

async fn count(database: &Database, table: &str) -> i64 {
    let connection = database.connect().await;
    let sql = format!("SELECT count(*) FROM {table}");
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let row = connection.query_one_raw(statement).await.unwrap().unwrap();
    let count = row.try_get_by_index(0).unwrap();
    connection.close().await.unwrap();
    count
}

fn key() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

#[tokio::test(flavor = "multi_thread")]
async fn p36_replicas_that_migrate_at_once_run_each_migration_once() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let database = Database::empty(engine).await;
        let location = database.location();
        let replicas = (0..8).map(|_| async {
            let store = Store::open(&location, &pool(), Opener::CommandLine, None).await?;
            store.migrate(change!(async |_| Ok(()))).await?;
            let schema = store.schema().await?;
            store.close().await?;
            Ok::<_, Error>(schema)
        });
        for schema in join_all(replicas).await {
            assert_eq!(schema.unwrap(), Schema::Current);
        }
        let history = count(&database, "seaql_migrations").await;
        assert_eq!(history, 1, "each migration once");
        database.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p40_replicas_that_start_together_make_one_account_and_one_key() {
    let database = Database::empty(Engine::Postgres).await;
    let (key, directories) = (key(), [(); 4].map(|()| TempDir::new().unwrap()));
    let starts = directories.iter().map(|directory| start(&database, directory, &key));
    let apps: Vec<App> = join_all(starts).await.into_iter().map(Result::unwrap).collect();

    let first: Vec<_> = apps.iter().filter_map(App::first_key).collect();
    assert_eq!(first.len(), 1, "one of them made the first key");
    assert_eq!((count(&database, "accounts").await, count(&database, "api_keys").await), (1, 1));
    let files = directories.iter().filter(|d| d.path().join("admin.key").exists()).count();
    assert_eq!(files, 1);
    for app in apps {
        app.stop().await.unwrap();
    }
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p40_a_replica_with_the_wrong_secret_key_refuses_to_start() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let database = Database::empty(engine).await;
        let directory = TempDir::new().unwrap();
        let (right, wrong) = (key(), key());
        start(&database, &directory, &right).await.unwrap().stop().await.unwrap();

        let error = start(&database, &directory, &wrong).await.err().expect("the start fails");
        assert_eq!(error.kind, Kind::FailedPrecondition);
        assert!(error.message.contains("secret key"), "{}", error.message);
        for text in [&right, &wrong] {
            assert!(!format!("{error:?}").contains(text.as_str()), "P05: keys are in no error");
        }
        let id = |key: &str| Keyring::from_texts([key]).unwrap().ids()[0].to_string();
        for id in [id(&right), id(&wrong)] {
            assert!(error.message.contains(&id), "{id}: {}", error.message);
        }
        // The key is replaced on one server: the new key is first, the old one after it.
        let both = format!("{wrong},{right}");
        start(&database, &directory, &both).await.unwrap().stop().await.unwrap();
        start(&database, &directory, &wrong).await.unwrap().stop().await.unwrap();
        assert!(start(&database, &directory, &right).await.is_err());
        database.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_needs_a_secret_key_and_the_error_names_the_setting() {
    let database = Database::empty(Engine::Postgres).await;
    let directory = TempDir::new().unwrap();
    let mut config = Config::load(Sources::default()).unwrap();
    config.data_dir = directory.path().to_owned();
    config.database_url = Some(SecretString::from(database.url.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let error =
        App::start(config, listener, Arc::new(SystemClock)).await.err().expect("the start fails");
    assert!(error.message.contains("--secret-key-file"), "{}", error.message);
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_schema_is_rejected_when_migrate_on_start_is_off() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let database = Database::empty(engine).await;
        let directory = TempDir::new().unwrap();
        let mut config = Config::load(Sources::default()).unwrap();
        config.data_dir = directory.path().to_owned();
        config.database_url = Some(SecretString::from(database.url.clone()));
        config.secret_key = Some(SecretString::from(key()));
        config.database.migrate_on_start = false;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let clock = Arc::new(SystemClock);
        let error =
            App::start(config.clone(), listener, clock.clone()).await.err().expect("it fails");
        assert!(error.message.contains("guestlist migrate"), "{}", error.message);

        let store =
            Store::open(&database.location(), &pool(), Opener::CommandLine, None).await.unwrap();
        store.migrate(change!(async |_| Ok(()))).await.unwrap();
        store.close().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        App::start(config, listener, clock).await.unwrap().stop().await.unwrap();
        database.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_error_names_the_missing_database_right() {
    let database = Database::empty(Engine::Postgres).await;
    let role = format!("{}_reader", database.url.rsplit_once('/').unwrap().1);
    let connection = database.connect().await;
    for sql in
        [format!("CREATE ROLE {role} LOGIN"), "REVOKE CREATE ON SCHEMA public FROM PUBLIC".into()]
    {
        connection.execute_unprepared(&sql).await.unwrap();
    }
    let url = database.url.replacen("//postgres", &format!("//{role}"), 1);
    let location = Location::Postgres(Address::parse(&url).unwrap());
    let store = Store::open(&location, &pool(), Opener::CommandLine, None).await.unwrap();
    let error = store.migrate(change!(async |_| Ok(()))).await.unwrap_err();
    store.close().await.unwrap();
    connection.execute_unprepared(&format!("DROP ROLE {role}")).await.unwrap();
    connection.close().await.unwrap();
    database.remove().await;
    assert_eq!(error.kind, Kind::Unavailable, "{error:?}");
    assert!(error.message.contains("GRANT CREATE ON SCHEMA public"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_cannot_open_the_same_sqlite_file() {
    let database = Database::empty(Engine::Sqlite).await;
    let (first, second) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let key = key();
    let app = start(&database, &first, &key).await.unwrap();
    let error = start(&database, &second, &key).await.err().expect("the start fails");
    assert!(error.message.contains("another guestlist server"), "{}", error.message);
    app.stop().await.unwrap();
    start(&database, &second, &key).await.unwrap().stop().await.unwrap();
}
