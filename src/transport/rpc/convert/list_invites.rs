//! The messages of `InviteService/List`.

use super::Fields;
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

/// The maximum number of entries in each list of a filter.
const MAX_ENTRIES: usize = 25;

fn filter(fields: &mut Fields, from: pb::InviteFilter) -> InviteFilter {
    let email = fields.address_filter("filter.email", &from.email);
    let role = fields.parse_optional("filter.role", &from.role);
    let inviter = fields.parse_optional("filter.inviter_id", &from.inviter_id);
    let with = fields.attributes("filter.", from.metadata, &from.external_id);
    InviteFilter {
        metadata: with.metadata,
        external_id: with.external_id,
        kinds: kinds(fields, &from.kinds),
        states: states(fields, &from.states),
        role,
        inviter,
        email,
        start: from.start_time.and_then(|at| fields.timestamp("filter.start_time", at)),
        end: from.end_time.and_then(|at| fields.timestamp("filter.end_time", at)),
        without_content: false,
    }
}

fn kinds(fields: &mut Fields, numbers: &[i32]) -> Vec<InviteKind> {
    const EXPECTED: &str = "must be a kind that is defined";
    fields.enums("filter.kinds", numbers, MAX_ENTRIES, EXPECTED, |number| {
        Some(match pb::InviteKind::try_from(number).ok()? {
            pb::InviteKind::JoinLink => InviteKind::JoinLink,
            pb::InviteKind::NamedLink => InviteKind::NamedLink,
            pb::InviteKind::Email => InviteKind::Email,
            pb::InviteKind::Unspecified => return None,
        })
    })
}

fn states(fields: &mut Fields, numbers: &[i32]) -> Vec<InviteState> {
    const EXPECTED: &str = "must be a state that is defined";
    fields.enums("filter.states", numbers, MAX_ENTRIES, EXPECTED, |number| {
        Some(match pb::InviteState::try_from(number).ok()? {
            pb::InviteState::Live => InviteState::Live,
            pb::InviteState::Accepted => InviteState::Accepted,
            pb::InviteState::Exhausted => InviteState::Exhausted,
            pb::InviteState::Expired => InviteState::Expired,
            pb::InviteState::Revoked => InviteState::Revoked,
            pb::InviteState::Replaced => InviteState::Replaced,
            pb::InviteState::Declined => InviteState::Declined,
            pb::InviteState::Unspecified => return None,
        })
    })
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
