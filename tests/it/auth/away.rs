//! An issuer whose public keys cannot be read.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use guestlist::clock::Clock;
use guestlist::config::Config;
use serde_json::json;

use super::{ACME, SigningKey};
use crate::rest::client::Rest;
use crate::support::client::Client;
use crate::support::{Code, Database, Engine, Person, Protocol, TestApp, own};

/// Publishes an issuer's keys once it is up; until then it answers 500.
struct Publisher {
    url: String,
    is_up: Arc<AtomicBool>,
}

impl Publisher {
    fn start(keys: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let is_up = Arc::new(AtomicBool::new(false));
        let up = Arc::clone(&is_up);
        std::thread::spawn(move || {
            for peer in listener.incoming() {
                let mut peer = peer.unwrap();
                let _request = peer.read(&mut [0; 4096]);
                let (status, body) = match up.load(Ordering::SeqCst) {
                    true => ("200 OK", keys.as_str()),
                    false => ("500 Away", ""),
                };
                let length = body.len();
                let head =
                    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}");
                // A server that stops does not read the rest.
                let _written = peer.write_all(format!("{head}\r\n\r\n{body}").as_bytes());
            }
        });
        Self { url, is_up }
    }
}

/// Reads the address that the test has left in the data directory.
fn with_publisher(config: &mut Config) {
    let url = std::fs::read_to_string(config.data_dir.join("jwks_url")).unwrap();
    let issuers = format!(
        r#"
        [[issuers]]
        issuer = "{ACME}"
        audience = "guestlist"
        algorithms = ["EdDSA"]
        jwks_url = "{url}"
        login_provider = "acme"
        verified_email_domains = ["acme.com"]
        "#
    );
    let issuers: toml::Table = issuers.parse().unwrap();
    config.issuers = issuers["issuers"].clone().try_into().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn p31_its_tokens_are_unavailable_on_every_protocol_until_its_keys_are_read() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let key = SigningKey::generate();
        let publisher = Publisher::start(key.jwks());
        let database = Database::migrated(engine).await;
        std::fs::write(database.directory.path().join("jwks_url"), &publisher.url).unwrap();
        let app = TestApp::on(database, Protocol::Grpc, with_publisher, None).await;
        let exp = app.clock.now().as_seconds() + 600;
        let token = |key: &SigningKey| {
            key.token(&json!({ "iss": ACME, "aud": "guestlist", "exp": exp, "sub": "ana" }))
        };
        let by =
            |protocol, token: String| Person::new(Client::new(app.addr(), protocol), Some(token));
        let path = "/v1/orgs/0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b/link-invites";

        // A forged token is no better and no worse then.
        for token in [token(&key), token(&SigningKey::generate())] {
            for protocol in Protocol::ALL {
                let ana = by(protocol, token.clone());
                let failure = ana.get_caller(own::GetCallerRequest {}).await.unwrap_err();
                assert_eq!(failure.code, Code::Unavailable, "{protocol:?}: {failure:?}");
                let after = failure.retry_after.expect("it tells when to try again");
                assert!(after >= Duration::from_secs(1), "{after:?}");
            }
            let answer = Rest::new(&by(Protocol::Grpc, token), "GET", path).send().await;
            assert_eq!(answer.status, 503);
            assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
        }

        publisher.is_up.store(true, Ordering::SeqCst);
        app.clock.advance(Duration::from_secs(30));
        for protocol in Protocol::ALL {
            let ana = by(protocol, token(&key));
            assert!(ana.get_caller(own::GetCallerRequest {}).await.is_ok(), "{protocol:?}");
            let forger = by(protocol, token(&SigningKey::generate()));
            let failure = forger.get_caller(own::GetCallerRequest {}).await.unwrap_err();
            assert_eq!(failure.code, Code::Unauthenticated, "{protocol:?}");
        }
        let answer = Rest::new(&by(Protocol::Grpc, token(&key)), "GET", path).send().await;
        assert_eq!(answer.status, 404);
        app.stop().await;
    }
}
