use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{in_flight, refuses_connections, until};
use crate::support::{Engine, Server, run_installed};

/// The bytes that a peer sends before it stops: nothing, the start of an HTTP/2 preface, an HTTP/2
/// connection without streams, the start of a request head, one whole request.
const PARTIAL_INPUTS: [&[u8]; 5] = [
    b"",
    b"PRI * HTTP/2.0\r\n\r\nSM",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    b"GET /readyz HTTP/1.1\r\nx: ",
    b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
];

/// A call without its last byte, `}`.
fn incomplete_call(key: &str) -> String {
    format!(
        "POST /guestlist.v1.AccountService/GetCaller HTTP/1.1\r\nhost: x\r\n\
         authorization: Bearer {key}\r\ncontent-type: application/json\r\n\
         content-length: 2\r\n\r\n{{"
    )
}

async fn connect(addr: SocketAddr) -> TcpStream {
    TcpStream::connect(addr).await.unwrap()
}

/// Sends requests and reads no response, until the server stops reading too.
async fn peer_that_never_reads(addr: SocketAddr) -> TcpStream {
    let mut peer = connect(addr).await;
    let requests = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1000);
    for _ in 0..10_000 {
        let write = tokio::time::timeout(Duration::from_secs(1), peer.write_all(&requests));
        match write.await {
            Ok(written) => written.unwrap(),
            Err(_stuck) => return peer,
        }
    }
    panic!("the server buffers requests without a limit");
}

/// Opens ten HTTP/2 streams whose bodies do not end; then it acknowledges no more frames.
async fn open_unfinished_streams(server: &Server, key: &str) -> Box<dyn Send> {
    let tcp = connect(server.addr).await;
    let (mut client, mut connection) = h2::client::handshake(tcp).await.unwrap();
    let mut streams = Vec::new();
    let before = in_flight(server).await;
    let open = async {
        for _ in 0..10 {
            let request = http::Request::post("http://x/guestlist.v1.AccountService/GetCaller")
                .header("authorization", format!("Bearer {key}"))
                .header("content-type", "application/grpc")
                .body(())
                .unwrap();
            std::future::poll_fn(|cx| client.poll_ready(cx)).await.unwrap();
            let (answer, mut body) = client.send_request(request, false).unwrap();
            body.send_data(bytes::Bytes::from_static(b"\0\0"), false).unwrap();
            streams.push((answer, body));
        }
        until("the calls run", async || in_flight(server).await == before + 10).await;
    };
    // The connection writes and acknowledges frames only while it is polled here.
    tokio::select! {
        () = open => {}
        ended = &mut connection => panic!("{ended:?}"),
    }
    Box::new((client, connection, streams))
}

#[test]
fn p34_shutdown_is_in_time_with_slow_clients() {
    run_installed(Engine::Sqlite, async |at| {
        let server = at.serve_with(&[("GUESTLIST_HTTP__DRAIN_TIMEOUT", "2s")]);
        let key = std::fs::read_to_string(at.key_file()).unwrap();
        let key = key.trim();
        let call = incomplete_call(key);
        let streams = open_unfinished_streams(&server, key).await;
        let before = in_flight(&server).await;
        let mut peers = Vec::new();
        for input in [PARTIAL_INPUTS.as_slice(), &[call.as_bytes()]].concat().repeat(10) {
            let mut peer = connect(server.addr).await;
            peer.write_all(input).await.unwrap();
            peers.push(peer);
        }
        // One of the peers that sent most of a call is only slow: it sends the rest below.
        let mut slow_peer = peers.pop().unwrap();
        until("the calls run", async || in_flight(&server).await == before + 10).await;
        peers.push(peer_that_never_reads(server.addr).await);

        server.signal("TERM");
        until("new connections are refused", async || refuses_connections(&server).await).await;
        slow_peer.write_all(b"}").await.unwrap();
        let mut answer = String::new();
        slow_peer.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("operator"), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");

        let ended = server.ended();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert!(ended.err.contains("the drain timeout has passed"), "{}", ended.err);
        assert!(ended.took < Duration::from_secs(5), "{:?}", ended.took);
        drop((peers, streams));
    });
}
