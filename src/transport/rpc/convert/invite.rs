//! Messages that create invites, and invites as messages.

use std::collections::HashSet;

use super::attributes::{external_id, metadata};
use super::{Fields, to_timestamp};
use crate::domain::{
    ContentGrant, ContentKind, Delivery, EmailDomain, Invite, InviteKind, InviteState, Locale, Role,
};
use crate::error::Result;
use crate::operations::invites::{
    CreateLink, Invitation, InviteByEmail, InviteWithToken, Invited, LinkGrants, Outcome,
    RequestToken,
};
use crate::proto::guestlist::v1 as pb;

/// The maximum number of addresses in a request.
const MAX_INVITATIONS: usize = 1_000;
/// The maximum number of email domains of a link.
const MAX_DOMAINS: usize = 100;

pub fn create_link(message: pb::CreateLinkRequest) -> Result<CreateLink> {
    use pb::create_link_request::Grants;

    let mut fields = Fields::default();
    let organization = fields.parse("organization_id", &message.organization_id);
    let grants = match message.grants {
        Some(Grants::Role(role)) => fields.parse("role", &role).map(LinkGrants::Role),
        Some(Grants::Grant(grant)) => content(&mut fields, grant).map(LinkGrants::Content),
        None => {
            fields.wrong("grants", "must be set: role or grant");
            None
        }
    };
    let expires_at = message.expire_time.and_then(|at| fields.timestamp("expire_time", at));
    let max_uses = max_uses(&mut fields, message.max_uses);
    let allowed_domains: Vec<EmailDomain> =
        fields.parse_all("allowed_domains", &message.allowed_domains, MAX_DOMAINS);
    if allowed_domains.iter().collect::<HashSet<_>>().len() < allowed_domains.len() {
        fields.wrong("allowed_domains", "must not name a domain twice");
    }
    fields.text("note", &message.note, 256);
    if message.note.chars().any(char::is_control) {
        fields.wrong("note", "must not contain control characters");
    }
    let attributes = fields.attributes("", message.metadata, &message.external_id);
    let continue_url = fields.parse_optional("continue_url", &message.continue_url);
    let member_end = message.member_end.map(Into::into);
    let member_end = member_end.and_then(|end| fields.member_end("", end));
    if message.requires_approval && matches!(grants, Some(LinkGrants::Content(_))) {
        fields.wrong("requires_approval", "must be false for a link to content");
    }
    let request = request_id(&mut fields, message.request_id);
    fields.finish(|| {
        Some(CreateLink {
            organization: organization?,
            grants: grants?,
            expires_at,
            max_uses,
            allowed_domains,
            note: message.note,
            attributes,
            member_end,
            continue_url,
            requires_approval: message.requires_approval,
            request,
        })
    })
}

fn content(fields: &mut Fields, grant: pb::ContentGrant) -> Option<ContentGrant> {
    use pb::content_grant::Content;

    let (kind, id) = match &grant.content {
        Some(Content::Space(id)) => (ContentKind::Space, fields.parse("grant.space", id)),
        Some(Content::Collection(id)) => {
            (ContentKind::Collection, fields.parse("grant.collection", id))
        }
        None => {
            fields.wrong("grant.content", "must be set: space or collection");
            let _: Option<Role> = fields.parse_optional("grant.level", &grant.level);
            return None;
        }
    };
    let level = fields.parse("grant.level", &grant.level);
    Some(ContentGrant { kind, id: id?, level: level? })
}

pub fn invite_by_email(message: pb::InviteByEmailRequest) -> Result<InviteByEmail> {
    let mut fields = Fields::default();
    let organization = fields.parse("organization_id", &message.organization_id);
    let count = message.invitations.len();
    if !(1..=MAX_INVITATIONS).contains(&count) {
        fields.wrong("invitations", "must have 1 to 1,000 entries");
    }
    let default = match message.role.as_str() {
        "" => Some(Role::Member),
        role => fields.parse("role", role),
    };
    let default_locale: Option<Locale> = fields.parse_optional("locale", &message.locale);
    let default_member_end = message.member_end.map(Into::into);
    let default_member_end = default_member_end.and_then(|end| fields.member_end("", end));
    let mut invitations = Vec::with_capacity(count.min(MAX_INVITATIONS));
    for (i, one) in message.invitations.into_iter().take(MAX_INVITATIONS).enumerate() {
        fields.text(format_args!("invitations[{i}].email"), &one.email, 320);
        let role = match one.role.as_str() {
            "" => default,
            role => fields.parse(format_args!("invitations[{i}].role"), role),
        };
        let prefix = format!("invitations[{i}].");
        let attributes = fields.attributes(&prefix, one.metadata, &one.external_id);
        let locale = fields.parse_optional(format_args!("{prefix}locale"), &one.locale);
        let locale = locale.or_else(|| default_locale.clone());
        let member_end = match one.member_end {
            Some(end) => fields.member_end(&prefix, end.into()),
            None => default_member_end,
        };
        if let Some(role) = role {
            let email = one.email;
            invitations.push(Invitation { email, role, attributes, member_end, locale });
        }
    }
    let expires_at = message.expire_time.and_then(|at| fields.timestamp("expire_time", at));
    let continue_url = fields.parse_optional("continue_url", &message.continue_url);
    let request = request_id(&mut fields, message.request_id);
    fields.finish(|| {
        Some(InviteByEmail {
            organization: organization?,
            invitations,
            expires_at,
            sso: message.sso,
            continue_url,
            request,
        })
    })
}

