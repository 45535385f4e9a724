//! The command line of the program: what it prints, where, and its exit codes. The tests with
//! a store and other processes are in `lifecycle/`.

use std::net::TcpListener;
use std::path::Path;

use tempfile::TempDir;

use crate::support::Server;
use crate::support::program::{CommandOutput, program, run_to_end};

fn run(directory: &Path, arguments: &[&str]) -> CommandOutput {
    run_to_end(program(directory, arguments))
}

#[test]
fn errors_are_printed_on_standard_error() {
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("half.toml"), "[[issuers]]\nissuer = 'x'\n").unwrap();
    std::fs::write(directory.path().join("keys.txt"), "no key").unwrap();
    let cases: [(&[&str], i32, &str); 13] = [
        (&["check-config", "--listen", "here"], 2, "--listen"),
        (&["--config", "half.toml"], 2, "login_provider"),
        (&["--config", "missing.toml"], 2, "missing.toml"),
        (&["--database-url", "mysql:x"], 2, "database_url"),
        (&["check-config", "--secret-key-file", "keys.txt"], 1, "keys.txt"),
        (&["check-config", "--database-url", "postgres://h/d"], 1, "--secret-key-file"),
        (&["keys", "list"], 1, "--data-dir"),
        (&["keys", "revoke", "x"], 2, "16 hexadecimal digits"),
        (&["backup", "file"], 1, "--data-dir"),
        (&["backup", "file", "--database-url", "postgres://h/d"], 1, "pg_dump"),
        (&["restore", "file", "--database-url", "postgres://h/d"], 1, "pg_restore"),
        (&["secret-key", "reseal"], 1, "--data-dir"),
        (&["serve", "--port", "1"], 2, "--port"),
    ];
    for (arguments, exit, expected_text) in cases {
        let output = run(directory.path(), arguments);
        assert_eq!(output.code, exit, "{arguments:?}: {}", output.err);
        assert!(output.err.contains(expected_text), "{arguments:?}: {}", output.err);
        assert_eq!(output.out, "", "{arguments:?}");
    }
    assert!(!directory.path().join("guestlist-data").exists(), "no data directory is created");
    let output = run(directory.path(), &["check-config"]);
    assert_eq!((output.code, output.out.as_str()), (0, "the configuration is valid\n"));
    assert!(!directory.path().join("guestlist-data").exists(), "no data directory is created");
}

#[test]
fn an_error_names_the_environment_variable() {
    let directory = TempDir::new().unwrap();
    for (variable, value, expected_text) in [
        ("GUESTLIST_LISTN", "127.0.0.1:1", "GUESTLIST_LISTN: unknown"),
        ("GUESTLIST_HTTP__DRAIN", "1s", "GUESTLIST_HTTP__DRAIN"),
        ("GUESTLIST_HTTP__DRAIN_TIMEOUT", "soon", "GUESTLIST_HTTP__DRAIN_TIMEOUT"),
        ("GUESTLIST_HTTP__MAX_STREAMS", "many", "must be a whole number"),
        ("GUESTLIST_PUBLIC_PREVIEW", "perhaps", "must be true or false"),
        ("GUESTLIST_LOG__FILTER", "guestlist=loud", "log.filter"),
    ] {
        for command in ["serve", "check-config"] {
            let mut command = program(directory.path(), &[command]);
            command.env(variable, value);
            let output = run_to_end(command);
            assert_eq!((output.code, output.out.as_str()), (2, ""), "{variable}: {}", output.err);
            assert!(output.err.contains(expected_text), "{variable}: {}", output.err);
        }
    }
    // An invalid secret is not printed either.
    let mut command = program(directory.path(), &["check-config"]);
    command.env("GUESTLIST_SECRET_KEY", "hunter2");
    let output = run_to_end(command);
    assert_ne!(output.code, 0);
    assert!(!output.err.contains("hunter2"), "P05: {}", output.err);
    assert!(!directory.path().join("guestlist-data").exists(), "no data directory is created");
}

#[test]
fn the_health_check_fails_if_the_server_does_not_respond() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(program(directory.path(), &["--listen", "127.0.0.1:0"]));
    let addr = server.addr.to_string();
    let check = |addr: &str| run(directory.path(), &["healthcheck", "--listen", addr]);
    let output = check(&addr);
    assert_eq!((output.code, output.out.as_str(), output.err.as_str()), (0, "", ""));

    server.stop();
    let output = check(&addr);
    assert_eq!((output.code, output.out.as_str()), (1, ""));
    assert!(output.err.contains(&addr), "{}", output.err);

    // A listener that accepts connections and sends nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    assert_eq!(check(&silent.local_addr().unwrap().to_string()).code, 1);
}

#[test]
fn a_second_server_on_the_same_data_directory_is_rejected() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(program(directory.path(), &["--listen", "127.0.0.1:0"]));
    let output = run(directory.path(), &["--listen", "127.0.0.1:0"]);
    assert_eq!((output.code, output.out.as_str()), (1, ""));
    assert!(output.err.contains("another guestlist server"), "{}", output.err);
    server.stop();
}

#[test]
fn the_proto_command_writes_the_proto_files_unchanged() {
    let directory = TempDir::new().unwrap();
    let output = run(directory.path(), &["proto", "--out", "api/of/guestlist"]);
    assert_eq!(output.code, 0, "{}", output.err);
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let mut number = 0;
    for package in ["gitpod/v1", "guestlist/v1"] {
        for entry in std::fs::read_dir(sources.join(package)).unwrap() {
            let file = Path::new(package).join(entry.unwrap().file_name());
            let written = directory.path().join("api/of/guestlist").join(&file);
            assert_eq!(
                std::fs::read_to_string(written).unwrap(),
                std::fs::read_to_string(sources.join(&file)).unwrap(),
                "{}",
                file.display()
            );
            number += 1;
        }
    }
    assert_eq!(output.out, format!("wrote {number} files to api/of/guestlist\n"));
    // A second run replaces the files. If a file has the name of the directory, the error names it.
    assert_eq!(run(directory.path(), &["proto", "--out", "api/of/guestlist"]).code, 0);
    std::fs::write(directory.path().join("file"), "").unwrap();
    let output = run(directory.path(), &["proto", "--out", "file"]);
    assert_eq!((output.code, output.out.as_str()), (1, ""));
    assert!(output.err.contains("cannot write file/"), "{}", output.err);
}
