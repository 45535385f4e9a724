//! The log messages about public keys that cannot be read.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::SigningKey;
use super::endpoint::{Answer, Endpoint};
use super::log::Log;
use crate::auth::jwks::KeySet;
use crate::clock::OffsetClock;
use crate::config::JwksSource;

/// A part of every URL; the log must not contain it.
const SECRET: &str = "canary";

/// The single line that one failed refresh logs.
async fn logged(source: JwksSource) -> String {
    let log = Log::start();
    let keys = KeySet::new("issuer", &source, Arc::new(OffsetClock::default())).unwrap();
    keys.refresh().await;
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    for words in ["WARN", "issuer=\"issuer\"", "UNAVAILABLE", "next_attempt_after"] {
        assert!(lines[0].contains(words), "{words}: {lines:?}");
    }
    assert!(!lines[0].contains(SECRET), "P05: {lines:?}");
    lines[0].clone()
}

fn url(text: &str) -> JwksSource {
    let text = text.replacen("://", &format!("://{SECRET}:{SECRET}@"), 1);
    JwksSource::Url(format!("{text}?{SECRET}={SECRET}").parse().unwrap())
}

/// The line that is logged for an endpoint with this response.
async fn logged_of(answer: Answer) -> String {
    logged(url(Endpoint::start(answer).await.url())).await
}

#[track_caller]
fn assert_contains(line: &str, words: &str) {
    assert!(line.to_ascii_lowercase().contains(words), "{words}: {line}");
}

#[tokio::test]
async fn a_refused_connection_is_logged() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert_contains(&logged(url(&format!("http://{address}/"))).await, "connection refused");
}

#[tokio::test]
async fn an_unknown_host_is_logged() {
    assert_contains(&logged(url("https://keys.invalid/")).await, "dns");
}

#[tokio::test]
async fn an_untrusted_certificate_is_logged() {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (peer, _) = listener.accept().await.unwrap();
        TlsAcceptor::from(Arc::new(config)).accept(peer).await.map(drop)
    });
    assert_contains(&logged(url(&format!("https://localhost:{port}/"))).await, "certificate");
}

#[tokio::test]
async fn an_endpoint_without_tls_is_logged() {
    let plain = Endpoint::start(Answer::Body(SigningKey::ed25519().jwks())).await;
    let line = logged(url(&plain.url().replace("http://", "https://"))).await;
    assert_contains(&line, "invalid");
    assert_eq!(plain.requests(), 1, "the endpoint accepted one connection");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_the_endpoint_is_logged() {
    assert_contains(&logged_of(Answer::Silence).await, "no complete response within 5s");
}

#[tokio::test]
async fn a_response_without_a_valid_key_set_is_logged() {
    let large = vec![b' '; 2 << 20];
    for (answer, words) in [
        (Answer::Failure, "503"),
        (Answer::Redirect("http://127.0.0.1:1/".to_owned()), "302"),
        (Answer::Body(b"<html>".to_vec()), "not a jwk set"),
        (Answer::Body(br#"{"keys":[]}"#.to_vec()), "no usable key"),
        (Answer::Body(br#"{"keys":[{"d":"x"}]}"#.to_vec()), "private key"),
        (Answer::Body(large), "larger than"),
        (Answer::Encoded("gzip", b"<html>".to_vec()), "gzip"),
        (Answer::Encoded("br", vec![]), "`br`"),
    ] {
        assert_contains(&logged_of(answer).await, words);
    }
}

#[tokio::test]
async fn a_missing_key_file_is_logged() {
    let directory = tempfile::tempdir().unwrap();
    assert_contains(&logged(JwksSource::File(directory.path().join("keys"))).await, "no such file");
}

#[tokio::test]
async fn the_log_states_that_cached_keys_stay_in_use() {
    let key = SigningKey::ed25519();
    let endpoint = Endpoint::start(Answer::Body(key.jwks())).await;
    let clock = OffsetClock::default();
    let keys = KeySet::new("issuer", &endpoint.source(), Arc::new(clock.clone())).unwrap();
    keys.refresh().await;
    endpoint.answer(Answer::Failure);
    clock.advance(std::time::Duration::from_secs(30));
    let log = Log::start();
    keys.refresh().await;
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_contains(&lines[0], "the cached keys stay in use");
    assert_contains(&lines[0], "503");
}
