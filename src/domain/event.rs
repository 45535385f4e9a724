//! The data of a change that the events of the feed contain: ids, roles, states and reasons; no
//! token, no address and no name.

use super::{
    AccountId, AccountKind, ContentGrant, DisablingReason, DomainId, DomainMode, DomainState,
    EndReason, GrantId, Invite, InviteId, InviteKind, JoinRequest, JoinRequestId, JoinRequestState,
    JoinedBy, KeyId, KeyScope, Member, MemberEnd, MemberId, MemberStatus, Organization,
    OrganizationDomain, OrganizationId, Role, TargetKind, Tier, Timestamp, Webhook, WebhookId,
};

/// The changed object and the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventData {
    Account {
        id: AccountId,
        kind: AccountKind,
        changed: Vec<&'static str>,
    },
    Organization {
        id: OrganizationId,
        changed: Vec<&'static str>,
        member_count: i64,
        seat_limit: i64,
        tier: Tier,
        has_attributes: bool,
    },
    Member(MemberData),
    Invite(InviteData),
    Grant(GrantData),
    Key {
        id: KeyId,
        /// `None` if the key was revoked with its organization.
        account: Option<AccountId>,
        scope: Option<KeyScope>,
        revoked: bool,
    },
    Webhook(WebhookData),
    Domain(DomainData),
    JoinRequest(JoinRequestData),
}

/// A membership after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberData {
    pub id: MemberId,
    pub account: AccountId,
    pub role: Role,
    /// The previous role, if it changed.
    pub previous_role: Option<Role>,
    pub status: MemberStatus,
    pub joined_by: JoinedBy,
    pub expires_at: Option<Timestamp>,
    /// Whether the member has metadata or an external id. Events do not contain them, so that they
    /// can be removed when an account is erased; readers of the feed get the current ones.
    pub has_attributes: bool,
    /// The invite that the change used, and whether that was its last use.
    pub used: Option<(InviteId, bool)>,
}

/// An invite after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteData {
    pub id: InviteId,
    /// `None` if the change reads only the invite's id.
    pub terms: Option<InviteTerms>,
    /// The previous role or level, if it changed.
    pub previous_role: Option<Role>,
    /// Why the invite ended with this change; `None` if it did not end.
    pub ended: Option<EndReason>,
    /// The join link that this one replaces.
    pub replaces: Option<InviteId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteTerms {
    pub kind: InviteKind,
    pub role: Role,
    pub content: Option<ContentGrant>,
    pub inviter: MemberId,
    pub member: Option<MemberId>,
    pub expires_at: Option<Timestamp>,
    pub max_uses: Option<i64>,
    pub member_end: Option<MemberEnd>,
    pub has_attributes: bool,
}

/// A grant after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantData {
    pub id: GrantId,
    pub member: MemberId,
    /// The content, the link that granted it, and whether that was the link's last use; `None` if
    /// the grant has ended.
    pub given: Option<(ContentGrant, InviteId, bool)>,
}

/// An endpoint for events after a change. Its URL may contain a secret, so it is not part of the
/// event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookData {
    pub id: WebhookId,
    /// Why it is disabled; `None`: it is enabled.
    pub disabled: Option<DisablingReason>,
    pub changed: Vec<&'static str>,
}

/// A domain of an organization after a change, without its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainData {
    pub id: DomainId,
    pub mode: DomainMode,
    /// The previous mode, if it changed.
    pub previous_mode: Option<DomainMode>,
    pub state: DomainState,
}

/// A request to join after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRequestData {
    pub id: JoinRequestId,
    pub account: AccountId,
    pub state: JoinRequestState,
    pub invite: Option<InviteId>,
    pub member: Option<MemberId>,
}

/// An organization and its version after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrganizationVersion {
    pub id: OrganizationId,
    pub version: i64,
}

