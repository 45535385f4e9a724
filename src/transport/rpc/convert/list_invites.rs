//! The messages of `InviteService/List`.

use super::{Fields, address_filter};
use crate::domain::{InviteKind, InviteState};
use crate::error::Result;
use crate::operations::invites::{InviteFilter, InviteList, ListInvites};
use crate::proto::guestlist::v1 as pb;

pub fn list_invites(message: pb::ListRequest) -> Result<ListInvites> {
    let mut fields = Fields::default();
    let organization = fields.parse("organization_id", &message.organization_id);
    let filter = filter(&mut fields, message.filter.unwrap_or_default());
    let page = fields.page(message.page);
    fields.finish(|| {
        let (size, token) = page?;
        Some(ListInvites {
            organization: organization?,
            filter,
            oldest_first: false,
            with_tokens: false,
            size,
            count: message.count && token.is_empty(),
            token,
            token_field: "page.page_token",
        })
    })
}

fn filter(fields: &mut Fields, from: pb::InviteFilter) -> InviteFilter {
    fields.at_most("filter.email", &from.email, 320);
    let role = match from.role.as_str() {
        "" => None,
        role => fields.parse("filter.role", role),
    };
    let inviter = match from.inviter_id.as_str() {
        "" => None,
        id => fields.parse("filter.inviter_id", id),
    };
    InviteFilter {
        kinds: kinds(fields, &from.kinds),
        states: states(fields, &from.states),
        role,
        inviter,
        email: address_filter(&from.email),
        start: from.start_time.and_then(|at| fields.timestamp("filter.start_time", at)),
        end: from.end_time.and_then(|at| fields.timestamp("filter.end_time", at)),
        without_content: false,
    }
}

fn kinds(fields: &mut Fields, numbers: &[i32]) -> Vec<InviteKind> {
    let mut kinds = Vec::new();
    for (i, number) in numbers.iter().enumerate() {
        let kind = match pb::InviteKind::try_from(*number) {
            Ok(pb::InviteKind::JoinLink) => InviteKind::JoinLink,
            Ok(pb::InviteKind::NamedLink) => InviteKind::NamedLink,
            Ok(pb::InviteKind::Email) => InviteKind::Email,
            _ => {
                fields.wrong(format!("filter.kinds[{i}]"), "must be a kind that is defined");
                continue;
            }
        };
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds
}

fn states(fields: &mut Fields, numbers: &[i32]) -> Vec<InviteState> {
    let mut states = Vec::new();
    for (i, number) in numbers.iter().enumerate() {
        let state = match pb::InviteState::try_from(*number) {
            Ok(pb::InviteState::Live) => InviteState::Live,
            Ok(pb::InviteState::Accepted) => InviteState::Accepted,
            Ok(pb::InviteState::Exhausted) => InviteState::Exhausted,
            Ok(pb::InviteState::Expired) => InviteState::Expired,
            Ok(pb::InviteState::Revoked) => InviteState::Revoked,
            Ok(pb::InviteState::Replaced) => InviteState::Replaced,
            Ok(pb::InviteState::Declined) => InviteState::Declined,
            _ => {
                fields.wrong(format!("filter.states[{i}]"), "must be a state that is defined");
                continue;
            }
        };
        if !states.contains(&state) {
            states.push(state);
        }
    }
    states
}

impl From<InviteList> for pb::ListResponse {
    fn from(list: InviteList) -> Self {
        Self {
            invites: list.invites.into_iter().map(Into::into).collect(),
            next_page_token: list.next_token,
            count: list.count.map(|count| i64::try_from(count).unwrap_or(i64::MAX)),
        }
    }
}
