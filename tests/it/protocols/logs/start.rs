//! A start that fails reports the cause, but not the secret in the settings.

use tempfile::TempDir;

use super::PASSWORD as SECRET;
use super::secrets::Secrets;
use crate::support::program::{program, run_to_end};

const COMMANDS: [&[&str]; 4] = [&["serve"], &["check-config"], &["migrate"], &["keys", "list"]];

/// Runs every command with these variables and this configuration file. Each command that fails
/// reports it on standard error, and no command prints the secret.
fn assert_fails_without_the_secret(variables: &[(&'static str, &str)], file: &str) {
    let mut secrets = Secrets::default();
    secrets.add("the secret", SECRET);
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
        let output = run_to_end(command);
        secrets.assert_none_in("standard output", &output.out);
        secrets.assert_none_in("standard error", &output.err);
        if output.code != 0 {
            assert!(output.err.lines().any(|line| line.starts_with("guestlist: ")), "{output:?}");
            failed += 1;
        }
    }
    assert!(failed > 0, "no command failed: {variables:?} {file}");
}

#[test]
fn p05_errors_about_the_database_url_contain_no_secret() {
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
        assert_fails_without_the_secret(&variables, "");
    }
}

#[test]
fn p05_errors_about_secret_keys_contain_no_secret() {
    let good = "00".repeat(32);
    for keys in [SECRET.to_owned(), format!("{good},{SECRET}"), format!("{SECRET},{good}")] {
        assert_fails_without_the_secret(&[("GUESTLIST_SECRET_KEY", &keys)], "");
    }
}

#[test]
fn p05_errors_about_settings_contain_no_secret() {
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
        assert_fails_without_the_secret(&[], &file.replace("SECRET", SECRET));
    }
    assert_fails_without_the_secret(&[("GUESTLIST_MAIL", SECRET)], "");
    assert_fails_without_the_secret(&[("GUESTLIST_HTTP__MAX_STREAMS", SECRET)], "");
    assert_fails_without_the_secret(&[("GUESTLIST_LISTEN", SECRET)], "");
}
