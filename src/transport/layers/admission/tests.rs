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
use crate::transport::layers::around;
use crate::transport::layers::identify::Identify;
use crate::transport::stack::tests::OneKey;

const GET: &str = "/gitpod.v1.OrganizationService/GetOrganization";
const PREVIEW: &str = "/guestlist.v1.InviteService/Preview";
const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";

const ACCESS: Access =
    Access { public_services: &["grpc.health.v1.Health"], anonymous_methods: &[PREVIEW] };

fn network(number: u8) -> Network {
    Network::of([192, 0, 2, number].into())
}

/// A request and its caller.
#[derive(Clone, Copy)]
struct Asked {
    path: &'static str,
    key: Option<&'static str>,
    network: u8,
}

const fn anonymous(path: &'static str, network: u8) -> Asked {
    Asked { path, key: None, network }
}

const fn caller(path: &'static str) -> Asked {
    Asked { path, key: Some("Bearer good"), network: 1 }
}

/// Admission with room for one call and one stream of callers, four calls and eight
/// streams of others, in front of a service that answers `status` to all.
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
    let answer = service_fn(move |_: Request| {
        let mut response = Response::new(Body::new(Full::new(Bytes::from_static(b"x"))));
        *response.status_mut() = status;
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let admission = around(Admission::new(OneKey, ACCESS, &methods, &http)).layer(answer);
    let identify = Arc::new(Identify::new(methods));
    service_fn(move |mut request: Request| {
        identify.mark(&mut request);
        admission.clone().oneshot(request)
    })
}

async fn ask(door: &impl Handler, asked: Asked) -> Response {
    let is_stream = asked.path == WATCH;
    let content_type = if is_stream { "application/connect+json" } else { "application/json" };
    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = http::Uri::from_static(asked.path);
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(key) = asked.key {
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static(key));
    }
    request.extensions_mut().insert(network(asked.network));
    request.extensions_mut().insert(RequestId::default());
    let Ok(answer) = door.clone().oneshot(request).await;
    answer
}

/// Whether it was let in; a stream is refused on status 200.
fn is_in(answer: &Response) -> bool {
    let code = answer.extensions().get::<Code>();
    assert!(code.is_none_or(|code| *code == Code::ResourceExhausted), "{answer:?}");
    code.is_none()
}

#[tokio::test]
async fn p37_a_request_runs_until_its_answer_is_taken() {
    let door = admission(StatusCode::OK);
    for asked in [caller(GET), caller(PREVIEW)] {
        let held = ask(&door, asked).await;
        assert!(is_in(&held));
        assert_eq!(ask(&door, caller(GET)).await.status(), StatusCode::TOO_MANY_REQUESTS);
        drop(held);
    }
    assert!(is_in(&ask(&door, caller(GET)).await));
}

#[tokio::test]
async fn p41_a_refusal_holds_no_place() {
    let door = admission(StatusCode::NOT_FOUND);
    let held = ask(&door, caller(GET)).await;
    assert_eq!(ask(&door, caller(GET)).await.status(), held.status());
}

#[tokio::test]
async fn p41_who_calls_decides_the_bound_and_each_kind_has_its_own() {
    let all = [PREVIEW, CHECK, WATCH];
    for (flooded, share) in [(PREVIEW, 1), (CHECK, 1), (WATCH, 2)] {
        let door = admission(StatusCode::OK);
        let mut held = Vec::new();
        for of_network in 1..=4 {
            for _ in 0..share {
                held.push(ask(&door, anonymous(flooded, of_network)).await);
            }
            let over = ask(&door, anonymous(flooded, of_network)).await;
            assert!(held.iter().all(is_in) && !is_in(&over), "{flooded} {of_network}");
        }
        assert!(!is_in(&ask(&door, anonymous(flooded, 5)).await), "all have the total");
        for other in all.into_iter().filter(|path| *path != flooded) {
            assert!(is_in(&ask(&door, anonymous(other, 1)).await), "{flooded} {other}");
        }
        for path in [GET, PREVIEW, CHECK, WATCH] {
            assert!(is_in(&ask(&door, caller(path)).await), "{flooded} {path}");
        }
        if flooded != PREVIEW {
            let broken = Asked { key: Some("Bearer bad"), ..anonymous(flooded, 6) };
            assert!(!is_in(&ask(&door, broken).await), "as good as none");
        }
        held.remove(0);
        assert!(is_in(&ask(&door, anonymous(flooded, 5)).await));
    }
}

#[tokio::test]
async fn p41_streams_of_callers_leave_their_calls_alone() {
    let door = admission(StatusCode::OK);
    // Those that the bound of others has room for are not counted as theirs.
    let mut held = vec![ask(&door, caller(WATCH)).await, ask(&door, caller(WATCH)).await];
    held.push(ask(&door, caller(WATCH)).await);
    assert!(held.iter().all(is_in));
    assert!(!is_in(&ask(&door, caller(WATCH)).await));
    assert!(is_in(&ask(&door, caller(GET)).await));
}

#[tokio::test]
async fn a_broken_credential_is_not_looked_at_where_none_is_needed() {
    let door = admission(StatusCode::OK);
    let broken = |path| Asked { key: Some("Bearer bad"), ..anonymous(path, 1) };
    assert!(is_in(&ask(&door, broken(CHECK)).await));
    assert_eq!(ask(&door, broken(PREVIEW)).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(ask(&door, anonymous(GET, 1)).await.status(), StatusCode::UNAUTHORIZED);
}
