//! A server with fewer file descriptors than peers that connect.

use std::process::Command;
use std::time::Duration;

use futures::future::join_all;
use tokio::net::TcpStream;

use super::caller::Caller;
use super::process::{Memory, Work};
use super::{BOUNDS, Figures, MAX_GROWTH, end};
use crate::support::{Engine, Installation, Server, run_installed};

/// Descriptors that the server may have; it keeps some for itself and its store.
const LIMIT: usize = 150;

#[test]
fn p37_a_server_survives_more_connections_than_file_descriptors() {
    run_installed(Engine::Sqlite, async |at| {
        attacked(at, 100).await;
    });
}

/// Opens more connections than there are descriptors, and keeps them open. The server immediately
/// closes those that have no descriptor. Meanwhile it serves the connected clients, and it serves
/// new clients after the peers have closed their connections.
pub async fn attacked(at: &Installation, calls: usize) -> Figures {
    // No connection is closed because it is silent, and no client has to connect again.
    let long_timeouts = [
        ("GUESTLIST_HTTP__FIRST_BYTE_TIMEOUT", "10m"),
        ("GUESTLIST_HTTP__KEEP_ALIVE_INTERVAL", "10m"),
        // All connections come from one address.
        ("GUESTLIST_HTTP__MAX_CONNECTIONS_PER_NETWORK", "0"),
    ];
    let program = at.command(&["serve"], &[&BOUNDS[..], &long_timeouts].concat());
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -n {LIMIT} && exec \"$0\" serve")]);
    limited.arg(program.get_program()).current_dir(at.directory());
    limited.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let server = Server::start(limited);
    let key = std::fs::read_to_string(at.key_file()).unwrap().trim().to_owned();
    let mut caller = Caller::new(server.addr, &key).await;
    caller.calls(calls / 2 + 20).await;
    let without = caller.calls_over_kept(calls).await;

    let memory = Memory::of(server.pid());
    let connect = || join_all((0..2 * LIMIT).map(|_| TcpStream::connect(server.addr)));
    let held = connect().await;
    while caller.is_served().await {
        // The server has not handled all connections yet.
    }
    let with = caller.calls_over_kept(calls).await;
    assert!(server.logged().contains("too many open connections"), "no peer is rejected");
    // No client sends a request in this second, so the server should do no work.
    let idle = Work::of(server.pid());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let share = idle.share();
    assert!(share < 0.2, "the idle server uses the processor: {share}");
    let growth = memory.growth();
    assert!(growth < MAX_GROWTH, "{} MiB", growth >> 20);

    drop(held);
    while !caller.is_served().await {
        // The server has not noticed all closed connections yet.
    }
    caller.calls(20).await;
    let again = connect().await;
    let end = end(server, "files").await;
    drop(again);
    let answer = "no room is left to them, closed at once; the processor idles";
    let name = "300 connections, and 150 file descriptors";
    Figures { name, answer, rounds: 1, growth, without, with, end }
}
