//! A PostgreSQL server of one test, which the test can kill.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A PostgreSQL server that runs until this value is dropped. If it is killed, it starts again on
/// the same port.
pub struct Cluster {
    pub url: String,
    /// The directory for the files of `tests/postgres`.
    directory: TempDir,
    script: Child,
}

impl Cluster {
    /// Starts a server with its files below a directory. It uses fsync, as in production.
    ///
    /// # Panics
    /// If PostgreSQL's programs are not installed. Every test on PostgreSQL then panics.
    pub fn start(below: &Path) -> Self {
        Self::start_with(below, &[])
    }

    /// Starts a server that uses TLS with the files of a directory; see `tests/postgres`.
    pub fn start_with_tls(files: &Path) -> Self {
        Self::start_with(&std::env::temp_dir(), &["--tls".as_ref(), files.as_os_str()])
    }

    fn start_with(below: &Path, more: &[&OsStr]) -> Self {
        let directory = TempDir::new_in(below).unwrap();
        // If root runs the tests, PostgreSQL runs as another user, who must reach its files here.
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres");
        let mut script = Command::new(script)
            .args(["--durable", "--again"])
            .args(more)
            .env("TMPDIR", directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/postgres starts");
        let mut url = String::new();
        BufReader::new(script.stdout.take().unwrap()).read_line(&mut url).unwrap();
        assert!(url.starts_with("postgres://"), "tests/postgres printed the reason");
        Self { url: url.trim().to_owned(), directory, script }
    }

    /// The process that is the parent of all other processes of the server.
    pub fn postmaster(&self) -> Pid {
        let mut files = std::fs::read_dir(self.directory.path()).unwrap();
        let file = files.next().unwrap().unwrap().path().join("data/postmaster.pid");
        let text = std::fs::read_to_string(file).unwrap();
        Pid::from_raw(text.lines().next().unwrap().parse().unwrap()).unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        self.script.wait().expect("the script ends");
    }
}

/// Sends a signal to a process that the test has started.
pub fn kill(process: Pid, signal: Signal) {
    kill_process(process, signal).expect("the process still runs");
}
