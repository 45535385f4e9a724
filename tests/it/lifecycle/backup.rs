//! `guestlist backup` and `guestlist restore`: under load, when they are killed, and the input that
//! they reject.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use sea_orm::ConnectionTrait;
use tokio::task::block_in_place;

use super::load::Load;
use super::{create, organizations, until};
use crate::support::program::{CommandOutput, run_to_end};
use crate::support::{Code, Engine, Installation, Person, own, run_installed};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs the command while the load of the test continues.
fn run(at: &Installation, arguments: &[&str]) -> CommandOutput {
    block_in_place(|| at.run(arguments))
}

fn back_up(at: &Installation, name: &str) -> PathBuf {
    let file = at.directory().join(name);
    let output = run(at, &["backup", text(&file)]);
    assert_eq!(
        (output.code, output.err.as_str()),
        (0, ""),
        "no progress output without a terminal"
    );
    let bytes = std::fs::metadata(&file).unwrap().len();
    assert!(output.out.contains(&format!("{bytes} bytes")), "{}", output.out);
    assert!(output.out.contains("secret key is not in the file"), "{}", output.out);
    file
}

/// Checks that the file is a whole database that only its owner can read; returns the names of its
/// organizations.
fn names_in(file: &Path) -> Vec<String> {
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    for suffix in ["-wal", "-shm", "-journal", ".unfinished"] {
        assert!(!Path::new(&format!("{}{suffix}", text(file))).exists(), "{suffix}");
    }
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = rusqlite::Connection::open_with_flags(file, flags).unwrap();
    let answer = |sql: &str| database.query_row(sql, (), |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(answer("PRAGMA integrity_check"), "ok");
    assert_eq!(answer("PRAGMA journal_mode"), "delete");
    // The file has both a change and its event, or neither.
    assert_eq!(
        answer("SELECT CAST(count(*) AS TEXT) FROM organizations"),
        answer(
            "SELECT CAST(count(*) AS TEXT) FROM audit_events WHERE action = 'organization.created'"
        )
    );
    let mut names = database.prepare("SELECT name FROM organizations ORDER BY name").unwrap();
    names.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Adds `mib` MiB to the database, so that a copy takes several steps.
async fn fill(at: &Installation, mib: usize) {
    let connection = at.database.connect().await;
    for i in 0..mib {
        let row = format!("INSERT INTO settings VALUES ('filler {i}', hex(zeroblob(524288)))");
        connection.execute_unprepared(&row).await.unwrap();
    }
    connection.close().await.unwrap();
}

#[test]
fn p46_a_backup_under_load_restores_the_committed_changes() {
    run_installed(Engine::Sqlite, async |at: &Installation| {
        let server = at.serve();
        let key = at.new_key("ana@acme.com");
        fill(at, 20).await;
        let load = Arc::new(Load::new(server.addr, key.clone()));
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let load = Arc::clone(&load);
                tokio::spawn(async move { load.over_kept_connection().await })
            })
            .collect();
        until("there is a load", async || load.answered().len() > 20).await;
        let mut last = (PathBuf::new(), Vec::new());
        for i in 0..5 {
            let before = load.answered();
            let file = back_up(at, &format!("backup {i}"));
            let after = load.answered();
            assert!(after.len() > before.len(), "changes were committed during the backup");
            let names = names_in(&file);
            let lost: Vec<_> = before.iter().filter(|name| !names.contains(name)).collect();
            assert!(lost.is_empty(), "{lost:?}");
            last = (file, before);
        }
        assert_eq!(server.stop().code, Some(0));
        for caller in callers {
            caller.await.unwrap();
        }

        let (file, acknowledged) = last;
        let saved = names_in(&file);
        let everything = organizations(at).await;
        assert!(saved.len() < everything.len());
        let output = run(at, &["restore", text(&file), "--replace"]);
        assert_eq!((output.code, output.err.as_str()), (0, ""), "{}", output.out);
        let kept = output.out.lines().find_map(|line| line.split_once(" before is at "));
        let kept = Path::new(kept.expect("the output has the path of the previous store").1);
        let server = at.serve();
        assert_eq!(organizations(at).await, saved);
        assert!(acknowledged.iter().all(|name| saved.contains(name)));
        create(&server.person(&key), "After").await.unwrap();
        server.stop();

        // The previous store can be restored.
        let output = run(at, &["restore", text(kept), "--replace"]);
        assert_eq!(output.code, 0, "{}", output.err);
        assert_eq!(organizations(at).await, everything);
    });
}

