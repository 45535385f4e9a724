//! Calls without a credential, and with a credential that is not valid.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use serde_json::json;

use super::fixture::Fixture;
use super::request::TestRequest;
use super::transport::Transport;
use super::{rpc, served};
use crate::support::Code;

/// The message is the same for every kind of invalid credential.
const NOT_VALID: &str = "the credential is not valid; show an API key or a token of a configured \
                         issuer as `authorization: Bearer KEY`";

#[test]
fn no_credential() {
    served(async |app| {
        let world = Fixture::new(app).await;
        let request = json!({"inviteId": world.token});
        for transport in Transport::ALL {
            let mut connection = transport.connect(app).await;
            let bad = TestRequest::new(transport, rpc::JOIN, &request);
            let answer = world.tries(&mut connection, bad).await;
            let failure = transport.read(rpc::JOIN, &answer).unwrap_err();
            assert_eq!(failure.code, Code::Unauthenticated);
            assert_eq!(failure.reason, "UNAUTHENTICATED");
            assert!(failure.message.contains("a credential is needed"), "{failure:?}");
            let challenge = answer.header("www-authenticate");
            let expected = (!transport.is_framed()).then_some("Bearer realm=\"guestlist\"");
            assert_eq!(challenge, expected);
        }
        world.is_as_before().await;
    });
}

#[test]
fn broken_credentials_are_one_and_the_same() {
    served(async |app| {
        let world = Fixture::new(app).await;
        let key = world.org.admin.key.clone().unwrap();
        let (name, secret) = key.rsplit_once('_').unwrap();
        let other = world.org.member.key.as_deref().unwrap().rsplit_once('_').unwrap().1;
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let bad = [
            String::new(),
            "Bearer".to_owned(),
            "Bearer ".to_owned(),
            key.clone(),
            format!("Token {key}"),
            format!("Digest {key}"),
            format!("Bearer{key}"),
            format!("Bearer\t{key}"),
            format!("Bearer Bearer {key}"),
            format!("Bearer \"{key}\""),
            format!("Bearer {key},"),
            format!("Bearer {key} {key}"),
            format!("Bearer {name}"),
            format!("Bearer {name}_"),
            format!("Bearer {name}_{}", &secret[1..]),
            format!("Bearer {name}_{secret}0"),
            format!("Bearer {name}_{other}"),
            format!("Bearer {name}_{}", "0".repeat(64)),
            format!("Bearer gl_{}_{secret}", "0".repeat(16)),
            format!("Bearer GL{}", &key[2..]),
            format!("Bearer {secret}"),
            format!("Bearer {}", world.token),
            "Bearer e30.e30.e30".to_owned(),
            format!("Bearer {}", "x".repeat(4000)),
            "Basic ***".to_owned(),
            basic(&key),
            basic(&format!("{name}:{other}")),
            basic(&format!(":{secret}")),
            "Bearer ключ".to_owned(),
        ];
        for transport in Transport::ALL {
            let mut connection = transport.connect(app).await;
            for shown in &bad {
                let value = HeaderValue::from_bytes(shown.as_bytes()).unwrap();
                let ask =
                    TestRequest::new(transport, rpc::GET, &json!({"organizationId": world.org.id}));
                let ask = ask.header("authorization", value);
                let failure = world.refused(&mut connection, ask).await;
                assert_eq!(failure.code, Code::Unauthenticated, "{shown}");
                assert_eq!(failure.message, NOT_VALID, "{shown}");
                assert_eq!(failure.reason, "UNAUTHENTICATED", "{shown}");
            }
        }
        world.is_as_before().await;
    });
}

#[test]
fn two_headers_where_one_belongs() {
    served(async |app| {
        let world = Fixture::new(app).await;
        let key = world.org.admin.key.clone().unwrap();
        for transport in Transport::ALL {
            let mut connection = transport.connect(app).await;
            for second in [format!("Bearer {key}"), "Bearer x".to_owned(), String::new()] {
                let bad = world.good(transport).and("authorization", &second);
                let failure = world.refused(&mut connection, bad).await;
                assert_eq!(failure.code, Code::Unauthenticated);
                assert_eq!(failure.message, "more than one authorization header");
            }
            let account = world.org.admin.account().await.to_string();
            let bad = world.good(transport).with("guestlist-on-behalf-of", &account);
            let failure = world.refused(&mut connection, bad.clone()).await;
            assert_eq!(failure.code, Code::PermissionDenied, "the key does not have the scope act");
            let bad = bad.and("guestlist-on-behalf-of", &account);
            let failure = world.refused(&mut connection, bad).await;
            assert_eq!(failure.code, Code::Unauthenticated);
            assert_eq!(failure.message, "more than one guestlist-on-behalf-of header");
            let bad = world.good(transport).without("authorization");
            let bad = bad.with("guestlist-on-behalf-of", &account);
            let failure = world.refused(&mut connection, bad).await;
            assert_eq!(
                (failure.code, failure.message.as_str()),
                (Code::Unauthenticated, NOT_VALID)
            );
        }
        world.is_as_before().await;
    });
}

/// The scheme may be in upper or lower case. ClickHouse's clients send Basic.
#[test]
fn good_credentials_in_every_form() {
    served(async |app| {
        let world = Fixture::new(app).await;
        let key = world.org.admin.key.clone().unwrap();
        let (name, secret) = key.rsplit_once('_').unwrap();
        let id = name.strip_prefix("gl_").unwrap();
        for transport in Transport::ALL {
            let mut connection = transport.connect(app).await;
            for shown in [
                format!("Bearer {key}"),
                format!("bearer {key}"),
                format!("BEARER   {key}"),
                format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))),
            ] {
                let answer =
                    world.good(transport).with("authorization", &shown).send(&mut connection);
                transport.read(rpc::GET, &answer.await).expect(&shown);
            }
        }
    });
}
