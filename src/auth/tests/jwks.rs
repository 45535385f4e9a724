use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;

use super::endpoint::{Answer, Endpoint, gzip};
use super::log::Log;
use super::{SigningKey, jwks};
use crate::auth::jwks::{KeySet, NeverRead};
use crate::clock::{Clock, OffsetClock};
use crate::config::{Algorithm, JwksSource};

const ED: Algorithm = Algorithm::EdDsa;

fn key_set(source: &JwksSource, clock: &OffsetClock) -> Arc<KeySet> {
    KeySet::new("issuer", source, Arc::new(clock.clone())).unwrap()
}

async fn knows(keys: &Arc<KeySet>, key: &SigningKey) -> bool {
    keys.find(Some(&key.id), ED).await.is_ok_and(|found| !found.is_empty())
}

/// Whether a key is found without waiting.
#[track_caller]
fn knows_at_once(keys: &Arc<KeySet>, key: &SigningKey) -> bool {
    let found = keys.find(Some(&key.id), ED).now_or_never().expect("the lookup must not wait");
    !found.unwrap().is_empty()
}

#[tokio::test]
async fn p31_any_number_of_unknown_key_ids_cause_one_fetch_in_30_seconds() {
    let (known, next) = (SigningKey::ed25519(), SigningKey::ed25519());
    let endpoint = Endpoint::start(Answer::Body(known.jwks())).await;
    let clock = OffsetClock::default();
    let keys = key_set(&endpoint.source(), &clock);

    let look_up = |id: String| {
        let keys = Arc::clone(&keys);
        tokio::spawn(async move { keys.find(Some(&id), ED).await.unwrap().len() })
    };
    let lookups: Vec<_> = (0..64).map(|i| look_up(format!("unknown {i}"))).collect();
    let first = look_up(known.id.clone());
    for found in lookups {
        assert_eq!(found.await.unwrap(), 0);
    }
    assert_eq!(first.await.unwrap(), 1, "it waits for the running fetch");
    assert_eq!(endpoint.requests(), 1);

    endpoint.answer(Answer::Body(jwks([&known, &next])));
    clock.advance(Duration::from_secs(29));
    assert!(!knows(&keys, &next).await);
    assert_eq!(endpoint.requests(), 1);
    clock.advance(Duration::from_secs(1));
    assert!(knows(&keys, &next).await);
    assert!(knows(&keys, &known).await);
    assert_eq!(endpoint.requests(), 2);
}

