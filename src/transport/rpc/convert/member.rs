//! Messages about members and their grants.

use super::invite::request_id;
use super::{Fields, to_timestamp};
use crate::domain::{Grant, Role};
use crate::error::Result;
use crate::operations::grants::{GrantList, ListGrants};
use crate::operations::members::{AddMember, Leave, MemberOf};
use crate::proto::guestlist::v1 as pb;

pub fn member_of(organization: &str, member: &str) -> Result<MemberOf> {
    let mut fields = Fields::default();
    let organization = fields.parse("organization_id", organization);
    let member = fields.parse("member_id", member);
    fields.finish(|| Some(MemberOf { organization: organization?, member: member? }))
}

pub fn add_member(message: pb::AddMemberRequest) -> Result<AddMember> {
    let mut fields = Fields::default();
    let organization = fields.parse("organization_id", &message.organization_id);
    let account = fields.parse("account_id", &message.account_id);
    let role = fields.parse("role", &message.role);
    let attributes = fields.attributes("", message.metadata, &message.external_id);
    let expires_at = message.expire_time.and_then(|at| fields.timestamp("expire_time", at));
    let request = request_id(&mut fields, message.request_id);
    fields.finish(|| {
        let (organization, account, role) = (organization?, account?, role?);
        Some(AddMember { organization, account, role, attributes, expires_at, request })
    })
}

pub fn leave(message: &pb::LeaveOrganizationRequest) -> Result<Leave> {
    let mut fields = Fields::default();
    let organization = fields.parse("organization_id", &message.organization_id);
    let successor = fields.parse_optional("successor_member_id", &message.successor_member_id);
    fields.finish(|| Some(Leave::Own { organization: organization?, successor }))
}

pub fn set_member_role(message: &pb::SetMemberRoleRequest) -> Result<(MemberOf, Role)> {
    let mut fields = Fields::default();
    let organization = fields.parse("organization_id", &message.organization_id);
    let member = fields.parse("member_id", &message.member_id);
    let role = fields.parse("role", &message.role);
    fields.finish(|| Some((MemberOf { organization: organization?, member: member? }, role?)))
}

pub fn list_grants(message: pb::ListGrantsRequest) -> Result<ListGrants> {
    let mut fields = Fields::default();
    let organization = fields.parse("organization_id", &message.organization_id);
    let member = fields.parse_optional("member_id", &message.member_id);
    let page = fields.page(message.page);
    fields.finish(|| {
        let (size, token) = page?;
        Some(ListGrants { organization: organization?, member, size, token })
    })
}

impl From<Grant> for pb::Grant {
    fn from(grant: Grant) -> Self {
        Self {
            id: grant.id.to_string(),
            member_id: grant.member.to_string(),
            grant: Some(grant.content.into()),
            invite_id: grant.invite.to_string(),
            create_time: Some(to_timestamp(grant.created_at)),
        }
    }
}

impl From<GrantList> for pb::ListGrantsResponse {
    fn from(list: GrantList) -> Self {
        Self {
            grants: list.grants.into_iter().map(Into::into).collect(),
            next_page_token: list.next_token,
        }
    }
}
