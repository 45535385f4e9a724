//! gRPC health: for the whole server and for each service, as ready as the
//! process is.

use futures::FutureExt;
use serde_json::json;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::super::ask::Ask;
use super::super::door::{Door, Form, frames, without_base64};
use super::super::served;
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
fn every_service_is_known() {
    served(async |app| {
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
            // Who watches is told and stays: a client that is refused would try again.
            let mut changes = client.watch(of(unknown)).await.unwrap().into_inner();
            let first = serving(changes.message().await.unwrap());
            assert_eq!(first, Some(ServingStatus::ServiceUnknown), "{unknown}");
            assert!(changes.message().now_or_never().is_none(), "{unknown}");
        }
    });
}

/// Nobody needs a credential for it, and a broken one does not matter.
#[test]
fn it_answers_over_every_protocol() {
    served(async |app| {
        for door in Door::ALL {
            let mut connection = door.connect(app).await;
            let body = |json: &serde_json::Value| match door.form {
                Form::Json => json.to_string().into(),
                Form::Proto => prost::Message::encode_to_vec(&of("")).into(),
                _ => door.wrap(&[0, 0, 0, 0, 0]),
            };
            let ask = Ask::raw(door, CHECK, body(&json!({})));
            for ask in [ask.clone(), ask.with("authorization", "Bearer broken")] {
                let answer = ask.send(&mut connection).await;
                let message = match door.form {
                    Form::Json => {
                        assert_eq!(answer.json(), json!({"status": "SERVING"}));
                        continue;
                    }
                    Form::Proto => answer.body,
                    Form::WebText => frames(without_base64(&answer.body))[0].1.clone(),
                    _ => frames(answer.body)[0].1.clone(),
                };
                let status: HealthCheckResponse = prost::Message::decode(message).unwrap();
                assert_eq!(status.status(), ServingStatus::Serving, "{door:?}");
            }
        }
        // What streams is not called as if it did not.
        for door in Door::plain() {
            assert_eq!(Ask::raw(door, WATCH, "{}").once(app).await.status, 415);
        }
    });
}

/// Whoever watches is told of the end, and does not hold it up.
#[tokio::test(flavor = "multi_thread")]
async fn watching_ends_with_the_server() {
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

/// A store that is away takes readiness with it, and brings it back.
#[tokio::test(flavor = "multi_thread")]
async fn it_follows_the_store() {
    let app = TestApp::start(Engine::Postgres, Protocol::Grpc).await;
    let mut client = client(&app).await;
    let mut changes = client.watch(of("")).await.unwrap().into_inner();
    assert_eq!(serving(changes.message().await.unwrap()), Some(ServingStatus::Serving));
    let door = Door::of(Form::Json).next().unwrap();
    let readyz = Ask::raw(door, "/readyz", "").verb(http::Method::GET);

    for (allowed, expected, page) in
        [(false, ServingStatus::NotServing, 503), (true, ServingStatus::Serving, 200)]
    {
        app.database.allow_connections(allowed).await;
        assert_eq!(serving(changes.message().await.unwrap()), Some(expected));
        let status = client.check(of("gitpod.v1.OrganizationService")).await.unwrap();
        assert_eq!(status.into_inner().status(), expected);
        assert_eq!(readyz.clone().once(&app).await.status, page);
        // The process lives all the while.
        let healthz = readyz.clone().path("/healthz");
        assert_eq!(healthz.once(&app).await.status, 200);
    }
    drop(changes);
    app.stop().await;
}
