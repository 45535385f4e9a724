//! `guestlist.v1.OrganizationService`

use tonic::{Request, Response, Status};

use super::{authenticated, convert, respond};
use crate::operations::{Context, organizations};
use crate::proto::guestlist::v1 as pb;
use crate::proto::guestlist::v1::organization_service_server::OrganizationService;

pub struct Service(pub Context);

#[tonic::async_trait]
impl OrganizationService for Service {
    async fn create_organization(
        &self,
        request: Request<pb::CreateOrganizationRequest>,
    ) -> Result<Response<pb::CreateOrganizationResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::create_own_organization(message)?;
            organizations::create_organization(&self.0, &call, input).await?.try_into()
        })
        .await
    }

    async fn update_organization_metadata(
        &self,
        request: Request<pb::UpdateOrganizationMetadataRequest>,
    ) -> Result<Response<pb::UpdateOrganizationMetadataResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let (id, changes) = convert::update_organization_metadata(message)?;
            let both = organizations::update_organization_metadata(&self.0, &call, id, changes);
            let (member, organization) = both.await?;
            let organization = Some(convert::my_organization(member, organization));
            Ok(pb::UpdateOrganizationMetadataResponse { organization })
        })
        .await
    }

    async fn list_my_organizations(
        &self,
        request: Request<pb::ListMyOrganizationsRequest>,
    ) -> Result<Response<pb::ListMyOrganizationsResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let (with, size, token) = convert::list_my_organizations(message)?;
            let field = "page.page_token";
            let listed =
                organizations::list_my_organizations(&self.0, &call, with, size, &token, field);
            Ok(listed.await?.into())
        })
        .await
    }
}
