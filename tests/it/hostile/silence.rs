//! Peers that begin to send and do not continue.

use std::time::Duration;

use futures::future::join_all;

use super::Target;
use super::peer::{PREFACE, Peer, call, frame, kind};

/// Opens `count` connections, sends `input` on each and then nothing, and waits until the server
/// has closed all.
async fn all_closed(target: &Target, count: usize, input: &[u8]) {
    let peers = (0..count).map(|_| async {
        let mut peer = Peer::connect(target.addr).await;
        peer.send(input).await;
        peer
    });
    let mut peers = join_all(peers).await;
    target.attack_started();
    join_all(peers.iter_mut().map(Peer::closed)).await;
}

pub async fn silent(target: Target) {
    all_closed(&target, 200, b"").await;
}

pub async fn partial_preface(target: Target) {
    all_closed(&target, 200, &PREFACE[..20]).await;
}

pub async fn partial_head(target: Target) {
    all_closed(&target, 200, b"POST /guestlist.v1.AccountService/GetCaller HTTP/1.1\r\nhost: ")
        .await;
}

/// Always sends one more byte and never ends the head, so no timeout for silence ends it.
pub async fn dripping_head(target: Target) {
    let peers = (0..100).map(|_| async {
        let mut peer = Peer::connect(target.addr).await;
        peer.send(b"GET /readyz HTTP/1.1\r\nx: ").await;
        peer
    });
    let peers = join_all(peers).await;
    target.attack_started();
    let drips = peers.into_iter().map(|mut peer| async move {
        while peer.send(b"y").await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    join_all(drips).await;
}

/// HEADERS whose block does not end. Inside a block a peer cannot respond to a ping.
pub async fn partial_block(target: Target) {
    let headers = frame(kind::HEADERS, 0, 1, &call("/grpc.health.v1.Health/Check", None, &[]));
    let input = [PREFACE, &frame(kind::SETTINGS, 0, 0, &[]), &headers].concat();
    all_closed(&target, 200, &input).await;
}
