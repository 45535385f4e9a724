//! Messages that change, end or preview an invite.

use super::invite::{max_uses, request_id};
use super::member_end::EndChange;
use super::{Fields, to_timestamp};
use crate::domain::{InviteId, InviteToken, OrganizationId, ReceivedInvitation};
use crate::error::Result;
use crate::operations::invites::{
    Decline, InviteSummary, MyInvitations, Resend, Revoke, TokenOrId, Update,
};
use crate::operations::members::Accepted;
use crate::proto::guestlist::v1 as pb;

pub fn invite_of(organization: &str, id: &str) -> Result<(OrganizationId, InviteId)> {
    let mut fields = Fields::default();
    let organization = fields.parse("organization_id", organization);
    let id = fields.parse("id", id);
    fields.finish(|| Some((organization?, id?)))
}

pub fn preview_token(text: &str) -> Result<InviteToken> {
    let mut fields = Fields::default();
    let token = fields.parse("token", text);
    fields.finish(|| token)
}

pub fn update(message: pb::UpdateRequest) -> Result<Update> {
    let mut fields = Fields::default();
    let organization = fields.parse("organization_id", &message.organization_id);
    let id = fields.parse("id", &message.id);
    let role = message.role.and_then(|role| fields.parse("role", &role));
    let expires_at = match (message.expire_time, message.never_expires) {
        (Some(_), true) => {
            fields.wrong("never_expires", "must not be set together with expire_time");
            None
        }
        (Some(at), false) => fields.timestamp("expire_time", at).map(Some),
        (None, true) => Some(None),
        (None, false) => None,
    };
    let max_uses = message.max_uses.map(|uses| max_uses(&mut fields, uses));
    let attributes = fields.attribute_changes(message.metadata, message.external_id);
    let member_end = match message.member_end.map(Into::into) {
        Some(EndChange::Never(true)) => Some(None),
        Some(EndChange::Never(false)) | None => None,
        Some(EndChange::Set(end)) => fields.member_end("", end).map(Some),
    };
    let request = request_id(&mut fields, message.request_id);
    fields.finish(|| {
        let (organization, id) = (organization?, id?);
        Some(Update {
            organization,
            id,
            role,
            expires_at,
            max_uses,
            member_end,
            attributes,
            request,
        })
    })
}

pub fn revoke(message: pb::RevokeRequest) -> Result<Revoke> {
    let mut fields = Fields::default();
    let organization = fields.parse("organization_id", &message.organization_id);
    let id = fields.parse("id", &message.id);
    let request = request_id(&mut fields, message.request_id);
    fields.finish(|| Some(Revoke { organization: organization?, id: id?, request }))
}

pub fn resend(message: pb::ResendRequest) -> Result<Resend> {
    let mut fields = Fields::default();
    let organization = fields.parse("organization_id", &message.organization_id);
    let id = fields.parse("id", &message.id);
    let expires_at = message.expire_time.and_then(|at| fields.timestamp("expire_time", at));
    let request = request_id(&mut fields, message.request_id);
    fields.finish(|| Some(Resend { organization: organization?, id: id?, expires_at, request }))
}

pub fn accept(message: &pb::AcceptRequest) -> Result<TokenOrId> {
    let mut fields = Fields::default();
    let name = fields.parse("invitation", &message.invitation);
    fields.finish(|| name)
}

pub fn decline(message: pb::DeclineRequest) -> Result<Decline> {
    let mut fields = Fields::default();
    let name = fields.parse("invitation", &message.invitation);
    let request = request_id(&mut fields, message.request_id);
    fields.finish(|| Some(Decline { name: name?, request }))
}

impl From<Accepted> for pb::AcceptResponse {
    fn from(accepted: Accepted) -> Self {
        Self {
            membership: Some(accepted.membership.into()),
            continue_url: accepted.continue_url.map(|url| url.to_string()).unwrap_or_default(),
        }
    }
}

impl From<InviteSummary> for pb::PreviewResponse {
    fn from(summary: InviteSummary) -> Self {
        Self {
            organization_id: summary.organization.to_string(),
            organization_name: summary.name.to_string(),
            member_count: summary.member_count,
            continue_url: summary.continue_url.map(|url| url.to_string()).unwrap_or_default(),
        }
    }
}

impl From<ReceivedInvitation> for pb::MyInvitation {
    fn from(received: ReceivedInvitation) -> Self {
        let invite = received.invite;
        Self {
            id: invite.id.to_string(),
            organization_id: invite.organization.to_string(),
            organization_name: received.organization.to_string(),
            inviter_name: received.inviter,
            role: invite.role.to_string(),
            sso: invite.sso,
            create_time: Some(to_timestamp(invite.created_at)),
            expire_time: invite.expires_at.map(to_timestamp),
        }
    }
}

impl From<MyInvitations> for pb::ListMyInvitationsResponse {
    fn from(list: MyInvitations) -> Self {
        Self {
            invitations: list.invitations.into_iter().map(Into::into).collect(),
            next_page_token: list.next_token,
        }
    }
}
