//! Messages about organizations, members and the join link.

use std::collections::HashSet;
use std::str::FromStr;

use super::{Fields, to_timestamp};
use crate::domain::{
    Attributes, EmailDomain, Invalid, InviteToken, MemberId, MemberProfile, MemberStatus,
    Organization, OrganizationId, Role, Tier,
};
use crate::error::{Error, Result};
use crate::operations::invites::InviteSummary;
use crate::operations::members::{ContractRole, JoinBy, MemberOf, SetRole};
use crate::operations::organizations::{CreateOrganization, Created, UpdateOrganization};
use crate::proto::gitpod::v1 as pb;

/// The maximum number of invite domains of an organization.
const MAX_DOMAINS: usize = 100;

/// Parses the only field of a message.
fn parse<T: FromStr<Err = Invalid>>(field: &str, text: &str) -> Result<T> {
    text.parse().map_err(|wrong: Invalid| Error::invalid(field, wrong.0))
}

pub fn organization_id(text: &str) -> Result<OrganizationId> {
    parse("organization_id", text)
}

pub fn member_id(text: &str) -> Result<MemberId> {
    parse("user_id", text)
}

pub fn invite_token(text: &str) -> Result<InviteToken> {
    parse("invite_id", text)
}

pub fn create_organization(message: pb::CreateOrganizationRequest) -> Result<CreateOrganization> {
    let mut fields = Fields::default();
    let name = fields.parse("name", &message.name);
    fields.finish(|| {
        Some(CreateOrganization {
            name: name?,
            join: message.join_organization,
            invite_own_domain: message.invite_accounts_with_matching_domain,
            attributes: Attributes::default(),
        })
    })
}

pub fn join_organization(message: pb::JoinOrganizationRequest) -> Result<JoinBy> {
    use pb::join_organization_request::JoinId;

    match message.join_id {
        Some(JoinId::OrganizationId(id)) => organization_id(&id).map(JoinBy::Organization),
        Some(JoinId::InviteId(text)) => parse("invite_id", &text).map(JoinBy::Invite),
        None => Err(Error::invalid("join_id", "must be set: organization_id or invite_id")),
    }
}

pub fn update_organization(message: pb::UpdateOrganizationRequest) -> Result<UpdateOrganization> {
    let mut fields = Fields::default();
    let id = fields.parse("organization_id", &message.organization_id);
    let name = message.name.map(|name| fields.parse("name", &name));
    let domains = message.invite_domains.map(|list| invite_domains(&mut fields, &list.domains));
    fields.finish(|| {
        let name = match name {
            Some(name) => Some(name?),
            None => None,
        };
        Some(UpdateOrganization { id: id?, name, invite_domains: domains })
    })
}

fn invite_domains(fields: &mut Fields, texts: &[String]) -> Vec<EmailDomain> {
    const FIELD: &str = "invite_domains.domains";
    let domains: Vec<EmailDomain> = fields.parse_all(FIELD, texts, MAX_DOMAINS);
    let different: HashSet<&EmailDomain> = domains.iter().collect();
    if different.len() < domains.len() {
        fields.wrong(FIELD, "must not name a domain twice");
    }
    domains
}

pub fn set_role(message: &pb::SetRoleRequest) -> Result<SetRole> {
    let mut fields = Fields::default();
    let organization = fields.parse("organization_id", &message.organization_id);
    let member = fields.parse("user_id", &message.user_id);
    let role = match message.role() {
        pb::OrganizationRole::Admin => Some(ContractRole::Admin),
        pb::OrganizationRole::Member => Some(ContractRole::Member),
        pb::OrganizationRole::Unspecified => {
            fields.wrong("role", "must be ORGANIZATION_ROLE_ADMIN or ORGANIZATION_ROLE_MEMBER");
            None
        }
    };
    fields.finish(|| {
        let who = MemberOf { organization: organization?, member: member? };
        Some(SetRole { who, role: role? })
    })
}

impl From<Organization> for pb::Organization {
    fn from(from: Organization) -> Self {
        let domains: Vec<String> = from.invite_domains.iter().map(ToString::to_string).collect();
        Self {
            id: from.id.to_string(),
            name: from.name.to_string(),
            created_at: Some(to_timestamp(from.created_at)),
            updated_at: Some(to_timestamp(from.updated_at)),
            invite_domains: (!domains.is_empty()).then_some(pb::InviteDomains { domains }),
            tier: pb::OrganizationTier::from(from.tier).into(),
        }
    }
}

impl From<Tier> for pb::OrganizationTier {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::Free => pb::OrganizationTier::Free,
            Tier::Enterprise => pb::OrganizationTier::Enterprise,
            Tier::Core => pb::OrganizationTier::Core,
            Tier::FreeOna => pb::OrganizationTier::FreeOna,
        }
    }
}

impl From<Role> for pb::OrganizationRole {
    fn from(role: Role) -> Self {
        match ContractRole::from(role) {
            ContractRole::Admin => pb::OrganizationRole::Admin,
            ContractRole::Member => pb::OrganizationRole::Member,
        }
    }
}

impl From<MemberStatus> for pb::UserStatus {
    fn from(status: MemberStatus) -> Self {
        match status {
            MemberStatus::Active => pb::UserStatus::Active,
            MemberStatus::Suspended => pb::UserStatus::Suspended,
            MemberStatus::Left => pb::UserStatus::Left,
        }
    }
}

impl From<MemberProfile> for pb::OrganizationMember {
    fn from(MemberProfile { member, profile }: MemberProfile) -> Self {
        Self {
            user_id: member.id.to_string(),
            role: pb::OrganizationRole::from(member.role).into(),
            member_since: Some(to_timestamp(member.joined_at)),
            avatar_url: profile.picture,
            full_name: profile.name,
            email: profile.email.map(|email| email.to_string()).unwrap_or_default(),
            status: pb::UserStatus::from(member.status).into(),
            login_provider: profile.login_provider,
        }
    }
}

impl From<Created> for pb::CreateOrganizationResponse {
    fn from(made: Created) -> Self {
        Self { organization: Some(made.organization.into()), member: made.member.map(Into::into) }
    }
}

impl From<InviteToken> for pb::OrganizationInvite {
    fn from(token: InviteToken) -> Self {
        Self { invite_id: token.expose() }
    }
}

impl From<InviteSummary> for pb::GetOrganizationInviteSummaryResponse {
    fn from(summary: InviteSummary) -> Self {
        Self {
            organization_id: summary.organization.to_string(),
            organization_name: summary.name.to_string(),
            organization_member_count: i32::try_from(summary.member_count).unwrap_or(i32::MAX),
        }
    }
}
