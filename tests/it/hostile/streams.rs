//! Peers that open HTTP/2 streams to burden the server, not to get a response.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;

use super::Target;
use super::peer::{END_HEADERS, END_STREAM, Peer, Streams, call, frame, ids, kind};

const HEALTH: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";
const GET_CALLER: &str = "/guestlist.v1.AccountService/GetCaller";

/// The number of streams on one connection.
const STREAMS: usize = 100;

/// The share of one network in `http.max_anonymous_streaming_requests`.
const MAX_WATCHERS: usize = 512 / 4;

/// An empty message.
const EMPTY: [u8; 5] = [0; 5];

/// The frames that open `count` streams, each with this head.
fn opened(count: usize, flags: u8, head: &[u8]) -> Vec<u8> {
    ids(count).flat_map(|id| frame(kind::HEADERS, END_HEADERS | flags, id, head)).collect()
}

/// The bodies never arrive. The server responds to all calls: it rejects them or they time out.
pub async fn unfinished(target: Target) {
    let strangers = std::iter::repeat_n(call(HEALTH, None, &[]), 12);
    let known = std::iter::repeat_n(call(GET_CALLER, Some(&target.key), &[]), 1);
    let peers = strangers.chain(known).map(|head| async move {
        let mut peer = Peer::http2(target.addr, &[]).await;
        peer.send(&opened(STREAMS, 0, &head)).await;
        peer
    });
    let mut peers = join_all(peers).await;
    target.attack_started();
    for streams in join_all(peers.iter_mut().map(|peer| peer.until_ended(STREAMS))).await {
        assert!(!streams.closed, "{streams:?}");
    }
}

/// Responses without an end, which use the server as long as the client keeps them open.
pub async fn watchers(target: Target) {
    let peers = (0..12).map(|_| async {
        let mut peer = Peer::http2(target.addr, &[]).await;
        peer.send(&opened(STREAMS, 0, &call(WATCH, None, &[]))).await;
        for id in ids(STREAMS) {
            peer.send(&frame(kind::DATA, END_STREAM, id, &EMPTY)).await;
        }
        peer
    });
    let mut peers = join_all(peers).await;
    target.attack_started();
    // The server rejects all streams over the limit at once. The others continue.
    let refused = AtomicUsize::new(0);
    let watch = join_all(peers.iter_mut().map(|peer| async {
        let mut results = Streams::default();
        let mut before = 0;
        while peer.next_of(&mut results).await {
            let now = results.ended();
            refused.fetch_add(now - std::mem::replace(&mut before, now), Ordering::Relaxed);
        }
        assert!(!results.closed, "{results:?}");
    }));
    let enough = async {
        while refused.load(Ordering::Relaxed) < 12 * STREAMS - MAX_WATCHERS {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        _ = watch => {}
        () = enough => {}
    }
}

pub async fn too_many(target: Target) {
    let mut peer = Peer::http2(target.addr, &[]).await;
    peer.send(&opened(10 * STREAMS, 0, &call(HEALTH, None, &[]))).await;
    target.attack_started();
    let streams = peer.until_ended(10 * STREAMS).await;
    // The server resets each of them, or closes the whole connection.
    assert!(streams.closed || streams.reset.len() >= 9 * STREAMS, "{streams:?}");
}

/// CVE-2023-44487
pub async fn rapid_reset(target: Target) {
    const MAX_FRAMES: usize = 20_000;
    let head = call(GET_CALLER, Some(&target.key), &[]);
    let cancel = 8_u32.to_be_bytes();
    let mut peers = Vec::new();
    for _ in 0..4 {
        peers.push(Peer::http2(target.addr, &[]).await);
    }
    target.attack_started();
    let floods = peers.iter_mut().map(|peer| async {
        let ids: Vec<u32> = ids(MAX_FRAMES).collect();
        for (n, ids) in ids.chunks(100).enumerate() {
            let pairs = ids.iter().flat_map(|id| {
                let mut pair = frame(kind::HEADERS, END_HEADERS, *id, &head);
                pair.extend(frame(kind::RST_STREAM, 0, *id, &cancel));
                pair
            });
            if !peer.send(&pairs.collect::<Vec<u8>>()).await {
                return n * 100;
            }
        }
        MAX_FRAMES
    });
    for reset in join_all(floods).await {
        assert!(reset < MAX_FRAMES, "the server closes the connection");
    }
}

/// CVE-2025-8671: a WINDOW_UPDATE by zero is an error of the stream, and the server resets the
/// stream.
pub async fn provoked_resets(target: Target) {
    const MAX_FRAMES: usize = 20_000;
    let head = call(GET_CALLER, Some(&target.key), &[]);
    let mut peer = Peer::http2(target.addr, &[]).await;
    target.attack_started();
    let mut made = 0;
    for id in ids(MAX_FRAMES) {
        let mut pair = frame(kind::HEADERS, END_HEADERS, id, &head);
        pair.extend(frame(kind::WINDOW_UPDATE, 0, id, &[0; 4]));
        if !peer.send(&pair).await {
            break;
        }
        made += 1;
    }
    assert!(made < MAX_FRAMES, "the server closes the connection");
}
