use std::convert::Infallible;

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;

const TIMEOUT: Duration = Duration::from_secs(10);
const ALMOST: Duration = Duration::from_secs(9);

/// A peer and the server's end of its connection, which buffers 64 bytes.
fn pair() -> (DuplexStream, WriteTimeout<DuplexStream>) {
    let (peer, stream) = tokio::io::duplex(64);
    (peer, WriteTimeout::new(stream, TIMEOUT))
}

#[tokio::test(start_paused = true)]
async fn p37_a_write_without_progress_times_out() {
    let (_peer, mut stream) = pair();
    let started = Instant::now();
    let error = stream.write_all(&[0; 100]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(started.elapsed() >= TIMEOUT && started.elapsed() < 2 * TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_that_makes_progress_is_not_timed_out() {
    let (mut peer, mut stream) = pair();
    let written = tokio::spawn(async move { stream.write_all(&[0; 256]).await });
    let mut buffer = [0; 32];
    for _ in 0..8 {
        tokio::time::sleep(ALMOST).await;
        peer.read_exact(&mut buffer).await.unwrap();
    }
    written.await.unwrap().unwrap();
}

/// A server whose responses have four pieces, and a client whose window holds one.
async fn client() -> h2::client::SendRequest<Bytes> {
    let (client, server) = tokio::io::duplex(1 << 20);
    tokio::spawn(async move {
        let service = service_fn(async |_: Request<Incoming>| {
            let body = Body::new(Full::new(Bytes::from_static(&[7; 4 * PIECE_BYTES])));
            Ok::<_, Infallible>(Response::new(with_delivery_timeout(body)))
        });
        hyper::server::conn::http2::Builder::new(StreamExecutor {
            timeout: TIMEOUT,
            requests: ActiveRequests::new(),
        })
        .timer(TokioTimer::new())
        .max_send_buf_size(PIECE_BYTES)
        .serve_connection(TokioIo::new(server), service)
        .await
    });
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(u32::try_from(PIECE_BYTES).unwrap());
    let (client, connection) = builder.handshake(client).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn response_body(client: &h2::client::SendRequest<Bytes>) -> h2::RecvStream {
    let mut client = client.clone().ready().await.unwrap();
    let request = Request::get("http://x/").body(()).unwrap();
    client.send_request(request, true).unwrap().0.await.unwrap().into_body()
}

/// Reads to the end with a pause before each window update; returns the number of bytes.
async fn read(mut body: h2::RecvStream, pause: Duration) -> Result<usize, h2::Error> {
    let mut len = 0;
    while let Some(data) = body.data().await {
        let data = data?;
        len += data.len();
        assert!(data.iter().all(|byte| *byte == 7));
        tokio::time::sleep(pause).await;
        body.flow_control().release_capacity(data.len())?;
    }
    Ok(len)
}

#[tokio::test(start_paused = true)]
async fn p37_only_the_stream_that_the_client_does_not_read_is_reset() {
    let client = client().await;
    let started = Instant::now();
    let (shut, slow) = (response_body(&client).await, response_body(&client).await);
    let (shut, slow) = tokio::join!(read(shut, 100 * TIMEOUT), read(slow, ALMOST));
    assert_eq!(shut.unwrap_err().reason(), Some(h2::Reason::CANCEL));
    assert_eq!(slow.unwrap(), 4 * PIECE_BYTES, "the slow stream continues");
    assert!(started.elapsed() >= TIMEOUT);
    let quick = response_body(&client).await;
    assert_eq!(
        read(quick, Duration::ZERO).await.unwrap(),
        4 * PIECE_BYTES,
        "the connection continues"
    );
}
