//! Crowds of open connections without requests, from a few networks, and the connections that are
//! left for other clients (P41).

use std::net::{Ipv4Addr, SocketAddr};

use futures::future::join_all;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::BOUNDS;
use super::peer::{PREFACE, frame, kind};
use crate::support::certificates::{Authority, NAME};
use crate::support::{Engine, Installation, Server, run_installed};

/// The limit of open connections, and the share of one network: a quarter.
const MAX_CONNECTIONS: usize = 40;
const MAX_PER_NETWORK: usize = MAX_CONNECTIONS / 4;

/// The limit of connections, and timeouts that are too long to end a connection here.
const LONG_TIMEOUTS: [(&str, &str); 4] = [
    ("GUESTLIST_HTTP__MAX_CONNECTIONS", "40"),
    ("GUESTLIST_HTTP__HTTP1_IDLE_TIMEOUT", "10m"),
    ("GUESTLIST_HTTP__KEEP_ALIVE_INTERVAL", "10m"),
    ("GUESTLIST_LOG__FILTER", "warn"),
];

const GET_CALLER: &str = "/guestlist.v1.AccountService/GetCaller";

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The protocol of the connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
    Tls,
}

/// A server, and how it is reached.
struct TestServer {
    addr: SocketAddr,
    protocol: Protocol,
    authority: Authority,
}

impl TestServer {
    async fn tcp(&self, from: [u8; 4]) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::from(from), 0).into())?;
        socket.connect(self.addr).await
    }

    /// A connection from this address, after its TLS handshake if it has one.
    async fn connect(&self, from: [u8; 4], alpn: &[&str]) -> std::io::Result<Box<dyn Stream>> {
        let stream = self.tcp(from).await?;
        if self.protocol != Protocol::Tls {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(NAME).unwrap();
        Ok(Box::new(self.authority.client(alpn, None).connect(name, stream).await?))
    }

    /// A connection that stays open: the server has accepted it, and it can send a request at any
    /// time.
    async fn hold(&self, from: [u8; 4]) -> std::io::Result<Box<dyn Stream>> {
        let mut stream = self.connect(from, &["h2"]).await?;
        if self.protocol == Protocol::Http1 {
            stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await?;
        } else {
            stream.write_all(&[PREFACE, &frame(kind::SETTINGS, 0, 0, &[])].concat()).await?;
        }
        // The server's response, or its SETTINGS frame.
        stream.read_exact(&mut [0; 9]).await?;
        Ok(stream)
    }

    /// Opens twice the share of one network from this address; returns the accepted connections.
    async fn crowd(&self, from: [u8; 4]) -> Vec<Box<dyn Stream>> {
        let mut held = Vec::new();
        for n in 0..2 * MAX_PER_NETWORK {
            match self.hold(from).await {
                Ok(stream) => held.push(stream),
                Err(_) => {
                    assert!(n >= MAX_PER_NETWORK, "connection {n}, within the share, is rejected")
                }
            }
        }
        held
    }

    /// Sends a request over HTTP/1 on a new connection from 127.0.0.1; returns the status.
    async fn send(&self, request: &str) -> std::io::Result<u16> {
        let mut stream = self.connect([127, 0, 0, 1], &["http/1.1"]).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
        status.and_then(|status| status.parse().ok()).ok_or(std::io::ErrorKind::InvalidData.into())
    }

    async fn page(&self, path: &str) -> std::io::Result<u16> {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await
    }

    async fn call(&self, key: &str) -> std::io::Result<u16> {
        let head = format!("POST {GET_CALLER} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}");
        let rest = "content-type: application/json\r\nconnection: close\r\ncontent-length: 2";
        self.send(&format!("{head}\r\n{rest}\r\n\r\n{{}}")).await
    }
}

fn serve(
    at: &Installation,
    protocol: Protocol,
    more: &[(&str, &str)],
) -> (Server, TestServer, String) {
    let settings = [&BOUNDS[..], &LONG_TIMEOUTS, more].concat();
    let authority = Authority::new();
    let server = if protocol == Protocol::Tls {
        authority.certify().write(at.directory());
        let files = ["serve", "--tls-certificate-file", "tls.crt", "--tls-key-file", "tls.key"];
        Server::start(at.command(&files, &settings))
    } else {
        at.serve_with(&settings)
    };
    let key = std::fs::read_to_string(at.key_file()).unwrap().trim().to_owned();
    let target = TestServer { addr: server.addr, protocol, authority };
    (server, target, key)
}

