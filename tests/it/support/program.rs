//! Runs the program as its users do: its commands, and a server in a separate process.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::client::Client;
use super::{Database, Engine, Person, Protocol};

/// The longest time for a start or a shutdown. One that takes longer hangs.
const HANG: Duration = Duration::from_secs(60);

/// The start of the line that scripts wait for. The line ends with `://ADDRESS`.
const READY: &str = "listening on http";

/// The program in a directory, without `GUESTLIST_` variables in its environment.
pub fn program(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_guestlist"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GUESTLIST_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).current_dir(directory).stdin(Stdio::null());
    command
}

/// The exit code and the output of a command.
#[derive(Debug)]
pub struct CommandOutput {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs a command to its end.
pub fn run_to_end(mut command: Command) -> CommandOutput {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    CommandOutput { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
}

/// A directory and a store, and the settings that select them.
pub struct Installation {
    pub database: Database,
    settings: Vec<(&'static str, String)>,
}

impl Installation {
    /// A new installation with an empty store, without a schema.
    pub async fn new(engine: Engine) -> Self {
        Self::on(Database::empty(engine).await)
    }

    /// An installation on an existing store.
    pub fn on(database: Database) -> Self {
        let mut settings = vec![
            ("GUESTLIST_LISTEN", "127.0.0.1:0".to_owned()),
            ("GUESTLIST_DATA_DIR", database.directory.path().display().to_string()),
            ("GUESTLIST_DATABASE_URL", database.url.clone()),
            // Tests create more at once than users do, so there are no limits.
            ("GUESTLIST_LIMITS__ORGANIZATIONS_PER_ACCOUNT", "0".to_owned()),
            ("GUESTLIST_LIMITS__INVITES_PER_ACCOUNT", "0".to_owned()),
            ("GUESTLIST_LIMITS__INVITES_PER_ORGANIZATION", "0".to_owned()),
            ("GUESTLIST_LIMITS__INVITES_PER_ADDRESS", "0".to_owned()),
            ("GUESTLIST_LIMITS__JOINS_PER_ACCOUNT", "0".to_owned()),
        ];
        if database.engine == Engine::Postgres {
            let key = hex::encode(rand::random::<[u8; 32]>());
            settings.push(("GUESTLIST_SECRET_KEY", key));
        }
        Self { database, settings }
    }

    /// The directory of the files.
    pub fn directory(&self) -> &Path {
        self.database.directory.path()
    }

    /// The file with the API key, which the first start creates.
    pub fn key_file(&self) -> PathBuf {
        self.directory().join("admin.key")
    }

    pub fn command(&self, arguments: &[&str], more: &[(&str, &str)]) -> Command {
        let mut command = program(self.directory(), arguments);
        command.envs(self.settings.iter().map(|(name, value)| (*name, value)));
        command.envs(more.iter().copied());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> CommandOutput {
        run_to_end(self.command(arguments, &[]))
    }

    /// Starts a server and waits until it is ready.
    pub fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    /// The same with more settings.
    pub fn serve_with(&self, settings: &[(&str, &str)]) -> Server {
        Server::start(self.command(&["serve"], settings))
    }

    /// Creates a key for the person with this address.
    pub fn new_key(&self, email: &str) -> String {
        let output = self.run(&["keys", "create", "--email", email]);
        assert_eq!((output.code, output.err.as_str()), (0, ""));
        output.out.trim_end().to_owned()
    }

    pub async fn remove(self) {
        self.database.remove().await;
    }
}

/// A server in a separate process. It is killed when this value is dropped, if it still runs.
pub struct Server {
    pub addr: SocketAddr,
    process: Child,
    out: Lines,
    err: Lines,
}

/// How a server ended.
#[derive(Debug)]
pub struct Ended {
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    /// The time from the start of the wait to the end of the process.
    pub took: Duration,
    pub out: String,
    pub err: String,
}

impl Server {
    /// Starts a server and waits until it prints that it is ready.
    pub fn start(mut command: Command) -> Self {
        let mut process =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it is spawned");
        let out = Lines::of(process.stdout.take().unwrap());
        let err = Lines::of(process.stderr.take().unwrap());
        let addr = ([127, 0, 0, 1], 0).into();
        let mut server = Self { addr, process, out, err };
        let since = Instant::now();
        loop {
            let output = server.out.all();
            let ready = output.lines().find_map(|line| line.strip_prefix(READY)?.split_once("://"));
            if let Some((_, addr)) = ready {
                server.addr = addr.parse().expect("an address and a port");
                return server;
            }
            let ended = server.process.try_wait().unwrap();
            assert!(ended.is_none() && since.elapsed() < HANG, "{ended:?}: {}", server.err.all());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The text on standard output up to now.
    pub fn output(&self) -> String {
        self.out.all()
    }

    /// The log up to now.
    pub fn logged(&self) -> String {
        self.err.all()
    }

    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A person with this credential, over gRPC.
    pub fn person(&self, key: &str) -> Person {
        Person::new(Client::new(self.addr, Protocol::Grpc), Some(key.to_owned()))
    }

    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Kills the process with SIGKILL, so that the server cannot shut down in order.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Waits until the process ends.
    pub fn ended(mut self) -> Ended {
        let since = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                let took = since.elapsed();
                let (out, err) = (self.out.at_the_end(), self.err.at_the_end());
                return Ended { code: status.code(), took, out, err };
            }
            assert!(since.elapsed() < HANG, "the server does not end: {}", self.err.all());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends SIGTERM, and waits until the process ends.
    pub fn stop(self) -> Ended {
        self.signal("TERM");
        self.ended()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may have ended by itself; that is no error here.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// The output of a process, which a thread reads: a full pipe would block the process.
struct Lines {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let into = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines() {
                let line = line.expect("the output is text");
                *into.lock().unwrap() += &format!("{line}\n");
            }
        });
        Self { text, reader: Some(reader) }
    }

    fn all(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    fn at_the_end(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.all()
    }
}
