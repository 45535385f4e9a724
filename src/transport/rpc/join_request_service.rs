//! `guestlist.v1.JoinRequestService`

use tonic::{Request, Response, Status};

use super::{authenticated, convert, respond};
use crate::operations::{Context, join_requests};
use crate::proto::guestlist::v1 as pb;
use crate::proto::guestlist::v1::join_request_service_server::JoinRequestService;

pub struct Service(pub Context);

#[tonic::async_trait]
impl JoinRequestService for Service {
    async fn create_join_request(
        &self,
        request: Request<pb::CreateJoinRequestRequest>,
    ) -> Result<Response<pb::CreateJoinRequestResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let by = convert::create_join_request(message)?;
            let made = join_requests::create_join_request(&self.0, &call, by).await?;
            Ok(pb::CreateJoinRequestResponse { join_request: Some(made.into()) })
        })
        .await
    }

    async fn list_join_requests(
        &self,
        request: Request<pb::ListJoinRequestsRequest>,
    ) -> Result<Response<pb::ListJoinRequestsResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::list_join_requests(message)?;
            Ok(join_requests::list_join_requests(&self.0, &call, input).await?.into())
        })
        .await
    }

    async fn approve_join_request(
        &self,
        request: Request<pb::ApproveJoinRequestRequest>,
    ) -> Result<Response<pb::ApproveJoinRequestResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::approve_join_request(message)?;
            let (request, membership) =
                join_requests::approve_join_request(&self.0, &call, input).await?;
            Ok(pb::ApproveJoinRequestResponse {
                join_request: Some(request.into()),
                membership: Some(membership.into()),
            })
        })
        .await
    }

    async fn deny_join_request(
        &self,
        request: Request<pb::DenyJoinRequestRequest>,
    ) -> Result<Response<pb::DenyJoinRequestResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::deny_join_request(message)?;
            let denied = join_requests::deny_join_request(&self.0, &call, input).await?;
            Ok(pb::DenyJoinRequestResponse { join_request: Some(denied.into()) })
        })
        .await
    }

    async fn withdraw_join_request(
        &self,
        request: Request<pb::WithdrawJoinRequestRequest>,
    ) -> Result<Response<pb::WithdrawJoinRequestResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let of = convert::join_request_ref(&message.organization_id, &message.join_request_id)?;
            let withdrawn = join_requests::withdraw_join_request(&self.0, &call, of).await?;
            Ok(pb::WithdrawJoinRequestResponse { join_request: Some(withdrawn.into()) })
        })
        .await
    }

    async fn list_joinable_organizations(
        &self,
        request: Request<pb::ListJoinableOrganizationsRequest>,
    ) -> Result<Response<pb::ListJoinableOrganizationsResponse>, Status> {
        respond(async {
            let (call, _) = authenticated(request)?;
            let found = join_requests::list_joinable_organizations(&self.0, &call).await?;
            let organizations = found.into_iter().map(Into::into).collect();
            Ok(pb::ListJoinableOrganizationsResponse { organizations })
        })
        .await
    }
}
