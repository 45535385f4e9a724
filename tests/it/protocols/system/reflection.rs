//! Reflection: what grpcurl and similar tools read, in both versions.

use std::collections::BTreeSet;

use prost::Message;
use prost_types::FileDescriptorProto;
use tonic::transport::Channel;

use super::super::with_app;
use crate::support::TestApp;
use crate::support::client::DESCRIPTORS;

macro_rules! version {
    ($version:ident) => {
        mod $version {
            use super::*;
            use tonic_reflection::pb::$version::ServerReflectionRequest;
            use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
            use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
            use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;

            /// Sends one request and returns its response.
            async fn call(app: &TestApp, query: MessageRequest) -> MessageResponse {
                let channel = Channel::from_shared(app.url("")).unwrap().connect().await.unwrap();
                let request =
                    ServerReflectionRequest { host: String::new(), message_request: Some(query) };
                let requests = futures::stream::iter([request]);
                let mut client = ServerReflectionClient::new(channel);
                let answers = client.server_reflection_info(requests).await;
                let mut answers = answers.unwrap().into_inner();
                let answer = answers.message().await.unwrap().expect("an answer");
                assert!(answers.message().await.unwrap().is_none(), "one response per request");
                answer.message_response.expect("an answer")
            }

            async fn services(app: &TestApp) -> BTreeSet<String> {
                match call(app, MessageRequest::ListServices(String::new())).await {
                    MessageResponse::ListServicesResponse(list) => {
                        list.service.into_iter().map(|service| service.name).collect()
                    }
                    other => panic!("{other:?}"),
                }
            }

            #[test]
            fn every_service_is_listed() {
                with_app(async |app| {
                    let listed = services(app).await;
                    for service in DESCRIPTORS.services() {
                        assert!(listed.contains(service.full_name()), "{listed:?}");
                    }
                    for standard in [
                        "grpc.health.v1.Health",
                        "grpc.reflection.v1.ServerReflection",
                        "grpc.reflection.v1alpha.ServerReflection",
                    ] {
                        assert!(listed.contains(standard), "{listed:?}");
                    }
                });
            }

            #[test]
            fn services_messages_and_details_are_described() {
                with_app(async |app| {
                    let mut symbols: Vec<String> = services(app).await.into_iter().collect();
                    symbols.extend(DESCRIPTORS.all_messages().map(|m| m.full_name().to_owned()));
                    symbols.push("google.rpc.ErrorInfo".to_owned());
                    symbols.push("google.rpc.BadRequest".to_owned());
                    symbols.push("gitpod.v1.OrganizationService.JoinOrganization".to_owned());
                    for symbol in symbols {
                        let query = MessageRequest::FileContainingSymbol(symbol.clone());
                        let answer = call(app, query).await;
                        let MessageResponse::FileDescriptorResponse(files) = answer else {
                            panic!("{symbol}: {answer:?}");
                        };
                        let file = &files.file_descriptor_proto[0];
                        let file = FileDescriptorProto::decode(file.as_slice()).unwrap();
                        assert!(symbol.starts_with(file.package()), "{symbol} in {}", file.name());
                    }
                    let file = "gitpod/v1/organization.proto".to_owned();
                    let answer = call(app, MessageRequest::FileByFilename(file)).await;
                    assert!(matches!(answer, MessageResponse::FileDescriptorResponse(_)));
                });
            }
        }
    };
}

version!(v1);
version!(v1alpha);
