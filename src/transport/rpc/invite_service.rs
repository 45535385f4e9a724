//! `guestlist.v1.InviteService`

use tonic::{Request, Response, Status};

use super::{authenticated, convert, open, respond};
use crate::operations::{Context, invites, members};
use crate::proto::guestlist::v1 as pb;
use crate::proto::guestlist::v1::invite_service_server::InviteService;

pub struct Service(pub Context);

type RpcResult<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl InviteService for Service {
    async fn create_link(
        &self,
        request: Request<pb::CreateLinkRequest>,
    ) -> RpcResult<pb::CreateLinkResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::create_link(message)?;
            let shown = invites::create_link(&self.0, &call, input).await?;
            Ok(pb::CreateLinkResponse { invite: Some(shown.into()) })
        })
        .await
    }

    async fn invite_by_email(
        &self,
        request: Request<pb::InviteByEmailRequest>,
    ) -> RpcResult<pb::InviteByEmailResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::invite_by_email(message)?;
            let results = invites::invite_by_email(&self.0, &call, input).await?;
            let results = results.into_iter().map(Into::into).collect();
            Ok(pb::InviteByEmailResponse { results })
        })
        .await
    }

    async fn get(&self, request: Request<pb::GetRequest>) -> RpcResult<pb::GetResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let (organization, id) = convert::invite_of(&message.organization_id, &message.id)?;
            let shown = invites::get(&self.0, &call, organization, id).await?;
            Ok(pb::GetResponse { invite: Some(shown.into()) })
        })
        .await
    }

    async fn list(&self, request: Request<pb::ListRequest>) -> RpcResult<pb::ListResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::list_invites(message)?;
            Ok(invites::list(&self.0, &call, input).await?.into())
        })
        .await
    }

    async fn update(&self, request: Request<pb::UpdateRequest>) -> RpcResult<pb::UpdateResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::update(message)?;
            let shown = invites::update(&self.0, &call, input).await?;
            Ok(pb::UpdateResponse { invite: Some(shown.into()) })
        })
        .await
    }

    async fn revoke(&self, request: Request<pb::RevokeRequest>) -> RpcResult<pb::RevokeResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::revoke(message)?;
            let revoked = invites::revoke(&self.0, &call, input).await?;
            Ok(pb::RevokeResponse { invite: Some(revoked.invite.into()) })
        })
        .await
    }

    async fn resend(&self, request: Request<pb::ResendRequest>) -> RpcResult<pb::ResendResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::resend(message)?;
            let invite = invites::resend(&self.0, &call, input).await?;
            Ok(pb::ResendResponse { invite: Some(invite.into()) })
        })
        .await
    }

    async fn list_my_invitations(
        &self,
        request: Request<pb::ListMyInvitationsRequest>,
    ) -> RpcResult<pb::ListMyInvitationsResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let (size, token) = convert::page(message.page)?;
            let field = "page.page_token";
            let listed = invites::list_my_invitations(&self.0, &call, size, &token, field);
            Ok(listed.await?.into())
        })
        .await
    }

    async fn accept(&self, request: Request<pb::AcceptRequest>) -> RpcResult<pb::AcceptResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let invitation = convert::accept(&message)?;
            Ok(members::accept(&self.0, &call, invitation).await?.into())
        })
        .await
    }

    async fn decline(
        &self,
        request: Request<pb::DeclineRequest>,
    ) -> RpcResult<pb::DeclineResponse> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::decline(message)?;
            invites::decline(&self.0, &call, input).await?;
            Ok(pb::DeclineResponse {})
        })
        .await
    }

    async fn preview(
        &self,
        request: Request<pb::PreviewRequest>,
    ) -> RpcResult<pb::PreviewResponse> {
        respond(async {
            let (caller, message) = open(request);
            let token = convert::preview_token(&message.token)?;
            Ok(invites::preview(&self.0, &caller, token).await?.into())
        })
        .await
    }
}
