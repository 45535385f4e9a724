use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm::HS256;
use jsonwebtoken::{EncodingKey, crypto};
use serde_json::{Value, json};

use super::endpoint::{Answer, Endpoint};
use super::log::Log;
use super::{SigningKey, jwt_issuer};
use crate::auth::Identity;
use crate::auth::issuers::Issuers;
use crate::auth::jwt::{JwtVerifier, TokenError};
use crate::auth::rejection::AuthRejection;
use crate::clock::{Clock, OffsetClock};
use crate::config::{Algorithm, Issuer, JwksSource, Trust};
use crate::error::{Error, Kind};

const ISSUER: &str = "https://id.example";

/// One issuer with its key, and a verifier that is configured for it.
struct Fixture {
    key: SigningKey,
    clock: OffsetClock,
    verifier: JwtVerifier,
    _dir: tempfile::TempDir,
}

impl Fixture {
    async fn new(key: SigningKey, algorithms: &[Algorithm]) -> Self {
        Self::changed(key, algorithms, |_| ()).await
    }

    /// As `new`, with other settings of the issuer.
    async fn changed(
        key: SigningKey,
        algorithms: &[Algorithm],
        change: impl FnOnce(&mut Issuer),
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jwks.json");
        std::fs::write(&path, key.jwks()).unwrap();
        let mut issuer = jwt_issuer(ISSUER, algorithms, JwksSource::File(path));
        change(&mut issuer);
        let issuers = Issuers::new(&[issuer]);
        let clock = OffsetClock::default();
        let as_clock: Arc<dyn Clock> = Arc::new(clock.clone());
        let verifier = JwtVerifier::start(&issuers, &as_clock).await.unwrap();
        Self { key, clock, verifier, _dir: dir }
    }

    async fn ed25519() -> Self {
        Self::new(SigningKey::ed25519(), &[Algorithm::EdDsa]).await
    }

    fn now(&self) -> i64 {
        self.clock.now().as_seconds()
    }

    fn claims(&self) -> Value {
        json!({
            "iss": ISSUER, "sub": "ana", "aud": "guestlist", "exp": self.now() + 300,
            "email": "Ana@ACME.com", "email_verified": true, "name": "Ana",
        })
    }

    /// The claims with one member set, or removed by `null`.
    fn claims_but(&self, member: &str, value: Value) -> Value {
        let mut claims = self.claims();
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(member)),
            value => claims[member] = value,
        }
        claims
    }

    /// The result for a token. It is the same for its second use, which finds a valid token in
    /// the cache.
    async fn verify(&self, token: &str) -> Result<Identity, TokenError> {
        let now = self.clock.now();
        let first = self.verifier.verify(token, now).await;
        let second = self.verifier.verify(token, now).await;
        assert_eq!(first.as_ref().err(), second.as_ref().err());
        let (first, second) = (first?, second?);
        assert!(Arc::ptr_eq(&first, &second), "the second use verifies no signature");
        Ok(first.identity.clone())
    }

    async fn verify_claims(&self, claims: &Value) -> Result<Identity, TokenError> {
        self.verify(&self.key.token(claims)).await
    }
}

#[tokio::test]
async fn a_valid_token_identifies_its_subject_with_every_algorithm() {
    for key in SigningKey::one_of_each() {
        let algorithms = key.algorithms();
        let fixture = Fixture::new(key, &algorithms).await;
        let identity = fixture.verify_claims(&fixture.claims()).await.unwrap();
        assert_eq!((identity.issuer.as_str(), identity.subject.as_str()), (ISSUER, "ana"));
        assert_eq!(identity.email.unwrap().as_str(), "ana@acme.com");
        assert!(identity.email_verified);
        assert_eq!(identity.name, "Ana");
    }
}

#[tokio::test]
async fn p31_a_changed_or_truncated_token_is_rejected() {
    for key in SigningKey::one_of_each() {
        let algorithms = key.algorithms();
        let fixture = Fixture::new(key, &algorithms).await;
        let token = fixture.key.token(&fixture.claims());
        assert!(fixture.verify(&token).await.is_ok());
        for at in 0..token.len() {
            for flip in [1, 2, 32] {
                let mut bytes = token.clone().into_bytes();
                bytes[at] ^= flip;
                let Ok(changed) = String::from_utf8(bytes) else {
                    continue;
                };
                assert!(fixture.verify(&changed).await.is_err(), "{at} ^ {flip}: {changed}");
            }
            assert!(fixture.verify(&token[..at]).await.is_err(), "cut at {at}");
        }
    }
}

