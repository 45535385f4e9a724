use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper::body::Incoming;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::body::Body;
use tower::service_fn;

use super::super::Counters;
use super::super::connection::{Connections, HttpService, SHUTDOWN_GRACE};
use super::super::connection_limit::Access;
use super::validity::Concern;
use super::*;
use crate::config::{self, Config};
use crate::transport::Response;
use crate::transport::peer::Peer;

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A time at which the certificates of these tests are valid.
fn now() -> Now {
    Box::new(|| crate::clock::Clock::now(&crate::clock::SystemClock))
}

/// A certificate authority.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for `localhost` and its key.
    fn certificate(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    fn pem(&self) -> Pem {
        let (certificate, key) = self.certificate();
        Pem { certificate: certificate.into(), key: key.into_bytes().into(), client_ca: None }
    }

    /// A client that trusts this authority, with a client certificate if given.
    fn client(&self, alpn: &[&[u8]], own: Option<(String, String)>) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
        };
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }
}

/// A TLS server and its shutdown.
struct Server {
    tls: Tls,
    stop: watch::Sender<bool>,
}

impl Server {
    fn new(pem: &Pem) -> Self {
        Self { tls: Tls::new(pem).unwrap(), stop: watch::Sender::new(false) }
    }

    /// A connection in memory, so that tokio's clock can be paused.
    fn dial(&self) -> (DuplexStream, JoinHandle<()>) {
        let (client, server) = tokio::io::duplex(64 * 1024);
        let (settings, tls) = (Config::reference().http, Some(self.tls.clone()));
        let counters = Counters::default();
        let connections = Connections::new(hello(), settings, tls, self.stop.subscribe(), counters);
        let peer = Peer::from(std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
        (client, tokio::spawn(async move { connections.run(server, peer, Access::Full).await }))
    }

    async fn connect(&self, client: &TlsConnector) -> io::Result<TlsStream<DuplexStream>> {
        client.connect(ServerName::try_from("localhost").unwrap(), self.dial().0).await
    }
}

fn hello() -> impl HttpService {
    service_fn(async |_: Request<Incoming>| {
        Ok(Response::new(Body::new(Full::new(Bytes::from_static(b"hello")))))
    })
}

/// The bytes that the server sends for `bytes` until the connection ends.
async fn exchange(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), bytes: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    stream.write_all(bytes).await.ok();
    stream.read_to_end(&mut answer).await.ok();
    answer
}

async fn over_http1(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> bool {
    stream.write_all(GET).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello") {
        if stream.read_buf(&mut answer).await.unwrap_or(0) == 0 {
            return false;
        }
    }
    answer.starts_with(b"HTTP/1.1 200")
}

async fn over_http2(stream: TlsStream<DuplexStream>) -> bool {
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let driver = tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let request = Request::get("https://localhost/").body(()).unwrap();
    let answer = client.send_request(request, true).unwrap().0.await.unwrap();
    driver.abort();
    answer.status() == 200
}

#[tokio::test]
async fn the_http_version_is_negotiated_by_alpn() {
    let authority = Authority::new();
    let server = Server::new(&authority.pem());
    for (offered, chosen) in [
        (&[H2][..], Some(H2)),
        (&[H2, HTTP_1_1], Some(H2)),
        (&[HTTP_1_1, H2], Some(H2)),
        (&[HTTP_1_1], Some(HTTP_1_1)),
        (&[b"http/1.0", HTTP_1_1], Some(HTTP_1_1)),
        (&[], None),
    ] {
        let mut stream = server.connect(&authority.client(offered, None)).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen);
        let answered = match chosen {
            Some(H2) => over_http2(stream).await,
            _ => over_http1(&mut stream).await,
        };
        assert!(answered, "{chosen:?}");
    }
    // Client and server have no protocol in common (RFC 7301 §3.2).
    let error = server.connect(&authority.client(&[b"spdy/3"], None)).await.unwrap_err();
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
}

#[tokio::test]
async fn only_the_negotiated_http_version_is_served() {
    let authority = Authority::new();
    let server = Server::new(&authority.pem());
    for agreed in [&[HTTP_1_1][..], &[]] {
        let mut stream = server.connect(&authority.client(agreed, None)).await.unwrap();
        let answer = exchange(&mut stream, PREFACE).await;
        // The server sends no SETTINGS frame.
        assert!(!answer.starts_with(&[0, 0]), "{answer:?}");
    }
    let mut stream = server.connect(&authority.client(&[H2], None)).await.unwrap();
    let answer = exchange(&mut stream, GET).await;
    assert!(!answer.starts_with(b"HTTP/1.1"), "{answer:?}");
}

#[tokio::test]
async fn a_client_certificate_must_be_signed_by_the_authority() {
    let (authority, other) = (Authority::new(), Authority::new());
    let pem = Pem { client_ca: Some(authority.0.pem().into()), ..authority.pem() };
    let server = Server::new(&pem);
    for (own, welcome) in
        [(None, false), (Some(other.certificate()), false), (Some(authority.certificate()), true)]
    {
        let client = authority.client(&[HTTP_1_1], own);
        // In TLS 1.3 the client's handshake ends before the server verifies the certificate.
        let mut stream = server.connect(&client).await.unwrap();
        assert_eq!(over_http1(&mut stream).await, welcome);
    }
}

