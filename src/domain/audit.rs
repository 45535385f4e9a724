//! The audit trail: what was changed, by whom and when.

use super::{AccountId, AuditEventId, OrganizationId, Timestamp};

/// One change, as it is read back. Its words are texts, since a store may hold
/// those of a newer version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// Orders events by time.
    pub id: AuditEventId,
    /// When.
    pub at: Timestamp,
    /// What happened: an [`Action`].
    pub action: String,
    /// The account whose credential made the change; none for the command line.
    pub actor: Option<AccountId>,
    /// The account it acted for.
    pub on_behalf_of: Option<AccountId>,
    /// A [`TargetKind`].
    pub target_kind: String,
    /// Id of what was changed.
    pub target_id: String,
    /// Where it happened; none outside organizations.
    pub organization: Option<OrganizationId>,
    /// The request that made it.
    pub request_id: String,
    /// What changed, in a few words.
    pub note: String,
}

/// What happened. The text is stable: people filter by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// An account was seen for the first time.
    AccountCreated,
    /// An account's profile changed.
    AccountUpdated,
    /// An organization was made.
    OrganizationCreated,
    /// Name or invite domains changed.
    OrganizationUpdated,
    /// An organization was deleted with everything in it.
    OrganizationDeleted,
    /// Somebody became a member.
    MemberJoined,
    /// A member left.
    MemberLeft,
    /// An admin removed a member.
    MemberRemoved,
    /// A member's role was set.
    MemberRoleChanged,
    /// An invite was made.
    InviteCreated,
    /// Role, expiry or uses of an invite changed.
    InviteUpdated,
    /// An invite was taken back.
    InviteRevoked,
    /// An email invitation was sent again.
    InviteResent,
    /// An email invitation was declined.
    InviteDeclined,
    /// Time ended invites.
    InviteExpired,
    /// An invite ended along with something else; the note has the reason.
    InviteEnded,
    /// A mail server took an invitation's mail.
    InviteMailed,
    /// An invitation's mail was given up.
    InviteMailFailed,
    /// A link granted a member access to content.
    GrantCreated,
    /// A grant ended with its membership.
    GrantEnded,
    /// A member was suspended.
    MemberSuspended,
    /// A suspended member was restored.
    MemberRestored,
    /// An API key was made.
    KeyCreated,
    /// An API key was revoked.
    KeyRevoked,
}

/// The kind of thing an audit event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// An account.
    Account,
    /// An organization.
    Organization,
    /// A membership.
    Member,
    /// An invite.
    Invite,
    /// An API key.
    Key,
    /// A content grant.
    Grant,
}

impl Action {
    /// Its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::AccountCreated => "account.created",
            Action::AccountUpdated => "account.updated",
            Action::OrganizationCreated => "organization.created",
            Action::OrganizationUpdated => "organization.updated",
            Action::OrganizationDeleted => "organization.deleted",
            Action::MemberJoined => "member.joined",
            Action::MemberLeft => "member.left",
            Action::MemberRemoved => "member.removed",
            Action::MemberRoleChanged => "member.role_changed",
            Action::InviteCreated => "invite.created",
            Action::InviteUpdated => "invite.updated",
            Action::InviteRevoked => "invite.revoked",
            Action::InviteResent => "invite.resent",
            Action::InviteDeclined => "invite.declined",
            Action::InviteExpired => "invite.expired",
            Action::InviteEnded => "invite.ended",
            Action::InviteMailed => "invite.mailed",
            Action::InviteMailFailed => "invite.mail_failed",
            Action::GrantCreated => "grant.created",
            Action::GrantEnded => "grant.ended",
            Action::MemberSuspended => "member.suspended",
            Action::MemberRestored => "member.restored",
            Action::KeyCreated => "key.created",
            Action::KeyRevoked => "key.revoked",
        }
    }
}

impl TargetKind {
    /// Its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            TargetKind::Account => "account",
            TargetKind::Organization => "organization",
            TargetKind::Member => "member",
            TargetKind::Invite => "invite",
            TargetKind::Key => "key",
            TargetKind::Grant => "grant",
        }
    }
}
