//! TLS of the real program: settings, every protocol, new certificates.

use std::time::{Duration, Instant};

use http::{Request, Version};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::Endpoint;
use tower::service_fn;

use crate::protocols::connection::Connection;
use crate::protocols::request::TestRequest;
use crate::protocols::transport::{Form, Transport};
use crate::support::certificates::{Authority, Certified, connect};
use crate::support::{Engine, Installation, Server, own, run_installed};

const GET_CALLER: &str = "/guestlist.v1.AccountService/GetCaller";

/// The command `serve` with TLS files in the directory in which the program starts.
const FILES: [&str; 5] =
    ["serve", "--tls-certificate-file", "tls.crt", "--tls-key-file", "tls.key"];

/// Starts a server with a certificate of this authority.
fn serve(at: &Installation, authority: &Authority, settings: &[(&str, &str)]) -> Server {
    authority.certify().write(at.directory());
    Server::start(at.command(&FILES, settings))
}

fn alpn(version: Version) -> &'static [&'static str] {
    if version == Version::HTTP_2 { &["h2"] } else { &["http/1.1"] }
}

/// Calls GetCaller through this transport; returns the caller's email address.
async fn caller(transport: Transport, connection: &mut Connection, key: &str) -> String {
    let call = TestRequest::new(transport, GET_CALLER, &json!({}));
    let answer = call.with("authorization", &format!("Bearer {key}")).send(connection).await;
    let answer_body = transport.read(GET_CALLER, &answer).expect("the call succeeds");
    answer_body["account"]["email"].as_str().expect("an address").to_owned()
}

