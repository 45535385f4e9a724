use std::io::{BufRead, BufReader};
use std::process::Stdio;

use sea_orm::{ConnectionTrait, Statement};

use super::on_both_engines;
use crate::support::program::run_to_end;
use crate::support::{Engine, Installation, own, run_installed};

const WITHOUT_MIGRATION: (&str, &str) = ("GUESTLIST_DATABASE__MIGRATE_ON_START", "false");

on_both_engines! {
    async fn the_schema_can_be_migrated_by_command(at: Installation) {
        for command in [&["serve"][..], &["keys", "create", "--email", "ana@acme.com"]] {
            let output = run_to_end(at.command(command, &[WITHOUT_MIGRATION]));
            assert_eq!((output.code, output.out.as_str()), (1, ""), "{}", output.err);
            assert!(output.err.contains("`guestlist migrate`"), "{}", output.err);
        }
        let output = at.run(&["migrate"]);
        assert_eq!(output.code, 0, "{}", output.err);
        assert!(output.out.starts_with("the schema is up to date"), "{}", output.out);
        assert_eq!(at.run(&["migrate"]).out, "the schema was up to date\n");

        // A store with a schema but no account is still before its first start, which creates the
        // first account.
        let server = at.serve_with(&[WITHOUT_MIGRATION]);
        assert!(server.output().contains("first start"), "{}", server.output());
        let key = std::fs::read_to_string(at.key_file()).unwrap();
        let caller = server.person(key.trim()).get_caller(own::GetCallerRequest {}).await;
        assert!(caller.is_ok());
        // This also works while a server runs.
        assert_eq!(at.run(&["migrate"]).out, "the schema was up to date\n");
    }
    async fn every_command_rejects_a_newer_schema(at: Installation) {
        at.serve().stop();
        let row = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_later', 0)";
        change(at, row).await;
        for command in OTHER_COMMANDS.into_iter().chain([&["serve"][..], &["migrate"]]) {
            for settings in [&[][..], &[WITHOUT_MIGRATION]] {
                let output = run_to_end(at.command(command, settings));
                assert_eq!((output.code, output.out.as_str()), (1, ""), "{command:?}: {}", output.err);
                for words in ["newer than this program", "m9999_later"] {
                    assert!(output.err.contains(words), "{command:?}: {}", output.err);
                }
            }
        }
        assert_eq!(at.database.count("SELECT count(*) FROM api_keys").await, 1);
    }
}

const OTHER_COMMANDS: [&[&str]; 4] = [
    &["keys", "create", "--email", "ana@acme.com"],
    &["keys", "list"],
    &["keys", "revoke", "0123456789abcdef"],
    &["secret-key", "reseal"],
];

async fn change(at: &Installation, sql: &str) {
    let connection = at.database.connect().await;
    assert_eq!(connection.execute_unprepared(sql).await.unwrap().rows_affected(), 1, "{sql}");
    connection.close().await.unwrap();
}

#[test]
fn waiting_for_a_migration_logs_the_lock_holder() {
    run_installed(Engine::Postgres, async |at| {
        for command in
            [&["migrate"][..], &["keys", "create", "--email", "ana@acme.com"], &["serve"]]
        {
            let other = at.database.connect().await;
            let lock = "SELECT pg_advisory_lock(7454976304730630515)";
            other.execute_unprepared(lock).await.unwrap();
            let pid = "SELECT pg_backend_pid()::bigint AS pid";
            let statement = Statement::from_string(other.get_database_backend(), pid);
            let row = other.query_one_raw(statement).await.unwrap().unwrap();
            let pid: i64 = row.try_get("", "pid").unwrap();

            let mut process = at.command(command, &[]);
            let mut process =
                process.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
            for _ in 0..2 {
                let line = log.by_ref().map(Result::unwrap).find(|line| line.contains("waiting"));
                let line = line.expect("it logs repeatedly that it waits");
                let holder = format!("pid {pid},");
                for words in
                    [holder.as_str(), "another replica's migration", "pg_terminate_backend"]
                {
                    assert!(line.contains(words), "{words}: {line}");
                }
            }
            assert!(process.try_wait().unwrap().is_none(), "it still waits for the lock");
            other.close().await.unwrap();
            // Standard error is read until its end: a full pipe would block the process.
            let rest = std::thread::spawn(move || log.map(Result::unwrap).last());
            let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
            assert!(output.by_ref().map(Result::unwrap).any(|line| match command {
                ["serve"] => line.starts_with("listening on"),
                ["migrate"] => line.starts_with("the schema"),
                _ => line.starts_with("gl_"),
            }));
            if command == ["serve"] {
                process.kill().unwrap();
            }
            process.wait().unwrap();
            rest.join().unwrap();
        }
    });
}
