//! Values that an invite holds for its future members: checks of the external id and of the
//! continue URL, and the encoding of the end of memberships.

use super::expire;
use crate::domain::{ContinueUrl, ExternalId, InviteId, MemberEnd, OrganizationVersion, Timestamp};
use crate::error::{Error, Result, reason};
use crate::operations::Context;
use crate::operations::attributes::external_id_taken;
use crate::operations::encoding::Encoding;
use crate::storage::{Tx, attributes};

/// Checks that no live invite of the locked organization, except `own`, has the external id. Ends
/// an expired invite that has it, with this version of the organization.
///
/// # Errors
/// ALREADY_EXISTS.
pub(super) async fn require_free(
    tx: &Tx,
    organization: OrganizationVersion,
    external_id: Option<&ExternalId>,
    own: Option<InviteId>,
    now: Timestamp,
) -> Result<()> {
    let Some(id) = external_id else { return Ok(()) };
    for other in attributes::invites_with(tx, organization.id, &[id]).await? {
        if Some(other.id) == own {
            continue;
        }
        if other.is_live(now) {
            return Err(external_id_taken());
        }
        expire(tx, &other, organization, now).await?;
    }
    Ok(())
}

/// Adds the end of memberships to the encoding of a request.
pub(super) fn encode_member_end(encoding: Encoding, end: MemberEnd) -> Encoding {
    match end {
        MemberEnd::After(lifetime) => {
            let micros = i64::try_from(lifetime.as_micros()).unwrap_or(i64::MAX);
            encoding.flag(false).number(micros)
        }
        MemberEnd::At(end) => encoding.flag(true).time(end),
    }
}

/// # Errors
/// INVALID_ARGUMENT if the settings do not allow the URL's origin.
pub(super) fn check_continue_url(cx: &Context, url: Option<&ContinueUrl>) -> Result<()> {
    if url.is_none_or(|url| cx.continue_origins.allow(url)) {
        return Ok(());
    }
    let what = "must have an origin of the setting invites.continue_origins";
    Err(Error::invalid("continue_url", what).with_reason(reason::CONTINUE_URL_NOT_ALLOWED))
}

/// The URL, if the settings still allow its origin.
pub(in crate::operations) fn shown_continue_url(
    cx: &Context,
    url: Option<&ContinueUrl>,
) -> Option<ContinueUrl> {
    url.filter(|url| cx.continue_origins.allow(url)).cloned()
}