async fn follow(reader: &Person, cursor: &str) -> Result<(Vec<String>, String), (Code, String)> {
    let mut request = own::ListEventsRequest { cursor: cursor.to_owned(), ..Default::default() };
    let mut ids = Vec::new();
    loop {
        let page = reader.list_events(request.clone()).await.map_err(|it| (it.code, it.reason))?;
        request.cursor = page.cursor;
        ids.extend(page.events.into_iter().map(|event| event.id));
        if !page.has_more {
            return Ok((ids, request.cursor));
        }
    }
}

#[test]
fn p44_p46_a_restore_rejects_newer_cursors_and_continues_older_ones() {
    run_installed(Engine::Sqlite, async |at: &Installation| {
        let service = ["keys", "create", "--service", "--name", "consumer", "--scope", "events"];
        let server = at.serve();
        let reader = server.person(run(at, &service).out.trim_end());
        let ana = server.person(&at.new_key("ana@acme.com"));
        let begin = reader.list_events(own::ListEventsRequest::default()).await.unwrap().cursor;
        let (organization, _) = ana.new_organization("Acme").await;
        let (early, middle) = follow(&reader, &begin).await.unwrap();
        assert!(!early.is_empty());
        ana.link(&organization, "read").await.unwrap();
        let file = back_up(at, "backup");
        let (saved, at_backup) = follow(&reader, &middle).await.unwrap();
        assert_eq!(saved.len(), 1);
        ana.link(&organization, "read").await.unwrap();
        let (lost, beyond) = follow(&reader, &at_backup).await.unwrap();
        assert_eq!(lost.len(), 1);
        server.stop();
        assert_eq!(run(at, &["restore", text(&file), "--replace"]).code, 0);

        let server = at.serve();
        let (reader, ana) = (reader.at(server.addr), ana.at(server.addr));
        let history_changed = Err((Code::FailedPrecondition, "HISTORY_CHANGED".to_owned()));
        assert_eq!(follow(&reader, &beyond).await, history_changed);
        // A new event gets the position of the lost event.
        ana.link(&organization, "read").await.unwrap();
        assert_eq!(follow(&reader, &beyond).await, history_changed);
        let (ids, _) = follow(&reader, &at_backup).await.unwrap();
        assert_eq!(ids.len(), 1);
        assert_ne!(ids, lost);
        assert_eq!(
            follow(&reader, &middle).await.unwrap().0,
            [saved.clone(), ids.clone()].concat()
        );
        assert_eq!(follow(&reader, &begin).await.unwrap().0, [early, saved, ids].concat());
        server.stop();
    });
}

#[test]
fn p46_a_rejected_restore_changes_nothing() {
    run_installed(Engine::Sqlite, async |at: &Installation| {
        let server = at.serve();
        create(&server.person(&at.new_key("ana@acme.com")), "Saved").await.unwrap();
        let file = back_up(at, "backup");
        create(&server.person(&at.new_key("ana@acme.com")), "Later").await.unwrap();
        let refused = |arguments: &[&str], settings: &[(&str, &str)], words: &[&str]| {
            let arguments = [&["restore"], arguments].concat();
            let output = block_in_place(|| run_to_end(at.command(&arguments, settings)));
            assert_eq!((output.code, output.out.as_str()), (1, ""), "{arguments:?}");
            for words in words {
                assert!(output.err.contains(words), "{words}: {}", output.err);
            }
        };
        refused(&[text(&file), "--replace"], &[], &["another guestlist server", "stop it"]);
        server.stop();

        refused(&[text(&file)], &[], &["--replace"]);
        refused(&[text(&at.directory().join("missing")), "--replace"], &[], &["missing"]);
        let wrong = at.directory().join("wrong");
        std::fs::write(&wrong, "Some notes about backups").unwrap();
        refused(&[text(&wrong), "--replace"], &[], &["no SQLite database"]);
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&wrong, &bytes[..bytes.len() / 2]).unwrap();
        refused(&[text(&wrong), "--replace"], &[], &["damaged"]);
        std::fs::remove_file(&wrong).unwrap();
        rusqlite::Connection::open(&wrong).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
        refused(&[text(&wrong), "--replace"], &[], &["not a store of guestlist"]);

        let newer = at.directory().join("newer");
        std::fs::copy(&file, &newer).unwrap();
        let row = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_later', 0)";
        rusqlite::Connection::open(&newer).unwrap().execute_batch(row).unwrap();
        refused(&[text(&newer), "--replace"], &[], &["newer than this program", "m9999_later"]);

        let other = hex::encode(rand::random::<[u8; 32]>());
        let settings = [("GUESTLIST_SECRET_KEY", other.as_str())];
        refused(&[text(&file), "--replace"], &settings, &["encrypted with the secret key"]);
        let elsewhere = at.directory().join("elsewhere");
        let url = format!("sqlite:{}/guestlist.db", text(&elsewhere));
        let settings = [("GUESTLIST_DATABASE_URL", url.as_str())];
        refused(&[text(&file)], &settings, &["there is no secret key", "secret.key"]);
        assert!(!elsewhere.join("guestlist.db").exists() && !elsewhere.join("secret.key").exists());

        let live = at.directory().join("guestlist.db");
        refused(&[text(&live), "--replace"], &[], &["the store itself"]);
        // A copy of a database that was in use: its `-wal` file is still there.
        let copied = at.directory().join("copied");
        std::fs::copy(&file, &copied).unwrap();
        std::fs::write(at.directory().join("copied-wal"), "changes").unwrap();
        refused(&[text(&copied), "--replace"], &[], &["copied-wal", "guestlist backup"]);

        assert_eq!(organizations(at).await, ["Later", "Saved"]);
        assert!(!at.directory().join("guestlist.db.restoring").exists());
        let output = run(at, &["backup", text(&file)]);
        assert_eq!((output.code, output.out.as_str()), (1, ""));
        assert!(output.err.contains("exists"), "{}", output.err);
        assert_eq!(std::fs::read(&file).unwrap(), bytes);

        // With its secret key, the backup can be restored into a directory that does not exist yet.
        let key = at.directory().join("secret.key");
        let settings = [settings[0], ("GUESTLIST_SECRET_KEY_FILE", text(&key))];
        std::fs::remove_dir_all(&elsewhere).unwrap();
        let output = run_to_end(at.command(&["restore", text(&file)], &settings));
        assert_eq!((output.code, output.err.as_str()), (0, ""), "{}", output.out);
        assert_eq!(names_in(&elsewhere.join("guestlist.db")), ["Saved"]);
    });
}

