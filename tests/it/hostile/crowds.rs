//! Crowds of connections that are held and ask for nothing, from a few networks: what
//! is left to others (P41).

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

/// Connections at a time, and those of one network: a quarter.
const ALL: usize = 40;
const SHARE: usize = ALL / 4;

/// Bounds of time that end no connection here.
const PATIENT: [(&str, &str); 4] = [
    ("GUESTLIST_HTTP__MAX_CONNECTIONS", "40"),
    ("GUESTLIST_HTTP__HTTP1_IDLE_TIMEOUT", "10m"),
    ("GUESTLIST_HTTP__KEEP_ALIVE_INTERVAL", "10m"),
    ("GUESTLIST_LOG__FILTER", "warn"),
];

const GET_CALLER: &str = "/guestlist.v1.AccountService/GetCaller";

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// What connections speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    Http1,
    Http2,
    Tls,
}

/// A server, and how it is reached.
struct Place {
    addr: SocketAddr,
    wire: Wire,
    authority: Authority,
}

impl Place {
    async fn tcp(&self, from: [u8; 4]) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::from(from), 0).into())?;
        socket.connect(self.addr).await
    }

    /// A connection from this address that is over its first steps.
    async fn connect(&self, from: [u8; 4], alpn: &[&str]) -> std::io::Result<Box<dyn Stream>> {
        let stream = self.tcp(from).await?;
        if self.wire != Wire::Tls {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(NAME).unwrap();
        Ok(Box::new(self.authority.client(alpn, None).connect(name, stream).await?))
    }

    /// One that is held: it has been let in, and could ask at any time.
    async fn hold(&self, from: [u8; 4]) -> std::io::Result<Box<dyn Stream>> {
        let mut stream = self.connect(from, &["h2"]).await?;
        if self.wire == Wire::Http1 {
            stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await?;
        } else {
            stream.write_all(&[PREFACE, &frame(kind::SETTINGS, 0, 0, &[])].concat()).await?;
        }
        // The server's answer, or its settings.
        stream.read_exact(&mut [0; 9]).await?;
        Ok(stream)
    }

    /// As many from this address as come in, of twice its share.
    async fn crowd(&self, from: [u8; 4]) -> Vec<Box<dyn Stream>> {
        let mut held = Vec::new();
        for n in 0..2 * SHARE {
            match self.hold(from).await {
                Ok(stream) => held.push(stream),
                Err(_) => assert!(n >= SHARE, "{n} of a share"),
            }
        }
        held
    }

    /// Asks over HTTP/1 on a new connection from 127.0.0.1; answers the status.
    async fn ask(&self, request: &str) -> std::io::Result<u16> {
        let mut stream = self.connect([127, 0, 0, 1], &["http/1.1"]).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
        status.and_then(|status| status.parse().ok()).ok_or(std::io::ErrorKind::InvalidData.into())
    }

    async fn page(&self, path: &str) -> std::io::Result<u16> {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await
    }

    async fn call(&self, key: &str) -> std::io::Result<u16> {
        let head = format!("POST {GET_CALLER} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}");
        let rest = "content-type: application/json\r\nconnection: close\r\ncontent-length: 2";
        self.ask(&format!("{head}\r\n{rest}\r\n\r\n{{}}")).await
    }
}

fn serve(at: &Installation, wire: Wire, more: &[(&str, &str)]) -> (Server, Place, String) {
    let settings = [&BOUNDS[..], &PATIENT, more].concat();
    let authority = Authority::new();
    let server = if wire == Wire::Tls {
        authority.certify().write(at.directory());
        let files = ["serve", "--tls-certificate-file", "tls.crt", "--tls-key-file", "tls.key"];
        Server::start(at.command(&files, &settings))
    } else {
        at.serve_with(&settings)
    };
    let key = std::fs::read_to_string(at.key_file()).unwrap().trim().to_owned();
    let place = Place { addr: server.addr, wire, authority };
    (server, place, key)
}

/// Whatever two networks hold, others are let in.
fn two_networks(wire: Wire) {
    run_installed(Engine::Sqlite, async |at| {
        let (server, place, key) = serve(at, wire, &[]);
        let held = join_all([1, 2].map(|network| place.crowd([127, 0, network, 1]))).await;
        for _ in 0..20 {
            assert_eq!(place.call(&key).await.unwrap(), 200, "{wire:?}");
        }
        assert_eq!(place.page("/healthz").await.unwrap(), 200);
        let log = server.logged();
        assert_eq!(log.matches("too many open connections").count(), 1, "once for all: {log}");
        assert!(log.contains("http.max_connections_per_network"), "{log}");
        drop(held);
        super::end(server, "two networks").await;
    });
}

/// When every place is taken, probes are answered and all else is told to come later.
fn all_taken(wire: Wire) {
    run_installed(Engine::Sqlite, async |at| {
        let (server, place, key) = serve(at, wire, &[]);
        let networks = [1, 2, 3, 4].map(|network| place.crowd([127, 0, network, 1]));
        let held = join_all(networks).await;
        for _ in 0..5 {
            assert_eq!(answered(async || place.page("/healthz").await).await, 200, "{wire:?}");
            assert_eq!(answered(async || place.page("/readyz").await).await, 200, "{wire:?}");
            assert_eq!(answered(async || place.call(&key).await).await, 503, "{wire:?}");
        }
        if wire != Wire::Tls {
            let status = health(place.addr).await.unwrap();
            assert_eq!(status, ServingStatus::Serving);
        }
        drop(held);
        // The places are given back.
        while place.call(&key).await.ok() != Some(200) {}
        super::end(server, "all taken").await;
    });
}

/// The status of the first request that is answered. The crowds hold places of probes, too, and
/// a connection that the client has closed keeps its place until the server has read that, but
/// none for long.
async fn answered(ask: impl AsyncFn() -> std::io::Result<u16>) -> u16 {
    loop {
        if let Ok(status) = ask().await {
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

/// Who never asks is ended, however alive: the places come back by themselves.
#[test]
fn p37_who_never_asks_makes_room() {
    let ends = [
        ("GUESTLIST_HTTP__HTTP1_IDLE_TIMEOUT", "1s"),
        ("GUESTLIST_HTTP__HTTP2_IDLE_TIMEOUT", "1s"),
    ];
    for wire in [Wire::Http1, Wire::Http2, Wire::Tls] {
        run_installed(Engine::Sqlite, async |at| {
            let (server, place, key) = serve(at, wire, &ends);
            let networks = [1, 2, 3, 4].map(|network| place.crowd([127, 0, network, 1]));
            let held = join_all(networks).await;
            for mut stream in held.into_iter().flatten() {
                // To the end, however it comes.
                stream.read_to_end(&mut Vec::new()).await.ok();
            }
            assert_eq!(place.call(&key).await.unwrap(), 200, "{wire:?}");
            super::end(server, "idle").await;
        });
    }
}

#[test]
fn p41_two_networks_hold_all_they_can_over_http1() {
    two_networks(Wire::Http1);
}

#[test]
fn p41_two_networks_hold_all_they_can_over_http2() {
    two_networks(Wire::Http2);
}

#[test]
fn p41_two_networks_hold_all_they_can_over_tls() {
    two_networks(Wire::Tls);
}

#[test]
fn p41_probes_are_answered_when_all_is_taken_over_http1() {
    all_taken(Wire::Http1);
}

#[test]
fn p41_probes_are_answered_when_all_is_taken_over_http2() {
    all_taken(Wire::Http2);
}

#[test]
fn p41_probes_are_answered_when_all_is_taken_over_tls() {
    all_taken(Wire::Tls);
}
