//! `guestlist.v1.AdminService`

use tonic::{Request, Response, Status};

use super::{authenticated, convert, respond};
use crate::operations::{Context, admin};
use crate::proto::guestlist::v1 as pb;
use crate::proto::guestlist::v1::admin_service_server::AdminService;

pub struct Service(pub Context);

#[tonic::async_trait]
impl AdminService for Service {
    async fn list_organizations(
        &self,
        request: Request<pb::ListOrganizationsRequest>,
    ) -> Result<Response<pb::ListOrganizationsResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::list_organizations(message)?;
            Ok(admin::list_organizations(&self.0, &call, input).await?.into())
        })
        .await
    }

    async fn get_organization_stats(
        &self,
        request: Request<pb::GetOrganizationStatsRequest>,
    ) -> Result<Response<pb::GetOrganizationStatsResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let id = convert::organization_id(&message.organization_id)?;
            Ok(admin::get_organization_stats(&self.0, &call, id).await?.into())
        })
        .await
    }

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
