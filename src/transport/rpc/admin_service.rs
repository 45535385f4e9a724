//! `guestlist.v1.AdminService`

use tonic::{Request, Response, Status};

use super::{authenticated, convert, respond};
use crate::operations::{Context, admin};
use crate::proto::guestlist::v1 as pb;
use crate::proto::guestlist::v1::admin_service_server::AdminService;

pub struct Service(pub Context);

#[tonic::async_trait]
impl AdminService for Service {
    async fn set_seat_limit(
        &self,
        request: Request<pb::SetSeatLimitRequest>,
    ) -> Result<Response<pb::SetSeatLimitResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let (id, seats) = convert::set_seat_limit(&message)?;
            admin::set_seat_limit(&self.0, &call, id, seats).await?;
            Ok(pb::SetSeatLimitResponse {})
        })
        .await
    }

    async fn set_tier(
        &self,
        request: Request<pb::SetTierRequest>,
    ) -> Result<Response<pb::SetTierResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let (id, tier) = convert::set_tier(&message)?;
            admin::set_tier(&self.0, &call, id, tier).await?;
            Ok(pb::SetTierResponse {})
        })
        .await
    }
}