/// Starts the command and kills it after this time; returns whether it had ended before.
fn killed(at: &Installation, arguments: &[&str], after: Duration) -> bool {
    let mut process = at.command(arguments, &[]).spawn().unwrap();
    std::thread::sleep(after);
    let ended = process.try_wait().unwrap().is_some();
    process.kill().unwrap();
    process.wait().unwrap();
    ended
}

#[test]
fn p46_a_killed_backup_or_restore_leaves_complete_files() {
    run_installed(Engine::Sqlite, async |at: &Installation| {
        let server = at.serve();
        let ana = server.person(&at.new_key("ana@acme.com"));
        create(&ana, "Saved").await.unwrap();
        fill(at, 20).await;
        let mut random = rand::rng();
        let mut moment = || Duration::from_millis(random.random_range(0..150));
        let file = at.directory().join("backup");
        let mut interrupted = 0;
        for _ in 0..20 {
            if !block_in_place(|| killed(at, &["backup", text(&file)], moment())) {
                interrupted += 1;
            }
            if file.exists() {
                assert_eq!(names_in(&file), ["Saved"]);
                std::fs::remove_file(&file).unwrap();
            }
        }
        assert!(interrupted > 0);
        assert_eq!(names_in(&back_up(at, "backup")), ["Saved"]);
        create(&ana, "Later").await.unwrap();
        server.stop();

        let later = ["Later", "Saved"].map(str::to_owned).to_vec();
        let saved = vec!["Saved".to_owned()];
        for _ in 0..20 {
            block_in_place(|| killed(at, &["restore", text(&file), "--replace"], moment()));
            let names = organizations(at).await;
            assert!(names == later || names == saved, "{names:?}");
        }
        let output = run(at, &["restore", text(&file), "--replace"]);
        assert_eq!((output.code, output.err.as_str()), (0, ""), "{}", output.out);
        assert_eq!(organizations(at).await, saved);
        at.serve().stop();
    });
}

#[test]
fn p46_a_restore_keeps_the_changes_in_the_log_of_a_killed_server() {
    run_installed(Engine::Sqlite, async |at: &Installation| {
        let server = at.serve();
        let ana = server.person(&at.new_key("ana@acme.com"));
        create(&ana, "Saved").await.unwrap();
        let file = back_up(at, "backup");
        create(&ana, "Later").await.unwrap();
        server.kill();
        let log = at.directory().join("guestlist.db-wal");
        assert!(std::fs::metadata(&log).unwrap().len() > 0, "a killed server leaves its log");

        let output = run(at, &["restore", text(&file), "--replace"]);
        assert_eq!((output.code, output.err.as_str()), (0, ""), "{}", output.out);
        assert!(!log.exists(), "SQLite would apply the old log to the restored store");
        let kept = output.out.trim_end().split_once(" before is at ").unwrap().1;
        let before = rusqlite::Connection::open(kept).unwrap();
        let count = "SELECT count(*) FROM organizations";
        assert_eq!(before.query_row(count, (), |row| row.get::<_, i64>(0)).unwrap(), 2);
        assert_eq!(organizations(at).await, ["Saved"]);
    });
}
