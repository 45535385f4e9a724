//! `guestlist.v1.InviteService/Update`

use std::sync::Arc;

use uuid::Uuid;

use super::carried::{encode_member_end, require_free};
use super::{
    InviteWithToken, advance, check_grantable, check_link_expiry, check_member_end, email_expiry,
    invite_ended, load, record,
};
use crate::domain::{
    Action, AttributeChanges, EndReason, Ending, Invite, InviteData, InviteId, InviteKind,
    MemberEnd, OrganizationId, Permission, Role, Timestamp,
};
use crate::error::{Error, Result, reason};
use crate::operations::access::Access;
use crate::operations::attributes::{changed, encode_changes};
use crate::operations::encoding::Encoding;
use crate::operations::idempotency::{Idempotency, RequestToken};
use crate::operations::{Context, RequestContext};
use crate::storage::change;
use crate::storage::{attributes, invites, outbox};

/// A field that is `None` is not changed.
#[derive(Debug, Clone)]
pub struct Update {
    pub organization: OrganizationId,
    pub id: InviteId,
    /// For a link to content, the level of access.
    pub role: Option<Role>,
    /// `Some(None)`: the link does not expire.
    pub expires_at: Option<Option<Timestamp>>,
    /// `Some(None)`: any number of uses.
    pub max_uses: Option<Option<i64>>,
    /// `Some(None)`: the memberships do not end.
    pub member_end: Option<Option<MemberEnd>>,
    pub attributes: AttributeChanges,
    pub request: Option<RequestToken>,
}

/// Changes role, expiry, uses, metadata, external id or the end of memberships of a live invite.
/// Only admins may do this, and they cannot grant a role above their own.
pub async fn update(cx: &Context, call: &RequestContext, input: Update) -> Result<InviteWithToken> {
    let now = cx.now();
    let idempotency =
        Idempotency::new(call, input.organization, "Update", input.request.as_ref(), |encoding| {
            let encoding = encoding
                .id(input.id)
                .option(input.role, |encoding, role| encoding.text(role.as_str()))
                .option(input.expires_at, |encoding, at| encoding.option(at, Encoding::time))
                .option(input.max_uses, |encoding, most| encoding.option(most, Encoding::number));
            let encoding = encode_changes(encoding, &input.attributes);
            match input.member_end {
                Some(end) => encoding.text("member_end").option(end, encode_member_end),
                None => encoding,
            }
        });
    let lifetime = cx.rules.email_invitation_lifetime;
    let (keyring, call) = (Arc::clone(&cx.keyring), call.clone());
    cx.store
        .write_in(
            input.organization,
            change!(async move |tx| {
                let manage = Permission::ManageInvites;
                let mut access =
                    Access::to_change(tx, &call.caller, input.organization, manage, now).await?;
                let row = load(tx, input.organization, input.id).await?;
                if idempotency.lookup::<Uuid>(tx, now).await?.is_some() {
                    return InviteWithToken::with_token(&keyring, row, now);
                }
                let (before, sealed) = row;
                let changes_terms = input.role.is_some()
                    || input.expires_at.is_some()
                    || input.max_uses.is_some()
                    || input.member_end.is_some();
                if before.kind == InviteKind::JoinLink && changes_terms {
                    return Err(Error::precondition(
                        reason::JOIN_LINK,
                        "the join link is replaced by CreateOrganizationInvite, not changed",
                    ));
                }
                if !before.is_live(now) {
                    return Err(invite_ended());
                }
                let mut after = before.clone();
                if let Some(role) = input.role {
                    check_grantable(&access, role)?;
                    match &mut after.content {
                        Some(content) => content.level = role,
                        None => after.role = role,
                    }
                }
                if let Some(member_end) = input.member_end {
                    check_member_end(member_end, now)?;
                    after.member_end = member_end;
                }
                if let Some(expires_at) = input.expires_at {
                    after.expires_at = new_expiry(&before, expires_at, lifetime, now)?;
                }
                after.expires_at = after.capped_expiry(after.expires_at);
                if let Some(max_uses) = input.max_uses {
                    after.max_uses = new_max_uses(&before, max_uses)?;
                }
                after.attributes = changed(&before.attributes, &input.attributes)?;
                if after != before {
                    if after.attributes.external_id != before.attributes.external_id {
                        let id = after.attributes.external_id.as_ref();
                        let version = access.organization.next_version();
                        require_free(tx, version, id, Some(before.id), now).await?;
                    }
                    advance(tx, &mut access.organization).await?;
                    invites::update_terms(tx, &after).await?;
                    if let (Some(old), Some(new)) = (before.expires_at, after.expires_at)
                        && before.kind == InviteKind::Email
                        && old != new
                    {
                        let by = new.as_micros().saturating_sub(old.as_micros());
                        outbox::move_reminder(tx, input.id, by).await?;
                    }
                    if after.attributes != before.attributes {
                        let (organization, to) = (input.organization, &after.attributes);
                        attributes::set_of_invite(tx, organization, input.id, to).await?;
                    }
                    let mut data = InviteData {
                        previous_role: previous_role(&before, &after),
                        ..InviteData::from(&after)
                    };
                    if after.max_uses == Some(after.uses) {
                        data = data.ended(EndReason::Exhausted);
                        let ending = Ending { at: now, by: None, reason: EndReason::Exhausted };
                        invites::end(tx, input.organization, input.id, &ending).await?;
                    }
                    let note = changes(&before, &after);
                    let version = access.organization.at_version();
                    record(tx, Action::InviteUpdated, data, version, &call.actor(), note, now)
                        .await?;
                    after = load(tx, input.organization, input.id).await?.0;
                }
                idempotency.store(tx, &Uuid::from(after.id), now).await?;
                InviteWithToken::with_token(&keyring, (after, sealed), now)
            }),
        )
        .await
}

fn new_expiry(
    invite: &Invite,
    requested: Option<Timestamp>,
    lifetime: std::time::Duration,
    now: Timestamp,
) -> Result<Option<Timestamp>> {
    match (invite.kind, requested) {
        (InviteKind::Email, None) => {
            Err(Error::invalid("never_expires", "an email invitation always expires"))
        }
        (InviteKind::Email, requested) => email_expiry(requested, lifetime, now).map(Some),
        (_, Some(requested)) => check_link_expiry(requested, now).map(|()| Some(requested)),
        (_, None) => Ok(None),
    }
}

fn new_max_uses(invite: &Invite, requested: Option<i64>) -> Result<Option<i64>> {
    if invite.kind == InviteKind::Email {
        return Err(Error::invalid("max_uses", "an email invitation is used once"));
    }
    match requested {
        Some(requested) if requested < invite.uses => {
            Err(Error::invalid("max_uses", "must be no smaller than the uses that are spent"))
        }
        requested => Ok(requested),
    }
}

/// The previous role, or the previous level of a link to content, if it changed.
fn previous_role(before: &Invite, after: &Invite) -> Option<Role> {
    let role = |invite: &Invite| invite.content.as_ref().map_or(invite.role, |it| it.level);
    Some(role(before)).filter(|before| *before != role(after))
}

/// The names of the changed fields, for the audit event.
fn changes(before: &Invite, after: &Invite) -> String {
    let role = before.role != after.role || before.content != after.content;
    [
        ("role", role),
        ("expire_time", before.expires_at != after.expires_at),
        ("max_uses", before.max_uses != after.max_uses),
        ("member_end", before.member_end != after.member_end),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .chain(before.attributes.changes(&after.attributes))
    .collect::<Vec<_>>()
    .join(", ")
}