/// Waits until the condition holds.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < Duration::from_secs(60), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn every_protocol_works_over_tls() {
    run_installed(Engine::Sqlite, async |at| {
        let authority = Authority::new();
        let server = serve(at, &authority, &[]);
        assert!(server.output().contains(&format!("\nlistening on https://{}\n", server.addr)));
        let key = at.new_key("ana@acme.com");
        for transport in Transport::ALL {
            let client = authority.client(alpn(transport.version), None);
            let stream = connect(&client, server.addr).await.unwrap();
            let mut connection = Connection::over(stream, server.addr, transport.version).await;
            for _ in 0..2 {
                let email = caller(transport, &mut connection, &key).await;
                assert_eq!(email, "ana@acme.com", "{transport:?}");
            }
        }

        // The same with tonic's client, which is built without TLS here.
        let (client, addr) = (authority.client(&["h2"], None), server.addr);
        let dial = service_fn(move |_: http::Uri| {
            let client = client.clone();
            async move { connect(&client, addr).await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_static("http://localhost");
        let channel = endpoint.connect_with_connector(dial).await.unwrap();
        let mut accounts = own::account_service_client::AccountServiceClient::new(channel);
        let mut request = tonic::Request::new(own::GetCallerRequest {});
        request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        let answer = accounts.get_caller(request).await.unwrap().into_inner();
        assert_eq!(answer.account.unwrap().email, "ana@acme.com");
        let ended = server.stop();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
    });
}

#[test]
fn a_new_certificate_is_loaded_and_a_broken_one_is_ignored() {
    run_installed(Engine::Sqlite, async |at| {
        let [before, after, last] = [Authority::new(), Authority::new(), Authority::new()];
        let server = serve(at, &before, &[("GUESTLIST_TLS__RELOAD_INTERVAL", "10ms")]);
        let key = at.new_key("ana@acme.com");
        let transport = Transport { form: Form::Grpc, version: Version::HTTP_2 };
        let serves = async |authority: &Authority| {
            connect(&authority.client(&["h2"], None), server.addr).await.is_ok()
        };
        let stream = connect(&before.client(&["h2"], None), server.addr).await.unwrap();
        let mut old = Connection::over(stream, server.addr, transport.version).await;
        assert_eq!(caller(transport, &mut old, &key).await, "ana@acme.com");

        after.certify().write(at.directory());
        until("the new one is served", async || serves(&after).await).await;
        assert!(!serves(&before).await);
        assert_eq!(caller(transport, &mut old, &key).await, "ana@acme.com", "it stays open");

        std::fs::write(at.directory().join("tls.key"), "no key").unwrap();
        let warning = "the new TLS files cannot be used; the old certificate stays";
        until("the failure is logged", async || server.logged().contains(warning)).await;
        assert!(serves(&after).await);
        // The server checks the files many times, but logs the failure only once.
        last.certify().write(at.directory());
        until("the last one is served", async || serves(&last).await).await;
        let ended = server.stop();
        assert_eq!(ended.err.matches(warning).count(), 1, "{}", ended.err);
        assert!(ended.err.contains("tls.key_file: tls.key"), "{}", ended.err);
    });
}

#[test]
fn client_certificates_are_required_if_a_client_ca_is_configured() {
    run_installed(Engine::Sqlite, async |at| {
        let [authority, clients, other] = [Authority::new(), Authority::new(), Authority::new()];
        std::fs::write(at.directory().join("clients.crt"), clients.pem()).unwrap();
        // A port that was free a moment ago.
        let metrics = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let metrics = metrics.to_string();
        let settings = [
            ("GUESTLIST_TLS__CLIENT_CA_FILE", "clients.crt"),
            ("GUESTLIST_METRICS_LISTEN", &metrics),
        ];
        let server = serve(at, &authority, &settings);
        let readyz_with = async |own: Option<Certified>| {
            let client = authority.client(&["http/1.1"], own.as_ref());
            let stream = connect(&client, server.addr).await.ok()?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
            tokio::spawn(connection);
            let request = Request::get("/readyz").header("host", "localhost");
            let answer = sender.send_request(request.body(Empty::<&[u8]>::new()).unwrap()).await;
            Some(answer.ok()?.into_body().collect().await.unwrap().to_bytes())
        };
        assert_eq!(readyz_with(None).await, None);
        assert_eq!(readyz_with(Some(other.certify())).await, None);
        assert_eq!(readyz_with(Some(clients.certify())).await.unwrap(), "ready\n");

        // The health check has no client certificate, so it calls the metrics listener, which
        // requires none.
        let addr = server.addr.to_string();
        let files = [&FILES[1..], &["--tls-client-ca-file", "clients.crt"]].concat();
        let check = |more: &[&str]| {
            at.run(&[&["healthcheck", "--listen", &addr], &files[..], more].concat())
        };
        assert_eq!(check(&["--metrics-listen", &metrics]).code, 0);
        let output = check(&[]);
        assert_eq!(output.code, 1);
        assert!(output.err.contains("metrics_listen"), "{}", output.err);
    });
}

#[test]
fn the_health_check_uses_tls() {
    run_installed(Engine::Sqlite, async |at| {
        let server = serve(at, &Authority::new(), &[]);
        let addr = server.addr.to_string();
        let over_tls = [&["healthcheck", "--listen", &addr], &FILES[1..]].concat();
        let output = at.run(&over_tls);
        assert_eq!((output.code, output.err.as_str()), (0, ""));
        assert_eq!(at.run(&over_tls[..3]).code, 1, "the server accepts only TLS");
        server.stop();
        let output = at.run(&over_tls);
        assert_eq!(output.code, 1);
        assert!(output.err.contains(&format!("https://{addr}/readyz")), "{}", output.err);
    });
}

#[test]
fn errors_of_the_tls_files_are_reported_before_the_store_is_created() {
    run_installed(Engine::Sqlite, async |at| {
        let (authority, directory) = (Authority::new(), at.directory());
        std::fs::write(directory.join("empty"), "").unwrap();
        authority.certify().write(directory);
        let other = authority.certify().key;
        std::fs::write(directory.join("other.key"), other).unwrap();
        for (certificate, key, client_ca, code, words) in [
            (Some("tls.crt"), None, None, 2, "tls.certificate_file, tls.key_file: set both"),
            (None, None, Some("tls.crt"), 2, "tls.client_ca_file: needs"),
            (Some("gone"), Some("tls.key"), None, 1, "tls.certificate_file: gone cannot be read"),
            (Some("tls.crt"), Some("gone"), None, 1, "tls.key_file: gone cannot be read"),
            (Some("empty"), Some("tls.key"), None, 1, "empty holds no certificate"),
            (Some("tls.crt"), Some("other.key"), None, 1, "other.key does not belong"),
            (Some("tls.crt"), Some("tls.key"), Some("empty"), 1, "empty holds no certificate"),
        ] {
            let mut more = Vec::new();
            for (flag, value) in [
                ("--tls-certificate-file", certificate),
                ("--tls-key-file", key),
                ("--tls-client-ca-file", client_ca),
            ] {
                more.extend(value.map(|value| [flag, value]).into_iter().flatten());
            }
            for command in ["serve", "check-config"] {
                let output = at.run(&[&[command], &more[..]].concat());
                assert_eq!(
                    (output.code, output.out.as_str()),
                    (code, ""),
                    "{more:?}: {}",
                    output.err
                );
                assert!(output.err.contains(words), "{more:?}: {}", output.err);
            }
        }
        assert!(!at.key_file().exists(), "no key file was created");
        let output = at.run(&[&["check-config"], &FILES[1..]].concat());
        assert_eq!(output.out, "the configuration is valid\n", "{}", output.err);
    });
}

#[test]
fn p05_the_private_key_is_never_logged() {
    run_installed(Engine::Sqlite, async |at| {
        let authority = Authority::new();
        let filter = "trace,rustls=trace,hyper=trace,h2=trace";
        let settings =
            [("GUESTLIST_LOG__FILTER", filter), ("GUESTLIST_TLS__RELOAD_INTERVAL", "10ms")];
        let server = serve(at, &authority, &settings);
        connect(&authority.client(&["h2"], None), server.addr).await.unwrap();
        // The file of the certificate contains the private key, too.
        let new = authority.certify();
        for name in ["tls.crt", "tls.key"] {
            std::fs::write(at.directory().join(name), &new.key).unwrap();
        }
        until("it is logged", async || server.logged().contains("the old certificate stays")).await;
        let ended = server.stop();
        let secrets = new.key.lines().filter(|line| !line.starts_with("---"));
        for line in secrets {
            assert!(!ended.err.contains(line), "{}", ended.err);
        }
    });
}

#[test]
fn p34_p37_plain_and_silent_clients_do_not_delay_the_stop() {
    run_installed(Engine::Sqlite, async |at| {
        let server = serve(at, &Authority::new(), &[]);
        let mut plain = TcpStream::connect(server.addr).await.unwrap();
        plain.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        // A reset of the connection is also an end.
        plain.read_to_end(&mut answer).await.ok();
        assert!(answer.len() <= 7, "an alert at most: {answer:?}");

        let mut silent = Vec::new();
        for input in [&b""[..], b"\x16\x03\x01\x02\x00\x01"].repeat(20) {
            let mut peer = TcpStream::connect(server.addr).await.unwrap();
            peer.write_all(input).await.unwrap();
            silent.push(peer);
        }
        let ended = server.stop();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert!(
            !ended.err.contains("the drain timeout has passed"),
            "the server waits for no client: {}",
            ended.err
        );
    });
}
