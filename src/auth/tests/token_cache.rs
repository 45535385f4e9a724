//! Tests of the events that make a cached token invalid.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::endpoint::{Answer, Endpoint};
use super::{SigningKey, jwks, jwt_issuer};
use crate::auth::issuers::Issuers;
use crate::auth::jwt::JwtVerifier;
use crate::auth::token_cache::VerifiedToken;
use crate::clock::{Clock, OffsetClock};
use crate::config::{Algorithm, Issuer, Trust};
use crate::domain::Timestamp;
use crate::error::{Error, Kind};

const ISSUER: &str = "https://id.example";
const MAX_KEYS_AGE: Duration = Duration::from_secs(5 * 60);

/// An issuer with an endpoint for its keys, and a verifier. The clock is stopped.
struct Fixture {
    endpoint: Endpoint,
    clock: OffsetClock,
    verifier: JwtVerifier,
}

impl Fixture {
    async fn new<'a>(keys: impl IntoIterator<Item = &'a SigningKey>) -> Self {
        let endpoint = Endpoint::start(Answer::Body(jwks(keys))).await;
        let clock = OffsetClock::default();
        clock.stop_at(clock.now());
        let verifier = verifier(&endpoint, &clock, |_| ()).await;
        let fixture = Self { endpoint, clock, verifier };
        // The first token causes the first refresh of the keys, which changes the key set.
        let unknown = SigningKey::ed25519().token(&fixture.claims());
        assert!(fixture.verify(&unknown).await.is_err());
        fixture
    }

    fn claims(&self) -> Value {
        let exp = self.clock.now().as_seconds() + 24 * 60 * 60;
        json!({ "iss": ISSUER, "sub": "ana", "aud": "guestlist", "exp": exp })
    }

    async fn verify(&self, token: &str) -> Result<Arc<VerifiedToken>, Error> {
        Ok(self.verifier.verify(token, self.clock.now()).await?)
    }

    /// Verifies a token twice: its signature is verified only the first time.
    async fn cache(&self, token: &str) -> Arc<VerifiedToken> {
        let first = self.verify(token).await.unwrap();
        assert!(self.has_cached(token, &first).await);
        first
    }

    async fn has_cached(&self, token: &str, before: &Arc<VerifiedToken>) -> bool {
        Arc::ptr_eq(before, &self.verify(token).await.unwrap())
    }

    #[track_caller]
    fn assert_rejected(result: Result<Arc<VerifiedToken>, Error>, why: &str) {
        let error = result.err().expect("a rejection");
        assert_eq!(error.kind, Kind::Unauthenticated);
        assert_eq!(error.source.expect("the log has the reason").to_string(), why);
    }

    /// Publishes other keys, advances the clock until the cached keys are stale, and waits for
    /// the refresh.
    async fn publish<'a>(&self, keys: impl IntoIterator<Item = &'a SigningKey>) {
        let before = self.endpoint.requests();
        self.endpoint.answer(Answer::Body(jwks(keys)));
        self.clock.advance(MAX_KEYS_AGE);
        // An unknown key id waits for the refresh.
        assert!(self.verify(&SigningKey::ed25519().token(&self.claims())).await.is_err());
        assert_eq!(self.endpoint.requests(), before + 1);
    }
}

async fn verifier(
    endpoint: &Endpoint,
    clock: &OffsetClock,
    change: impl FnOnce(&mut Issuer),
) -> JwtVerifier {
    let mut issuer = jwt_issuer(ISSUER, &[Algorithm::EdDsa], endpoint.source());
    change(&mut issuer);
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    JwtVerifier::start(&Issuers::new(&[issuer]), &clock).await.unwrap()
}

#[tokio::test]
async fn p31_a_cached_token_expires_at_exp_plus_leeway() {
    let key = SigningKey::ed25519();
    let fixture = Fixture::new([&key]).await;
    let mut claims = fixture.claims();
    claims["exp"] = json!(fixture.clock.now().as_seconds() + 100);
    let token = key.token(&claims);
    let cached = fixture.cache(&token).await;
    let end = Timestamp::from_micros((claims["exp"].as_i64().unwrap() + 60) * 1_000_000);
    fixture.clock.stop_at(Timestamp::from_micros(end.as_micros() - 1));
    assert!(fixture.has_cached(&token, &cached).await);
    fixture.clock.stop_at(end);
    Fixture::assert_rejected(fixture.verify(&token).await, "token is expired");
}

#[tokio::test]
async fn p31_a_cached_token_is_not_valid_before_nbf() {
    let key = SigningKey::ed25519();
    let fixture = Fixture::new([&key]).await;
    let mut claims = fixture.claims();
    let start = fixture.clock.now().as_seconds() + 10;
    claims["nbf"] = json!(start);
    let token = key.token(&claims);
    let cached = fixture.cache(&token).await;
    let leeway_begins = Timestamp::from_micros((start - 60) * 1_000_000);
    fixture.clock.stop_at(leeway_begins);
    assert!(fixture.has_cached(&token, &cached).await);
    fixture.clock.stop_at(Timestamp::from_micros(leeway_begins.as_micros() - 1));
    Fixture::assert_rejected(fixture.verify(&token).await, "token is not valid yet");
}

