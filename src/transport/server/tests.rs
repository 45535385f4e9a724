use super::*;
use crate::config::Config;
use crate::transport::Response;
use crate::transport::peer::Peer;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use std::convert::Infallible;
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

fn hello() -> impl HttpService {
    service_fn(async |request: Request<Incoming>| {
        assert!(request.extensions().get::<Peer>().is_some());
        Ok(Response::new(Body::new(Full::new(Bytes::from_static(b"hello")))))
    })
}

/// A connection in memory, so that tokio's clock can be paused.
fn connect(service: impl HttpService) -> (DuplexStream, JoinHandle<()>, watch::Sender<bool>) {
    connect_with(service, settings())
}

/// Like `connect`, with the given settings.
fn connect_with(
    service: impl HttpService,
    settings: Http,
) -> (DuplexStream, JoinHandle<()>, watch::Sender<bool>) {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let (stop, stopped) = watch::channel(false);
    let connections = Connections::new(service, settings, None, stopped, Counters::default());
    let peer = Peer::from(std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
    let task = tokio::spawn(async move { connections.run(server, peer, Access::Full).await });
    (client, task, stop)
}

async fn read_all(client: &mut DuplexStream) -> String {
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends `bytes` and then nothing; returns the time until the server closes the connection.
async fn time_to_close_after(bytes: &[u8]) -> Duration {
    let (mut client, task, _stop) = connect(hello());
    let started = tokio::time::Instant::now();
    client.write_all(bytes).await.unwrap();
    task.await.unwrap();
    started.elapsed()
}

#[tokio::test(start_paused = true)]
async fn p37_silent_connections_and_partial_requests_time_out() {
    let first_byte = settings().first_byte_timeout;
    let head = settings().head_timeout;
    for (timeout, bytes) in [
        (first_byte, &b""[..]),
        (first_byte, b"P"),
        (first_byte, b"PRI * HTTP/2.0\r\n\r\nSM"),
        (head, b"GET / HT"),
        (head, b"GET / HTTP/1.1\r\nx: y\r\n"),
        // Idle after a request.
        (settings().http1_idle_timeout, GET),
        // A preface and then nothing: the client does not answer the ping.
        (Duration::from_secs(30), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ] {
        let took = time_to_close_after(bytes).await;
        let slack = Duration::from_secs(1);
        assert!(took >= timeout && took < timeout + slack, "{took:?} for {bytes:?}");
    }
}

#[tokio::test]
async fn both_http_versions_are_detected_also_from_single_bytes() {
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
async fn a_head_that_is_too_large_gets_a_response() {
    // The first head of a connection, and a later one.
    for before in [&b""[..], GET] {
        for size in [16 * 1024, 20 * 1024, 60 * 1024] {
            let (mut client, task, _stop) = connect(hello());
            client.write_all(before).await.unwrap();
            while !before.is_empty() && !read_some(&mut client).await.ends_with("hello") {}
            client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nx: ").await.unwrap();
            client.write_all(&vec![b'y'; size]).await.unwrap();
            client.write_all(b"\r\n\r\n").await.unwrap();
            client.shutdown().await.unwrap();
            let answer = read_all(&mut client).await;
            assert!(answer.starts_with("HTTP/1.1 431 Request Header Fields Too Large"), "{answer}");
            assert!(answer.ends_with("larger than http.max_header_bytes\n"), "{answer}");
            task.await.unwrap();
        }
    }
    // The limit does not include the body.
    let (mut client, _task, _stop) = connect(hello());
    let head = b"PUT / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 30000\r\n\r\n";
    client.write_all(&[head, &[b'y'; 30000][..]].concat()).await.unwrap();
    assert!(read_all(&mut client).await.ends_with("hello"));
}

async fn read_some(client: &mut DuplexStream) -> String {
    let mut answer = Vec::new();
    client.read_buf(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn over_http2_a_head_that_is_too_large_gets_a_response() {
    let (client, _task, _stop) = connect(hello());
    let (mut sender, _driver) = http2(client).await;
    for (size, expected) in [(15_000, 200), (20_000, 431)] {
        let request = Request::get("http://x/").header("x", "y".repeat(size));
        let response = sender.send_request(request.body(Full::default()).unwrap()).await.unwrap();
        assert_eq!(response.status(), expected);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body.ends_with(b"http.max_header_bytes\n"), expected == 431);
    }
}

#[tokio::test]
async fn a_request_without_exactly_one_host_is_rejected() {
    for head in ["GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nhost: x\r\nhost: x\r\n\r\n"] {
        let (mut client, task, _stop) = connect(hello());
        client.write_all(head.as_bytes()).await.unwrap();
        // The server also closes the connection: the next bytes may be part of this request.
        let answer = read_all(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
        task.await.unwrap();
    }
}

type Sender = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

/// An HTTP/2 client, which answers every ping.
async fn http2(client: DuplexStream) -> (Sender, JoinHandle<hyper::Result<()>>) {
    let io = hyper_util::rt::TokioIo::new(client);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    (sender, tokio::spawn(connection))
}

fn get() -> Request<Full<Bytes>> {
    Request::get("http://x/").body(Full::default()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn p37_a_client_that_answers_pings_and_sends_no_request_is_closed() {
    let idle = settings().http2_idle_timeout;
    let (client, task, _stop) = connect(hello());
    let started = tokio::time::Instant::now();
    let (sender, driver) = http2(client).await;
    task.await.unwrap();
    let took = started.elapsed();
    assert!(took >= idle && took < idle + Duration::from_secs(1), "{took:?}");
    // The server sends GOAWAY, so the client knows that it may retry on another connection.
    driver.await.unwrap().unwrap();
    assert!(sender.is_closed());
}

#[tokio::test(start_paused = true)]
async fn p37_the_idle_time_begins_at_the_end_of_a_request() {
    let Http { http2_idle_timeout: idle, .. } = settings();
    let (service, entered, release) = held();
    let (client, task, _stop) = connect(service);
    let (mut sender, _driver) = http2(client).await;
    let answer = tokio::spawn(sender.send_request(get()));
    entered.notified().await;
    // The request runs longer than the idle time-out.
    tokio::time::sleep(idle + idle / 2).await;
    release.notify_one();
    assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    let ended = tokio::time::Instant::now();
    task.await.unwrap();
    let took = ended.elapsed();
    assert!(
        took >= idle - Duration::from_secs(1) && took < idle + Duration::from_secs(1),
        "{took:?}"
    );
}

/// Settings with a maximum age of connections.
fn aging() -> Http {
    // The jitter is less than the drain time-out.
    let max_connection_age = Duration::from_secs(60);
    let http2_idle_timeout = 10 * max_connection_age;
    Http { max_connection_age, http2_idle_timeout, ..settings() }
}

/// Whether this is the maximum age, a tenth more or less.
fn is_about_the_age(age: Duration) -> bool {
    let set = aging().max_connection_age;
    age >= set - set / 10 && age < set + set / 10 + Duration::from_secs(1)
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_ends_after_its_running_request() {
    let (service, entered, release) = held();
    let (client, task, _stop) = connect_with(service, aging());
    let started = tokio::time::Instant::now();
    let (mut sender, _driver) = http2(client).await;
    let answer = tokio::spawn(sender.send_request(get()));
    entered.notified().await;
    // The request continues beyond the maximum age and its jitter.
    let age = aging().max_connection_age;
    tokio::time::sleep(age + age / 10 + Duration::from_secs(1)).await;
    assert!(!task.is_finished());
    release.notify_one();
    assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    // It was the last request; without a maximum age the connection would stay open, idle.
    task.await.unwrap();
    assert!(started.elapsed() < age + age / 10 + Duration::from_secs(2), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn p37_a_partial_head_after_a_response_times_out() {
    let (mut client, task, _stop) = connect(hello());
    client.write_all(GET).await.unwrap();
    while !read_some(&mut client).await.ends_with("hello") {}
    let started = tokio::time::Instant::now();
    client.write_all(b"GET / HT").await.unwrap();
    task.await.unwrap();
    let (took, head) = (started.elapsed(), settings().head_timeout);
    assert!(took >= head && took < head + Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_does_not_wait_for_endless_streams() {
    let (service, entered, _release) = held();
    let (client, task, _stop) = connect_with(service, aging());
    let started = tokio::time::Instant::now();
    let (mut sender, _driver) = http2(client).await;
    let answer = tokio::spawn(sender.send_request(get()));
    entered.notified().await;
    task.await.unwrap();
    assert!(answer.await.unwrap().is_err());
    let age = started.elapsed().checked_sub(aging().drain_timeout).unwrap();
    assert!(is_about_the_age(age), "{age:?}");
}

#[tokio::test(start_paused = true)]
async fn an_old_http1_connection_ends_with_its_next_response() {
    let (mut client, task, _stop) = connect_with(hello(), aging());
    let started = tokio::time::Instant::now();
    loop {
        client.write_all(GET).await.unwrap();
        let mut answer = String::new();
        while !answer.ends_with("hello") {
            answer += &read_some(&mut client).await;
        }
        if answer.contains("connection: close") {
            break;
        }
        assert!(started.elapsed() < 2 * aging().max_connection_age);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(is_about_the_age(started.elapsed()), "{:?}", started.elapsed());
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn http1_has_its_own_idle_timeout() {
    // The idle time-out is longer than the time-out of a head.
    let (mut client, _task, _stop) = connect(hello());
    let idle = settings().http1_idle_timeout - Duration::from_secs(1);
    assert!(idle > settings().head_timeout);
    for _ in 0..3 {
        client.write_all(GET).await.unwrap();
        while !read_some(&mut client).await.ends_with("hello") {}
        tokio::time::sleep(idle).await;
    }
}

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

async fn start(service: impl HttpService, settings: Http) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(async move {
        let stop = async { stopped.await.unwrap() };
        serve(listener, service, &settings, None, Counters::default(), stop).await;
    });
    Running { address, stop, ended }
}

/// A service that signals each call and responds when it is released.
fn held() -> (impl HttpService, Arc<Notify>, Arc<Notify>) {
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
async fn p34_shutdown_lets_running_requests_finish() {
    let (service, entered, release) = held();
    let running = start(service, settings()).await;
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client.write_all(GET).await.unwrap();
    entered.notified().await;

    running.stop.send(()).unwrap();
    // The idle connection is closed soon, the other one after its response.
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0);
    release.notify_one();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("connection: close") && answer.ends_with("done"), "{answer}");
    running.ended.await.unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn p34_a_request_that_arrives_during_shutdown_is_served() {
    // Shutdown begins before the first request of a connection, in the middle of it, and after it.
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
        tokio::time::sleep(connection::SHUTDOWN_GRACE / 2).await;
        client.write_all(after).await.unwrap();
        let answer = read_all(&mut client).await;
        assert!(answer.contains("connection: close") && answer.ends_with("hello"), "{answer}");
        task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn p34_shutdown_does_not_wait_for_a_silent_client() {
    for before in [&b""[..], GET] {
        let (mut client, task, stop) = connect(hello());
        client.write_all(before).await.unwrap();
        // Lets the task of the connection run.
        tokio::time::sleep(Duration::from_millis(1)).await;
        stop.send_replace(true);
        let started = tokio::time::Instant::now();
        task.await.unwrap();
        assert!(started.elapsed() < 2 * connection::SHUTDOWN_GRACE);
    }
}

#[tokio::test]
async fn p34_a_connection_in_the_queue_is_accepted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    client.write_all(GET).await.unwrap();
    // Shutdown begins before the server has accepted any connection.
    serve(listener, hello(), &settings(), None, Counters::default(), async {}).await;
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
    // The server closes or resets the connection without a response.
    client.read_to_end(&mut answer).await.ok();
    assert!(answer.is_empty());
}

/// One request over HTTP/2 on a new connection.
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
async fn p34_shutdown_finishes_or_cancels_requests_over_http2() {
    let (service, entered, release) = held();
    let running = start(service, settings()).await;
    let answer = over_http2(running.address).await;
    entered.notified().await;
    running.stop.send(()).unwrap();
    release.notify_one();
    assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    running.ended.await.unwrap();

    // A request that does not end is cut off, and its handler is dropped.
    let dropped = Arc::new(Notify::new());
    let (entered, handler_dropped) = (Arc::new(Notify::new()), Arc::clone(&dropped));
    let in_service = Arc::clone(&entered);
    let service = service_fn(move |_: Request<Incoming>| {
        let at_its_end = NotifyOnDrop(Arc::clone(&handler_dropped));
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
    dropped.notified().await;
}

struct NotifyOnDrop(Arc<Notify>);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn p37_connections_over_the_limit_are_for_probes() {
    let settings = Http { max_connections: 1, ..settings() };
    let running = start(hello(), settings).await;
    let mut first = TcpStream::connect(running.address).await.unwrap();
    first.write_all(GET).await.unwrap();
    let mut buffer = [0; 1024];
    assert!(first.read(&mut buffer).await.unwrap() > 0);

    for (path, status, text) in [("/", 503, "too many connections"), ("/healthz", 200, "hello")] {
        let mut other = TcpStream::connect(running.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        other.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        other.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.contains("connection: close") && answer.contains(text), "{answer}");
    }

    // The first connection is still open.
    first.write_all(GET).await.unwrap();
    assert!(first.read(&mut buffer).await.unwrap() > 0);
    running.stop.send(()).unwrap();
    running.ended.await.unwrap();
}

#[tokio::test]
async fn p37_other_connections_that_take_permits_of_probes_are_closed() {
    let settings = Http { max_connections: 1, ..settings() };
    let running = start(hello(), settings).await;
    let mut first = TcpStream::connect(running.address).await.unwrap();
    first.write_all(GET).await.unwrap();
    assert!(first.read(&mut [0; 1024]).await.unwrap() > 0);
    // Connections that start HTTP/2, which could stay open for long, and too many for one network.
    let mut others = Vec::new();
    for _ in 0..8 {
        let mut other = TcpStream::connect(running.address).await.unwrap();
        other.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.ok();
        others.push(other);
    }
    for mut other in others {
        // The connection ends, with or without an error.
        other.read_to_end(&mut Vec::new()).await.ok();
    }
    // The first connection is not one of them and stays open.
    first.write_all(GET).await.unwrap();
    assert!(first.read(&mut [0; 1024]).await.unwrap() > 0);
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
