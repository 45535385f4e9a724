//! `guestlist.v1.MemberService`

use tonic::{Request, Response, Status};

use super::{authenticated, convert, respond};
use crate::operations::{Context, members};
use crate::proto::guestlist::v1 as pb;
use crate::proto::guestlist::v1::member_service_server::MemberService;

pub struct Service(pub Context);

type RpcResult<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl MemberService for Service {
    async fn get_membership(
        &self,
        request: Request<pb::GetMembershipRequest>,
    ) -> RpcResult<pb::GetMembershipResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let (organization, whose) = convert::get_membership(&message)?;
            let membership = members::get_membership(&self.0, &call, organization, whose).await?;
            Ok(pb::GetMembershipResponse { membership: Some(membership.into()) })
        })
        .await
    }

    async fn batch_get_memberships(
        &self,
        request: Request<pb::BatchGetMembershipsRequest>,
    ) -> RpcResult<pb::BatchGetMembershipsResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let keys = convert::batch_get_memberships(&message)?;
            Ok(members::batch_get_memberships(&self.0, &call, keys).await?.into())
        })
        .await
    }

    async fn list_memberships(
        &self,
        request: Request<pb::ListMembershipsRequest>,
    ) -> RpcResult<pb::ListMembershipsResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::list_memberships(message)?;
            Ok(members::list_memberships(&self.0, &call, input).await?.into())
        })
        .await
    }

    async fn update_member_metadata(
        &self,
        request: Request<pb::UpdateMemberMetadataRequest>,
    ) -> RpcResult<pb::UpdateMemberMetadataResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let (member, changes) = convert::update_member_metadata(message)?;
            let membership = members::update_member_metadata(&self.0, &call, member, changes);
            let membership = Some(membership.await?.into());
            Ok(pb::UpdateMemberMetadataResponse { membership })
        })
        .await
    }

    async fn add_member(
        &self,
        request: Request<pb::AddMemberRequest>,
    ) -> RpcResult<pb::AddMemberResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::add_member(message)?;
            let membership = members::add_member(&self.0, &call, input).await?;
            Ok(pb::AddMemberResponse { membership: Some(membership.into()) })
        })
        .await
    }

    async fn leave_organization(
        &self,
        request: Request<pb::LeaveOrganizationRequest>,
    ) -> RpcResult<pb::LeaveOrganizationResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let leave = convert::leave(&message)?;
            members::leave_organization(&self.0, &call, leave).await?;
            Ok(pb::LeaveOrganizationResponse {})
        })
        .await
    }

    async fn set_member_role(
        &self,
        request: Request<pb::SetMemberRoleRequest>,
    ) -> RpcResult<pb::SetMemberRoleResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let (member, role) = convert::set_member_role(&message)?;
            members::set_member_role(&self.0, &call, member, role).await?;
            Ok(pb::SetMemberRoleResponse {})
        })
        .await
    }

    async fn set_member_expiry(
        &self,
        request: Request<pb::SetMemberExpiryRequest>,
    ) -> RpcResult<pb::SetMemberExpiryResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let (member, end) = convert::set_member_expiry(message)?;
            let membership = members::set_member_expiry(&self.0, &call, member, end).await?;
            Ok(pb::SetMemberExpiryResponse { membership: Some(membership.into()) })
        })
        .await
    }

    async fn transfer_ownership(
        &self,
        request: Request<pb::TransferOwnershipRequest>,
    ) -> RpcResult<pb::TransferOwnershipResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let (to, role) = convert::transfer_ownership(&message)?;
            members::transfer_ownership(&self.0, &call, to, role).await?;
            Ok(pb::TransferOwnershipResponse {})
        })
        .await
    }

    async fn batch_set_member_role(
        &self,
        request: Request<pb::BatchSetMemberRoleRequest>,
    ) -> RpcResult<pb::BatchSetMemberRoleResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let (who, role) = convert::batch_set_member_role(&message)?;
            let done = members::batch_set_member_role(&self.0, &call, who, role).await?;
            Ok(pb::BatchSetMemberRoleResponse { results: convert::member_results(done) })
        })
        .await
    }

    async fn batch_suspend_members(
        &self,
        request: Request<pb::BatchSuspendMembersRequest>,
    ) -> RpcResult<pb::BatchSuspendMembersResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let who = convert::members_of(&message.organization_id, &message.member_ids)?;
            let done = members::batch_suspend_members(&self.0, &call, who).await?;
            Ok(pb::BatchSuspendMembersResponse { results: convert::member_results(done) })
        })
        .await
    }

    async fn batch_remove_members(
        &self,
        request: Request<pb::BatchRemoveMembersRequest>,
    ) -> RpcResult<pb::BatchRemoveMembersResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let who = convert::members_of(&message.organization_id, &message.member_ids)?;
            let done = members::batch_remove_members(&self.0, &call, who).await?;
            Ok(pb::BatchRemoveMembersResponse { results: convert::member_results(done) })
        })
        .await
    }

    async fn suspend_member(
        &self,
        request: Request<pb::SuspendMemberRequest>,
    ) -> RpcResult<pb::SuspendMemberResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let member = convert::member_of(&message.organization_id, &message.member_id)?;
            members::suspend_member(&self.0, &call, member).await?;
            Ok(pb::SuspendMemberResponse {})
        })
        .await
    }

    async fn restore_member(
        &self,
        request: Request<pb::RestoreMemberRequest>,
    ) -> RpcResult<pb::RestoreMemberResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let member = convert::member_of(&message.organization_id, &message.member_id)?;
            members::restore_member(&self.0, &call, member).await?;
            Ok(pb::RestoreMemberResponse {})
        })
        .await
    }
}
