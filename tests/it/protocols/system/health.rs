//! gRPC health: the status of the whole server and of each service is the readiness of the process.

use futures::FutureExt;
use serde_json::json;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::super::request::TestRequest;
use super::super::transport::{Form, Transport, frames, without_base64};
use super::super::with_app;
use crate::support::client::DESCRIPTORS;
use crate::support::{Engine, Protocol, TestApp};

const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";

async fn client(app: &TestApp) -> HealthClient<Channel> {
    let channel = Channel::from_shared(app.url("")).unwrap().connect().await.unwrap();
    HealthClient::new(channel)
}

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

fn serving(response: Option<HealthCheckResponse>) -> Option<ServingStatus> {
    response.map(|response| response.status())
}

#[test]
fn every_service_has_a_health_status() {
    with_app(async |app| {
        let mut client = client(app).await;
        let services = DESCRIPTORS.services().map(|service| service.full_name().to_owned());
        let services: Vec<String> = services.chain([String::new()]).collect();
        assert!(services.len() >= 5, "{services:?}");
        for service in &services {
            let status = client.check(of(service)).await.unwrap().into_inner().status();
            assert_eq!(status, ServingStatus::Serving, "{service}");
        }
        for unknown in ["gitpod.v1", "gitpod.v1.OrganizationService/", "x"] {
            assert_eq!(client.check(of(unknown)).await.unwrap_err().code(), Code::NotFound);
            // A watch receives SERVICE_UNKNOWN and stays open: a rejected client would try again.
            let mut changes = client.watch(of(unknown)).await.unwrap().into_inner();
            let first = serving(changes.message().await.unwrap());
            assert_eq!(first, Some(ServingStatus::ServiceUnknown), "{unknown}");
            assert!(changes.message().now_or_never().is_none(), "{unknown}");
        }
    });
}

/// No credential is needed, and an invalid one is ignored.
#[test]
fn the_health_check_works_over_every_protocol() {
    with_app(async |app| {
        for transport in Transport::ALL {
            let mut connection = transport.connect(app).await;
            let body = |json: &serde_json::Value| match transport.form {
                Form::Json => json.to_string().into(),
                Form::Proto => prost::Message::encode_to_vec(&of("")).into(),
                _ => transport.wrap(&[0, 0, 0, 0, 0]),
            };
            let call = TestRequest::raw(transport, CHECK, body(&json!({})));
            for call in [call.clone(), call.with("authorization", "Bearer broken")] {
                let answer = call.send(&mut connection).await;
                let message = match transport.form {
                    Form::Json => {
                        assert_eq!(answer.json(), json!({"status": "SERVING"}));
                        continue;
                    }
                    Form::Proto => answer.body,
                    Form::WebText => frames(without_base64(&answer.body))[0].1.clone(),
                    _ => frames(answer.body)[0].1.clone(),
                };
                let status: HealthCheckResponse = prost::Message::decode(message).unwrap();
                assert_eq!(status.status(), ServingStatus::Serving, "{transport:?}");
            }
        }
        // A streaming method cannot be called as a unary one.
        for transport in Transport::plain() {
            assert_eq!(TestRequest::raw(transport, WATCH, "{}").once(app).await.status, 415);
        }
    });
}

/// When the server stops, a watch of a known service receives NOT_SERVING, and every watch ends.
/// No watch delays the stop.
#[tokio::test(flavor = "multi_thread")]
async fn health_watches_end_when_the_server_stops() {
    let app = TestApp::start(Engine::Sqlite, Protocol::Grpc).await;
    let mut watches = Vec::new();
    for service in ["", "gitpod.v1.OrganizationService"] {
        let mut changes = client(&app).await.watch(of(service)).await.unwrap().into_inner();
        let first = changes.message().await.unwrap();
        assert_eq!(serving(first), Some(ServingStatus::Serving));
        watches.push(changes);
    }
    let mut unknown = client(&app).await.watch(of("x")).await.unwrap().into_inner();
    assert_eq!(serving(unknown.message().await.unwrap()), Some(ServingStatus::ServiceUnknown));
    let stopped = tokio::spawn(app.stop());
    for mut changes in watches {
        let last = changes.message().await.unwrap();
        assert_eq!(serving(last), Some(ServingStatus::NotServing));
        assert_eq!(serving(changes.message().await.unwrap()), None);
    }
    assert_eq!(serving(unknown.message().await.unwrap()), None);
    stopped.await.unwrap();
}

/// The server is not ready while the store is unavailable, and ready again after that.
#[tokio::test(flavor = "multi_thread")]
async fn health_follows_the_availability_of_the_store() {
    let app = TestApp::start(Engine::Postgres, Protocol::Grpc).await;
    let mut client = client(&app).await;
    let mut changes = client.watch(of("")).await.unwrap().into_inner();
    assert_eq!(serving(changes.message().await.unwrap()), Some(ServingStatus::Serving));
    let transport = Transport::of(Form::Json).next().unwrap();
    let readyz = TestRequest::raw(transport, "/readyz", "").verb(http::Method::GET);

    for (allowed, expected, page) in
        [(false, ServingStatus::NotServing, 503), (true, ServingStatus::Serving, 200)]
    {
        app.database.allow_connections(allowed).await;
        assert_eq!(serving(changes.message().await.unwrap()), Some(expected));
        let status = client.check(of("gitpod.v1.OrganizationService")).await.unwrap();
        assert_eq!(status.into_inner().status(), expected);
        assert_eq!(readyz.clone().once(&app).await.status, page);
        // `/healthz` always succeeds while the process runs.
        let healthz = readyz.clone().path("/healthz");
        assert_eq!(healthz.once(&app).await.status, 200);
    }
    drop(changes);
    app.stop().await;
}
