use std::sync::Arc;
use std::time::Duration;

use super::endpoint::{Answer, Endpoint};
use super::{SigningKey, jwks};
use crate::auth::jwks::KeySet;
use crate::clock::OffsetClock;
use crate::config::{Algorithm, JwksSource};

const ED: Algorithm = Algorithm::EdDsa;

fn key_set(source: &JwksSource, clock: &OffsetClock) -> Arc<KeySet> {
    KeySet::new("issuer", source, Arc::new(clock.clone())).unwrap()
}

async fn knows(keys: &Arc<KeySet>, key: &SigningKey) -> bool {
    !keys.find(Some(&key.id), ED).await.is_empty()
}

#[tokio::test]
async fn p31_unknown_key_ids_cause_one_fetch_in_30_seconds_however_many_ask() {
    let (known, next) = (SigningKey::ed25519(), SigningKey::ed25519());
    let endpoint = Endpoint::start(Answer::Body(known.jwks())).await;
    let clock = OffsetClock::default();
    let keys = key_set(&endpoint.source(), &clock);

    let ask = |id: String| {
        let keys = Arc::clone(&keys);
        tokio::spawn(async move { keys.find(Some(&id), ED).await.len() })
    };
    let asking: Vec<_> = (0..64).map(|i| ask(format!("unknown {i}"))).collect();
    let first = ask(known.id.clone());
    for found in asking {
        assert_eq!(found.await.unwrap(), 0);
    }
    assert_eq!(first.await.unwrap(), 1, "who waits for the fetch under way gets its outcome");
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
async fn p31_known_keys_live_on_when_the_endpoint_is_down() {
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
        Answer::Body(too_large),
    ] {
        endpoint.answer(answer);
        let before = endpoint.requests();
        clock.advance(Duration::from_secs(2 * 60 * 60));
        assert!(knows(&keys, &known).await);
        assert!(!knows(&keys, &stranger).await);
        assert_eq!(endpoint.requests(), before + 1);
    }
    assert_eq!(elsewhere.requests(), 0, "redirects are not followed");
}

#[tokio::test]
async fn p31_a_key_that_was_never_had_is_not_made_up_for() {
    let key = SigningKey::ed25519();
    let endpoint = Endpoint::start(Answer::Failure).await;
    let clock = OffsetClock::default();
    let keys = key_set(&endpoint.source(), &clock);
    assert!(!knows(&keys, &key).await);
    assert!(!knows(&keys, &key).await);
    assert_eq!(endpoint.requests(), 1);
    endpoint.answer(Answer::Body(key.jwks()));
    clock.advance(Duration::from_secs(30));
    assert!(knows(&keys, &key).await);
}

#[tokio::test]
async fn a_key_that_the_issuer_withdrew_goes() {
    let (old, new) = (SigningKey::ed25519(), SigningKey::ed25519());
    let endpoint = Endpoint::start(Answer::Body(old.jwks())).await;
    let clock = OffsetClock::default();
    let keys = key_set(&endpoint.source(), &clock);
    assert!(knows(&keys, &old).await);
    endpoint.answer(Answer::Body(new.jwks()));
    clock.advance(Duration::from_secs(60 * 60));
    assert!(!knows(&keys, &old).await, "after an hour the issuer is asked first");
}

#[tokio::test]
async fn a_caller_who_gives_up_does_not_waste_the_attempt() {
    let key = SigningKey::ed25519();
    let endpoint = Endpoint::start(Answer::Silence).await;
    let clock = OffsetClock::default();
    let keys = key_set(&endpoint.source(), &clock);
    let impatient = tokio::time::timeout(Duration::from_millis(50), keys.find(Some("x"), ED));
    assert!(impatient.await.is_err());
    assert_eq!(endpoint.requests(), 1);

    // The attempt goes on and ends by its own bound; until then others wait for it.
    let patient = {
        let keys = Arc::clone(&keys);
        tokio::spawn(async move { keys.find(Some("x"), ED).await.len() })
    };
    assert_eq!(patient.await.unwrap(), 0);
    assert_eq!(endpoint.requests(), 1);
    endpoint.answer(Answer::Body(key.jwks()));
    clock.advance(Duration::from_secs(30));
    assert!(knows(&keys, &key).await);
}

#[tokio::test]
async fn a_file_is_read_again_after_ten_seconds() {
    let (old, new) = (SigningKey::ed25519(), SigningKey::ed25519());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jwks.json");
    std::fs::write(&path, old.jwks()).unwrap();
    let clock = OffsetClock::default();
    let keys = key_set(&JwksSource::File(path.clone()), &clock);
    keys.read().await.unwrap();
    assert!(knows(&keys, &old).await);

    std::fs::write(&path, new.jwks()).unwrap();
    clock.advance(Duration::from_secs(10));
    assert!(!knows(&keys, &old).await);
    assert!(knows(&keys, &new).await);

    std::fs::remove_file(&path).unwrap();
    clock.advance(Duration::from_secs(10));
    assert!(knows(&keys, &new).await);
}

#[tokio::test]
async fn without_a_key_id_there_must_be_no_choice() {
    let (one, two) = (SigningKey::ed25519(), SigningKey::ed25519());
    let ec = SigningKey::ec(Algorithm::Es256);
    let endpoint = Endpoint::start(Answer::Body(jwks([&one, &ec]))).await;
    let clock = OffsetClock::default();
    let keys = key_set(&endpoint.source(), &clock);
    assert_eq!(keys.find(None, ED).await.len(), 1);
    assert_eq!(keys.find(None, Algorithm::Es256).await.len(), 1);
    assert_eq!(keys.find(None, Algorithm::Rs256).await.len(), 0);

    endpoint.answer(Answer::Body(jwks([&one, &two])));
    clock.advance(Duration::from_secs(60 * 60));
    assert_eq!(keys.find(None, ED).await.len(), 0);
    assert_eq!(keys.find(Some(&two.id), ED).await.len(), 1);
}

#[tokio::test]
async fn an_https_endpoint_that_cannot_prove_itself_is_not_believed() {
    let key = SigningKey::ed25519();
    let plain = Endpoint::start(Answer::Body(key.jwks())).await;
    let url = plain.url().replace("http://", "https://").parse().unwrap();
    let keys = key_set(&JwksSource::Url(url), &OffsetClock::default());
    assert!(!knows(&keys, &key).await);
    assert_eq!(plain.requests(), 1, "it was asked, and did not speak TLS");
}
