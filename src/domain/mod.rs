//! Value types and business rules: no I/O, no clock, no database.
//!
//! Constructors and parsers validate, so code that holds one of these values does not
//! validate it again.

mod account;
mod api_key;
mod attributes;
mod audit;
mod brand;
mod caller;
mod continue_url;
mod email_address;
mod email_domain;
mod event;
mod ids;
mod invite;
mod invite_links;
mod join_request;
mod language;
mod locale;
mod member;
mod network;
mod notice;
mod organization;
mod organization_domain;
mod page;
mod role;
mod text;
mod text_enum;
mod time;
mod trace_parent;
pub mod transfer;
mod webhook;

pub use account::{Account, AccountKind, ERASED_ISSUER, LOCAL_ISSUER, LoginProviderKind, Profile};
pub use api_key::{ApiKey, ApiKeySecret, KeyScope, SecretHash};
pub use attributes::{AttributeChanges, Attributes, ExternalId, Metadata, MetadataChanges};
pub use audit::{Action, AuditEvent, FeedPlace, TargetKind};
pub use brand::{Brand, Color, Logo, Shades};
pub use caller::{Actor, Caller, Credential, RequestId};
pub use continue_url::{ContinueOrigins, ContinueUrl};
pub use email_address::EmailAddress;
pub use email_domain::EmailDomain;
pub use event::{
    DomainData, EventData, GrantData, InviteData, InviteTerms, JoinRequestData, MemberData,
    OrganizationVersion, WebhookData,
};
pub use ids::{
    AccountId, AuditEventId, DomainId, GrantId, InviteId, JoinRequestId, KeyId, MemberId, NoticeId,
    OrganizationId, OutboxId, WebhookDeliveryId, WebhookId,
};
pub use invite::{
    ContentGrant, ContentId, ContentKind, Delivery, EndReason, Ending, Grant, Invite, InviteKind,
    InviteState, InviteToken, ReceivedInvitation,
};
pub use invite_links::InviteLinks;
pub use join_request::{Decision, JoinRequest, JoinRequestState};
pub use language::Language;
pub use locale::Locale;
pub use member::{
    Authority, Departure, JoinedBy, MEMBER_LIFETIME, Member, MemberEnd, MemberProfile,
    MemberStatus, Membership,
};
pub use network::Network;
pub use notice::NoticeKind;
pub use organization::{Creators, Organization, OrganizationName, Tier};
pub use organization_domain::{
    DomainChallenge, DomainChecks, DomainMode, DomainState, OrganizationDomain,
};
pub use page::PageSize;
pub use role::{Permission, Role};
pub use text::{fold, is_unfit_for_names, person_name};
pub use time::Timestamp;
pub use trace_parent::TraceParent;
pub use webhook::{Disabling, DisablingReason, MAX_WAITING_DELIVERIES, Webhook, WebhookDelivery};

pub(crate) use text_enum::text_enum;

/// A parse error. The text describes a valid value and never repeats the input, so it
/// may be sent to clients and logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub &'static str);

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Invalid {}
