//! `grpc.health.v1.Health`, for the server as a whole and for each service. All
//! of them are as ready as the process is.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::readiness::Readiness;

/// The health service, which follows `readiness`. `services` are the names it
/// knows beside the empty one.
pub fn server(readiness: Readiness, services: Vec<String>) -> HealthServer<impl Health> {
    HealthServer::new(Follower { readiness, services: services.into() })
}

struct Follower {
    readiness: Readiness,
    services: Arc<[String]>,
}

impl Follower {
    fn check_known(&self, service: &str) -> Result<(), Status> {
        if service.is_empty() || self.services.iter().any(|known| known == service) {
            Ok(())
        } else {
            Err(Status::not_found("there is no such service"))
        }
    }
}

#[tonic::async_trait]
impl Health for Follower {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.check_known(&request.get_ref().service)?;
        Ok(Response::new(response(self.readiness.is_ready())))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.check_known(&request.get_ref().service)?;
        let watch = self.readiness.watch();
        let changes = futures_util::stream::unfold(watch, |mut watch| async {
            let ready = watch.next().await?;
            Some((Ok(response(ready)), watch))
        });
        Ok(Response::new(Box::pin(changes)))
    }
}

fn response(ready: bool) -> HealthCheckResponse {
    let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    HealthCheckResponse { status: status.into() }
}
