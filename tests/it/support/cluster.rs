//! A PostgreSQL of the test's own, whose end is the test's to choose.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Runs until it is dropped; killed, it is started again on the same port.
pub struct Cluster {
    pub url: String,
    /// Where `tests/postgres` has its files.
    directory: TempDir,
    script: Child,
}

impl Cluster {
    /// One with its files below a directory; durable, as in life.
    ///
    /// # Panics
    /// Without PostgreSQL's programs, as every test on PostgreSQL does.
    pub fn start(below: &Path) -> Self {
        Self::start_with(below, &[])
    }

    /// One that speaks TLS with the files of a directory; see `tests/postgres`.
    pub fn start_with_tls(files: &Path) -> Self {
        Self::start_with(&std::env::temp_dir(), &["--tls".as_ref(), files.as_os_str()])
    }

    fn start_with(below: &Path, more: &[&OsStr]) -> Self {
        let directory = TempDir::new_in(below).unwrap();
        // PostgreSQL's files are another user's where root runs the tests.
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
        assert!(url.starts_with("postgres://"), "tests/postgres said why not");
        Self { url: url.trim().to_owned(), directory, script }
    }

    /// Its process, that of which all others are children.
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

/// Ends a process that the test has started.
pub fn kill(process: Pid, signal: Signal) {
    kill_process(process, signal).expect("it runs still");
}
