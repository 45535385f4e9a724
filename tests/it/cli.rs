//! The program as it is called: what it prints, where, and its exit codes.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use guestlist::domain::ApiKeySecret;
use tempfile::TempDir;

/// The program in a directory of its own, with nothing of ours in the environment.
fn program(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_guestlist"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GUESTLIST_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).current_dir(directory);
    command
}

fn run(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = program(directory, arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// A server that is ended with the test.
struct Server {
    process: Child,
    /// What it said before it was ready.
    said: Vec<String>,
    address: String,
}

impl Server {
    fn start(directory: &Path) -> Self {
        let process = program(directory, &["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Self { process, said: Vec::new(), address: String::new() };
        for line in BufReader::new(server.process.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some(address) = line.strip_prefix("listening on http://") {
                server.address = address.to_owned();
                return server;
            }
            server.said.push(line);
        }
        panic!("the server ended: {:?}", server.said);
    }

    fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        self.process.wait().unwrap();
    }
}

#[test]
fn the_first_start_tells_where_the_key_is_and_never_the_key() {
    let directory = TempDir::new().unwrap();
    let mut server = Server::start(directory.path());
    let file = directory.path().join("guestlist-data/admin.key");
    let key = std::fs::read_to_string(&file).unwrap();
    assert!(key.trim().parse::<ApiKeySecret>().is_ok());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let said = server.said.join("\n");
    assert!(said.contains("guestlist-data/admin.key") && said.contains("curl"), "{said}");
    assert!(!said.contains(key.trim()));

    server.signal("TERM");
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
    let mut server = Server::start(directory.path());
    assert!(server.said.is_empty(), "only the first start tells: {:?}", server.said);
    server.signal("INT");
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
}

#[test]
fn keys_are_made_listed_and_revoked_beside_a_running_server() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(directory.path());
    let keys = |arguments: &[&str]| run(directory.path(), &[&["keys"], arguments].concat());

    let (code, key, _) = keys(&["create", "--email", "Ana@ACME.com", "--expires", "90d"]);
    assert_eq!(code, 0);
    let key: ApiKeySecret = key.strip_suffix('\n').unwrap().parse().unwrap();
    let (code, service, _) = keys(&["create", "--service", "--name", "portal", "--scope", "act"]);
    assert_eq!(code, 0);
    assert!(service.trim().parse::<ApiKeySecret>().is_ok());

    let (code, list, _) = keys(&["list"]);
    assert_eq!((code, list.lines().count()), (0, 4), "a head and three keys: {list}");
    assert!(list.contains(key.id().as_str()) && list.contains("ana@acme.com"), "{list}");
    assert!(!list.contains(&key.expose()[20..]), "no secret: {list}");

    assert_eq!(keys(&["revoke", key.id().as_str()]).0, 0);
    let (code, _, problem) = keys(&["revoke", key.id().as_str()]);
    assert_eq!(code, 1);
    assert!(problem.contains(key.id().as_str()), "{problem}");
    assert!(keys(&["list"]).1.contains("revoked"));

    let healthcheck = |address: &str| run(directory.path(), &["healthcheck", "--listen", address]);
    assert_eq!(healthcheck(&server.address).0, 0);
    let (code, _, problem) = run(directory.path(), &["--listen", "127.0.0.1:0"]);
    assert_eq!(code, 1);
    assert!(problem.contains("another guestlist server"), "{problem}");
    let address = server.address.clone();
    drop(server);
    assert_eq!(healthcheck(&address).0, 1);
}

#[test]
fn a_key_can_be_made_before_the_first_start() {
    let directory = TempDir::new().unwrap();
    let (code, key, problem) =
        run(directory.path(), &["keys", "create", "--email", "ana@acme.com"]);
    assert_eq!(code, 0, "{problem}");
    assert!(key.trim().parse::<ApiKeySecret>().is_ok());
    let server = Server::start(directory.path());
    assert!(server.said.is_empty(), "there is an account already: {:?}", server.said);
}

#[test]
fn what_is_wrong_is_told_on_standard_error() {
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("half.toml"), "[[issuers]]\nissuer = 'x'\n").unwrap();
    std::fs::write(directory.path().join("keys.txt"), "no key").unwrap();
    let cases: [(&[&str], i32, &str); 9] = [
        (&["check-config", "--listen", "here"], 2, "--listen"),
        (&["--config", "half.toml"], 2, "login_provider"),
        (&["--config", "missing.toml"], 2, "missing.toml"),
        (&["--database-url", "mysql:x"], 2, "database_url"),
        (&["check-config", "--secret-key-file", "keys.txt"], 1, "keys.txt"),
        (&["check-config", "--database-url", "postgres://h/d"], 1, "--secret-key-file"),
        (&["keys", "list"], 1, "--data-dir"),
        (&["keys", "revoke", "x"], 2, "16 hexadecimal digits"),
        (&["serve", "--port", "1"], 2, "--port"),
    ];
    for (arguments, exit, words) in cases {
        let (code, said, problem) = run(directory.path(), arguments);
        assert_eq!(code, exit, "{arguments:?}: {problem}");
        assert!(problem.contains(words), "{arguments:?}: {problem}");
        assert_eq!(said, "", "{arguments:?}");
    }
    assert!(!directory.path().join("guestlist-data").exists(), "nothing was made");
    let (code, said, _) = run(directory.path(), &["check-config"]);
    assert_eq!((code, said.as_str()), (0, "the configuration is right\n"));
    assert!(!directory.path().join("guestlist-data").exists(), "nothing was made");
}

#[test]
fn migrating_twice_changes_nothing() {
    let directory = TempDir::new().unwrap();
    let (code, said, _) = run(directory.path(), &["migrate"]);
    assert_eq!(code, 0);
    assert!(said.contains("is up to date"), "{said}");
    assert_eq!(run(directory.path(), &["migrate"]).1, "the schema was up to date\n");
    // A schema alone is no first start: that makes the first account.
    assert!(!Server::start(directory.path()).said.is_empty());
}
