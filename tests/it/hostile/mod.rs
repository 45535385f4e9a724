//! Hostile peers (P34, P37, P41): a table of attacks in one harness, against the program in its own
//! process.
//!
//! An attack runs in rounds, one after another. A round opens its connections, attacks, and asserts
//! how the server reacts. Meanwhile a well-behaved client makes calls, and all of them succeed. The
//! server's memory stays within its limit, SIGTERM ends the server in time while the attackers are
//! connected, and nothing panics.
//!
//! This prints the figures as a table. Nothing else should run meanwhile:
//!
//! ```sh
//! GUESTLIST_TEST_FIGURES=1 cargo test --release --test it hostile::figures -- --nocapture
//! ```

mod bodies;
mod caller;
mod connection_limits;
mod files;
mod floods;
mod messages;
mod peer;
mod process;
mod readers;
mod silence;
mod streams;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::caller::{Caller, Latencies};
use self::process::Memory;
use crate::support::{Engine, Installation, Server, run_installed};

/// The memory growth that an attack may cause, in bytes.
const MAX_GROWTH: u64 = 64 << 20;

/// The server's settings during an attack: shorter timeouts, and the usual values for all others.
const BOUNDS: [(&str, &str); 9] = [
    ("GUESTLIST_HTTP__FIRST_BYTE_TIMEOUT", "2s"),
    ("GUESTLIST_HTTP__HEAD_TIMEOUT", "2s"),
    ("GUESTLIST_HTTP__HANDSHAKE_TIMEOUT", "1s"),
    ("GUESTLIST_HTTP__WRITE_TIMEOUT", "1s"),
    ("GUESTLIST_HTTP__REQUEST_TIMEOUT", "5s"),
    ("GUESTLIST_HTTP__KEEP_ALIVE_INTERVAL", "2s"),
    ("GUESTLIST_HTTP__KEEP_ALIVE_TIMEOUT", "2s"),
    ("GUESTLIST_HTTP__DRAIN_TIMEOUT", "2s"),
    // Without this, each call of the well-behaved client writes a log line.
    ("GUESTLIST_LOG__FILTER", "warn"),
];

/// The drain timeout, and much more time than the steps after it need.
const END: Duration = Duration::from_secs(10);

/// If this environment variable is set, `figures` measures.
const FIGURES: &str = "GUESTLIST_TEST_FIGURES";

/// One kind of attack.
struct Attack {
    name: &'static str,
    /// How the server reacts.
    answer: &'static str,
    round: fn(Target) -> BoxFuture<'static, ()>,
}

/// The server that a round attacks.
#[derive(Clone)]
struct Target {
    addr: SocketAddr,
    key: String,
    attack_started: Arc<watch::Sender<usize>>,
}

impl Target {
    /// Reports that a round's peers are connected and attack.
    fn attack_started(&self) {
        self.attack_started.send_modify(|rounds| *rounds += 1);
    }
}

/// The measurements of an attack.
struct Figures {
    name: &'static str,
    answer: &'static str,
    rounds: usize,
    growth: u64,
    without: Latencies,
    with: Latencies,
    end: Duration,
}

/// The table of attacks, and a short test of each.
macro_rules! attacks {
    ($($test:ident: $round:path, $name:literal => $answer:literal;)+) => {
        const ATTACKS: &[Attack] = &[$(Attack {
            name: $name,
            answer: $answer,
            round: |target| Box::pin($round(target)),
        }),+];

        $(#[test]
        fn $test() {
            let attack = ATTACKS.iter().find(|attack| attack.name == $name).unwrap();
            run_installed(Engine::Sqlite, async |at| {
                attacked(at, attack, 100).await;
            });
        })+
    };
}

attacks! {
    p37_silent_connections: silence::silent, "200 silent connections" => "closed after `first_byte_timeout`";
    p37_partial_prefaces: silence::partial_preface, "200 with half an HTTP/2 preface" => "closed after `first_byte_timeout`";
    p37_partial_heads: silence::partial_head, "200 with half an HTTP/1 head" => "closed after `head_timeout`";
    p37_heads_sent_byte_by_byte: silence::dripping_head, "100 that send a head byte by byte for ever" => "closed after `head_timeout`";
    p37_partial_header_blocks: silence::partial_block, "200 with half an HTTP/2 header block" => "closed when no ping is answered";
    p37_unfinished_streams: streams::unfinished, "1,200 calls without an end by strangers, 100 by one with a key" => "refused over a quarter of `max_anonymous_requests`, the others at `request_timeout`";
    p37_too_many_health_watches: streams::watchers, "1,200 that watch health" => "refused over a quarter of `max_anonymous_streaming_requests`";
    p41_unfinished_bodies_without_a_credential: bodies::unfinished, "1,000 strangers with all but the end of a body of 1 MiB" => "refused by the head; read on for 2 s at most";
    p37_too_many_streams: streams::too_many, "1,000 streams at once on one connection" => "refused over `max_streams`";
    p37_rapid_reset: streams::rapid_reset, "streams opened and reset at once" => "closed, over 20 resets before a look";
    p37_provoked_stream_resets: streams::provoked_resets, "streams that make the server reset them" => "closed, over 256 resets";
    p37_continuation_flood: floods::continuation, "CONTINUATION without an end" => "closed over the header bound";
    p37_ping_flood: floods::ping, "PING without an end, no answer read" => "not read on; closed after `write_timeout`";
    p37_settings_flood: floods::settings, "SETTINGS without an end, no answer read" => "not read on; closed after `write_timeout`";
    p37_empty_data_flood: floods::empty_data, "50,000 empty DATA frames a call" => "dropped as they come; refused at the end";
    p37_huge_lengths: messages::huge_length, "messages that say they are 4 GiB" => "refused by the length";
    p37_decompression_bombs: messages::bomb, "64 MiB of zeros in gzip, over gRPC and Connect" => "refused at `max_request_bytes`";
    p37_one_byte_at_a_time: messages::slices, "a message in slices of a byte, HTTP/1 and 2" => "answered, or closed over the budget of small frames";
    p37_closed_flow_control_windows: readers::shut_window, "1,000 answers that are not taken, over HTTP/2" => "each stream reset after `write_timeout`";
    p37_unread_answers: readers::unread, "20 that ask on and on over HTTP/1 and read nothing" => "not read on; closed after `write_timeout`";
}

