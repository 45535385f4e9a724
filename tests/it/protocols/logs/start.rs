//! A start that fails reports the cause, but not the secret in the settings.

use tempfile::TempDir;

use super::PASSWORD as SECRET;
use super::secrets::Secrets;
use crate::support::program::{program, say};

const COMMANDS: [&[&str]; 4] = [&["serve"], &["check-config"], &["migrate"], &["keys", "list"]];

/// Runs every command with these variables and this configuration file. Each command that fails
/// reports it on standard error, and no command prints the secret.
fn fails_without_telling(variables: &[(&'static str, &str)], file: &str) {
    let mut canaries = Secrets::default();
    canaries.add("the secret", SECRET);
    let common = [
        ("GUESTLIST_LOG__FILTER", "trace"),
        ("GUESTLIST_LISTEN", "127.0.0.1:0"),
        ("GUESTLIST_CONFIG", "guestlist.toml"),
        ("GUESTLIST_DATABASE__ACQUIRE_TIMEOUT", "300ms"),
        ("RUST_BACKTRACE", "1"),
    ];
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("guestlist.toml"), file).unwrap();
    let mut failed = 0;
    for arguments in COMMANDS {
        let mut command = program(directory.path(), arguments);
        command.envs(common.iter().chain(variables).copied());
        let said = say(command);
        canaries.assert_none_in("standard output", &said.out);
        canaries.assert_none_in("standard error", &said.err);
        if said.code != 0 {
            assert!(said.err.lines().any(|line| line.starts_with("guestlist: ")), "{said:?}");
            failed += 1;
        }
    }
    assert!(failed > 0, "no command failed: {variables:?} {file}");
}

#[test]
fn p05_a_store_that_is_away_or_badly_named() {
    let key = "00".repeat(32);
    for url in [
        "postgres://guestlist:SECRET@127.0.0.1:1/guestlist",
        "postgres://guestlist:SECRET@no-such-host.invalid/guestlist",
        "postgres://guestlist:SECRET@127.0.0.1:port/guestlist",
        "postgres://guestlist:SECRET@127.0.0.1:99999/guestlist",
        "postgres://guestlist:SECRET@[::1/guestlist",
        "postgres://guestlist:%SECRET%@/guestlist",
        "postgres://guestlist:SE#CRETSECRET@127.0.0.1:1/guestlist",
        "postgres://127.0.0.1:1/guestlist?user=guestlist&password=SECRET",
        "postgres://guestlist:SECRET@127.0.0.1:1/guestlist?sslmode=SECRET",
        "postgres:SECRET",
        "postgresql://SECRET",
        "mysql://guestlist:SECRET@127.0.0.1/guestlist",
        "SECRET",
        "sqlite:SECRET?mode=memory",
    ] {
        let url = url.replace("SECRET", SECRET);
        let variables = [("GUESTLIST_DATABASE_URL", url.as_str()), ("GUESTLIST_SECRET_KEY", &key)];
        fails_without_telling(&variables, "");
    }
}

#[test]
fn p05_secret_keys_that_are_none() {
    let good = "00".repeat(32);
    for keys in [SECRET.to_owned(), format!("{good},{SECRET}"), format!("{SECRET},{good}")] {
        fails_without_telling(&[("GUESTLIST_SECRET_KEY", &keys)], "");
    }
}

#[test]
fn p05_files_that_are_not_read() {
    for file in [
        "secret_key = 'SECRET",
        "secret_key = SECRET",
        "secret_key = ['SECRET']",
        "secret_key = {value = 'SECRET'}",
        "secret_key = 'SECRET'\nsecret_key = 'SECRET'",
        "secret_key_ = 'SECRET'",
        "secret_key 'SECRET'",
        "database_url = ['SECRET']",
        "database_url = 5 'SECRET'",
        "[database_url]\npassword = 'SECRET'",
        "[mail]\npassword = ['SECRET']",
        "[mail]\npassword = 'SECRET",
        "[mail]\npasswort = 'SECRET'",
        "[mail]\npassword = 'SECRET'\nport = 'x'",
        "mail = 'SECRET'",
        "[[issuers]]\nissuer = 'SECRET'\nclient_secret = 'SECRET'",
    ] {
        fails_without_telling(&[], &file.replace("SECRET", SECRET));
    }
    fails_without_telling(&[("GUESTLIST_MAIL", SECRET)], "");
    fails_without_telling(&[("GUESTLIST_HTTP__MAX_STREAMS", SECRET)], "");
    fails_without_telling(&[("GUESTLIST_LISTEN", SECRET)], "");
}
