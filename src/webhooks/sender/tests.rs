use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use zeroize::Zeroizing;

use super::*;
use crate::proto::guestlist::v1::Event;

/// Sends the next text as the response on each connection, and closes the connection.
struct Endpoint {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Endpoint {
    async fn answering(answers: impl IntoIterator<Item = String>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (counted, mut answers) = (Arc::clone(&connections), answers.into_iter().collect());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let next = VecDeque::pop_front(&mut answers);
                tokio::spawn(serve(stream, next));
            }
        });
        Self { port, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Reads a request and answers it; without an answer, keeps the connection open.
async fn serve(mut stream: TcpStream, answer: Option<String>) {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.ends_with(b"}}") {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => request.extend_from_slice(&buffer[..read]),
        }
    }
    match answer {
        Some(answer) => {
            // The client may stop reading.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
        None => std::future::pending().await,
    }
}

fn answer(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn message() -> Message {
    let event = Event { id: "e1".into(), r#type: "member.joined".into(), ..Event::default() };
    Message::new(&event, None).unwrap()
}

fn secret() -> Secret {
    Secret::from_bytes(Zeroizing::new(vec![7; 32]))
}

/// A sender that may connect to these networks. Its resolver returns these results, one after
/// another, and repeats the last one.
fn sender(networks: &[&str], results: &[&[IpAddr]]) -> (Sender, Arc<AtomicUsize>) {
    let results: Mutex<VecDeque<Vec<IpAddr>>> =
        Mutex::new(results.iter().map(|addresses| addresses.to_vec()).collect());
    let lookups = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&lookups);
    let lookup: Lookup = Arc::new(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        let mut results = results.lock().unwrap();
        let next = if results.len() > 1 { results.pop_front() } else { results.front().cloned() };
        let next = next.unwrap_or_default().into_iter().map(|at| SocketAddr::new(at, 0)).collect();
        Box::pin(std::future::ready(Ok(next)))
    });
    let networks = networks.iter().map(|text| text.parse().unwrap()).collect();
    let targets = Targets { allow_http: true, addresses: AllowedAddresses { networks } };
    (Sender::new(targets, "test".to_owned(), lookup).unwrap(), lookups)
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// A network for documentation, which has no hosts. Tests allow it in place of a public network.
const NOWHERE: &str = "192.0.2.0/24";
const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

async fn send(sender: &Sender, url: &str) -> Attempt {
    sender.send(url, &message(), &[secret()], NOW, Duration::from_millis(500)).await
}

#[tokio::test]
async fn a_literal_address_is_refused_without_a_connection() {
    let endpoint = Endpoint::answering([]).await;
    let (sender, lookups) = sender(&[NOWHERE], &[&[PUBLIC]]);
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::1]",
        "[::]",
    ] {
        let attempt = send(&sender, &format!("http://{host}:{}/", endpoint.port)).await;
        assert_eq!(attempt.reason, "the URL must have a host with a public address", "{host}");
    }
    assert_eq!((endpoint.connections(), lookups.load(Ordering::SeqCst)), (0, 0));
}

#[tokio::test]
async fn the_forbidden_addresses_of_a_name_are_refused_without_a_connection() {
    let endpoint = Endpoint::answering([]).await;
    let url = format!("http://hooks.example:{}/", endpoint.port);
    for addresses in [
        &[LOOPBACK][..],
        &[LOOPBACK, LOOPBACK],
        &["::ffff:127.0.0.1".parse().unwrap()],
        &["::1".parse().unwrap(), "10.0.0.1".parse().unwrap()],
        &["64:ff9b::7f00:1".parse().unwrap()],
        &["2002:7f00:1::".parse().unwrap()],
        &["169.254.169.254".parse().unwrap()],
    ] {
        let (sender, lookups) = sender(&[], &[addresses]);
        let attempt = send(&sender, &url).await;
        assert_eq!(attempt.reason, "the host has no public address", "{addresses:?}");
        assert_eq!(lookups.load(Ordering::SeqCst), 1);
    }
    let (nowhere, _) = sender(&[], &[&[]]);
    assert_eq!(send(&nowhere, &url).await.reason, "the host has no address");
    // The system's resolver.
    let targets = Targets { allow_http: true, ..Targets::default() };
    let system = Sender::new(targets, "test".to_owned(), system_lookup()).unwrap();
    let attempt = send(&system, &format!("http://localhost:{}/", endpoint.port)).await;
    assert_eq!(attempt.reason, "the host has no public address");
    assert_eq!(endpoint.connections(), 0);
}