/// The server accepts other clients, however many connections two networks keep open.
fn two_networks(protocol: Protocol) {
    run_installed(Engine::Sqlite, async |at| {
        let (server, target, key) = serve(at, protocol, &[]);
        let held = join_all([1, 2].map(|network| target.crowd([127, 0, network, 1]))).await;
        for _ in 0..20 {
            assert_eq!(target.call(&key).await.unwrap(), 200, "{protocol:?}");
        }
        assert_eq!(target.page("/healthz").await.unwrap(), 200);
        let log = server.logged();
        assert_eq!(log.matches("too many open connections").count(), 1, "logged once: {log}");
        assert!(log.contains("http.max_connections_per_network"), "{log}");
        drop(held);
        super::end(server, "two networks").await;
    });
}

/// When all connections are in use, the server answers probes and rejects all other requests with
/// 503.
fn all_connections_used(protocol: Protocol) {
    run_installed(Engine::Sqlite, async |at| {
        let (server, target, key) = serve(at, protocol, &[]);
        let networks = [1, 2, 3, 4].map(|network| target.crowd([127, 0, network, 1]));
        let held = join_all(networks).await;
        for _ in 0..5 {
            assert_eq!(
                until_answered(async || target.page("/healthz").await).await,
                200,
                "{protocol:?}"
            );
            assert_eq!(
                until_answered(async || target.page("/readyz").await).await,
                200,
                "{protocol:?}"
            );
            assert_eq!(until_answered(async || target.call(&key).await).await, 503, "{protocol:?}");
        }
        if protocol != Protocol::Tls {
            let status = health(target.addr).await.unwrap();
            assert_eq!(status, ServingStatus::Serving);
        }
        drop(held);
        // The closed connections make room for new ones.
        while target.call(&key).await.ok() != Some(200) {}
        super::end(server, "all taken").await;
    });
}

/// Repeats a request until there is a response, and returns its status. The crowds also use
/// connections that are reserved for probes, and a closed connection counts until the server has
/// read that the client closed it; both last only a short time.
async fn until_answered(send: impl AsyncFn() -> std::io::Result<u16>) -> u16 {
    loop {
        if let Ok(status) = send().await {
            return status;
        }
    }
}

async fn health(addr: SocketAddr) -> Result<ServingStatus, tonic::Status> {
    let channel: Channel =
        Endpoint::from_shared(format!("http://{addr}")).unwrap().connect().await.unwrap();
    let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await?;
    Ok(answer.into_inner().status())
}

/// The server closes connections that never send a request, even if their clients are still there,
/// and so has room for other clients again.
#[test]
fn p37_connections_without_a_request_are_closed() {
    let short_timeouts = [
        ("GUESTLIST_HTTP__HTTP1_IDLE_TIMEOUT", "1s"),
        ("GUESTLIST_HTTP__HTTP2_IDLE_TIMEOUT", "1s"),
    ];
    for protocol in [Protocol::Http1, Protocol::Http2, Protocol::Tls] {
        run_installed(Engine::Sqlite, async |at| {
            let (server, target, key) = serve(at, protocol, &short_timeouts);
            let networks = [1, 2, 3, 4].map(|network| target.crowd([127, 0, network, 1]));
            let held = join_all(networks).await;
            for mut stream in held.into_iter().flatten() {
                // Reads to the end of the connection, with or without an error.
                stream.read_to_end(&mut Vec::new()).await.ok();
            }
            assert_eq!(target.call(&key).await.unwrap(), 200, "{protocol:?}");
            super::end(server, "idle").await;
        });
    }
}

#[test]
fn p41_two_networks_cannot_use_all_connections_over_http1() {
    two_networks(Protocol::Http1);
}

#[test]
fn p41_two_networks_cannot_use_all_connections_over_http2() {
    two_networks(Protocol::Http2);
}

#[test]
fn p41_two_networks_cannot_use_all_connections_over_tls() {
    two_networks(Protocol::Tls);
}

#[test]
fn p41_probes_are_answered_when_no_connection_is_free_over_http1() {
    all_connections_used(Protocol::Http1);
}

#[test]
fn p41_probes_are_answered_when_no_connection_is_free_over_http2() {
    all_connections_used(Protocol::Http2);
}

#[test]
fn p41_probes_are_answered_when_no_connection_is_free_over_tls() {
    all_connections_used(Protocol::Tls);
}
