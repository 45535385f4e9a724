//! GET: only methods that are NO_SIDE_EFFECTS in the `.proto` accept it.

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use http::{Method, Version};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use prost_reflect::MethodDescriptor;
use prost_reflect::prost_types::method_options::IdempotencyLevel;
use serde_json::{Value, json};

use super::super::connection::{Answer, Connection};
use super::super::fixture::Fixture;
use super::super::request::TestRequest;
use super::super::transport::{Form, Transport, encode};
use super::super::{gzip, rpc, with_app};
use crate::on_both_engines;
use crate::support::client::DESCRIPTORS;
use crate::support::{Code, Person, TestApp};

const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

/// Methods without side effects; these tests call them with GET.
const SAFE: [&str; 6] =
    [rpc::GET, rpc::LIST_MEMBERS, rpc::PREVIEW, rpc::GET_CALLER, rpc::MINE, rpc::AUDIT];

fn transport(version: Version, form: Form) -> Transport {
    Transport { form, version }
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

async fn get(connection: &mut Connection, transport: Transport, path: &str, by: &Person) -> Answer {
    TestRequest::raw(transport, path, "")
        .without("content-type")
        .by(by)
        .verb(Method::GET)
        .send(connection)
        .await
}

/// The same request as a query, in each form that the server accepts.
fn queries(path: &str, request: &Value) -> Vec<(Form, String)> {
    let (json, proto) = (request.to_string(), encode(path, request));
    let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    vec![
        (Form::Json, format!("connect=v1&encoding=json&message={}", escape(&json))),
        (Form::Json, format!("message={}&encoding=json", escape(&json))),
        (Form::Json, format!("encoding=json&base64=1&message={}", base64(json.as_bytes()))),
        (Form::Proto, format!("connect=v1&encoding=proto&base64=1&message={}", base64(&proto))),
        (
            Form::Proto,
            format!("encoding=proto&base64=1&message={}", escape(&URL_SAFE.encode(&proto))),
        ),
        (
            Form::Proto,
            format!("encoding=proto&base64=1&compression=gzip&message={}", base64(&gzip(&proto))),
        ),
        (
            Form::Proto,
            format!("encoding=proto&compression=identity&base64=1&message={}", base64(&proto)),
        ),
    ]
}

#[test]
fn get_returns_the_same_as_post() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let request = |path: &str| match path {
            rpc::PREVIEW => json!({"inviteId": fixture.token}),
            rpc::GET_CALLER | rpc::MINE => json!({}),
            _ => json!({"organizationId": fixture.org.id}),
        };
        for version in VERSIONS {
            for path in SAFE {
                let request = request(path);
                let mut connection = Connection::open(app.addr(), version).await;
                let posted = TestRequest::new(transport(version, Form::Json), path, &request);
                let posted = posted.by(&fixture.org.admin).send(&mut connection).await;
                let expected = transport(version, Form::Json).read(path, &posted).unwrap();
                for (form, query) in queries(path, &request) {
                    let transport = transport(version, form);
                    for path_and_query in [format!("{path}?{query}"), format!("/api{path}?{query}")]
                    {
                        let answer =
                            get(&mut connection, transport, &path_and_query, &fixture.org.admin)
                                .await;
                        assert_eq!(
                            transport.read(path, &answer).unwrap(),
                            expected,
                            "{path_and_query}"
                        );
                        // A shared cache could return a response for an invite that has ended.
                        assert_eq!(answer.header("cache-control"), Some("no-store"));
                    }
                }
            }
        }
        fixture.assert_unchanged().await;
    });
}

#[test]
fn the_descriptors_mark_the_methods_without_side_effects() {
    let safe: Vec<String> = DESCRIPTORS
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .filter(|method| {
            let proto = method.method_descriptor_proto();
            let options = proto.options.as_ref();
            options.is_some_and(|o| o.idempotency_level() == IdempotencyLevel::NoSideEffects)
        })
        .map(|method| format!("/{}/{}", method.parent_service().full_name(), method.name()))
        .collect();
    for path in SAFE {
        assert!(safe.iter().any(|safe| safe == path), "{path}");
    }
}

/// A request that would take effect if the server accepted it.
fn request_of(method: &MethodDescriptor, fixture: &Fixture<'_>) -> Value {
    let all = json!({
        "organizationId": fixture.org.id,
        "inviteId": fixture.token,
        "userId": fixture.org.member_id,
        "role": "ORGANIZATION_ROLE_ADMIN",
        "name": "Made by GET",
        "issuer": "intranet",
        "subject": "made by GET",
    });
    let Value::Object(mut fields) = all else { unreachable!("it is an object") };
    if method.name() == "JoinOrganization" {
        fields.remove("organizationId");
    }
    fields.retain(|name, _| method.input().get_field_by_json_name(name).is_some());
    Value::Object(fields)
}

