//! The audit trail.

use serde::{Deserialize, Serialize};

use super::{AccountId, AuditEventId, OrganizationId, Timestamp, TraceParent, text_enum};

/// One stored change. `action` and `target_kind` are text and not enums: a newer version
/// of the server may have stored names that this version does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// Orders events by time.
    pub id: AuditEventId,
    pub at: Timestamp,
    /// The text of an [`Action`].
    pub action: String,
    /// The account of the request's credential; `None` for the command line and the
    /// server's workers.
    pub actor: Option<AccountId>,
    /// The account that the actor acted for.
    pub on_behalf_of: Option<AccountId>,
    /// The text of a [`TargetKind`].
    pub target_kind: String,
    pub target_id: String,
    /// `None`: the change belongs to no organization.
    pub organization: Option<OrganizationId>,
    pub request_id: String,
    /// A short text about the change.
    pub note: String,
    pub place: FeedPlace,
    /// The version of `organization` after the change; 0 without one.
    pub organization_version: i64,
    /// The encoded `guestlist.v1.Event`, of which only the field `data` is set.
    pub data: Vec<u8>,
    /// The trace of the request that made the change.
    pub trace: Option<TraceParent>,
}

/// The place of an event in the order of all events. The events of one organization are in the
/// order in which their changes were committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FeedPlace {
    /// Raised when positions may repeat, such as after a restore or a failover.
    pub epoch: i64,
    /// The transaction, on PostgreSQL; a counter, on SQLite.
    pub position: i64,
    /// Orders the events of one position.
    pub ordinal: i64,
}

/// The kind of a change. The texts are stable: clients filter by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// An account was created, usually by its first request.
    AccountCreated,
    /// The profile changed.
    AccountUpdated,
    /// The account's personal data was removed; only its id is left.
    AccountErased,
    OrganizationCreated,
    /// The name, invite domains, tier, seat limit, metadata or external id changed.
    OrganizationUpdated,
    OrganizationDeleted,
    MemberJoined,
    MemberLeft,
    /// An admin removed the member.
    MemberRemoved,
    /// The membership reached its end.
    MemberExpired,
    MemberRoleChanged,
    InviteCreated,
    /// The role, expiry, uses, lifetime of memberships, metadata or external id changed.
    InviteUpdated,
    InviteRevoked,
    /// An email invitation was sent again.
    InviteResent,
    /// The recipient declined an email invitation.
    InviteDeclined,
    /// An invite expired: the expiry worker or another change stored its end.
    InviteExpired,
    /// An invite ended as a consequence of another change; the note gives the reason.
    InviteEnded,
    /// A mail server accepted an invitation's mail.
    InviteMailed,
    /// The last attempt to send an invitation's mail failed.
    InviteMailFailed,
    /// A link granted access to content.
    GrantCreated,
    /// A grant ended with its membership.
    GrantEnded,
    MemberSuspended,
    MemberRestored,
    /// The metadata, the external id or the expiry changed.
    MemberUpdated,
    KeyCreated,
    KeyRevoked,
    WebhookCreated,
    /// The URL, the description, the event types or the secret changed.
    WebhookUpdated,
    WebhookDeleted,
    /// No event is sent to it until it is enabled.
    WebhookDisabled,
    WebhookEnabled,
    DomainAdded,
    /// The DNS proof of the domain was found.
    DomainVerified,
    DomainModeChanged,
    DomainRemoved,
    /// The DNS proof of the domain was missing for too long.
    DomainLapsed,
    JoinRequestCreated,
    JoinRequestApproved,
    JoinRequestDenied,
    JoinRequestWithdrawn,
    /// The account became a member in another way, or was erased.
    JoinRequestEnded,
}

/// The kind of the changed object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    Account,
    Organization,
    Member,
    Invite,
    Key,
    Grant,
    Webhook,
    Domain,
    JoinRequest,
}

text_enum! {
    Action:
        AccountCreated = "account.created",
        AccountUpdated = "account.updated",
        AccountErased = "account.erased",
        OrganizationCreated = "organization.created",
        OrganizationUpdated = "organization.updated",
        OrganizationDeleted = "organization.deleted",
        MemberJoined = "member.joined",
        MemberLeft = "member.left",
        MemberRemoved = "member.removed",
        MemberExpired = "member.expired",
        MemberRoleChanged = "member.role_changed",
        InviteCreated = "invite.created",
        InviteUpdated = "invite.updated",
        InviteRevoked = "invite.revoked",
        InviteResent = "invite.resent",
        InviteDeclined = "invite.declined",
        InviteExpired = "invite.expired",
        InviteEnded = "invite.ended",
        InviteMailed = "invite.mailed",
        InviteMailFailed = "invite.mail_failed",
        GrantCreated = "grant.created",
        GrantEnded = "grant.ended",
        MemberSuspended = "member.suspended",
        MemberRestored = "member.restored",
        MemberUpdated = "member.updated",
        KeyCreated = "key.created",
        KeyRevoked = "key.revoked",
        WebhookCreated = "webhook.created",
        WebhookUpdated = "webhook.updated",
        WebhookDeleted = "webhook.deleted",
        WebhookDisabled = "webhook.disabled",
        WebhookEnabled = "webhook.enabled",
        DomainAdded = "domain.added",
        DomainVerified = "domain.verified",
        DomainModeChanged = "domain.mode_changed",
        DomainRemoved = "domain.removed",
        DomainLapsed = "domain.lapsed",
        JoinRequestCreated = "join_request.created",
        JoinRequestApproved = "join_request.approved",
        JoinRequestDenied = "join_request.denied",
        JoinRequestWithdrawn = "join_request.withdrawn",
        JoinRequestEnded = "join_request.ended";
    TargetKind:
        Account = "account", Organization = "organization", Member = "member",
        Invite = "invite", Key = "key", Grant = "grant",
        Webhook = "webhook", Domain = "domain", JoinRequest = "join_request";
}
