//! The program itself, as whoever runs it does: its commands, and a server that
//! is a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::client::Client;
use super::{Database, Engine, Person, Protocol};

/// No start and no end takes longer unless it hangs.
const HANG: Duration = Duration::from_secs(60);

/// What the line that scripts wait for begins with, and its end: `://ADDRESS`.
const READY: &str = "listening on http";

/// The program in a directory, with nothing of ours in the environment.
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

/// How a command ended, and what it said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs a command to its end.
pub fn say(mut command: Command) -> Said {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
}

/// A directory and a store, and the settings that lead to them.
pub struct Installation {
    pub database: Database,
    settings: Vec<(&'static str, String)>,
}

impl Installation {
    /// With nothing in it yet, not even a schema.
    pub async fn new(engine: Engine) -> Self {
        Self::on(Database::empty(engine).await)
    }

    /// On a store that is there.
    pub fn on(database: Database) -> Self {
        let mut settings = vec![
            ("GUESTLIST_LISTEN", "127.0.0.1:0".to_owned()),
            ("GUESTLIST_DATA_DIR", database.directory.path().display().to_string()),
            ("GUESTLIST_DATABASE_URL", database.url.clone()),
            // Tests make more at once than people do.
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

    /// Where the files are.
    pub fn directory(&self) -> &Path {
        self.database.directory.path()
    }

    /// The file with the key that the first start makes.
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
    pub fn run(&self, arguments: &[&str]) -> Said {
        say(self.command(arguments, &[]))
    }

    /// A server that is ready.
    pub fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    /// The same with more settings.
    pub fn serve_with(&self, settings: &[(&str, &str)]) -> Server {
        Server::start(self.command(&["serve"], settings))
    }

    /// A new key for the person with this address.
    pub fn new_key(&self, email: &str) -> String {
        let said = self.run(&["keys", "create", "--email", email]);
        assert_eq!((said.code, said.err.as_str()), (0, ""));
        said.out.trim_end().to_owned()
    }

    pub async fn remove(self) {
        self.database.remove().await;
    }
}

/// A server in a process of its own, killed with the test if it has not ended.
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
    /// Since it was waited for.
    pub took: Duration,
    pub out: String,
    pub err: String,
}

impl Server {
    /// Starts one and waits until it says that it is ready.
    pub fn start(mut command: Command) -> Self {
        let mut process =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let out = Lines::of(process.stdout.take().unwrap());
        let err = Lines::of(process.stderr.take().unwrap());
        let addr = ([127, 0, 0, 1], 0).into();
        let mut server = Self { addr, process, out, err };
        let since = Instant::now();
        loop {
            let said = server.out.all();
            let ready = said.lines().find_map(|line| line.strip_prefix(READY)?.split_once("://"));
            if let Some((_, addr)) = ready {
                server.addr = addr.parse().expect("an address and a port");
                return server;
            }
            let ended = server.process.try_wait().unwrap();
            assert!(ended.is_none() && since.elapsed() < HANG, "{ended:?}: {}", server.err.all());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it said on standard output up to now.
    pub fn said(&self) -> String {
        self.out.all()
    }

    /// What it logged up to now.
    pub fn logged(&self) -> String {
        self.err.all()
    }

    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Somebody with this key, over gRPC.
    pub fn person(&self, key: &str) -> Person {
        Person::new(Client::new(self.addr, Protocol::Grpc), Some(key.to_owned()))
    }

    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Ends it as nothing can prepare for.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Waits for its end.
    pub fn ended(mut self) -> Ended {
        let since = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                let took = since.elapsed();
                let (out, err) = (self.out.at_the_end(), self.err.at_the_end());
                return Ended { code: status.code(), took, out, err };
            }
            assert!(since.elapsed() < HANG, "it does not end: {}", self.err.all());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks it to end, and waits.
    pub fn stop(self) -> Ended {
        self.signal("TERM");
        self.ended()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, which is no error here.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// What a process writes, read as it comes: a pipe that nobody reads would stop it.
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
                let line = line.expect("it is text");
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