#[tokio::test]
async fn p31_tokens_without_a_signature_are_refused() {
    let fixture = Fixture::ed25519().await;
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = json!({ "alg": alg, "kid": fixture.key.id });
        let unsigned = format!("{}.{}.", encode(&header), encode(&fixture.claims()));
        assert!(fixture.verify(&unsigned).await.is_err(), "{alg}");
        assert!(fixture.verify(unsigned.trim_end_matches('.')).await.is_err(), "{alg}");
        assert!(fixture.verify(&fixture.key.token_with(&header, &fixture.claims())).await.is_err());
    }
}

#[tokio::test]
async fn p31_the_public_key_is_not_accepted_as_an_hmac_secret() {
    let key = SigningKey::rsa();
    let fixture = Fixture::new(key, &[Algorithm::Rs256]).await;
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let jwk = fixture.key.jwk();
    let secrets = [
        jwk.to_string().into_bytes(),
        fixture.key.jwks(),
        jwk["n"].as_str().unwrap().as_bytes().to_vec(),
        URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap(),
    ];
    for alg in ["HS256", "RS256", "hs256"] {
        let header = json!({ "alg": alg, "kid": fixture.key.id });
        let signed = format!("{}.{}", encode(&header), encode(&fixture.claims()));
        for secret in &secrets {
            let secret = EncodingKey::from_secret(secret);
            let mac = crypto::sign(signed.as_bytes(), &secret, HS256).unwrap();
            let token = format!("{signed}.{mac}");
            assert!(fixture.verify(&token).await.is_err(), "{alg}");
        }
    }
}

#[tokio::test]
async fn p31_only_configured_algorithms_in_exact_letter_case_are_accepted() {
    let fixture = Fixture::new(SigningKey::rsa(), &[Algorithm::Ps256]).await;
    let header = |alg: &str| json!({ "alg": alg, "kid": fixture.key.id });
    // A valid RS256 signature, but the algorithm is not configured for the issuer.
    for alg in ["RS256", "rs256", "PS256", "ps256", "Ps256"] {
        let token = fixture.key.token_with(&header(alg), &fixture.claims());
        assert!(fixture.verify(&token).await.is_err(), "{alg}");
    }
    let fixture = Fixture::ed25519().await;
    for alg in ["eddsa", "EDDSA", "EdDsa", "Ed25519"] {
        let header = json!({ "alg": alg, "kid": fixture.key.id });
        assert!(fixture.verify(&fixture.key.token_with(&header, &fixture.claims())).await.is_err());
    }
}

#[tokio::test]
async fn p31_wrong_or_missing_claims_are_refused() {
    let fixture = Fixture::ed25519().await;
    let cases = [
        ("iss", json!(null)),
        ("iss", json!("https://other.example")),
        ("iss", json!("guestlist")),
        ("iss", json!("https://id.example/")),
        ("iss", json!([ISSUER])),
        ("iss", json!("")),
        ("aud", json!(null)),
        ("aud", json!("other")),
        ("aud", json!([])),
        ("aud", json!("")),
        ("aud", json!(["other"])),
        ("aud", json!("Guestlist")),
        ("aud", json!({"guestlist": 1})),
        ("exp", json!(null)),
        ("exp", json!("never")),
        ("exp", json!(0)),
        ("exp", json!(-1)),
        ("exp", json!(fixture.now() - 60)),
        ("exp", json!(true)),
        ("nbf", json!(fixture.now() + 120)),
        ("nbf", json!("now")),
        ("sub", json!(null)),
        ("sub", json!("")),
        ("sub", json!(7)),
        ("sub", json!("a\u{0}b")),
        ("sub", json!("a".repeat(256))),
    ];
    for (member, value) in cases {
        let claims = fixture.claims_but(member, value.clone());
        assert!(fixture.verify_claims(&claims).await.is_err(), "{member}: {value}");
    }
    for (member, value) in [
        ("aud", json!(["other", "guestlist"])),
        ("exp", json!(fixture.now() as f64 + 0.5)),
        ("exp", json!(fixture.now() - 50)),
        ("nbf", json!(fixture.now() + 50)),
    ] {
        let claims = fixture.claims_but(member, value.clone());
        assert!(fixture.verify_claims(&claims).await.is_ok(), "{member}: {value}");
    }
    for not_claims in [json!([]), json!("x"), json!(null)] {
        assert!(fixture.verify_claims(&not_claims).await.is_err());
    }
}

#[tokio::test]
async fn p31_a_token_expires_by_the_clock_of_the_service() {
    let fixture = Fixture::ed25519().await;
    let token = fixture.key.token(&fixture.claims());
    fixture.clock.advance(Duration::from_secs(300 + 55));
    assert!(fixture.verify(&token).await.is_ok());
    fixture.clock.advance(Duration::from_secs(5));
    let expired = TokenError::Rejected(AuthRejection("token is expired"));
    assert_eq!(fixture.verify(&token).await, Err(expired));
}

