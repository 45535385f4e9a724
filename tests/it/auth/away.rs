//! An issuer whose public keys cannot be read.

use std::time::Duration;

use guestlist::clock::Clock;
use serde_json::json;

use super::publisher::Publisher;
use super::{ACME, SigningKey};
use crate::rest::client::Rest;
use crate::support::client::Client;
use crate::support::{Code, Engine, Person, Protocol, own};

#[tokio::test(flavor = "multi_thread")]
async fn p31_tokens_return_unavailable_until_the_issuers_keys_are_read() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let key = SigningKey::generate();
        let publisher = Publisher::start();
        let app = publisher.app(engine).await;
        let exp = app.clock.now().as_seconds() + 600;
        let token = |key: &SigningKey| {
            key.token(&json!({ "iss": ACME, "aud": "guestlist", "exp": exp, "sub": "ana" }))
        };
        let by =
            |protocol, token: String| Person::new(Client::new(app.addr(), protocol), Some(token));
        let path = "/v1/orgs/0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b/link-invites";

        // Before the keys are read, a forged token gets the same error as a good one.
        for token in [token(&key), token(&SigningKey::generate())] {
            for protocol in Protocol::ALL {
                let ana = by(protocol, token.clone());
                let failure = ana.get_caller(own::GetCallerRequest {}).await.unwrap_err();
                assert_eq!(failure.code, Code::Unavailable, "{protocol:?}: {failure:?}");
                let after = failure.retry_after.expect("the error has a retry delay");
                assert!(after >= Duration::from_secs(1), "{after:?}");
            }
            let answer = Rest::new(&by(Protocol::Grpc, token), "GET", path).send().await;
            assert_eq!(answer.status, 503);
            assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
        }

        publisher.publish(key.jwks());
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