#[tokio::test]
async fn a_host_is_resolved_once_per_request() {
    let endpoint = Endpoint::answering([answer("200 OK", "")]).await;
    let url = format!("http://rebinding.example:{}/", endpoint.port);
    // The sender connects to the address that it has checked: this request never uses the second
    // result.
    let (first, lookups) = sender(&[NOWHERE], &[&[PUBLIC], &[LOOPBACK]]);
    let attempt = send(&first, &url).await;
    assert_eq!(attempt.status, None);
    assert_eq!((lookups.load(Ordering::SeqCst), endpoint.connections()), (1, 0));
    let attempt = send(&first, &url).await;
    assert_eq!(attempt.reason, "the host has no public address");
    assert_eq!((lookups.load(Ordering::SeqCst), endpoint.connections()), (2, 0));
    // Forbidden addresses among others are left out.
    let (mixed, _) = sender(&[NOWHERE], &[&[LOOPBACK, PUBLIC]]);
    assert_eq!(send(&mixed, &url).await.status, None);
    assert_eq!(endpoint.connections(), 0);
    let (opened, _) = sender(&["127.0.0.0/8"], &[&[LOOPBACK]]);
    assert!(send(&opened, &url).await.is_accepted());
    assert_eq!(endpoint.connections(), 1);
}

#[tokio::test]
async fn the_status_of_the_response_decides_the_outcome() {
    let large = "é".repeat(40_000);
    let endpoint = Endpoint::answering([
        answer("204 No Content", ""),
        answer("302 Found\r\nlocation: http://127.0.0.1:1/", "moved"),
        answer("500 Internal Server Error", &large),
        answer("410 Gone", "a\0b"),
        answer("429 Too Many Requests\r\nretry-after: 120", ""),
        answer("503 Service Unavailable\r\nretry-after: Fri, 15 Jan 2027 08:10:00 GMT", ""),
        answer("500 Internal Server Error\r\nretry-after: 120", ""),
        // The connection ends after the head.
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n".to_owned(),
        "HTTP/1.1 500 No\r\ncontent-length: 100\r\n\r\nha".to_owned(),
        // It ends before the head is complete.
        "HTTP/1.1 200 OK\r\nx: ".to_owned(),
        String::new(),
    ])
    .await;
    let (sender, _) = sender(&["127.0.0.1"], &[]);
    let url = format!("http://127.0.0.1:{}/hooks?a=b", endpoint.port);

    assert!(send(&sender, &url).await.is_accepted());
    let redirect = send(&sender, &url).await;
    assert_eq!((redirect.status, redirect.is_accepted()), (Some(302), false));
    assert_eq!(redirect.answer, "moved");
    let error = send(&sender, &url).await;
    assert_eq!((error.status, error.is_gone()), (Some(500), false));
    assert_eq!(error.answer, "é".repeat(1024), "the first 2048 bytes");
    let gone = send(&sender, &url).await;
    assert!(gone.is_gone());
    assert_eq!(gone.answer, "a\u{fffd}b");
    assert_eq!(send(&sender, &url).await.retry_after, Some(Duration::from_secs(120)));
    assert_eq!(send(&sender, &url).await.retry_after, Some(Duration::from_secs(600)));
    assert_eq!(send(&sender, &url).await.retry_after, None, "only of 429 and 503");
    assert!(send(&sender, &url).await.is_accepted());
    let cut = send(&sender, &url).await;
    assert_eq!((cut.status, cut.answer.as_str()), (Some(500), "ha"));
    for _ in 0..2 {
        let broken = send(&sender, &url).await;
        assert_eq!((broken.status, broken.is_accepted()), (None, false));
        assert!(!broken.reason.is_empty());
    }
    assert_eq!(endpoint.connections(), 11, "a redirect is not followed");
}

#[tokio::test]
async fn a_hanging_endpoint_times_out_and_a_closed_port_fails() {
    let endpoint = Endpoint::answering([]).await;
    let (sender, _) = sender(&["127.0.0.1"], &[]);
    let hung = send(&sender, &format!("http://127.0.0.1:{}/", endpoint.port)).await;
    assert_eq!((hung.status, hung.reason.as_str()), (None, "there was no answer in time"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let closed = send(&sender, &format!("http://127.0.0.1:{port}/")).await;
    assert_eq!(closed.reason, "the connection failed");
    let plain = send(
        &Sender::new(Targets::default(), "test".into(), system_lookup()).unwrap(),
        "http://example.com/",
    )
    .await;
    assert_eq!(plain.reason, "the URL must begin with https://");
}
