//! `guestlist.v1.GrantService`

use tonic::{Request, Response, Status};

use super::{authenticated, convert, respond};
use crate::operations::{Context, grants};
use crate::proto::guestlist::v1 as pb;
use crate::proto::guestlist::v1::grant_service_server::GrantService;

pub struct Service(pub Context);

#[tonic::async_trait]
impl GrantService for Service {
    async fn list_grants(
        &self,
        request: Request<pb::ListGrantsRequest>,
    ) -> Result<Response<pb::ListGrantsResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::list_grants(message)?;
            Ok(grants::list_grants(&self.0, &call, input).await?.into())
        })
        .await
    }
}
