//! `guestlist.v1.InviteService/List`

use uuid::Uuid;

use super::inviters::as_of_inviters;
use super::{InviteFilter, InviteWithToken, Order};
use crate::domain::{Attributes, OrganizationId, PageSize, Permission};
use crate::error::Result;
use crate::operations::access::Access;
use crate::operations::attributes::encode;
use crate::operations::cursor::Pagination;
use crate::operations::encoding::Encoding;
use crate::operations::{Context, RequestContext};
use crate::storage::invite_lists;

#[derive(Debug, Clone)]
pub struct ListInvites {
    pub organization: OrganizationId,
    pub filter: InviteFilter,
    /// Oldest first instead of newest first.
    pub oldest_first: bool,
    /// Include the tokens of live links, for contracts that identify a link by its token.
    pub with_tokens: bool,
    pub size: PageSize,
    /// The token of the previous page; empty for the first page.
    pub token: String,
    /// The request's field with `token`, for errors.
    pub token_field: &'static str,
    /// Also return the number of matching invites.
    pub count: bool,
}

/// One page of invites.
#[derive(Debug, Clone)]
pub struct InviteList {
    pub invites: Vec<InviteWithToken>,
    /// Empty on the last page.
    pub next_token: String,
    /// The number of matching invites, if requested.
    pub count: Option<u64>,
}

/// Lists invites of all kinds, including ended ones. Only admins may do this.
pub async fn list(cx: &Context, call: &RequestContext, input: ListInvites) -> Result<InviteList> {
    let now = cx.now();
    let db = cx.store.read();
    let manage = Permission::ManageInvites;
    let access = Access::to_read(db, &call.caller, input.organization, manage, now).await?;
    let pagination =
        Pagination::new(encode_list(&input), call.caller.account.id, input.token_field);
    let place: Option<Uuid> = pagination.cursor(&cx.keyring, &input.token)?;
    let after = place.map(Into::into);
    let order =
        if input.oldest_first { Order::OldestFirst(after) } else { Order::NewestFirst(after) };

    let _permit = cx.limits.list(input.organization).await?;
    let limit = input.size.get() + 1;
    let filter = &input.filter;
    let at = (now, access.due(now).is_some());
    let mut rows = invite_lists::page(db, input.organization, filter, order, limit, at).await?;
    let next_token =
        pagination.cut(&cx.keyring, &mut rows, input.size, |(last, _)| Uuid::from(last.id))?;
    let count = if input.count {
        Some(invite_lists::count(db, input.organization, filter, at).await?)
    } else {
        None
    };
    let show = |row| match input.with_tokens {
        true => InviteWithToken::with_token(&cx.keyring, row, now),
        false => Ok(InviteWithToken { invite: row.0.as_of(now), token: None }),
    };
    let rows = as_of_inviters(db, &access, rows, now).await?;
    let invites = rows.into_iter().map(show).collect::<Result<_>>()?;
    Ok(InviteList { invites, next_token, count })
}

fn encode_list(input: &ListInvites) -> Encoding {
    let InviteFilter { kinds, states, role, inviter, email, start, end, without_content, .. } =
        &input.filter;
    let encoding = Encoding::new("List")
        .id(input.organization)
        .list(kinds, |encoding, kind| encoding.text(kind.as_str()))
        .list(states, |encoding, state| encoding.text(state.as_str()))
        .option(*role, |encoding, role| encoding.text(role.as_str()))
        .option(*inviter, Encoding::id)
        .option(email.as_deref(), Encoding::text)
        .option(*start, Encoding::time)
        .option(*end, Encoding::time)
        .flag(*without_content)
        .flag(input.oldest_first)
        .flag(input.with_tokens);
    let InviteFilter { metadata, external_id, .. } = &input.filter;
    let with = Attributes { metadata: metadata.clone(), external_id: external_id.clone() };
    encode(encoding, &with)
}
