//! An endpoint with an issuer's public keys, and a server that trusts the issuer.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use guestlist::config::Config;

use super::ACME;
use crate::support::{Database, Engine, Protocol, TestApp};

/// An HTTP server that returns the published keys, or status 500 before any are published.
pub struct Publisher {
    url: String,
    keys: Arc<Mutex<Option<String>>>,
    requests: Arc<AtomicUsize>,
}

impl Publisher {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (keys, requests) = (Arc::<Mutex<Option<String>>>::default(), Arc::default());
        let this = Self { url, keys: Arc::clone(&keys), requests: Arc::clone(&requests) };
        std::thread::spawn(move || {
            for peer in listener.incoming() {
                let mut peer = peer.unwrap();
                let _request = peer.read(&mut [0; 4096]);
                requests.fetch_add(1, Ordering::SeqCst);
                let keys = keys.lock().unwrap().clone();
                let status = if keys.is_some() { "200 OK" } else { "500 Away" };
                let body = keys.unwrap_or_default();
                let length = body.len();
                let head =
                    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}");
                // A Guestlist server that stops does not read the rest of the response.
                let _written = peer.write_all(format!("{head}\r\n\r\n{body}").as_bytes());
            }
        });
        this
    }

    pub fn publish(&self, keys: String) {
        *self.keys.lock().unwrap() = Some(keys);
    }

    /// How often the keys have been requested.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// A server that trusts `ACME` and reads its keys from this publisher.
    pub async fn app(&self, engine: Engine) -> TestApp {
        let database = Database::migrated(engine).await;
        std::fs::write(database.directory.path().join("jwks_url"), &self.url).unwrap();
        TestApp::on(database, Protocol::Grpc, with_publisher, None).await
    }
}

/// Configures the publisher's URL, which [`Publisher::app`] wrote to the data directory.
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
