//! Peers that send requests and do not read the responses.

use futures::future::join_all;

use super::Target;
use super::peer::{END_HEADERS, END_STREAM, INITIAL_WINDOW, Peer, call, frame, get, ids, kind};

const STREAMS: usize = 100;

/// Peers that never open their flow-control windows, but respond to every ping.
pub async fn shut_window(target: Target) {
    let page = ids(STREAMS)
        .flat_map(|id| frame(kind::HEADERS, END_HEADERS | END_STREAM, id, &get("/openapi.json")));
    let page: Vec<u8> = page.collect();
    let head = call("/guestlist.v1.AccountService/GetCaller", Some(&target.key), &[]);
    let calls = ids(STREAMS).flat_map(|id| {
        let mut call = frame(kind::HEADERS, END_HEADERS, id, &head);
        call.extend(frame(kind::DATA, END_STREAM, id, &[0; 5]));
        call
    });
    let calls: Vec<u8> = calls.collect();
    let inputs = std::iter::repeat_n(&page, 5).chain(std::iter::repeat_n(&calls, 5));
    let peers = inputs.map(|input| async {
        let mut peer = Peer::http2(target.addr, &[(INITIAL_WINDOW, 0)]).await;
        peer.send(input).await;
        peer
    });
    let mut peers = join_all(peers).await;
    target.attack_started();
    for streams in join_all(peers.iter_mut().map(|peer| peer.until_ended(STREAMS))).await {
        assert_eq!((streams.reset.len(), streams.closed), (STREAMS, false), "{streams:?}");
    }
}

/// Requests for a page of some length, until the server reads no more of them. In the end the
/// server closes the connection.
pub async fn unread(target: Target) {
    const MAX_FRAMES: usize = 100_000;
    let mut peers = join_all((0..20).map(|_| Peer::connect(target.addr))).await;
    target.attack_started();
    let requests = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100);
    for sent in join_all(peers.iter_mut().map(|peer| peer.flood(&requests, MAX_FRAMES))).await {
        assert!(sent < MAX_FRAMES, "the server closes the connection");
    }
}