#[tokio::test]
async fn p31_a_cached_token_is_rejected_when_its_key_is_withdrawn() {
    let (key, other) = (SigningKey::ed25519(), SigningKey::ed25519());
    let fixture = Fixture::new([&key, &other]).await;
    let (token, of_other) = (key.token(&fixture.claims()), other.token(&fixture.claims()));
    fixture.cache(&token).await;
    fixture.cache(&of_other).await;
    fixture.publish([&other]).await;
    Fixture::assert_rejected(
        fixture.verify(&token).await,
        "no public key of the issuer matches the token",
    );
    fixture.cache(&of_other).await;
}

#[tokio::test]
async fn p31_a_cached_token_is_rejected_when_another_key_has_its_key_id() {
    let key = SigningKey::ed25519();
    let other = SigningKey { id: key.id.clone(), ..SigningKey::ed25519() };
    let fixture = Fixture::new([&key]).await;
    let token = key.token(&fixture.claims());
    fixture.cache(&token).await;
    fixture.publish([&other]).await;
    Fixture::assert_rejected(fixture.verify(&token).await, "token signature does not match");
}

#[tokio::test]
async fn p31_a_cached_token_without_key_id_is_rejected_when_two_keys_match() {
    let (key, other) = (SigningKey::ed25519(), SigningKey::ed25519());
    let fixture = Fixture::new([&key]).await;
    let token = key.token_with(&json!({ "alg": "EdDSA" }), &fixture.claims());
    fixture.cache(&token).await;
    fixture.publish([&key, &other]).await;
    Fixture::assert_rejected(
        fixture.verify(&token).await,
        "no public key of the issuer matches the token",
    );
}

#[tokio::test]
async fn p31_a_cached_token_refreshes_stale_keys_and_is_then_rejected() {
    let (key, other) = (SigningKey::ed25519(), SigningKey::ed25519());
    let fixture = Fixture::new([&key]).await;
    let token = key.token(&fixture.claims());
    let cached = fixture.cache(&token).await;
    fixture.endpoint.answer(Answer::Body(jwks([&other])));
    fixture.clock.advance(MAX_KEYS_AGE);
    // Only this use of the cached token starts the refresh.
    assert!(fixture.has_cached(&token, &cached).await);
    while fixture.verify(&token).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.endpoint.requests(), 2);
}

#[tokio::test]
async fn cached_tokens_stay_valid_if_a_refresh_reads_the_same_keys() {
    for key in SigningKey::one_of_each() {
        let algorithm = key.algorithms()[0];
        let endpoint = Endpoint::start(Answer::Body(key.jwks())).await;
        let clock = OffsetClock::default();
        clock.stop_at(clock.now());
        let set = |issuer: &mut Issuer| {
            let Trust::Jwt { algorithms, .. } = &mut issuer.trust else { panic!() };
            *algorithms = vec![algorithm, Algorithm::EdDsa];
        };
        let verifier = verifier(&endpoint, &clock, set).await;
        let fixture = Fixture { endpoint, clock, verifier };
        let token = key.token(&fixture.claims());
        fixture.verify(&token).await.unwrap();
        let cached = fixture.cache(&token).await;
        fixture.publish([&key]).await;
        assert!(fixture.has_cached(&token, &cached).await, "{algorithm}");
    }
}

#[tokio::test]
async fn p31_a_cached_token_stays_valid_while_the_endpoint_fails() {
    let key = SigningKey::ed25519();
    let fixture = Fixture::new([&key]).await;
    let token = key.token(&fixture.claims());
    let cached = fixture.cache(&token).await;
    fixture.endpoint.answer(Answer::Failure);
    for _ in 0..3 {
        fixture.clock.advance(2 * MAX_KEYS_AGE);
        assert!(fixture.has_cached(&token, &cached).await);
        // An unknown key id waits for the refresh, which fails.
        assert!(fixture.verify(&SigningKey::ed25519().token(&fixture.claims())).await.is_err());
        assert!(fixture.has_cached(&token, &cached).await);
    }
}

#[tokio::test]
async fn p31_changed_issuer_settings_reject_tokens_that_were_cached_before() {
    let key = SigningKey::ed25519();
    let fixture = Fixture::new([&key]).await;
    let token = key.token(&fixture.claims());
    fixture.cache(&token).await;
    let changes: [fn(&mut Trust); 2] = [
        |trust| {
            let Trust::Jwt { audience, .. } = trust else { panic!() };
            "other".clone_into(audience);
        },
        |trust| {
            let Trust::Jwt { algorithms, .. } = trust else { panic!() };
            *algorithms = vec![Algorithm::Es256];
        },
    ];
    for change in changes {
        let changed = |issuer: &mut Issuer| change(&mut issuer.trust);
        let restarted = verifier(&fixture.endpoint, &fixture.clock, changed).await;
        let result = restarted.verify(&token, fixture.clock.now()).await;
        assert!(result.is_err());
    }
    let renamed = |issuer: &mut Issuer| issuer.issuer.push('/');
    let restarted = verifier(&fixture.endpoint, &fixture.clock, renamed).await;
    assert!(restarted.verify(&token, fixture.clock.now()).await.is_err());
}
