//! `guestlist.v1.InviteService`

use tonic::{Request, Response, Status};

use super::{answer, authenticated, convert, open};
use crate::operations::{Context, invites};
use crate::proto::guestlist::v1 as pb;
use crate::proto::guestlist::v1::invite_service_server::InviteService;

/// The service over its operations.
pub struct Service(pub Context);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl InviteService for Service {
    async fn create_link(
        &self,
        request: Request<pb::CreateLinkRequest>,
    ) -> Answer<pb::CreateLinkResponse> {
        answer(async {
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
    ) -> Answer<pb::InviteByEmailResponse> {
        answer(async {
            let (call, message) = authenticated(request)?;
            let input = convert::invite_by_email(message)?;
            let results = invites::invite_by_email(&self.0, &call, input).await?;
            let results = results.into_iter().map(Into::into).collect();
            Ok(pb::InviteByEmailResponse { results })
        })
        .await
    }

    async fn get(&self, request: Request<pb::GetRequest>) -> Answer<pb::GetResponse> {
        answer(async {
            let (call, message) = authenticated(request)?;
            let (organization, id) = convert::invite_of(&message.organization_id, &message.id)?;
            let shown = invites::get(&self.0, &call, organization, id).await?;
            Ok(pb::GetResponse { invite: Some(shown.into()) })
        })
        .await
    }

    async fn list(&self, request: Request<pb::ListRequest>) -> Answer<pb::ListResponse> {
        answer(async {
            let (call, message) = authenticated(request)?;
            let input = convert::list_invites(message)?;
            Ok(invites::list(&self.0, &call, input).await?.into())
        })
        .await
    }

    async fn update(&self, request: Request<pb::UpdateRequest>) -> Answer<pb::UpdateResponse> {
        answer(async {
            let (call, message) = authenticated(request)?;
            let input = convert::update(message)?;
            let shown = invites::update(&self.0, &call, input).await?;
            Ok(pb::UpdateResponse { invite: Some(shown.into()) })
        })
        .await
    }

    async fn revoke(&self, request: Request<pb::RevokeRequest>) -> Answer<pb::RevokeResponse> {
        answer(async {
            let (call, message) = authenticated(request)?;
            let input = convert::revoke(message)?;
            let revoked = invites::revoke(&self.0, &call, input).await?;
            Ok(pb::RevokeResponse { invite: Some(revoked.invite.into()) })
        })
        .await
    }

    async fn resend(&self, request: Request<pb::ResendRequest>) -> Answer<pb::ResendResponse> {
        answer(async {
            let (call, message) = authenticated(request)?;
            let input = convert::resend(message)?;
            let invite = invites::resend(&self.0, &call, input).await?;
            Ok(pb::ResendResponse { invite: Some(invite.into()) })
        })
        .await
    }

    async fn decline(&self, request: Request<pb::DeclineRequest>) -> Answer<pb::DeclineResponse> {
        answer(async {
            let (call, message) = authenticated(request)?;
            let input = convert::decline(message)?;
            invites::decline(&self.0, &call, input).await?;
            Ok(pb::DeclineResponse {})
        })
        .await
    }

    async fn preview(&self, request: Request<pb::PreviewRequest>) -> Answer<pb::PreviewResponse> {
        answer(async {
            let (caller, message) = open(request);
            let token = convert::preview_token(&message.token)?;
            Ok(invites::preview(&self.0, &caller, token).await?.into())
        })
        .await
    }
}