/// Attacks a new server, and asserts everything that the top of this file lists.
async fn attacked(at: &Installation, attack: &Attack, calls: usize) -> Figures {
    let server = at.serve_with(&BOUNDS);
    let key = std::fs::read_to_string(at.key_file()).unwrap().trim().to_owned();
    let mut caller = Caller::new(server.addr, &key).await;
    // The memory that the first calls allocate once is not a cost of the attack.
    caller.calls(calls / 2 + 20).await;
    let without = caller.calls(calls).await;

    let memory = Memory::of(server.pid());
    let attack_started = Arc::new(watch::Sender::new(0));
    let (finished, mut rounds) = watch::channel(0);
    let target = Target { addr: server.addr, key, attack_started: Arc::clone(&attack_started) };
    let round = attack.round;
    let attackers = tokio::spawn(async move {
        loop {
            round(target.clone()).await;
            finished.send_modify(|rounds| *rounds += 1);
        }
    });
    let attackers = Attackers(Some(attackers));
    attack_started.subscribe().wait_for(|rounds| *rounds > 0).await.unwrap();

    let mut with = caller.calls(calls).await;
    // Continues to the end of a round, because a round checks the server's reaction at its end.
    while *rounds.borrow_and_update() == 0 && attackers.is_running() {
        with.add(caller.calls(10).await);
    }
    let growth = memory.growth();
    let attackers = attackers.running_task().await;
    assert!(growth < MAX_GROWTH, "{}: {} MiB", attack.name, growth >> 20);

    let so_far = *attack_started.borrow();
    attack_started.subscribe().wait_for(|rounds| *rounds > so_far).await.unwrap();
    let end = end(server, attack.name).await;
    attackers.abort();
    let rounds = *rounds.borrow();
    Figures { name: attack.name, answer: attack.answer, rounds, growth, without, with, end }
}

/// The task that runs the rounds. It ends with the test.
struct Attackers(Option<JoinHandle<()>>);

impl Attackers {
    /// Whether no round has found an error of the server.
    fn is_running(&self) -> bool {
        self.0.as_ref().is_some_and(|task| !task.is_finished())
    }

    /// Returns the running task. Panics if a round has found an error.
    async fn running_task(mut self) -> JoinHandle<()> {
        let task = self.0.take().unwrap();
        if task.is_finished() {
            task.await.expect("the server reacts as expected");
            unreachable!("rounds have no end");
        }
        task
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// Ends the server under attack; returns how long that took.
async fn end(server: Server, name: &str) -> Duration {
    let ended = tokio::task::spawn_blocking(move || server.stop()).await.unwrap();
    assert_eq!(ended.code, Some(0), "{name}: {}", ended.err);
    assert!(ended.took < END, "{name}: {:?}", ended.took);
    for word in ["panic", "\"ERROR\""] {
        assert!(!ended.err.contains(word), "{name}: {}", ended.err);
    }
    ended.took
}

#[test]
fn figures() {
    if std::env::var_os(FIGURES).is_none() {
        return;
    }
    println!(
        "| attack | what the server does | rounds | memory | calls | p99 without | p99 with | SIGTERM |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let print = |figures: &Figures| {
        println!(
            "| {} | {} | {} | +{:.1} MiB | {} of {} | {:.2} ms | {:.2} ms | {:.2} s |",
            figures.name,
            figures.answer,
            figures.rounds,
            figures.growth as f64 / f64::from(1 << 20),
            figures.with.count(),
            figures.with.count(),
            figures.without.p99().as_secs_f64() * 1000.0,
            figures.with.p99().as_secs_f64() * 1000.0,
            figures.end.as_secs_f64(),
        );
    };
    for attack in ATTACKS {
        run_installed(Engine::Sqlite, async |at| print(&attacked(at, attack, 2000).await));
    }
    run_installed(Engine::Sqlite, async |at| print(&files::attacked(at, 2000).await));
}
