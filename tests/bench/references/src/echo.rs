//! A bare call: the request's bytes in, as many out as Guestlist answers.

use tonic::{Request, Response, Status};

use crate::proto;
use crate::proto::organization_service_server::OrganizationService;

/// As long as the names that the harness fills stores with.
pub const NAME: &str = "Organization 0000001";

pub struct Echo;

#[tonic::async_trait]
impl OrganizationService for Echo {
    async fn get_organization_invite_summary(
        &self,
        request: Request<proto::GetOrganizationInviteSummaryRequest>,
    ) -> Result<Response<proto::GetOrganizationInviteSummaryResponse>, Status> {
        Ok(Response::new(proto::GetOrganizationInviteSummaryResponse {
            // An id is as long as another.
            organization_id: request.into_inner().invite_id,
            organization_name: NAME.to_owned(),
            organization_member_count: 1,
        }))
    }
}
