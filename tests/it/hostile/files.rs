//! A server that has no file descriptor left.

use std::process::Command;
use std::time::Duration;

use futures::future::join_all;
use tokio::net::TcpStream;

use super::caller::Caller;
use super::process::{Memory, Work};
use super::{BOUNDS, Figures, MAX_GROWTH, end};
use crate::support::{Engine, Installation, Server, run_installed};

/// Descriptors that the server may have; it needs some for itself and its store.
const LIMIT: usize = 150;

#[test]
fn p37_a_full_table_of_files() {
    run_installed(Engine::Sqlite, async |at| {
        attacked(at, 100).await;
    });
}

/// More connections than descriptors, which are held; whoever is connected is served
/// meanwhile, and who waits is served when there is room again.
pub async fn attacked(at: &Installation, calls: usize) -> Figures {
    // Nobody's silence makes room, and nobody has to connect again.
    let patient = [
        ("GUESTLIST_HTTP__FIRST_BYTE_TIMEOUT", "10m"),
        ("GUESTLIST_HTTP__KEEP_ALIVE_INTERVAL", "10m"),
    ];
    let program = at.command(&["serve"], &[&BOUNDS[..], &patient].concat());
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -n {LIMIT} && exec \"$0\" serve")]);
    limited.arg(program.get_program()).current_dir(at.directory());
    limited.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let server = Server::start(limited);
    let key = std::fs::read_to_string(at.key_file()).unwrap().trim().to_owned();
    let mut caller = Caller::new(server.addr, &key).await;
    // Many at once, so that the store has all the connections it will have.
    join_all((0..50).map(|_| caller.over_new())).await;
    caller.calls_over_kept(calls / 2 + 20).await;
    let without = caller.calls_over_kept(calls).await;

    let memory = Memory::of(server.pid());
    let held = join_all((0..2 * LIMIT).map(|_| TcpStream::connect(server.addr))).await;
    let told = async {
        while !server.logged().contains("cannot accept connections") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    told.await;
    let work = Work::of(server.pid());
    // Nobody asks for anything: what is worked now is for nothing.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let share = work.share();
    assert!(share < 0.2, "it spins: {share}");
    let with = caller.calls_over_kept(calls).await;
    let growth = memory.growth();
    assert!(growth < MAX_GROWTH, "{} MiB", growth >> 20);

    drop(held);
    caller.over_new().await;
    let again = join_all((0..2 * LIMIT).map(|_| TcpStream::connect(server.addr))).await;
    let end = end(server, "files").await;
    drop(again);
    let answer = "accepting pauses, the processor idles; served again when there is room";
    let name = "300 connections, and 150 file descriptors";
    Figures { name, answer, rounds: 1, growth, without, with, end }
}
