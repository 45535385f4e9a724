//! Messages that read memberships or change their metadata or their end.

use super::attributes::{external_id, metadata};
use super::{Fields, to_timestamp};
use crate::domain::{AttributeChanges, Membership, OrganizationId, Permission, Timestamp};
use crate::error::Result;
use crate::operations::members::{
    ListMemberships, MAX_KEYS, MemberOf, MembershipKey, MembershipList, Whose,
};
use crate::proto::gitpod::v1::UserStatus;
use crate::proto::guestlist::v1 as pb;

pub fn get_membership(message: &pb::GetMembershipRequest) -> Result<(OrganizationId, Whose)> {
    use pb::get_membership_request::Whose as By;

    let mut fields = Fields::default();
    let organization = fields.parse("organization_id", &message.organization_id);
    let whose = match &message.whose {
        None => Some(Whose::Own),
        Some(By::AccountId(id)) => fields.parse("account_id", id).map(Whose::Account),
        Some(By::MemberId(id)) => fields.parse("member_id", id).map(Whose::Member),
    };
    fields.finish(|| Some((organization?, whose?)))
}

pub fn batch_get_memberships(
    message: &pb::BatchGetMembershipsRequest,
) -> Result<Vec<MembershipKey>> {
    const FIELD: &str = "memberships";

    let mut fields = Fields::default();
    let mut keys = Vec::new();
    if message.memberships.is_empty() {
        fields.wrong(FIELD, "must have at least one entry");
    } else if fields.count(FIELD, &message.memberships, MAX_KEYS) {
        for (i, key) in message.memberships.iter().enumerate() {
            let organization =
                fields.parse(format_args!("{FIELD}[{i}].organization_id"), &key.organization_id);
            let account = fields.parse(format_args!("{FIELD}[{i}].account_id"), &key.account_id);
            keys.extend(organization.zip(account));
        }
    }
    fields.finish(|| Some(keys))
}

pub fn list_memberships(message: pb::ListMembershipsRequest) -> Result<ListMemberships> {
    let mut fields = Fields::default();
    let organization = fields.parse("organization_id", &message.organization_id);
    let filter = message.filter.unwrap_or_default();
    let with = fields.attributes("filter.", filter.metadata, &filter.external_id);
    let ids = fields.parse_all("filter.member_ids", &filter.member_ids, MAX_KEYS);
    let accounts = fields.parse_all("filter.account_ids", &filter.account_ids, MAX_KEYS);
    let page = fields.page(message.page);
    fields.finish(|| {
        let (size, token) = page?;
        Some(ListMemberships { organization: organization?, with, ids, accounts, size, token })
    })
}

pub fn update_member_metadata(
    message: pb::UpdateMemberMetadataRequest,
) -> Result<(MemberOf, AttributeChanges)> {
    let mut fields = Fields::default();
    let organization = fields.parse("organization_id", &message.organization_id);
    let member = fields.parse("member_id", &message.member_id);
    let changes = fields.attribute_changes(message.metadata, message.external_id);
    fields.finish(|| Some((MemberOf { organization: organization?, member: member? }, changes)))
}

pub fn set_member_expiry(
    message: pb::SetMemberExpiryRequest,
) -> Result<(MemberOf, Option<Timestamp>)> {
    let mut fields = Fields::default();
    let organization = fields.parse("organization_id", &message.organization_id);
    let member = fields.parse("member_id", &message.member_id);
    let expires_at = message.expire_time.and_then(|at| fields.timestamp("expire_time", at));
    fields.finish(|| Some((MemberOf { organization: organization?, member: member? }, expires_at)))
}

impl From<MembershipList> for pb::ListMembershipsResponse {
    fn from(list: MembershipList) -> Self {
        Self {
            memberships: list.memberships.into_iter().map(Into::into).collect(),
            next_page_token: list.next_token,
        }
    }
}

impl From<Membership> for pb::Membership {
    fn from(membership: Membership) -> Self {
        let may = |permission: &Permission| membership.allows(*permission);
        let permissions = Permission::ALL.into_iter().filter(may);
        Self {
            organization_id: membership.organization.to_string(),
            member_id: membership.id.to_string(),
            account_id: membership.account.to_string(),
            role: membership.role.to_string(),
            status: UserStatus::from(membership.status).into(),
            permissions: permissions.map(|one| pb::Permission::from(one).into()).collect(),
            since: Some(to_timestamp(membership.since)),
            metadata: metadata(&membership.attributes.metadata),
            external_id: external_id(&membership.attributes),
            expire_time: membership.expires_at.map(to_timestamp),
        }
    }
}

impl From<Permission> for pb::Permission {
    fn from(permission: Permission) -> Self {
        match permission {
            Permission::ViewOrganization => pb::Permission::ViewOrganization,
            Permission::Leave => pb::Permission::Leave,
            Permission::ListMembers => pb::Permission::ListMembers,
            Permission::ManageOrganization => pb::Permission::ManageOrganization,
            Permission::ManageMembers => pb::Permission::ManageMembers,
            Permission::ManageInvites => pb::Permission::ManageInvites,
            Permission::ReadAudit => pb::Permission::ReadAudit,
        }
    }
}

impl From<Vec<Option<Membership>>> for pb::BatchGetMembershipsResponse {
    fn from(memberships: Vec<Option<Membership>>) -> Self {
        let found =
            |one: Option<Membership>| pb::FoundMembership { membership: one.map(Into::into) };
        Self { memberships: memberships.into_iter().map(found).collect() }
    }
}
