//! Peers that send messages with a huge length, with a huge size after decompression, or in single
//! bytes.

use std::io::Write;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures::future::join_all;

use super::Target;
use super::peer::{END_HEADERS, END_STREAM, Peer, call, frame, kind};

const GET_CALLER: &str = "/guestlist.v1.AccountService/GetCaller";

/// The head of a call over Connect and HTTP/1.1, without its last line.
fn over_connect(key: &str) -> String {
    format!(
        "POST {GET_CALLER} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         authorization: Bearer {key}\r\ncontent-type: application/json\r\n"
    )
}

async fn status(mut peer: Peer, request: Vec<u8>) -> u16 {
    // The server may respond before the whole request is sent.
    peer.send(&request).await;
    let answer = String::from_utf8_lossy(&peer.closed().await).into_owned();
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    status.unwrap_or_else(|| panic!("{answer}")).parse().unwrap()
}

/// No message follows the length, so the server rejects the call because of the length alone.
pub async fn huge_length(target: Target) {
    let head = frame(kind::HEADERS, END_HEADERS, 1, &call(GET_CALLER, Some(&target.key), &[]));
    let length = frame(kind::DATA, 0, 1, &[0, 0xff, 0xff, 0xff, 0xff]);
    let framed = async |addr| {
        let mut peer = Peer::http2(addr, &[]).await;
        peer.send(&[&head[..], &length].concat()).await;
        peer
    };
    let mut peers = join_all((0..50).map(|_| framed(target.addr))).await;
    target.attack_started();
    for streams in join_all(peers.iter_mut().map(|peer| peer.until_ended(1))).await {
        assert_eq!((streams.ended(), streams.closed), (1, false), "{streams:?}");
    }
    let statuses = join_all((0..50).map(|_| async {
        let request = over_connect(&target.key) + "content-length: 4294967295\r\n\r\n{";
        status(Peer::connect(target.addr).await, request.into_bytes()).await
    }));
    let statuses = statuses.await;
    assert!(statuses.iter().all(|status| *status == 429), "RESOURCE_EXHAUSTED: {statuses:?}");
}

static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..64 {
        encoder.write_all(&[0; 1 << 20]).unwrap();
    }
    encoder.finish().unwrap()
});

pub async fn bomb(target: Target) {
    let bomb = tokio::task::spawn_blocking(|| BOMB.as_slice()).await.unwrap();
    assert!(bomb.len() < 100_000, "it fits into a stream's first window");
    let head = call(GET_CALLER, Some(&target.key), &[("grpc-encoding", "gzip")]);
    let len = u32::try_from(bomb.len()).unwrap().to_be_bytes();
    let message = [&[1][..], &len, bomb].concat();
    let framed = async || {
        let mut peer = Peer::http2(target.addr, &[]).await;
        let mut frames = frame(kind::HEADERS, END_HEADERS, 1, &head);
        for piece in message.chunks(16_000) {
            frames.extend(frame(kind::DATA, 0, 1, piece));
        }
        frames.extend(frame(kind::DATA, END_STREAM, 1, &[]));
        peer.send(&frames).await;
        peer
    };
    let mut peers = join_all((0..16).map(|_| framed())).await;
    target.attack_started();
    let ended = join_all(peers.iter_mut().map(|peer| peer.until_ended(1))).await;
    assert!(ended.iter().all(|streams| streams.ended() == 1), "{ended:?}");
    let statuses = join_all((0..16).map(|_| async {
        let head = over_connect(&target.key)
            + &format!("content-encoding: gzip\r\ncontent-length: {}\r\n\r\n", bomb.len());
        status(Peer::connect(target.addr).await, [head.as_bytes(), bomb].concat()).await
    }));
    assert!(statuses.await.into_iter().all(|status| status == 429), "RESOURCE_EXHAUSTED");
}

/// Some thousand bytes, each in its own frame or chunk.
pub async fn slices(target: Target) {
    const BYTES: usize = 4000;
    let head = call(GET_CALLER, Some(&target.key), &[]);
    // The message has no field 15; the server skips it.
    let text = vec![b'x'; BYTES - 3];
    let mut message = vec![15 << 3 | 2];
    message.extend([(text.len() & 127) as u8 | 128, (text.len() >> 7) as u8]);
    message.extend(text);
    let framed =
        [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), &message].concat();
    let mut frames = frame(kind::HEADERS, END_HEADERS, 1, &head);
    for byte in &framed {
        frames.extend(frame(kind::DATA, 0, 1, &[*byte]));
    }
    frames.extend(frame(kind::DATA, END_STREAM, 1, &[]));

    let chunks = "1\r\n \r\n".repeat(BYTES);
    let request = over_connect(&target.key) + "transfer-encoding: chunked\r\n\r\n1\r\n{\r\n";
    let request = request + &chunks + "1\r\n}\r\n0\r\n\r\n";

    let mut peers = join_all((0..8).map(|_| Peer::http2(target.addr, &[]))).await;
    target.attack_started();
    let in_frames = join_all(peers.iter_mut().map(|peer| async {
        peer.send(&frames).await;
        peer.until_ended(1).await
    }));
    let in_chunks = join_all((0..8).map(|_| async {
        status(Peer::connect(target.addr).await, request.clone().into_bytes()).await
    }));
    let (in_frames, in_chunks) = tokio::join!(in_frames, in_chunks);
    for streams in in_frames {
        assert!(streams.closed || streams.ended() == 1, "{streams:?}");
    }
    assert!(in_chunks.iter().all(|status| *status == 200), "{in_chunks:?}");
}