#[tokio::test]
async fn p31_a_key_or_url_in_the_header_is_rejected_without_a_request() {
    let evil = SigningKey::ed25519();
    let endpoint = Endpoint::start(Answer::Body(evil.jwks())).await;
    let fixture = Fixture::ed25519().await;
    for (member, value) in [
        ("jku", json!(endpoint.url())),
        ("x5u", json!(endpoint.url())),
        ("jwk", evil.jwk()),
        ("x5c", json!(["MIIB"])),
    ] {
        for (key, kid) in
            [(&evil, &evil.id), (&evil, &fixture.key.id), (&fixture.key, &fixture.key.id)]
        {
            let mut header = json!({ "alg": "EdDSA", "kid": kid });
            header[member] = value.clone();
            let token = key.token_with(&header, &fixture.claims());
            assert!(fixture.verify(&token).await.is_err(), "{member}");
        }
    }
    // A URL in the claims causes no request either.
    let claims = fixture.claims_but("iss", json!(endpoint.url()));
    assert!(evil.algorithms().len() == 1 && fixture.verify(&evil.token(&claims)).await.is_err());
    assert_eq!(endpoint.requests(), 0);
}

#[tokio::test]
async fn p31_a_token_signed_by_another_key_under_a_known_id_is_refused() {
    let fixture = Fixture::ed25519().await;
    let evil = SigningKey::ed25519();
    for header in [json!({ "alg": "EdDSA", "kid": fixture.key.id }), json!({ "alg": "EdDSA" })] {
        let forged = evil.token_with(&header, &fixture.claims());
        assert!(fixture.verify(&forged).await.is_err());
        assert!(fixture.verify(&fixture.key.token_with(&header, &fixture.claims())).await.is_ok());
    }
    let other = json!({ "alg": "EdDSA", "kid": evil.id });
    assert!(fixture.verify(&fixture.key.token_with(&other, &fixture.claims())).await.is_err());
}

#[tokio::test]
async fn p31_the_key_of_one_issuer_is_invalid_for_another_issuer() {
    let (first, second) = (SigningKey::ed25519(), SigningKey::ed25519());
    let dir = tempfile::tempdir().unwrap();
    let issuers: Vec<_> = [("first", &first), ("second", &second)]
        .into_iter()
        .map(|(name, key)| {
            let path = dir.path().join(name);
            std::fs::write(&path, key.jwks()).unwrap();
            jwt_issuer(name, &[Algorithm::EdDsa], JwksSource::File(path))
        })
        .collect();
    let clock: Arc<dyn Clock> = Arc::new(OffsetClock::default());
    let verifier = JwtVerifier::start(&Issuers::new(&issuers), &clock).await.unwrap();
    let now = clock.now();
    let claims = |iss: &str| json!({ "iss": iss, "sub": "ana", "aud": "guestlist", "exp": now.as_seconds() + 60 });
    assert!(verifier.verify(&first.token(&claims("first")), now).await.is_ok());
    assert!(verifier.verify(&second.token(&claims("second")), now).await.is_ok());
    assert!(verifier.verify(&first.token(&claims("second")), now).await.is_err());
    assert!(verifier.verify(&second.token(&claims("first")), now).await.is_err());
}

#[tokio::test]
async fn p23_only_the_boolean_true_marks_an_address_as_verified() {
    let fixture = Fixture::ed25519().await;
    let is_verified = async |word: Value| {
        let claims = fixture.claims_but("email_verified", word);
        fixture.verify_claims(&claims).await.unwrap().email_verified
    };
    assert!(is_verified(json!(true)).await);
    for word in [json!(null), json!(false), json!("true"), json!(1), json!("yes"), json!([true])] {
        assert!(!is_verified(word.clone()).await, "{word}");
    }
    for email in [json!("x"), json!(["ana@acme.com"]), json!(null), json!(""), json!(7)] {
        let claims = fixture.claims_but("email", email.clone());
        assert_eq!(fixture.verify_claims(&claims).await.unwrap().email, None, "{email}");
    }
}

#[tokio::test]
async fn p23_a_text_marks_an_address_as_verified_if_the_setting_allows_it() {
    let fixture = Fixture::changed(SigningKey::ed25519(), &[Algorithm::EdDsa], |issuer| {
        let Trust::Jwt { email_verified_as_text, .. } = &mut issuer.trust else { panic!() };
        *email_verified_as_text = true;
    })
    .await;
    let log = Log::start();
    let is_verified = async |word: Value| {
        let claims = fixture.claims_but("email_verified", word);
        fixture.verify_claims(&claims).await.unwrap().email_verified
    };
    for word in [json!(true), json!("true"), json!("True")] {
        assert!(is_verified(word.clone()).await, "{word}");
    }
    for word in [json!(null), json!(false), json!("false"), json!("1"), json!(1), json!(["true"])] {
        assert!(!is_verified(word.clone()).await, "{word}");
    }
    assert!(log.lines().is_empty());
}

