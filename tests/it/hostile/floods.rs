//! Peers that send HTTP/2 frames endlessly.

use futures::future::join_all;

use super::Target;
use super::peer::{END_HEADERS, END_STREAM, Peer, call, frame, kind};

const HEALTH: &str = "/grpc.health.v1.Health/Check";

/// More sends than all buffers between the peer and the server can hold.
const MAX_FRAMES: usize = 1_000_000;

async fn peers(target: &Target, count: usize) -> Vec<Peer> {
    join_all((0..count).map(|_| Peer::http2(target.addr, &[]))).await
}

/// Some peers flood the server, each until the server closes its connection.
async fn floods(target: &Target, begin: &[u8], frames: &[u8]) {
    let mut peers = peers(target, 4).await;
    for peer in &mut peers {
        peer.send(begin).await;
    }
    target.attack_started();
    for sent in join_all(peers.iter_mut().map(|peer| peer.flood(frames, MAX_FRAMES))).await {
        assert!(sent < MAX_FRAMES, "the server closes the connection");
    }
}

/// CVE-2024-27316 and similar attacks.
pub async fn continuation(target: Target) {
    let begin = frame(kind::HEADERS, END_STREAM, 1, &call(HEALTH, None, &[]));
    let more = super::peer::block(&[("x", &"y".repeat(1000))]);
    floods(&target, &begin, &frame(kind::CONTINUATION, 0, 1, &more)).await;
}

/// CVE-2019-9512
pub async fn ping(target: Target) {
    floods(&target, b"", &frame(kind::PING, 0, 0, &[0; 8]).repeat(1000)).await;
}

/// CVE-2019-9515
pub async fn settings(target: Target) {
    floods(&target, b"", &frame(kind::SETTINGS, 0, 0, &[]).repeat(1000)).await;
}

/// CVE-2019-9518
pub async fn empty_data(target: Target) {
    let mut peers = peers(&target, 4).await;
    target.attack_started();
    let floods = peers.iter_mut().map(|peer| async {
        peer.send(&frame(kind::HEADERS, END_HEADERS, 1, &call(HEALTH, None, &[]))).await;
        let frames = frame(kind::DATA, 0, 1, &[]).repeat(1000);
        peer.flood(&frames, 50).await;
        peer.send(&frame(kind::DATA, END_STREAM, 1, &[])).await;
        peer.until_ended(1).await
    });
    for streams in join_all(floods).await {
        assert!(streams.closed || streams.ended() == 1, "{streams:?}");
    }
}