#[tokio::test(start_paused = true)]
async fn p37_an_unfinished_handshake_and_a_silent_connection_time_out() {
    let authority = Authority::new();
    let server = Server::new(&authority.pem());
    let settings = Config::reference().http;
    // The client sends nothing, or only the start of a record of 512 bytes.
    for front in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        let (mut peer, task) = server.dial();
        let started = tokio::time::Instant::now();
        peer.write_all(front).await.unwrap();
        task.await.unwrap();
        let took = started.elapsed();
        assert!(took >= settings.handshake_timeout, "{took:?}");
        assert!(took < settings.handshake_timeout + Duration::from_secs(1), "{took:?}");
    }
    for alpn in [H2, HTTP_1_1] {
        let mut stream = server.connect(&authority.client(&[alpn], None)).await.unwrap();
        let started = tokio::time::Instant::now();
        assert!(exchange(&mut stream, b"").await.is_empty());
        let took = started.elapsed();
        assert!(took >= settings.first_byte_timeout, "{took:?}");
        assert!(took < settings.first_byte_timeout + Duration::from_secs(1), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn p34_shutdown_does_not_wait_for_a_handshake() {
    let server = Server::new(&Authority::new().pem());
    let (_peer, task) = server.dial();
    server.stop.send_replace(true);
    let started = tokio::time::Instant::now();
    task.await.unwrap();
    assert!(started.elapsed() < 2 * SHUTDOWN_GRACE);
}

#[tokio::test(start_paused = true)]
async fn p34_a_request_that_arrives_during_shutdown_is_served_over_tls() {
    let authority = Authority::new();
    let server = Server::new(&authority.pem());
    let (stream, task) = server.dial();
    server.stop.send_replace(true);
    tokio::time::sleep(SHUTDOWN_GRACE / 2).await;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = authority.client(&[HTTP_1_1], None).connect(name, stream).await.unwrap();
    stream.write_all(GET).await.unwrap();
    let mut answer = String::new();
    // This fails if the connection does not end properly.
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("connection: close") && answer.ends_with("hello"), "{answer}");
    task.await.unwrap();
}

#[tokio::test]
async fn a_client_without_tls_is_closed() {
    let server = Server::new(&Authority::new().pem());
    for bytes in [GET, PREFACE] {
        let (mut peer, task) = server.dial();
        let answer = exchange(&mut peer, bytes).await;
        // The server sends at most an alert (RFC 8446 §6).
        assert!(answer.is_empty() || answer[0] == 21, "{answer:?}");
        drop(peer);
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_new_certificate_is_used_for_new_connections() {
    let (before, after) = (Authority::new(), Authority::new());
    let server = Server::new(&before.pem());
    let client = before.client(&[HTTP_1_1], None);
    let mut old = server.connect(&client).await.unwrap();
    assert!(over_http1(&mut old).await);

    server.tls.replace(&after.pem()).unwrap();
    server.connect(&client).await.unwrap_err();
    let mut new = server.connect(&after.client(&[HTTP_1_1], None)).await.unwrap();
    assert!(over_http1(&mut new).await);
    assert!(over_http1(&mut old).await, "the old connection stays open");
}

#[test]
fn an_error_names_the_part_that_cannot_be_used() {
    let authority = Authority::new();
    let (good, other) = (authority.pem(), authority.pem());
    let key = || good.key.clone();
    let secret = b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (certificate, key, client_ca, part, words) in [
        (&b""[..], key(), None, Part::Certificate, "holds no certificate"),
        (&good.key, key(), None, Part::Certificate, "holds no certificate"),
        (broken, key(), None, Part::Certificate, "cannot be used"),
        (b"-----BEGIN CERTIFICATE-----\nAA", key(), None, Part::Certificate, "is not PEM"),
        (&good.certificate, Vec::new().into(), None, Part::Key, "no private key"),
        (&good.certificate, good.certificate.clone().into(), None, Part::Key, "no private key"),
        (&good.certificate, secret.to_vec().into(), None, Part::Key, "no private key"),
        (&good.certificate, other.key.clone(), None, Part::Key, "does not belong"),
        (&good.certificate, key(), Some(&b""[..]), Part::ClientCa, "holds no certificate"),
        (&good.certificate, key(), Some(broken), Part::ClientCa, "cannot be used"),
    ] {
        let (certificate, client_ca) = (certificate.to_vec(), client_ca.map(<[u8]>::to_vec));
        let error = Tls::new(&Pem { certificate, key, client_ca }).err().expect(words);
        assert_eq!(error.part, part, "{error}");
        assert!(error.why.contains(words) && !error.why.contains("c2VjcmV0"), "{error}");
    }
    Tls::new(&good).unwrap();
}

/// Writes a certificate and its key to the paths of the settings.
fn put(directory: &Path, pem: &Pem) {
    std::fs::write(directory.join("tls.crt"), &pem.certificate).unwrap();
    std::fs::write(directory.join("tls.key"), &pem.key).unwrap();
}

#[tokio::test]
async fn changed_files_are_read_again() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| Some(directory.path().join(name));
    let (certificate_file, key_file) = (path("tls.crt"), path("tls.key"));
    let settings = config::Tls { certificate_file, key_file, ..Config::reference().tls };
    let [first, second, third] = [Authority::new(), Authority::new(), Authority::new()];
    put(directory.path(), &first.pem());
    let (tls, mut reload) = Files::new(&settings).unwrap().load(now()).await.unwrap();
    let server = Server { tls, stop: watch::Sender::new(false) };
    let served_by = async |authority: &Authority| {
        server.connect(&authority.client(&[HTTP_1_1], None)).await.is_ok()
    };
    reload.check_files().await;
    assert!(served_by(&first).await);

    // Files that cannot be used leave the old certificate, and are logged at the second check.
    let broken: [fn(&Path); 3] = [
        |directory| std::fs::write(directory.join("tls.key"), "no key").unwrap(),
        |directory| std::fs::remove_file(directory.join("tls.crt")).unwrap(),
        |directory| put(directory, &Pem { certificate: Vec::new(), ..Authority::new().pem() }),
    ];
    for break_it in broken {
        break_it(directory.path());
        for logged in [false, true, true] {
            reload.check_files().await;
            assert!(served_by(&first).await);
            assert_eq!(reload.rejected.as_ref().unwrap().1, logged);
        }
    }

    // The key is replaced after the certificate.
    let new = second.pem();
    std::fs::write(directory.path().join("tls.crt"), &new.certificate).unwrap();
    reload.check_files().await;
    assert!(served_by(&first).await && !served_by(&second).await);
    put(directory.path(), &new);
    reload.check_files().await;
    assert!(served_by(&second).await && !served_by(&first).await);
    assert!(reload.rejected.is_none());

    // Symbolic links replace the files, as when Kubernetes updates a secret.
    let elsewhere = TempDir::new().unwrap();
    put(elsewhere.path(), &third.pem());
    for name in ["tls.crt", "tls.key"] {
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(elsewhere.path().join(name), &link).unwrap();
        std::fs::rename(&link, directory.path().join(name)).unwrap();
    }
    reload.check_files().await;
    assert!(served_by(&third).await);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_named() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| Some(directory.path().join(name));
    let (certificate_file, key_file) = (path("tls.crt"), path("tls.key"));
    let settings = config::Tls { certificate_file, key_file, ..Config::reference().tls };
    put(directory.path(), &Authority::new().pem());
    std::fs::remove_file(directory.path().join("tls.key")).unwrap();
    let error = Files::new(&settings).unwrap().load(now()).await.err().unwrap();
    assert!(error.message.starts_with("tls.key_file: "), "{error}");
    assert!(error.message.contains("tls.key cannot be read"), "{error}");
    assert!(Files::new(&Config::reference().tls).is_none());
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_is_logged() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| Some(directory.path().join(name));
    let (certificate_file, key_file) = (path("tls.crt"), path("tls.key"));
    let settings = config::Tls { certificate_file, key_file, ..Config::reference().tls };
    // From 2030-01-01 for 90 days.
    let begin = 1_893_456_000;
    let days = |days: i64| begin + days * 24 * 60 * 60;
    let short = || {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2030, 1, 1);
        params.not_after = rcgen::date_time_ymd(2030, 4, 1);
        let certificate = params.self_signed(&key).unwrap().pem().into();
        Pem { certificate, key: key.serialize_pem().into_bytes().into(), client_ca: None }
    };
    put(directory.path(), &short());
    let clock = Arc::new(std::sync::atomic::AtomicI64::new(days(-1)));
    let seconds = Arc::clone(&clock);
    let now: Now = Box::new(move || {
        let seconds = seconds.load(std::sync::atomic::Ordering::SeqCst);
        crate::domain::Timestamp::from_micros(seconds * 1_000_000)
    });
    // A concern is logged at the start and whenever it changes.
    let (_tls, mut reload) = Files::new(&settings).unwrap().load(now).await.unwrap();
    assert_eq!(reload.concern, Some(Concern::NotYetValid));
    for (day, concern) in [
        (1, None),
        (75, None),
        (77, Some(Concern::ExpiresSoon)),
        (89, Some(Concern::ExpiresSoon)),
        (91, Some(Concern::Expired)),
    ] {
        clock.store(days(day), std::sync::atomic::Ordering::SeqCst);
        reload.check_validity();
        assert_eq!(reload.concern, concern, "on day {day}");
    }
    // Another expired certificate is logged again.
    put(directory.path(), &short());
    reload.check_files().await;
    assert_eq!(reload.concern, None);
    reload.check_validity();
    assert_eq!(reload.concern, Some(Concern::Expired));
    // A valid certificate is not logged.
    put(directory.path(), &Authority::new().pem());
    reload.check_files().await;
    reload.check_validity();
    assert_eq!(reload.concern, None);
}
