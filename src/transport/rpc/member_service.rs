//! `guestlist.v1.MemberService`

use tonic::{Request, Response, Status};

use super::{answer, authenticated, convert};
use crate::operations::{Context, members};
use crate::proto::guestlist::v1 as pb;
use crate::proto::guestlist::v1::member_service_server::MemberService;

/// The service over its operations.
pub struct Service(pub Context);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl MemberService for Service {
    async fn set_member_role(
        &self,
        request: Request<pb::SetMemberRoleRequest>,
    ) -> Answer<pb::SetMemberRoleResponse> {
        answer(async {
            let (call, message) = authenticated(request)?;
            let (who, role) = convert::set_member_role(&message)?;
            members::set_member_role(&self.0, &call, who, role).await?;
            Ok(pb::SetMemberRoleResponse {})
        })
        .await
    }

    async fn suspend_member(
        &self,
        request: Request<pb::SuspendMemberRequest>,
    ) -> Answer<pb::SuspendMemberResponse> {
        answer(async {
            let (call, message) = authenticated(request)?;
            let who = convert::member_of(&message.organization_id, &message.member_id)?;
            members::suspend_member(&self.0, &call, who).await?;
            Ok(pb::SuspendMemberResponse {})
        })
        .await
    }

    async fn restore_member(
        &self,
        request: Request<pb::RestoreMemberRequest>,
    ) -> Answer<pb::RestoreMemberResponse> {
        answer(async {
            let (call, message) = authenticated(request)?;
            let who = convert::member_of(&message.organization_id, &message.member_id)?;
            members::restore_member(&self.0, &call, who).await?;
            Ok(pb::RestoreMemberResponse {})
        })
        .await
    }
}
