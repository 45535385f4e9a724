//! A bare call: reads Guestlist's request, and returns an answer of the size of Guestlist's.

use tonic::{Request, Response, Status};

use crate::proto;
use crate::proto::organization_service_server::OrganizationService;

/// It has the length of the names in the stores that the harness fills.
pub const NAME: &str = "Organization 0000001";

pub struct Echo;

#[tonic::async_trait]
impl OrganizationService for Echo {
    async fn get_organization_invite_summary(
        &self,
        request: Request<proto::GetOrganizationInviteSummaryRequest>,
    ) -> Result<Response<proto::GetOrganizationInviteSummaryResponse>, Status> {
        Ok(Response::new(proto::GetOrganizationInviteSummaryResponse {
            // The answer needs any id; all ids have the same length.
            organization_id: request.into_inner().invite_id,
            organization_name: NAME.to_owned(),
            organization_member_count: 1,
        }))
    }
}
