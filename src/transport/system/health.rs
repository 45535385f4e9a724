//! `grpc.health.v1.Health`, for the server and for each service. Each has the status of the
//! process.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::readiness::Readiness;

/// The health service. `services` are the known names besides the empty one, which means the
/// server.
pub fn server(readiness: Readiness, services: Vec<String>) -> HealthServer<impl Health> {
    HealthServer::new(Follower { readiness, services: services.into() })
}

struct Follower {
    readiness: Readiness,
    services: Arc<[String]>,
}

impl Follower {
    fn knows(&self, service: &str) -> bool {
        service.is_empty() || self.services.iter().any(|known| known == service)
    }
}

#[tonic::async_trait]
impl Health for Follower {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !self.knows(&request.get_ref().service) {
            return Err(Status::not_found("there is no such service"));
        }
        Ok(Response::new(response(status(self.readiness.is_ready()))))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let mut watch = self.readiness.watch();
        if !self.knows(&request.get_ref().service) {
            // No service is added later, so the status does not change until shutdown ends the
            // stream.
            let unknown = response(ServingStatus::ServiceUnknown);
            let first = futures_util::stream::once(std::future::ready(Ok(unknown)));
            let end = futures_util::stream::once(async move {
                while watch.next().await.is_some() {}
                None
            });
            let changes = first.chain(end.filter_map(std::future::ready));
            return Ok(Response::new(Box::pin(changes)));
        }
        let changes = futures_util::stream::unfold(watch, |mut watch| async {
            let ready = watch.next().await?;
            Some((Ok(response(status(ready))), watch))
        });
        Ok(Response::new(Box::pin(changes)))
    }
}

fn status(ready: bool) -> ServingStatus {
    if ready { ServingStatus::Serving } else { ServingStatus::NotServing }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}
