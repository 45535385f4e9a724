//! Calls without a credential, and with a credential that is not valid.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use serde_json::json;

use super::fixture::Fixture;
use super::request::TestRequest;
use super::transport::Transport;
use super::{rpc, with_app};
use crate::support::Code;

/// The message is the same for every kind of invalid credential.
const NOT_VALID: &str = "the credential is not valid; show an API key or a token of a configured \
                         issuer as `authorization: Bearer KEY`";

#[test]
fn calls_without_a_credential_are_rejected() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let request = json!({"inviteId": fixture.token});
        for transport in Transport::ALL {
            let mut connection = transport.connect(app).await;
            let bad = TestRequest::new(transport, rpc::JOIN, &request);
            let answer = fixture.send_invalid(&mut connection, bad).await;
            let failure = transport.read(rpc::JOIN, &answer).unwrap_err();
            assert_eq!(failure.code, Code::Unauthenticated);
            assert_eq!(failure.reason, "UNAUTHENTICATED");
            assert!(failure.message.contains("a credential is needed"), "{failure:?}");
            let challenge = answer.header("www-authenticate");
            let expected = (!transport.is_framed()).then_some("Bearer realm=\"guestlist\"");
            assert_eq!(challenge, expected);
        }
        fixture.assert_unchanged().await;
    });
}

#[test]
fn every_invalid_credential_gets_the_same_error() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let key = fixture.org.admin.key.clone().unwrap();
        let (name, secret) = key.rsplit_once('_').unwrap();
        let other = fixture.org.member.key.as_deref().unwrap().rsplit_once('_').unwrap().1;
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
            format!("Bearer {}", fixture.token),
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
                let call = TestRequest::new(
                    transport,
                    rpc::GET,
                    &json!({"organizationId": fixture.org.id}),
                );
                let call = call.header("authorization", value);
                let failure = fixture.expect_failure(&mut connection, call).await;
                assert_eq!(failure.code, Code::Unauthenticated, "{shown}");
                assert_eq!(failure.message, NOT_VALID, "{shown}");
                assert_eq!(failure.reason, "UNAUTHENTICATED", "{shown}");
            }
        }
        fixture.assert_unchanged().await;
    });
}

#[test]
fn repeated_credential_headers_are_rejected() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let key = fixture.org.admin.key.clone().unwrap();
        for transport in Transport::ALL {
            let mut connection = transport.connect(app).await;
            for second in [format!("Bearer {key}"), "Bearer x".to_owned(), String::new()] {
                let bad = fixture.valid_call(transport).and("authorization", &second);
                let failure = fixture.expect_failure(&mut connection, bad).await;
                assert_eq!(failure.code, Code::Unauthenticated);
                assert_eq!(failure.message, "more than one authorization header");
            }
            let account = fixture.org.admin.account().await.to_string();
            let bad = fixture.valid_call(transport).with("guestlist-on-behalf-of", &account);
            let failure = fixture.expect_failure(&mut connection, bad.clone()).await;
            assert_eq!(failure.code, Code::PermissionDenied, "the key does not have the scope act");
            let bad = bad.and("guestlist-on-behalf-of", &account);
            let failure = fixture.expect_failure(&mut connection, bad).await;
            assert_eq!(failure.code, Code::Unauthenticated);
            assert_eq!(failure.message, "more than one guestlist-on-behalf-of header");
            let bad = fixture.valid_call(transport).without("authorization");
            let bad = bad.with("guestlist-on-behalf-of", &account);
            let failure = fixture.expect_failure(&mut connection, bad).await;
            assert_eq!(
                (failure.code, failure.message.as_str()),
                (Code::Unauthenticated, NOT_VALID)
            );
        }
        fixture.assert_unchanged().await;
    });
}

/// The scheme may be in upper or lower case. ClickHouse's clients send Basic.
#[test]
fn every_form_of_a_valid_credential_is_accepted() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let key = fixture.org.admin.key.clone().unwrap();
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
                let answer = fixture
                    .valid_call(transport)
                    .with("authorization", &shown)
                    .send(&mut connection);
                transport.read(rpc::GET, &answer.await).expect(&shown);
            }
        }
    });
}
