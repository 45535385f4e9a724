//! Events as messages. The stored form of an event's data is a `guestlist.v1.Event`, the message
//! that readers get, with only the field `data` set.

use prost::Message;

use crate::domain::{
    AuditEvent, ContentGrant, DomainData, EventData, GrantData, InviteData, JoinRequestData,
    MemberData, MemberEnd, Timestamp, WebhookData,
};
use crate::error::{Error, Result};
use crate::proto::guestlist::v1 as pb;
use crate::proto::guestlist::v1::event::Data;

/// The bytes of column `data`.
pub(super) fn encode(data: &EventData) -> Vec<u8> {
    pb::Event { data: Some(message(data)), ..Default::default() }.encode_to_vec()
}

/// A stored event as the message that its readers get.
///
/// # Errors
/// INTERNAL if the stored data is damaged.
pub fn read(event: AuditEvent) -> Result<pb::Event> {
    let stored = pb::Event::decode(event.data.as_slice()).map_err(Error::internal)?;
    Ok(pb::Event {
        id: event.id.to_string(),
        r#type: event.action,
        time: Some(to_timestamp(event.at)),
        organization_id: text(event.organization),
        organization_version: event.organization_version,
        actor_account_id: text(event.actor),
        on_behalf_of_account_id: text(event.on_behalf_of),
        request_id: event.request_id,
        data: stored.data,
    })
}

/// The data of an event as its message.
pub fn message(data: &EventData) -> Data {
    match data {
        EventData::Account { id, kind, changed } => Data::Account(pb::AccountEvent {
            account_id: id.to_string(),
            kind: kind.as_str().to_owned(),
            changed_fields: owned(changed),
        }),
        EventData::Organization { id, changed, member_count, seat_limit, tier, has_attributes } => {
            Data::Organization(pb::OrganizationEvent {
                organization_id: id.to_string(),
                changed_fields: owned(changed),
                member_count: *member_count,
                seat_limit: *seat_limit,
                tier: tier.as_str().to_owned(),
                has_metadata: *has_attributes,
                ..Default::default()
            })
        }
        EventData::Member(member) => Data::Member(of_member(member)),
        EventData::Invite(invite) => Data::Invite(of_invite(invite)),
        EventData::Grant(grant) => Data::Grant(of_grant(grant)),
        EventData::Key { id, account, scope, revoked } => Data::Key(pb::KeyEvent {
            key_id: id.to_string(),
            account_id: text(*account),
            scope: scope.map(|scope| scope.as_str().to_owned()).unwrap_or_default(),
            revoked: *revoked,
        }),
        EventData::Webhook(WebhookData { id, disabled, changed }) => {
            Data::Webhook(pb::WebhookEvent {
                webhook_id: id.to_string(),
                enabled: disabled.is_none(),
                disabled_reason: disabled
                    .map(|reason| reason.as_str().to_owned())
                    .unwrap_or_default(),
                changed_fields: owned(changed),
            })
        }
        EventData::Domain(DomainData { id, mode, previous_mode, state }) => {
            Data::Domain(pb::DomainEvent {
                domain_id: id.to_string(),
                mode: mode.to_string(),
                previous_mode: text(*previous_mode),
                state: state.as_str().to_owned(),
            })
        }
        EventData::JoinRequest(JoinRequestData { id, account, state, invite, member }) => {
            Data::JoinRequest(pb::JoinRequestEvent {
                join_request_id: id.to_string(),
                account_id: account.to_string(),
                state: state.as_str().to_owned(),
                invite_id: text(*invite),
                member_id: text(*member),
            })
        }
    }
}

fn of_member(member: &MemberData) -> pb::MemberEvent {
    pb::MemberEvent {
        member_id: member.id.to_string(),
        account_id: member.account.to_string(),
        role: member.role.to_string(),
        previous_role: text(member.previous_role),
        status: member.status.as_str().to_owned(),
        joined_by: member.joined_by.as_str().to_owned(),
        invite_id: text(member.used.map(|(invite, _)| invite)),
        invite_used_up: member.used.is_some_and(|(_, used_up)| used_up),
        expire_time: member.expires_at.map(to_timestamp),
        has_metadata: member.has_attributes,
        ..Default::default()
    }
}

fn of_invite(invite: &InviteData) -> pb::InviteEvent {
    let event = pb::InviteEvent {
        invite_id: invite.id.to_string(),
        previous_role: text(invite.previous_role),
        ended: invite.ended.is_some(),
        end_reason: invite.ended.map(|reason| reason.as_str().to_owned()).unwrap_or_default(),
        replaces_invite_id: text(invite.replaces),
        ..Default::default()
    };
    let Some(terms) = &invite.terms else { return event };
    pb::InviteEvent {
        kind: terms.kind.as_str().to_owned(),
        role: terms.role.to_string(),
        content: terms.content.as_ref().map(access),
        inviter_id: terms.inviter.to_string(),
        member_id: text(terms.member),
        expire_time: terms.expires_at.map(to_timestamp),
        max_uses: terms.max_uses.unwrap_or_default(),
        member_end: terms.member_end.map(of_member_end),
        has_metadata: terms.has_attributes,
        ..event
    }
}

fn of_member_end(end: MemberEnd) -> pb::invite_event::MemberEnd {
    use pb::invite_event::MemberEnd as Field;

    match end {
        // It fits: the store holds a lifetime as microseconds in an `i64`.
        MemberEnd::After(lifetime) => {
            Field::MemberLifetime(lifetime.try_into().unwrap_or_default())
        }
        MemberEnd::At(end) => Field::MemberExpireTime(to_timestamp(end)),
    }
}

fn of_grant(grant: &GrantData) -> pb::GrantEvent {
    pb::GrantEvent {
        grant_id: grant.id.to_string(),
        member_id: grant.member.to_string(),
        content: grant.given.as_ref().map(|(content, ..)| access(content)),
        invite_id: text(grant.given.as_ref().map(|(_, invite, _)| invite)),
        invite_used_up: grant.given.as_ref().is_some_and(|(.., used_up)| *used_up),
        ended: grant.given.is_none(),
    }
}

fn access(content: &ContentGrant) -> pb::ContentAccess {
    pb::ContentAccess {
        kind: content.kind.as_str().to_owned(),
        id: content.id.as_str().to_owned(),
        level: content.level.to_string(),
    }
}

/// A time in the form that messages use.
pub fn to_timestamp(at: Timestamp) -> prost_types::Timestamp {
    let at = at.shown();
    prost_types::Timestamp { seconds: at.as_seconds(), nanos: at.subsec_nanos() }
}

fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn owned(texts: &[&'static str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}
