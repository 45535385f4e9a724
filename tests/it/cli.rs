//! The command line of the program: what it prints, where, and its exit codes. The tests with
//! a store and other processes are in `lifecycle/`.

use std::net::TcpListener;
use std::path::Path;

use tempfile::TempDir;

use crate::support::Server;
use crate::support::program::{Said, program, say};

fn run(directory: &Path, arguments: &[&str]) -> Said {
    say(program(directory, arguments))
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
    for (arguments, exit, words) in cases {
        let said = run(directory.path(), arguments);
        assert_eq!(said.code, exit, "{arguments:?}: {}", said.err);
        assert!(said.err.contains(words), "{arguments:?}: {}", said.err);
        assert_eq!(said.out, "", "{arguments:?}");
    }
    assert!(!directory.path().join("guestlist-data").exists(), "no data directory is created");
    let said = run(directory.path(), &["check-config"]);
    assert_eq!((said.code, said.out.as_str()), (0, "the configuration is valid\n"));
    assert!(!directory.path().join("guestlist-data").exists(), "no data directory is created");
}

#[test]
fn an_error_names_the_environment_variable() {
    let directory = TempDir::new().unwrap();
    for (variable, value, words) in [
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
            let said = say(command);
            assert_eq!((said.code, said.out.as_str()), (2, ""), "{variable}: {}", said.err);
            assert!(said.err.contains(words), "{variable}: {}", said.err);
        }
    }
    // An invalid secret is not printed either.
    let mut command = program(directory.path(), &["check-config"]);
    command.env("GUESTLIST_SECRET_KEY", "hunter2");
    let said = say(command);
    assert_ne!(said.code, 0);
    assert!(!said.err.contains("hunter2"), "P05: {}", said.err);
    assert!(!directory.path().join("guestlist-data").exists(), "no data directory is created");
}

#[test]
fn the_health_check_ends_with_what_the_server_says() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(program(directory.path(), &["--listen", "127.0.0.1:0"]));
    let addr = server.addr.to_string();
    let check = |addr: &str| run(directory.path(), &["healthcheck", "--listen", addr]);
    let said = check(&addr);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "", ""));

    server.stop();
    let said = check(&addr);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.contains(&addr), "{}", said.err);

    // A listener that accepts connections and sends nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    assert_eq!(check(&silent.local_addr().unwrap().to_string()).code, 1);
}

#[test]
fn a_second_server_on_one_file_is_rejected() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(program(directory.path(), &["--listen", "127.0.0.1:0"]));
    let said = run(directory.path(), &["--listen", "127.0.0.1:0"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.contains("another guestlist server"), "{}", said.err);
    server.stop();
}

#[test]
fn the_proto_files_are_written_as_they_are() {
    let directory = TempDir::new().unwrap();
    let said = run(directory.path(), &["proto", "--out", "api/of/guestlist"]);
    assert_eq!(said.code, 0, "{}", said.err);
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
    assert_eq!(said.out, format!("wrote {number} files to api/of/guestlist\n"));
    // A second run replaces the files. If a file has the name of the directory, the error names it.
    assert_eq!(run(directory.path(), &["proto", "--out", "api/of/guestlist"]).code, 0);
    std::fs::write(directory.path().join("file"), "").unwrap();
    let said = run(directory.path(), &["proto", "--out", "file"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.contains("cannot write file/"), "{}", said.err);
}
