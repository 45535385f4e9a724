//! Tokens in the cache of verified tokens: their issuer withdraws the key, or they expire.

use std::time::{Duration, Instant};

use guestlist::clock::Clock;
use serde_json::json;

use super::publisher::Publisher;
use super::{ACME, SigningKey};
use crate::support::client::Client;
use crate::support::{Code, Engine, Person, Protocol, own};

async fn code(person: &Person) -> Code {
    match person.get_caller(own::GetCallerRequest {}).await {
        Ok(_) => Code::Ok,
        Err(failure) => failure.code,
    }
}

/// Keys are at most five minutes old, also for cached tokens.
#[tokio::test(flavor = "multi_thread")]
async fn p31_tokens_of_a_withdrawn_key_are_rejected_after_a_key_refresh() {
    let minute = Duration::from_secs(60);
    for (engine, next_id) in [Engine::Sqlite, Engine::Postgres]
        .into_iter()
        .flat_map(|engine| ["1", "2"].map(|next_id| (engine, next_id)))
    {
        let (key, next) = (SigningKey::generate(), SigningKey::with_id(next_id));
        let publisher = Publisher::start();
        publisher.publish(key.jwks());
        let app = publisher.app(engine).await;
        app.clock.stop_at(app.clock.now());
        let exp = app.clock.now().as_seconds() + 3600;
        let bearer = |key: &SigningKey, subject: &str, protocol| {
            let claims = json!({ "iss": ACME, "aud": "guestlist", "exp": exp, "sub": subject });
            Person::new(Client::new(app.addr(), protocol), Some(key.token(&claims)))
        };
        let clients = Protocol::ALL.map(|protocol| bearer(&key, "ana", protocol));
        for _ in 0..3 {
            for ana in &clients {
                assert_eq!(code(ana).await, Code::Ok);
            }
        }
        assert_eq!(publisher.requests(), 1);

        publisher.publish(next.jwks());
        app.clock.advance(4 * minute);
        for ana in &clients {
            assert_eq!(code(ana).await, Code::Ok);
        }
        assert_eq!(publisher.requests(), 1, "the keys are not stale yet");

        // The keys are refreshed in the background, so a few more requests may succeed.
        app.clock.advance(minute);
        let limit = Instant::now() + Duration::from_secs(30);
        while code(&clients[0]).await == Code::Ok {
            assert!(Instant::now() < limit, "{engine:?}");
        }
        for ana in &clients {
            assert_eq!(code(ana).await, Code::Unauthenticated, "{engine:?} {next_id}");
        }
        assert_eq!(code(&bearer(&key, "bob", Protocol::Grpc)).await, Code::Unauthenticated);
        assert_eq!(code(&bearer(&next, "ana", Protocol::Grpc)).await, Code::Ok);
        assert_eq!(publisher.requests(), 2);
        app.stop().await;
    }
}

/// A cached token expires at its `exp`, on every protocol.
#[tokio::test(flavor = "multi_thread")]
async fn p31_a_cached_token_is_rejected_after_its_expiry() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let (key, publisher) = (SigningKey::generate(), Publisher::start());
        publisher.publish(key.jwks());
        let app = publisher.app(engine).await;
        app.clock.stop_at(app.clock.now());
        let exp = app.clock.now().as_seconds() + 100;
        let claims = json!({ "iss": ACME, "aud": "guestlist", "exp": exp, "sub": "ana" });
        let clients = Protocol::ALL.map(|protocol| {
            Person::new(Client::new(app.addr(), protocol), Some(key.token(&claims)))
        });
        // The leeway is a minute. The clock is stopped between two whole seconds.
        for (seconds, expected) in [(0, Code::Ok), (159, Code::Ok), (1, Code::Unauthenticated)] {
            app.clock.advance(Duration::from_secs(seconds));
            for ana in &clients {
                assert_eq!(code(ana).await, expected, "{engine:?} after {seconds}");
            }
        }
        app.stop().await;
    }
}