async fn get_and_head_change_nothing(app: &TestApp) {
    let fixture = Fixture::new(app).await;
    let methods: Vec<_> =
        DESCRIPTORS.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    assert!(methods.len() >= 15, "the methods were found");
    for version in VERSIONS {
        let mut connection = Connection::open(app.addr(), version).await;
        for method in &methods {
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            let proto = method.method_descriptor_proto();
            let level = proto.options.as_ref().map(|options| options.idempotency_level());
            // Connect has GET only for unary methods.
            let safe =
                level == Some(IdempotencyLevel::NoSideEffects) && !method.is_server_streaming();
            let request = request_of(method, &fixture);
            for prefix in ["", "/api"] {
                for (form, query) in queries(&path, &request) {
                    let target = format!("{prefix}{path}?{query}");
                    let transport = transport(version, form);
                    let by =
                        if path == rpc::JOIN { &fixture.org.stranger } else { &fixture.org.admin };
                    let answer = get(&mut connection, transport, &target, by).await;
                    let expected = if safe { 200 } else { 405 };
                    // A method without side effects may also return an error, such as NOT_FOUND.
                    assert!(
                        answer.status == expected || (safe && answer.status.is_client_error()),
                        "{target} {answer:?}"
                    );
                    let allowed = if safe { "GET, POST" } else { "POST" };
                    let head = TestRequest::new(transport, &path, &request).path(&target).by(by);
                    let answer = head.verb(Method::HEAD).send(&mut connection).await;
                    assert_eq!(answer.status, 405, "{target}");
                    assert_eq!(answer.header("allow"), Some(allowed), "{target}");
                    let options = TestRequest::new(transport, &path, &request).path(&target).by(by);
                    let answer = options.verb(Method::OPTIONS).send(&mut connection).await;
                    assert_eq!(
                        (answer.status.as_u16(), answer.header("allow")),
                        (204, Some(allowed))
                    );
                    assert!(answer.body.is_empty());
                }
            }
        }
        for page in ["/", "/healthz", "/readyz", "/metrics"] {
            for (verb, status) in [("GET", 200), ("HEAD", 200), ("OPTIONS", 204), ("POST", 405)] {
                let transport = transport(version, Form::Json);
                let call = TestRequest::raw(transport, page, "{}").by(&fixture.org.admin);
                let answer = call.verb(verb.parse().unwrap()).send(&mut connection).await;
                assert_eq!(answer.status, status, "{verb} {page}");
            }
        }
    }
    fixture.assert_unchanged().await;
}

on_both_engines! {
    async fn p28_get_and_head_change_nothing(app: TestApp) {
        get_and_head_change_nothing(app).await;
    }
}

#[test]
fn invalid_queries_are_rejected() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let good = escape(&json!({"organizationId": fixture.org.id}).to_string());
        let invalid = [
            ("".to_owned(), "encoding"),
            (format!("message={good}"), "encoding"),
            (format!("connect=v2&encoding=json&message={good}"), "connect"),
            ("encoding=proto&base64=1&message=%2A%2A".to_owned(), "message"),
            ("encoding=proto&base64=1&compression=gzip&message=AAAA".to_owned(), "message"),
            ("encoding=proto&base64=1&message=____".to_owned(), "body"),
            ("encoding=json&message=%FF".to_owned(), "body"),
            ("encoding=json&message=%7B".to_owned(), "body"),
            ("encoding=json".to_owned(), "body"),
            ("encoding=proto".to_owned(), "organization_id"),
        ];
        for version in VERSIONS {
            let transport = transport(version, Form::Json);
            let mut connection = transport.connect(app).await;
            for (query, field) in &invalid {
                let path = format!("{}?{query}", rpc::GET);
                let bad =
                    TestRequest::raw(transport, &path, "").verb(Method::GET).by(&fixture.org.admin);
                fixture.expect_invalid_argument(&mut connection, bad, &[field]).await;
            }
            let path = format!("{}?encoding=proto&compression=br&base64=1&message=AAAA", rpc::GET);
            let bad =
                TestRequest::raw(transport, &path, "").verb(Method::GET).by(&fixture.org.admin);
            assert_eq!(
                fixture.expect_failure(&mut connection, bad).await.code,
                Code::Unimplemented
            );
            let path = format!("{}?encoding=xml&message=x", rpc::GET);
            let bad =
                TestRequest::raw(transport, &path, "").verb(Method::GET).by(&fixture.org.admin);
            let answer = fixture.send_invalid(&mut connection, bad).await;
            assert_eq!(answer.status, 415);
            // The response does not repeat the value: it may be a secret in the wrong place.
            let text = String::from_utf8_lossy(&answer.body);
            assert!(text.contains("json or proto") && !text.contains("xml"), "{text}");
        }
        fixture.assert_unchanged().await;
    });
}
