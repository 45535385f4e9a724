//! `gitpod.v1.OrganizationService`

use tonic::{Request, Response, Status};

use super::{authenticated, convert, open, respond};
use crate::operations::members::Leave;
use crate::operations::{Context, invites, members, organizations};
use crate::proto::gitpod::v1 as pb;
use crate::proto::gitpod::v1::organization_service_server::OrganizationService;

pub struct Service(pub Context);

type RpcResult<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl OrganizationService for Service {
    async fn create_organization(
        &self,
        request: Request<pb::CreateOrganizationRequest>,
    ) -> RpcResult<pb::CreateOrganizationResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::create_organization(message)?;
            Ok(organizations::create_organization(&self.0, &call, input).await?.into())
        })
        .await
    }

    async fn join_organization(
        &self,
        request: Request<pb::JoinOrganizationRequest>,
    ) -> RpcResult<pb::JoinOrganizationResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let by = convert::join_organization(message)?;
            let member = members::join_organization(&self.0, &call, by).await?;
            Ok(pb::JoinOrganizationResponse { member: Some(member.into()) })
        })
        .await
    }

    async fn get_organization(
        &self,
        request: Request<pb::GetOrganizationRequest>,
    ) -> RpcResult<pb::GetOrganizationResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let id = convert::organization_id(&message.organization_id)?;
            let organization = organizations::get_organization(&self.0, &call, id).await?;
            Ok(pb::GetOrganizationResponse { organization: Some(organization.into()) })
        })
        .await
    }

    async fn update_organization(
        &self,
        request: Request<pb::UpdateOrganizationRequest>,
    ) -> RpcResult<pb::UpdateOrganizationResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::update_organization(message)?;
            let organization = organizations::update_organization(&self.0, &call, input).await?;
            Ok(pb::UpdateOrganizationResponse { organization: Some(organization.into()) })
        })
        .await
    }

    async fn delete_organization(
        &self,
        request: Request<pb::DeleteOrganizationRequest>,
    ) -> RpcResult<pb::DeleteOrganizationResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let id = convert::organization_id(&message.organization_id)?;
            organizations::delete_organization(&self.0, &call, id).await?;
            Ok(pb::DeleteOrganizationResponse {})
        })
        .await
    }

    async fn list_members(
        &self,
        request: Request<pb::ListMembersRequest>,
    ) -> RpcResult<pb::ListMembersResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::list_members(message)?;
            Ok(members::list_members(&self.0, &call, input).await?.into())
        })
        .await
    }

    async fn set_role(
        &self,
        request: Request<pb::SetRoleRequest>,
    ) -> RpcResult<pb::SetRoleResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::set_role(&message)?;
            members::set_role(&self.0, &call, input).await?;
            Ok(pb::SetRoleResponse {})
        })
        .await
    }

    async fn create_organization_invite(
        &self,
        request: Request<pb::CreateOrganizationInviteRequest>,
    ) -> RpcResult<pb::CreateOrganizationInviteResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let id = convert::organization_id(&message.organization_id)?;
            let token = invites::create_organization_invite(&self.0, &call, id).await?;
            Ok(pb::CreateOrganizationInviteResponse { invite: Some(token.into()) })
        })
        .await
    }

    async fn get_organization_invite(
        &self,
        request: Request<pb::GetOrganizationInviteRequest>,
    ) -> RpcResult<pb::GetOrganizationInviteResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let id = convert::organization_id(&message.organization_id)?;
            let token = invites::get_organization_invite(&self.0, &call, id).await?;
            Ok(pb::GetOrganizationInviteResponse { invite: Some(token.into()) })
        })
        .await
    }

    async fn get_organization_invite_summary(
        &self,
        request: Request<pb::GetOrganizationInviteSummaryRequest>,
    ) -> RpcResult<pb::GetOrganizationInviteSummaryResponse> {
        respond(async {
            let (caller, message) = open(request);
            let token = convert::invite_token(&message.invite_id)?;
            let summary = invites::get_organization_invite_summary(&self.0, &caller, token);
            Ok(summary.await?.into())
        })
        .await
    }

    async fn leave_organization(
        &self,
        request: Request<pb::LeaveOrganizationRequest>,
    ) -> RpcResult<pb::LeaveOrganizationResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let leave = Leave::Member(convert::member_id(&message.user_id)?);
            members::leave_organization(&self.0, &call, leave).await?;
            Ok(pb::LeaveOrganizationResponse {})
        })
        .await
    }
}