impl EventData {
    /// An organization after a change of these fields.
    pub fn organization(organization: &Organization, changed: Vec<&'static str>) -> Self {
        Self::Organization {
            id: organization.id,
            changed,
            member_count: organization.member_count,
            seat_limit: organization.seat_limit,
            tier: organization.tier,
            has_attributes: !organization.attributes.is_empty(),
        }
    }

    /// The kind of the changed object.
    pub fn target_kind(&self) -> TargetKind {
        match self {
            EventData::Account { .. } => TargetKind::Account,
            EventData::Organization { .. } => TargetKind::Organization,
            EventData::Member(_) => TargetKind::Member,
            EventData::Invite(_) => TargetKind::Invite,
            EventData::Grant(_) => TargetKind::Grant,
            EventData::Key { .. } => TargetKind::Key,
            EventData::Webhook(_) => TargetKind::Webhook,
            EventData::Domain(_) => TargetKind::Domain,
            EventData::JoinRequest(_) => TargetKind::JoinRequest,
        }
    }

    /// The id of the changed object; never a token or a secret.
    pub fn target_id(&self) -> String {
        match self {
            EventData::Account { id, .. } => id.to_string(),
            EventData::Organization { id, .. } => id.to_string(),
            EventData::Member(member) => member.id.to_string(),
            EventData::Invite(invite) => invite.id.to_string(),
            EventData::Grant(grant) => grant.id.to_string(),
            EventData::Key { id, .. } => id.to_string(),
            EventData::Webhook(webhook) => webhook.id.to_string(),
            EventData::Domain(domain) => domain.id.to_string(),
            EventData::JoinRequest(request) => request.id.to_string(),
        }
    }
}

impl From<&Member> for MemberData {
    fn from(member: &Member) -> Self {
        Self {
            id: member.id,
            account: member.account,
            role: member.role,
            previous_role: None,
            status: member.status,
            joined_by: member.joined_by,
            expires_at: member.expires_at,
            has_attributes: !member.attributes.is_empty(),
            used: None,
        }
    }
}

impl InviteData {
    /// An invite of which only the id is known.
    pub fn of_id(id: InviteId) -> Self {
        Self { id, terms: None, previous_role: None, ended: None, replaces: None }
    }

    /// The invite has ended with the change.
    #[must_use]
    pub fn ended(self, reason: EndReason) -> Self {
        Self { ended: Some(reason), ..self }
    }
}

impl From<&Invite> for InviteData {
    fn from(invite: &Invite) -> Self {
        let terms = InviteTerms {
            kind: invite.kind,
            role: invite.role,
            content: invite.content.clone(),
            inviter: invite.inviter,
            member: invite.member,
            expires_at: invite.expires_at,
            max_uses: invite.max_uses,
            member_end: invite.member_end,
            has_attributes: !invite.attributes.is_empty(),
        };
        Self { terms: Some(terms), ..Self::of_id(invite.id) }
    }
}

impl WebhookData {
    /// An endpoint after a change of these fields.
    pub fn new(webhook: &Webhook, changed: Vec<&'static str>) -> Self {
        let disabled = webhook.disabled.map(|disabled| disabled.reason);
        Self { id: webhook.id, disabled, changed }
    }
}

impl From<&OrganizationDomain> for DomainData {
    fn from(domain: &OrganizationDomain) -> Self {
        Self { id: domain.id, mode: domain.mode, previous_mode: None, state: domain.state }
    }
}

impl From<&JoinRequest> for JoinRequestData {
    fn from(request: &JoinRequest) -> Self {
        Self {
            id: request.id,
            account: request.account,
            state: request.state,
            invite: request.invite,
            member: request.member,
        }
    }
}

impl Organization {
    /// Its id and version.
    pub fn at_version(&self) -> OrganizationVersion {
        OrganizationVersion { id: self.id, version: self.version }
    }

    /// Its id and the version after the next change.
    pub fn next_version(&self) -> OrganizationVersion {
        OrganizationVersion { id: self.id, version: self.version + 1 }
    }
}
