use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::Full;
use tonic::body::Body;
use tower::{Layer, ServiceExt, service_fn};

use super::*;
use crate::config::Config;
use crate::domain::RequestId;
use crate::proto::FILE_DESCRIPTOR_SET;
use crate::transport::identify::Identify;
use crate::transport::middleware::around;
use crate::transport::stack::tests::OneKey;

const GET: &str = "/gitpod.v1.OrganizationService/GetOrganization";
const PREVIEW: &str = "/guestlist.v1.InviteService/Preview";
const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";

fn access() -> Access {
    Access { public_services: &["grpc.health.v1.Health"], anonymous_methods: vec![PREVIEW] }
}

fn network(number: u8) -> Network {
    Network::of([192, 0, 2, number].into())
}

#[derive(Clone, Copy)]
struct TestRequest {
    path: &'static str,
    key: Option<&'static str>,
    network: u8,
}

const fn anonymous(path: &'static str, network: u8) -> TestRequest {
    TestRequest { path, key: None, network }
}

const fn caller(path: &'static str) -> TestRequest {
    TestRequest { path, key: Some("Bearer good"), network: 1 }
}

/// Admission in front of a service that responds with `status`. Authenticated callers have permits
/// for one call and one stream. For other callers each open method has permits for four calls or,
/// if it is streaming, for eight streams.
fn admission(status: StatusCode) -> impl Handler {
    let methods = Methods::new(&[FILE_DESCRIPTOR_SET, tonic_health::pb::FILE_DESCRIPTOR_SET]);
    let methods = methods.unwrap();
    let http = Http {
        max_requests: 1,
        max_streaming_requests: 1,
        max_anonymous_requests: 4,
        max_anonymous_streaming_requests: 8,
        ..Config::reference().http
    };
    let response = service_fn(move |_: Request| {
        let mut response = Response::new(Body::new(Full::new(Bytes::from_static(b"x"))));
        *response.status_mut() = status;
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let waiting = WaitingLimits::new(&[], &Config::reference().events, Metrics::new());
    let admission = Admission::new(OneKey, access(), &methods, &http, waiting, Metrics::new());
    let admission = around(admission).layer(response);
    let identify = Arc::new(Identify::new(methods));
    service_fn(move |mut request: Request| {
        identify.mark(&mut request);
        admission.clone().oneshot(request)
    })
}

async fn send(service: &impl Handler, test: TestRequest) -> Response {
    let is_stream = test.path == WATCH;
    let content_type = if is_stream { "application/connect+json" } else { "application/json" };
    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = http::Uri::from_static(test.path);
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(key) = test.key {
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static(key));
    }
    request.extensions_mut().insert(network(test.network));
    request.extensions_mut().insert(RequestId::default());
    let Ok(response) = service.clone().oneshot(request).await;
    response
}

/// Whether the request was admitted; the error of a stream has HTTP status 200.
fn is_admitted(response: &Response) -> bool {
    let code = response.extensions().get::<Code>();
    assert!(code.is_none_or(|code| *code == Code::ResourceExhausted), "{response:?}");
    code.is_none()
}

#[tokio::test]
async fn p37_a_request_runs_until_its_response_is_read() {
    let service = admission(StatusCode::OK);
    for test in [caller(GET), caller(PREVIEW)] {
        let held = send(&service, test).await;
        assert!(is_admitted(&held));
        assert_eq!(send(&service, caller(GET)).await.status(), StatusCode::TOO_MANY_REQUESTS);
        drop(held);
    }
    assert!(is_admitted(&send(&service, caller(GET)).await));
}

#[tokio::test]
async fn p41_an_error_holds_no_permit() {
    let service = admission(StatusCode::NOT_FOUND);
    let held = send(&service, caller(GET)).await;
    assert_eq!(send(&service, caller(GET)).await.status(), held.status());
}

#[tokio::test]
async fn p41_each_kind_of_caller_has_its_own_limit() {
    let all = [PREVIEW, CHECK, WATCH];
    for (flooded, share) in [(PREVIEW, 1), (CHECK, 1), (WATCH, 2)] {
        let service = admission(StatusCode::OK);
        let mut held = Vec::new();
        for of_network in 1..=4 {
            for _ in 0..share {
                held.push(send(&service, anonymous(flooded, of_network)).await);
            }
            let over = send(&service, anonymous(flooded, of_network)).await;
            assert!(held.iter().all(is_admitted) && !is_admitted(&over), "{flooded} {of_network}");
        }
        assert!(!is_admitted(&send(&service, anonymous(flooded, 5)).await), "the total is reached");
        for other in all.into_iter().filter(|path| *path != flooded) {
            assert!(is_admitted(&send(&service, anonymous(other, 1)).await), "{flooded} {other}");
        }
        for path in [GET, PREVIEW, CHECK, WATCH] {
            assert!(is_admitted(&send(&service, caller(path)).await), "{flooded} {path}");
        }
        if flooded != PREVIEW {
            let broken = TestRequest { key: Some("Bearer bad"), ..anonymous(flooded, 6) };
            assert!(!is_admitted(&send(&service, broken).await), "an invalid key counts as none");
        }
        held.remove(0);
        assert!(is_admitted(&send(&service, anonymous(flooded, 5)).await));
    }
}

#[tokio::test]
async fn p41_streams_do_not_use_the_permits_of_calls() {
    let service = admission(StatusCode::OK);
    // Streams of a public service first use the permits of anonymous callers.
    let mut held = vec![send(&service, caller(WATCH)).await, send(&service, caller(WATCH)).await];
    held.push(send(&service, caller(WATCH)).await);
    assert!(held.iter().all(is_admitted));
    assert!(!is_admitted(&send(&service, caller(WATCH)).await));
    assert!(is_admitted(&send(&service, caller(GET)).await));
}

#[tokio::test]
async fn an_invalid_credential_is_ignored_where_none_is_needed() {
    let service = admission(StatusCode::OK);
    let broken = |path| TestRequest { key: Some("Bearer bad"), ..anonymous(path, 1) };
    assert!(is_admitted(&send(&service, broken(CHECK)).await));
    assert_eq!(send(&service, broken(PREVIEW)).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(send(&service, anonymous(GET, 1)).await.status(), StatusCode::UNAUTHORIZED);
}
