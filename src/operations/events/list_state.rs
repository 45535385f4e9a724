//! `guestlist.v1.EventService/ListState`

use super::described::MAX_METADATA_BYTES;
use crate::domain::{Attributes, KeyScope, OrganizationId, PageSize};
use crate::error::{Error, Result};
use crate::operations::cursor::Pagination;
use crate::operations::encoding::Encoding;
use crate::operations::{Context, RequestContext};
use crate::storage::state::{self, MemberState};

/// Members of one organization.
#[derive(Debug, Clone)]
pub struct OrganizationState {
    pub id: OrganizationId,
    /// The organization's version that these members belong to.
    pub version: i64,
    pub attributes: Attributes,
    pub members: Vec<MemberState>,
}

#[derive(Debug, Clone)]
pub struct StateList {
    pub organizations: Vec<OrganizationState>,
    /// Empty on the last page.
    pub next_token: String,
}

/// Lists organizations with their members, in the order of the organizations' ids. Needs a
/// key of scope `events`.
pub async fn list_state(
    cx: &Context,
    call: &RequestContext,
    size: PageSize,
    token: &str,
) -> Result<StateList> {
    let caller = &call.caller;
    if caller.scope() != Some(KeyScope::Events) {
        return Err(Error::permission_denied("only a key of scope events may list the state"));
    }
    let only = caller.bound_to();
    let encoding = Encoding::new("ListState").option(only, Encoding::id);
    let pagination = Pagination::new(encoding, caller.account.id, "page_token");
    let after = pagination.cursor(&cx.keyring, token)?;
    let _permit = cx.limits.list(only).await?;
    let mut members = state::page(cx.store.read(), only, after, size.get() + 1, cx.now()).await?;
    let size = PageSize::of(size.get().min(fitting(&members)));
    let next_token = pagination.cut(&cx.keyring, &mut members, size, MemberState::place)?;
    let mut organizations: Vec<OrganizationState> = Vec::new();
    for member in members {
        match organizations.last_mut() {
            Some(last) if last.id == member.organization => last.members.push(member),
            _ => organizations.push(OrganizationState {
                id: member.organization,
                version: member.version,
                attributes: member.of_organization.clone(),
                members: vec![member],
            }),
        }
    }
    Ok(StateList { organizations, next_token })
}

/// How many of the first members fit in a response, with their metadata and that of their
/// organizations; at least one.
fn fitting(members: &[MemberState]) -> u64 {
    let (mut bytes, mut organization) = (0, None);
    let fits = members.iter().take_while(|member| {
        if organization.replace(member.organization) != Some(member.organization) {
            bytes += member.of_organization.size();
        }
        bytes += member.attributes.size();
        bytes <= MAX_METADATA_BYTES
    });
    u64::try_from(fits.count()).unwrap_or(u64::MAX).max(1)
}
