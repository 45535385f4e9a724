//! The program itself, with everything it writes kept.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use tempfile::TempDir;

/// How the program is set up: settings as variables.
pub struct Setup {
    pub directory: TempDir,
    variables: Vec<(&'static str, String)>,
}

/// A running server.
pub struct Program {
    process: Child,
    stdout: BufReader<ChildStdout>,
    pub addr: SocketAddr,
    said: String,
}

impl Setup {
    pub fn new(variables: &[(&'static str, &str)]) -> Self {
        let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
        Self { directory: TempDir::new().unwrap(), variables: variables.collect() }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_guestlist"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GUESTLIST_") {
                command.env_remove(name);
            }
        }
        command.args(arguments).current_dir(self.path()).envs(self.variables.iter().cloned());
        command
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub fn start(&self) -> Program {
        let log = File::create(self.path().join("stderr")).unwrap();
        let mut process = self
            .command(&["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut said = String::new();
        loop {
            let start = said.len();
            let read = stdout.read_line(&mut said).unwrap();
            assert_ne!(read, 0, "the server ended: {}", self.log());
            if let Some(addr) = said[start..].trim().strip_prefix("listening on http://") {
                let addr = addr.parse().unwrap();
                return Program { process, stdout, addr, said };
            }
        }
    }

    /// What the server wrote to standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("stderr")).unwrap()
    }
}

impl Program {
    /// Ends it in order; all that it said on standard output.
    pub fn stop(mut self) -> String {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
        while self.stdout.read_line(&mut self.said).unwrap() > 0 {}
        assert_eq!(self.process.wait().unwrap().code(), Some(0));
        std::mem::take(&mut self.said)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // As a rule it has ended already.
        let _ = self.process.kill();
        self.process.wait().unwrap();
    }
}