#[tokio::test]
async fn an_ignored_text_is_logged_once_per_issuer() {
    let fixture = Fixture::ed25519().await;
    let log = Log::start();
    let logged_for = async |word: Value| {
        let claims = fixture.claims_but("email_verified", word);
        assert!(!fixture.verify_claims(&claims).await.unwrap().email_verified);
        log.lines()
    };
    for silent in [json!(false), json!("false"), json!(null), json!(1)] {
        assert!(logged_for(silent.clone()).await.is_empty(), "{silent}");
    }
    let lines = logged_for(json!("true")).await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    for words in ["WARN", ISSUER, "email_verified_as_text = true", "unverified"] {
        assert!(lines[0].contains(words), "{words}: {lines:?}");
    }
    assert!(logged_for(json!("true")).await.is_empty());
}

#[tokio::test]
async fn p31_without_keys_a_token_fails_as_unavailable() {
    let key = SigningKey::ed25519();
    let endpoint = Endpoint::start(Answer::Failure).await;
    let clock = OffsetClock::default();
    let as_clock: Arc<dyn Clock> = Arc::new(clock.clone());
    let issuer = jwt_issuer(ISSUER, &[Algorithm::EdDsa], endpoint.source());
    let verifier = JwtVerifier::start(&Issuers::new(&[issuer]), &as_clock).await.unwrap();
    let now = clock.now();
    let exp = now.as_seconds() + 300;
    let claims = json!({ "iss": ISSUER, "sub": "ana", "aud": "guestlist", "exp": exp });
    let error: Error = verifier.verify(&key.token(&claims), now).await.err().unwrap().into();
    assert_eq!(error.kind, Kind::Unavailable);
    assert!(error.retry_after.is_some_and(|after| after >= Duration::from_secs(1)), "{error:?}");
    // Tokens that can be rejected without keys are rejected.
    for (member, value) in [("exp", json!(1)), ("iss", json!("https://other.example"))] {
        let mut claims = claims.clone();
        claims[member] = value;
        let error: Error = verifier.verify(&key.token(&claims), now).await.err().unwrap().into();
        assert_eq!(error.kind, Kind::Unauthenticated, "{member}");
    }

    endpoint.answer(Answer::Body(key.jwks()));
    clock.advance(Duration::from_secs(2));
    assert!(verifier.verify(&key.token(&claims), now).await.is_ok());
    let error = verifier.verify(&SigningKey::ed25519().token(&claims), now).await.err().unwrap();
    assert_eq!(Error::from(error).kind, Kind::Unauthenticated);
}

#[tokio::test]
async fn a_hanging_endpoint_does_not_delay_other_issuers() {
    let (slow, quick) = (SigningKey::ed25519(), SigningKey::ed25519());
    let hangs = Endpoint::start(Answer::Silence).await;
    let answers = Endpoint::start(Answer::Body(quick.jwks())).await;
    let issuers = [("slow", &hangs), ("quick", &answers)]
        .map(|(name, endpoint)| jwt_issuer(name, &[Algorithm::EdDsa], endpoint.source()));
    let clock: Arc<dyn Clock> = Arc::new(OffsetClock::default());
    let verifier = JwtVerifier::start(&Issuers::new(&issuers), &clock).await.unwrap();
    verifier.refresh_stale();
    while hangs.requests() == 0 || answers.requests() == 0 {
        tokio::task::yield_now().await;
    }
    let now = clock.now();
    let exp = now.as_seconds() + 300;
    let claims = |iss: &str| json!({ "iss": iss, "sub": "a", "aud": "guestlist", "exp": exp });
    assert!(verifier.verify(&quick.token(&claims("quick")), now).await.is_ok());
    hangs.answer(Answer::Body(slow.jwks()));
    assert!(verifier.verify(&slow.token(&claims("slow")), now).await.is_ok());
    assert_eq!((hangs.requests(), answers.requests()), (1, 1), "read before the first token");
}

#[tokio::test]
async fn an_unusable_key_file_prevents_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(OffsetClock::default());
    for (name, content) in
        [("missing", None), ("broken", Some("{")), ("empty", Some(r#"{"keys":[]}"#))]
    {
        let path = dir.path().join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let issuer = jwt_issuer(ISSUER, &[Algorithm::Rs256], JwksSource::File(path));
        let error = JwtVerifier::start(&Issuers::new(&[issuer]), &clock).await.err().unwrap();
        assert!(error.message.contains(name) && error.message.contains(ISSUER), "{error}");
    }
}
