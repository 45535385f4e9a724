use super::*;
use crate::config::Config;
use bytes::Bytes;
use http_body_util::Full;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tonic::body::Body;
use tower::service_fn;

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

fn settings() -> Http {
    Config::reference().http
}

fn hello() -> impl Answer {
    service_fn(async |request: Request<Incoming>| {
        assert!(request.extensions().get::<Peer>().is_some());
        Ok(Response::new(Body::new(Full::new(Bytes::from_static(b"hello")))))
    })
}

/// A connection without a network, so that its time can be moved.
fn connect(service: impl Answer) -> (DuplexStream, JoinHandle<()>, watch::Sender<bool>) {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let (stop, stopped) = watch::channel(false);
    let connections = Connections::new(service, &settings(), None, stopped);
    let peer = Peer::from(std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
    let task = tokio::spawn(async move { connections.run(server, peer).await });
    (client, task, stop)
}

async fn read_all(client: &mut DuplexStream) -> String {
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends `bytes`, stays silent, and says after how long the server gave up.
async fn patience_with(bytes: &[u8]) -> Duration {
    let (mut client, task, _stop) = connect(hello());
    let begun = tokio::time::Instant::now();
    client.write_all(bytes).await.unwrap();
    task.await.unwrap();
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn p37_silent_and_half_spoken_connections_end_in_time() {
    let first_byte = settings().first_byte_timeout;
    let head = settings().head_timeout;
    for (begun, bytes) in [
        (first_byte, &b""[..]),
        (first_byte, b"P"),
        (first_byte, b"PRI * HTTP/2.0\r\n\r\nSM"),
        (head, b"GET / HT"),
        (head, b"GET / HTTP/1.1\r\nx: y\r\n"),
        // Idle after a request.
        (head, GET),
        // A preface and then nothing: the ping stays unanswered.
        (Duration::from_secs(30), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ] {
        let took = patience_with(bytes).await;
        let slack = Duration::from_secs(1);
        assert!(took >= begun && took < begun + slack, "{took:?} for {bytes:?}");
    }
}

#[tokio::test]
async fn both_versions_are_told_apart_however_the_bytes_come() {
    let (mut client, _task, _stop) = connect(hello());
    for byte in b"PUT / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n" {
        client.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(read_all(&mut client).await.ends_with("hello"));

    let (client, _task, _stop) = connect(hello());
    let io = hyper_util::rt::TokioIo::new(client);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    let driver = tokio::spawn(connection);
    let request = Request::get("http://x/").body(Full::new(Bytes::new())).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    driver.abort();
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let (mut client, _task, _stop) = connect(hello());
    client.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
    client.write_all(&[b'y'; 20 * 1024]).await.unwrap();
    assert!(read_all(&mut client).await.starts_with("HTTP/1.1 431"));
}

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

async fn start(service: impl Answer, settings: Http) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(async move {
        serve(listener, service, &settings, None, async { stopped.await.unwrap() }).await;
    });
    Running { address, stop, ended }
}

/// A service that says when it was entered and answers when it is let go.
fn held() -> (impl Answer, Arc<Notify>, Arc<Notify>) {
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (in_service, go) = (Arc::clone(&entered), Arc::clone(&release));
    let service = service_fn(move |_: Request<Incoming>| {
        let (entered, release) = (Arc::clone(&in_service), Arc::clone(&go));
        async move {
            entered.notify_one();
            release.notified().await;
            Ok(Response::new(Body::new(Full::new(Bytes::from_static(b"done")))))
        }
    });
    (service, entered, release)
}

#[tokio::test]
async fn p34_shutdown_lets_what_runs_finish() {
    let (service, entered, release) = held();
    let running = start(service, settings()).await;
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client.write_all(GET).await.unwrap();
    entered.notified().await;

    running.stop.send(()).unwrap();
    // The idle one is closed soon, the other only after its answer.
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0);
    release.notify_one();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("connection: close") && answer.ends_with("done"), "{answer}");
    running.ended.await.unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn p34_a_request_that_is_on_its_way_is_answered() {
    // On a connection without a request, in the middle of one, and after one.
    for (before, after) in [(&b""[..], GET), GET.split_at(8), (GET, GET)] {
        let (mut client, task, stop) = connect(hello());
        client.write_all(before).await.unwrap();
        if before == GET {
            let mut answer = Vec::new();
            while !answer.ends_with(b"hello") {
                client.read_buf(&mut answer).await.unwrap();
            }
        }
        stop.send_replace(true);
        tokio::time::sleep(connection::LINGER / 2).await;
        client.write_all(after).await.unwrap();
        let answer = read_all(&mut client).await;
        assert!(answer.contains("connection: close") && answer.ends_with("hello"), "{answer}");
        task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn p34_who_sends_no_request_is_not_waited_for() {
    for before in [&b""[..], GET] {
        let (mut client, task, stop) = connect(hello());
        client.write_all(before).await.unwrap();
        // A turn for the connection to answer.
        tokio::time::sleep(Duration::from_millis(1)).await;
        stop.send_replace(true);
        let begun = tokio::time::Instant::now();
        task.await.unwrap();
        assert!(begun.elapsed() < 2 * connection::LINGER);
    }
}

#[tokio::test]
async fn p34_who_is_connected_already_is_let_in() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    client.write_all(GET).await.unwrap();
    // The end comes before the server has ever looked.
    serve(listener, hello(), &settings(), None, async {}).await;
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("connection: close") && answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn p34_shutdown_ends_within_its_bound() {
    let (service, entered, _release) = held();
    let settings = Http { drain_timeout: Duration::from_millis(50), ..settings() };
    let running = start(service, settings).await;
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client.write_all(GET).await.unwrap();
    entered.notified().await;

    running.stop.send(()).unwrap();
    running.ended.await.unwrap();
    let mut answer = Vec::new();
    // Cut off: an end or a reset, and no answer.
    client.read_to_end(&mut answer).await.ok();
    assert!(answer.is_empty());
}

/// One request over HTTP/2 on a connection of its own.
async fn over_http2(address: SocketAddr) -> JoinHandle<hyper::Result<Response>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://x/").body(Full::new(Bytes::new())).unwrap();
    tokio::spawn(async move { Ok(sender.send_request(request).await?.map(Body::new)) })
}

#[tokio::test]
async fn p34_shutdown_over_http2_too() {
    let (service, entered, release) = held();
    let running = start(service, settings()).await;
    let answer = over_http2(running.address).await;
    entered.notified().await;
    running.stop.send(()).unwrap();
    release.notify_one();
    assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    running.ended.await.unwrap();

    // And what does not end is cut off, the handler included.
    let gone = Arc::new(Notify::new());
    let (entered, handler_gone) = (Arc::new(Notify::new()), Arc::clone(&gone));
    let in_service = Arc::clone(&entered);
    let service = service_fn(move |_: Request<Incoming>| {
        let at_its_end = NotifyOnDrop(Arc::clone(&handler_gone));
        in_service.notify_one();
        async move {
            let _at_its_end = at_its_end;
            std::future::pending::<Result<Response, Infallible>>().await
        }
    });
    let settings = Http { drain_timeout: Duration::from_millis(50), ..settings() };
    let running = start(service, settings).await;
    let answer = over_http2(running.address).await;
    entered.notified().await;
    running.stop.send(()).unwrap();
    running.ended.await.unwrap();
    assert!(answer.await.unwrap().is_err());
    gone.notified().await;
}

struct NotifyOnDrop(Arc<Notify>);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn connections_over_the_limit_are_refused_at_once() {
    let settings = Http { max_connections: 1, ..settings() };
    let running = start(hello(), settings).await;
    let mut first = TcpStream::connect(running.address).await.unwrap();
    first.write_all(GET).await.unwrap();
    let mut buffer = [0; 1024];
    assert!(first.read(&mut buffer).await.unwrap() > 0);

    let mut second = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(second.read(&mut buffer).await.unwrap_or(0), 0);

    // The first still has its connection, and its end makes room.
    first.write_all(GET).await.unwrap();
    assert!(first.read(&mut buffer).await.unwrap() > 0);
    running.stop.send(()).unwrap();
    running.ended.await.unwrap();
}

#[tokio::test]
async fn a_panic_ends_its_connection_only() {
    let calls = Arc::new(AtomicUsize::new(0));
    let service = service_fn(move |_: Request<Incoming>| {
        let call = calls.fetch_add(1, Ordering::SeqCst);
        async move {
            assert!(call > 0, "the first call panics");
            Ok(Response::new(Body::empty()))
        }
    });
    let running = start(service, settings()).await;
    let mut buffer = [0; 1024];
    let mut first = TcpStream::connect(running.address).await.unwrap();
    first.write_all(GET).await.unwrap();
    assert_eq!(first.read(&mut buffer).await.unwrap_or(0), 0);
    let mut second = TcpStream::connect(running.address).await.unwrap();
    second.write_all(GET).await.unwrap();
    let len = second.read(&mut buffer).await.unwrap();
    assert!(buffer[..len].starts_with(b"HTTP/1.1 200"));
    running.stop.send(()).unwrap();
    running.ended.await.unwrap();
}