#[tokio::test]
async fn p31_known_keys_stay_valid_while_the_endpoint_fails() {
    let (known, stranger) = (SigningKey::ed25519(), SigningKey::ed25519());
    let endpoint = Endpoint::start(Answer::Body(known.jwks())).await;
    let clock = OffsetClock::default();
    let keys = key_set(&endpoint.source(), &clock);
    assert!(knows(&keys, &known).await);

    let elsewhere = Endpoint::start(Answer::Body(stranger.jwks())).await;
    let too_large = [stranger.jwks(), vec![b' '; 2 << 20]].concat();
    for answer in [
        Answer::Failure,
        Answer::Redirect(elsewhere.url().to_owned()),
        Answer::Body(b"<html>maintenance</html>".to_vec()),
        Answer::Body(br#"{"keys":[]}"#.to_vec()),
        Answer::Body(too_large.clone()),
        Answer::Encoded("gzip", gzip(&too_large)),
        Answer::Encoded("gzip", b"not compressed".to_vec()),
        Answer::Encoded("br", stranger.jwks()),
    ] {
        endpoint.answer(answer);
        let before = endpoint.requests();
        clock.advance(Duration::from_secs(2 * 60 * 60));
        assert!(knows_at_once(&keys, &known));
        assert!(!knows(&keys, &stranger).await);
        assert!(knows_at_once(&keys, &known));
        assert_eq!(endpoint.requests(), before + 1);
    }
    assert_eq!(elsewhere.requests(), 0, "redirects are not followed");
}

#[tokio::test]
async fn p42_a_hanging_endpoint_does_not_delay_lookups_of_known_keys() {
    let (known, new) = (SigningKey::ed25519(), SigningKey::ed25519());
    let endpoint = Endpoint::start(Answer::Body(known.jwks())).await;
    let clock = OffsetClock::default();
    let keys = key_set(&endpoint.source(), &clock);
    assert!(knows(&keys, &known).await);

    endpoint.answer(Answer::Silence);
    clock.advance(Duration::from_secs(24 * 60 * 60));
    assert!(knows_at_once(&keys, &known));
    // While a refresh is running, only a request with an unknown key id waits for it.
    let waits = {
        let (keys, id) = (Arc::clone(&keys), new.id.clone());
        tokio::spawn(async move { keys.find(Some(&id), ED).await.unwrap().len() })
    };
    while endpoint.requests() < 2 {
        tokio::task::yield_now().await;
    }
    for _ in 0..10 {
        clock.advance(Duration::from_secs(30));
        assert!(knows_at_once(&keys, &known));
    }
    assert!(!waits.is_finished());

    endpoint.answer(Answer::Body(jwks([&known, &new])));
    assert_eq!(waits.await.unwrap(), 1);
    assert!(knows_at_once(&keys, &known));
}

#[tokio::test]
async fn p31_keys_that_were_never_read_are_fetched_with_growing_pauses() {
    let key = SigningKey::ed25519();
    let endpoint = Endpoint::start(Answer::Failure).await;
    let clock = OffsetClock::default();
    clock.stop_at(clock.now());
    let keys = key_set(&endpoint.source(), &clock);
    let look_up = async || keys.find(Some(&key.id), ED).await.map(|found| found.len());
    for (attempt, least) in [1, 2, 4, 8, 15, 15, 15].into_iter().enumerate() {
        let least = Duration::from_secs(least);
        let NeverRead { retry_after } = look_up().await.unwrap_err();
        assert_eq!(endpoint.requests(), attempt + 1);
        assert!(retry_after >= least && retry_after <= 2 * least, "{retry_after:?}");
        clock.advance(retry_after.saturating_sub(Duration::from_micros(1)));
        assert_eq!(look_up().await.unwrap_err().retry_after, Duration::from_secs(1), "rounded up");
        assert_eq!(endpoint.requests(), attempt + 1, "no earlier request");
        // The clock counts microseconds, the pause nanoseconds.
        clock.advance(Duration::from_micros(2));
    }
    endpoint.answer(Answer::Body(key.jwks()));
    assert_eq!(look_up().await, Ok(1));

    // After the first success, the normal policy applies.
    let (unknown, before) = (SigningKey::ed25519(), endpoint.requests());
    for (seconds, requests) in [(0, 0), (29, 0), (1, 1), (29, 1), (1, 2)] {
        clock.advance(Duration::from_secs(seconds));
        assert!(!knows(&keys, &unknown).await);
        assert_eq!(endpoint.requests(), before + requests);
    }
}

#[tokio::test]
async fn keys_are_refreshed_in_the_background_after_five_minutes() {
    let (old, new) = (SigningKey::ed25519(), SigningKey::ed25519());
    let endpoint = Endpoint::start(Answer::Body(old.jwks())).await;
    let clock = OffsetClock::default();
    clock.stop_at(clock.now());
    let keys = key_set(&endpoint.source(), &clock);
    assert!(knows(&keys, &old).await);
    endpoint.answer(Answer::Body(new.jwks()));
    clock.advance(Duration::from_secs(5 * 60 - 1));
    keys.refresh_stale();
    tokio::task::yield_now().await;
    assert!(knows_at_once(&keys, &old));
    assert_eq!(endpoint.requests(), 1);

    clock.advance(Duration::from_secs(1));
    keys.refresh_stale();
    // Waits for the running refresh.
    keys.refresh().await;
    assert!(!knows(&keys, &old).await, "the issuer has withdrawn the old key");
    assert!(knows_at_once(&keys, &new));
    assert_eq!(endpoint.requests(), 2);
}

#[tokio::test]
async fn keys_are_read_before_the_first_token_arrives() {
    let key = SigningKey::ed25519();
    let endpoint = Endpoint::start(Answer::Body(key.jwks())).await;
    let keys = key_set(&endpoint.source(), &OffsetClock::default());
    keys.refresh_stale();
    keys.refresh().await;
    assert!(knows_at_once(&keys, &key));
    assert_eq!(endpoint.requests(), 1);
}

#[tokio::test]
async fn a_refresh_continues_after_its_caller_is_cancelled() {
    let key = SigningKey::ed25519();
    let endpoint = Endpoint::start(Answer::Silence).await;
    let keys = key_set(&endpoint.source(), &OffsetClock::default());
    {
        let mut impatient = Box::pin(keys.find(Some(&key.id), ED));
        while endpoint.requests() == 0 {
            assert!(futures::poll!(&mut impatient).is_pending());
            tokio::task::yield_now().await;
        }
    }
    // The refresh continues, and other requests wait for it.
    let patient = {
        let (keys, id) = (Arc::clone(&keys), key.id.clone());
        tokio::spawn(async move { keys.find(Some(&id), ED).await.unwrap().len() })
    };
    tokio::task::yield_now().await;
    endpoint.answer(Answer::Body(key.jwks()));
    assert_eq!(patient.await.unwrap(), 1);
    assert_eq!(endpoint.requests(), 1);
}

#[tokio::test]
async fn a_compressed_response_is_read() {
    for encoding in ["gzip", "x-gzip", "GZIP"] {
        let key = SigningKey::ed25519();
        let endpoint = Endpoint::start(Answer::Encoded(encoding, gzip(&key.jwks()))).await;
        let keys = key_set(&endpoint.source(), &OffsetClock::default());
        assert!(knows(&keys, &key).await, "{encoding}");
    }
    let key = SigningKey::ed25519();
    let endpoint = Endpoint::start(Answer::Encoded("identity", key.jwks())).await;
    let keys = key_set(&endpoint.source(), &OffsetClock::default());
    assert!(knows(&keys, &key).await);
}

#[tokio::test]
async fn a_skipped_key_is_logged_again_only_after_a_change() {
    let key = SigningKey::ed25519();
    let with = |skipped: &str, plus: serde_json::Value| {
        let mut other =
            serde_json::json!({ "kid": skipped, "kty": "RSA", "n": "AQAB", "e": "AQAB" });
        other.as_object_mut().unwrap().extend(plus.as_object().unwrap().clone());
        serde_json::json!({ "keys": [other, key.jwk()] }).to_string().into_bytes()
    };
    let nothing = serde_json::json!({});
    let endpoint = Endpoint::start(Answer::Body(with("weak", nothing.clone()))).await;
    let clock = OffsetClock::default();
    let keys = key_set(&endpoint.source(), &clock);
    let log = Log::start();
    let read_again = async || {
        clock.advance(Duration::from_secs(30));
        keys.refresh().await;
        assert!(knows_at_once(&keys, &key));
        log.lines()
    };
    let lines = read_again().await;
    assert!(lines.len() == 1 && lines[0].contains("WARN"), "{lines:?}");
    for word in ["skipped", "weak", "issuer", "2048"] {
        assert!(lines[0].contains(word), "{word}: {lines:?}");
    }
    assert!(read_again().await.is_empty(), "logged once");
    endpoint.answer(Answer::Body(with("other", serde_json::json!({ "use": "enc" }))));
    let lines = read_again().await;
    assert!(lines.len() == 1 && lines[0].contains("INFO"), "{lines:?}");
    assert!(lines[0].contains("other") && lines[0].contains("not for signatures"), "{lines:?}");
    endpoint.answer(Answer::Body(key.jwks()));
    assert!(read_again().await.is_empty());
    endpoint.answer(Answer::Body(with("weak", nothing)));
    assert_eq!(read_again().await.len(), 1, "a key is skipped again");
}

#[tokio::test]
async fn a_file_is_read_again_after_ten_seconds() {
    let (old, new) = (SigningKey::ed25519(), SigningKey::ed25519());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jwks.json");
    std::fs::write(&path, old.jwks()).unwrap();
    let clock = OffsetClock::default();
    clock.stop_at(clock.now());
    let keys = key_set(&JwksSource::File(path.clone()), &clock);
    keys.read().await.unwrap();
    assert!(knows_at_once(&keys, &old));

    std::fs::write(&path, new.jwks()).unwrap();
    clock.advance(Duration::from_micros(9_999_999));
    keys.refresh_stale();
    tokio::task::yield_now().await;
    assert!(knows_at_once(&keys, &old));
    clock.advance(Duration::from_micros(1));
    keys.refresh_stale();
    keys.refresh().await;
    assert!(!knows(&keys, &old).await);
    assert!(knows_at_once(&keys, &new));

    std::fs::remove_file(&path).unwrap();
    clock.advance(Duration::from_secs(10));
    keys.refresh().await;
    assert!(knows_at_once(&keys, &new));
}

#[tokio::test]
async fn a_lookup_without_a_key_id_needs_exactly_one_matching_key() {
    let (one, two) = (SigningKey::ed25519(), SigningKey::ed25519());
    let ec = SigningKey::ec(Algorithm::Es256);
    let endpoint = Endpoint::start(Answer::Body(jwks([&one, &ec]))).await;
    let clock = OffsetClock::default();
    let keys = key_set(&endpoint.source(), &clock);
    let found = async |id: Option<&str>, algorithm| keys.find(id, algorithm).await.unwrap().len();
    assert_eq!(found(None, ED).await, 1);
    assert_eq!(found(None, Algorithm::Es256).await, 1);
    assert_eq!(found(None, Algorithm::Rs256).await, 0);

    endpoint.answer(Answer::Body(jwks([&one, &two])));
    clock.advance(Duration::from_secs(60 * 60));
    keys.refresh().await;
    assert_eq!(found(None, ED).await, 0);
    assert_eq!(found(Some(&two.id), ED).await, 1);
    assert_eq!(found(Some(&two.id), Algorithm::Es256).await, 0);
}
