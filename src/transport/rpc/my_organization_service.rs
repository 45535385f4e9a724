//! `guestlist.v1.OrganizationService`

use tonic::{Request, Response, Status};

use super::{authenticated, convert, respond};
use crate::operations::{Context, organizations};
use crate::proto::guestlist::v1 as pb;
use crate::proto::guestlist::v1::organization_service_server::OrganizationService;

pub struct Service(pub Context);

#[tonic::async_trait]
impl OrganizationService for Service {
    async fn list_my_organizations(
        &self,
        request: Request<pb::ListMyOrganizationsRequest>,
    ) -> Result<Response<pb::ListMyOrganizationsResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let (size, token) = convert::page(message.page)?;
            let field = "page.page_token";
            let listed = organizations::list_my_organizations(&self.0, &call, size, &token, field);
            Ok(listed.await?.into())
        })
        .await
    }
}
