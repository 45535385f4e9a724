//! `guestlist.v1.InviteService/CreateLink`

use std::sync::Arc;

use uuid::Uuid;

use super::carried::{check_continue_url, encode_member_end, require_free};
use super::{
    InviteWithToken, advance, check_grantable, check_link_expiry, check_member_end, load,
    new_invite, record, tokens,
};
use crate::domain::{
    Action, Attributes, ContentGrant, ContinueUrl, EmailDomain, InviteData, InviteKind,
    InviteToken, MemberEnd, OrganizationId, Permission, Role, Timestamp,
};
use crate::error::{Error, Result};
use crate::operations::access::Access;
use crate::operations::attributes::encode;
use crate::operations::budget::Budget;
use crate::operations::encoding::Encoding;
use crate::operations::idempotency::{Idempotency, RequestToken};
use crate::operations::{Context, RequestContext};
use crate::storage::change;
use crate::storage::invites;

#[derive(Debug, Clone)]
pub struct CreateLink {
    pub organization: OrganizationId,
    pub grants: LinkGrants,
    /// `None`: the link does not expire.
    pub expires_at: Option<Timestamp>,
    /// `None`: any number of uses.
    pub max_uses: Option<i64>,
    /// Only accounts with a verified address in one of these domains may use the link.
    /// Empty: no restriction.
    pub allowed_domains: Vec<EmailDomain>,
    /// Free text.
    pub note: String,
    pub attributes: Attributes,
    /// When the memberships end.
    pub member_end: Option<MemberEnd>,
    /// The page where members continue after joining.
    pub continue_url: Option<ContinueUrl>,
    /// The link only creates requests to join, which an admin must approve. For links with a role.
    pub requires_approval: bool,
    pub request: Option<RequestToken>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkGrants {
    /// Membership with this role.
    Role(Role),
    /// Access to content; a new member becomes a guest.
    Content(ContentGrant),
}

/// Creates a named link. Only admins may do this, and they cannot grant a role above their own.
pub async fn create_link(
    cx: &Context,
    call: &RequestContext,
    input: CreateLink,
) -> Result<InviteWithToken> {
    check_continue_url(cx, input.continue_url.as_ref())?;
    let now = cx.now();
    let CreateLink { organization, request, .. } = &input;
    let idempotency =
        Idempotency::new(call, *organization, "CreateLink", request.as_ref(), |encoding| {
            encode_request(encoding, &input)
        });
    let budget = Budget::new(cx, call, *organization);
    let (keyring, call) = (Arc::clone(&cx.keyring), call.clone());
    cx.store
        .write_in(
            input.organization,
            change!(async move |tx| {
                let manage = Permission::ManageInvites;
                let access =
                    Access::to_change(tx, &call.caller, input.organization, manage, now).await?;
                if let Some(id) = idempotency.lookup::<Uuid>(tx, now).await? {
                    let row = load(tx, input.organization, id.into()).await?;
                    return InviteWithToken::with_token(&keyring, row, now);
                }
                if let Some(expires_at) = input.expires_at {
                    check_link_expiry(expires_at, now)?;
                }
                check_member_end(input.member_end, now)?;
                let (role, content) = match &input.grants {
                    LinkGrants::Role(role) => (*role, None),
                    LinkGrants::Content(content) => (Role::Guest, Some(content.clone())),
                };
                check_grantable(&access, content.as_ref().map_or(role, |content| content.level))?;
                let Access { mut organization, member } = access;
                let next = organization.next_version();
                let external_id = input.attributes.external_id.as_ref();
                require_free(tx, next, external_id, None, now).await?;
                budget.spend_on_link()?;

                advance(tx, &mut organization).await?;
                let mut invite =
                    new_invite(InviteKind::NamedLink, role, &organization, member.id, now);
                invite.content = content;
                invite.member_end = input.member_end;
                invite.expires_at = invite.capped_expiry(input.expires_at);
                invite.max_uses = input.max_uses;
                invite.allowed_domains = input.allowed_domains.clone();
                invite.note = input.note.clone();
                invite.attributes = input.attributes.clone();
                invite.continue_url = input.continue_url.clone();
                invite.requires_approval = input.requires_approval;
                let token = InviteToken::generate().map_err(Error::internal)?;
                invites::insert(tx, &invite, tokens::seal(&keyring, &invite, &token)?).await?;
                let note = format!("link, {}", granted(&input.grants));
                let (data, version) = (InviteData::from(&invite), organization.at_version());
                record(tx, Action::InviteCreated, data, version, &call.actor(), note, now).await?;
                idempotency.store(tx, &Uuid::from(invite.id), now).await?;
                Ok(InviteWithToken { invite, token: Some(token) })
            }),
        )
        .await
}

fn encode_request(encoding: Encoding, input: &CreateLink) -> Encoding {
    let encoding = match &input.grants {
        LinkGrants::Role(role) => encoding.flag(false).text(role.as_str()),
        LinkGrants::Content(ContentGrant { kind, id, level }) => {
            encoding.flag(true).text(kind.as_str()).text(id.as_str()).text(level.as_str())
        }
    };
    let encoding = encoding
        .option(input.expires_at, Encoding::time)
        .option(input.max_uses, Encoding::number)
        .list(&input.allowed_domains, |encoding, domain| encoding.text(domain.as_str()))
        .text(&input.note);
    let encoding = encode(encoding, &input.attributes);
    let encoding = match &input.continue_url {
        Some(url) => encoding.text("continue_url").text(url.as_str()),
        None => encoding,
    };
    // Encoded only if it is set: a request without this field keeps the encoding that it had before
    // the field existed.
    let encoding = match input.requires_approval {
        true => encoding.flag(true),
        false => encoding,
    };
    match input.member_end {
        Some(end) => encode_member_end(encoding.text("member_end"), end),
        None => encoding,
    }
}

fn granted(grants: &LinkGrants) -> String {
    match grants {
        LinkGrants::Role(role) => format!("as {role}"),
        LinkGrants::Content(content) => {
            let ContentGrant { kind, id, level } = content;
            format!("{level} in {} {}", kind.as_str(), id.as_str())
        }
    }
}