/// The maximum number of uses; `None` for 0, which means unlimited.
pub fn max_uses(fields: &mut Fields, uses: i64) -> Option<i64> {
    if uses < 0 {
        fields.wrong("max_uses", "must not be negative");
    }
    (uses > 0).then_some(uses)
}

/// The request id; `None` if it is empty.
pub fn request_id(fields: &mut Fields, id: String) -> Option<RequestToken> {
    const FIELD: &str = "request_id";
    fields.text(FIELD, &id, 128);
    (!id.is_empty()).then_some(RequestToken { id, field: FIELD })
}

impl From<ContentGrant> for pb::ContentGrant {
    fn from(grant: ContentGrant) -> Self {
        use pb::content_grant::Content;

        let id = grant.id.as_str().to_owned();
        let content = match grant.kind {
            ContentKind::Space => Content::Space(id),
            ContentKind::Collection => Content::Collection(id),
        };
        Self { content: Some(content), level: grant.level.to_string() }
    }
}

impl From<InviteKind> for pb::InviteKind {
    fn from(kind: InviteKind) -> Self {
        match kind {
            InviteKind::JoinLink => pb::InviteKind::JoinLink,
            InviteKind::NamedLink => pb::InviteKind::NamedLink,
            InviteKind::Email => pb::InviteKind::Email,
        }
    }
}

impl From<InviteState> for pb::InviteState {
    fn from(state: InviteState) -> Self {
        match state {
            InviteState::Live => pb::InviteState::Live,
            InviteState::Accepted => pb::InviteState::Accepted,
            InviteState::Exhausted => pb::InviteState::Exhausted,
            InviteState::Expired => pb::InviteState::Expired,
            InviteState::Revoked => pb::InviteState::Revoked,
            InviteState::Replaced => pb::InviteState::Replaced,
            InviteState::Declined => pb::InviteState::Declined,
        }
    }
}

impl From<Invite> for pb::Invite {
    fn from(from: Invite) -> Self {
        let (delivery, delivery_error) = match from.delivery {
            None => (pb::Delivery::Unspecified, String::new()),
            Some(Delivery::Pending) => (pb::Delivery::Pending, String::new()),
            Some(Delivery::Sent) => (pb::Delivery::Sent, String::new()),
            Some(Delivery::Failed(why)) => (pb::Delivery::Failed, why),
        };
        let role = if from.content.is_some() { String::new() } else { from.role.to_string() };
        let ended_by = from.ending.and_then(|ending| ending.by);
        let end_reason = from.ending.map(|ending| ending.reason.as_str().to_owned());
        Self {
            id: from.id.to_string(),
            kind: pb::InviteKind::from(from.kind).into(),
            state: pb::InviteState::from(from.state).into(),
            role,
            grant: from.content.map(Into::into),
            email: from.email.map(|email| email.to_string()).unwrap_or_default(),
            token: String::new(),
            expire_time: from.expires_at.map(to_timestamp),
            max_uses: from.max_uses.unwrap_or(0),
            uses: from.uses,
            allowed_domains: from.allowed_domains.iter().map(ToString::to_string).collect(),
            note: from.note,
            inviter_id: from.inviter.to_string(),
            create_time: Some(to_timestamp(from.created_at)),
            end_time: from.ending.map(|ending| to_timestamp(ending.at)),
            ended_by: ended_by.map(|by| by.to_string()).unwrap_or_default(),
            end_reason: end_reason.unwrap_or_default(),
            delivery: delivery.into(),
            delivery_error,
            member_id: from.member.map(|member| member.to_string()).unwrap_or_default(),
            sso: from.sso,
            metadata: metadata(&from.attributes.metadata),
            external_id: external_id(&from.attributes),
            member_end: from.member_end.map(Into::into),
            continue_url: from.continue_url.map(|url| url.to_string()).unwrap_or_default(),
            locale: from.locale.map(|locale| locale.to_string()).unwrap_or_default(),
            requires_approval: from.requires_approval,
            reminders_sent: from.reminders,
        }
    }
}

impl From<InviteWithToken> for pb::Invite {
    fn from(shown: InviteWithToken) -> Self {
        let token = shown.token.map(|token| token.expose()).unwrap_or_default();
        Self { token, ..shown.invite.into() }
    }
}

impl From<Invited> for pb::EmailInvitationResult {
    fn from(one: Invited) -> Self {
        use pb::EmailInvitationOutcome as PbOutcome;

        let outcome = match one.outcome {
            Outcome::Invited => PbOutcome::Invited,
            Outcome::AlreadyMember => PbOutcome::AlreadyMember,
            Outcome::AlreadyInvited => PbOutcome::AlreadyInvited,
            Outcome::InvalidAddress => PbOutcome::InvalidAddress,
            Outcome::DomainNotAllowed => PbOutcome::DomainNotAllowed,
            Outcome::SeatLimit => PbOutcome::SeatLimit,
            Outcome::ExternalIdTaken => PbOutcome::ExternalIdTaken,
        };
        Self { email: one.email, outcome: outcome.into(), invite: one.invite.map(Into::into) }
    }
}
