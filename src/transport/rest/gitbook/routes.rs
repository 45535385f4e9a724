//! The calls of GitBook's contract.

use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{Refused, RefusedBody};
use super::links::{Link, OrganizationLink};
use super::model::{Done, Invited, List, OrganizationShown, User};
use super::requests::{LinkChange, NewInvitations, NewLink, Paging};
use super::roles::{meant_role, shown_role};
use crate::domain::{InviteKind, InviteState, OrganizationId, PageSize};
use crate::error::{Error, Result};
use crate::operations::invites::{
    self, CreateLink, InviteByEmail, InviteFilter, InviteWithToken, ListInvites, Revoke, Update,
};
use crate::operations::members::{self, JoinBy};
use crate::operations::organizations;
use crate::operations::{Context, RequestContext, accounts};
use crate::transport::rest::asked::{Asked, Shared};
use crate::transport::rest::gathered::Gathered;
use crate::transport::rest::{Answered, empty, json};

const ORGANIZATION: &str = "organizationId";
const INVITE: &str = "inviteId";

/// What to do where a page is too large.
const FEWER: &str = "ask for fewer entries with `limit`";

/// Every route.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(get_user))
        .routes(routes!(list_organizations))
        .routes(routes!(get_organization))
        .routes(routes!(invite))
        .routes(routes!(join))
        .routes(routes!(list_links, create_link))
        .routes(routes!(get_link, update_link, delete_link))
}

/// Reads the caller's own account.
#[utoipa::path(
    get,
    path = "/v1/user",
    operation_id = "gitbook_get_user",
    tag = "gitbook",
    responses((status = 200, description = "Found.", body = User), Refused),
)]
async fn get_user(asked: Asked) -> Answered {
    Ok(json(StatusCode::OK, &User::from(&accounts::get_caller(&asked.call).account)))
}

/// Lists the organizations of the caller.
#[utoipa::path(
    get,
    path = "/v1/orgs",
    operation_id = "gitbook_list_organizations",
    tag = "gitbook",
    params(
        ("page" = Option<String>, Query, description = "`next.page` of the page before."),
        ("limit" = Option<u16>, Query, maximum = 1000, description = "0 means 100."),
    ),
    responses((status = 200, description = "A page.", body = List<OrganizationShown>), Refused),
)]
async fn list_organizations(asked: Asked) -> Answered {
    let paging: Paging = asked.query()?;
    let (size, page) = (PageSize::of(paging.limit()?), &paging.page);
    let listed =
        organizations::list_my_organizations(&asked.cx, &asked.call, size, page, "page").await?;
    let mut items = Gathered::new(asked.max_response_bytes, FEWER);
    for (_, organization) in listed.entries {
        items.add(OrganizationShown::from(organization))?;
    }
    let list = List::new(items.into_entries(), listed.next_token, None);
    Ok(json(StatusCode::OK, &list))
}

/// Reads an organization of the caller's.
#[utoipa::path(
    get,
    path = "/v1/orgs/{organizationId}",
    operation_id = "gitbook_get_organization",
    tag = "gitbook",
    params(("organizationId" = String, Path, pattern = "^[a-zA-Z0-9_-]+$")),
    responses((status = 200, description = "Found.", body = OrganizationShown), Refused),
)]
async fn get_organization(asked: Asked) -> Answered {
    let id = organization(&asked)?;
    let found = organizations::get_organization(&asked.cx, &asked.call, id).await?;
    Ok(json(StatusCode::OK, &OrganizationShown::from(found)))
}

/// Invites people by mail, each by themselves: those who are members or invited
/// already are left out. Admins may.
#[utoipa::path(
    post,
    path = "/v1/orgs/{organizationId}/invites",
    operation_id = "gitbook_invite",
    tag = "gitbook",
    params(("organizationId" = String, Path, pattern = "^[a-zA-Z0-9_-]+$")),
    request_body = NewInvitations,
    responses((status = 200, description = "Who is invited.", body = Invited), RefusedBody),
)]
async fn invite(mut asked: Asked) -> Answered {
    let organization = organization(&asked)?;
    let new: NewInvitations = asked.json().await?;
    let sso = new.sso;
    let invitations = new.invitations()?;
    let input = InviteByEmail { organization, invitations, expires_at: None, sso, request: None };
    let invited = invites::invite_by_email(&asked.cx, &asked.call, input).await?;
    Ok(json(StatusCode::OK, &Invited::new(invited, sso)))
}

/// Joins the organization with any invite to it. Joining twice is fine.
#[utoipa::path(
    post,
    path = "/v1/orgs/{organizationId}/invites/{inviteId}",
    operation_id = "gitbook_join",
    tag = "gitbook",
    params(
        ("organizationId" = String, Path, pattern = "^[a-zA-Z0-9_-]+$"),
        ("inviteId" = String, Path, pattern = "^[a-zA-Z0-9_-]+$"),
    ),
    responses((status = 200, description = "The caller is a member.", body = Done), Refused),
)]
async fn join(asked: Asked) -> Answered {
    let organization = organization(&asked)?;
    let name = entity(&asked, INVITE)?.parse().map_err(|_| Error::not_found())?;
    let by = JoinBy::InviteTo(organization, name);
    members::join_organization(&asked.cx, &asked.call, by).await?;
    Ok(json(StatusCode::OK, &Done {}))
}

/// Lists the live links to places in the organization, oldest first. Admins may.
#[utoipa::path(
    get,
    path = "/v1/orgs/{organizationId}/link-invites",
    operation_id = "gitbook_list_links",
    tag = "gitbook",
    params(
        ("organizationId" = String, Path, pattern = "^[a-zA-Z0-9_-]+$"),
        ("page" = Option<String>, Query, description = "`next.page` of the page before."),
        ("limit" = Option<u16>, Query, maximum = 1000, description = "0 means 100."),
    ),
    responses((status = 200, description = "A page.", body = List<OrganizationLink>), Refused),
)]
async fn list_links(asked: Asked) -> Answered {
    let paging: Paging = asked.query()?;
    let input = ListInvites {
        organization: organization(&asked)?,
        filter: InviteFilter {
            kinds: vec![InviteKind::NamedLink],
            states: vec![InviteState::Live],
            without_content: true,
            ..InviteFilter::default()
        },
        oldest_first: true,
        with_tokens: true,
        size: PageSize::of(paging.limit()?),
        token: paging.page,
        token_field: "page",
        count: true,
    };
    let listed = invites::list(&asked.cx, &asked.call, input).await?;
    let mut items = Gathered::new(asked.max_response_bytes, FEWER);
    for shown in listed.invites {
        // Whoever lists links is an admin, who has every role there is.
        items.add(OrganizationLink::new(shown, true)?)?;
    }
    let list = List::new(items.into_entries(), listed.next_token, listed.count);
    Ok(json(StatusCode::OK, &list))
}

/// Makes a link: to a place in the organization, a space or a collection. Admins
/// may.
#[utoipa::path(
    post,
    path = "/v1/orgs/{organizationId}/link-invites",
    operation_id = "gitbook_create_link",
    tag = "gitbook",
    params(("organizationId" = String, Path, pattern = "^[a-zA-Z0-9_-]+$")),
    request_body = NewLink,
    responses((status = 201, description = "The link.", body = Link), RefusedBody),
)]
async fn create_link(mut asked: Asked) -> Answered {
    let organization = organization(&asked)?;
    let new: NewLink = asked.json().await?;
    let input = CreateLink {
        organization,
        grants: new.grants()?,
        expires_at: None,
        max_uses: None,
        allowed_domains: Vec::new(),
        note: String::new(),
        request: None,
    };
    let shown = invites::create_link(&asked.cx, &asked.call, input).await?;
    answer(&asked.cx, &asked.call, StatusCode::CREATED, shown).await
}

/// Reads a live link of any scope. Admins may.
#[utoipa::path(
    get,
    path = "/v1/orgs/{organizationId}/link-invites/{inviteId}",
    operation_id = "gitbook_get_link",
    tag = "gitbook",
    params(
        ("organizationId" = String, Path, pattern = "^[a-zA-Z0-9_-]+$"),
        ("inviteId" = String, Path, pattern = "^[a-zA-Z0-9_-]+$"),
    ),
    responses((status = 200, description = "The link.", body = Link), Refused),
)]
async fn get_link(asked: Asked) -> Answered {
    let organization = organization(&asked)?;
    let token = entity(&asked, INVITE)?;
    let found = invites::find_link(&asked.cx, &asked.call, organization, token).await?;
    let shown = found.ok_or_else(Error::not_found)?;
    answer(&asked.cx, &asked.call, StatusCode::OK, shown).await
}

/// Changes what a live link grants: `role` of a link to the organization, `level`
/// of one to content. Admins may.
#[utoipa::path(
    patch,
    path = "/v1/orgs/{organizationId}/link-invites/{inviteId}",
    operation_id = "gitbook_update_link",
    tag = "gitbook",
    params(
        ("organizationId" = String, Path, pattern = "^[a-zA-Z0-9_-]+$"),
        ("inviteId" = String, Path, pattern = "^[a-zA-Z0-9_-]+$"),
    ),
    request_body = LinkChange,
    responses((status = 200, description = "The link.", body = Link), RefusedBody),
)]
async fn update_link(mut asked: Asked) -> Answered {
    let organization = organization(&asked)?;
    let change: LinkChange = asked.json().await?;
    let token = entity(&asked, INVITE)?;
    let found = invites::find_link(&asked.cx, &asked.call, organization, token).await?;
    let shown = found.ok_or_else(Error::not_found)?;
    let content = shown.invite.content.as_ref();
    let granted = change.granted(content.is_some())?;
    // What shows as the same already stays what it is.
    if shown_role(content.map_or(shown.invite.role, |content| content.level)) == granted {
        return answer(&asked.cx, &asked.call, StatusCode::OK, shown).await;
    }
    let input = Update {
        organization,
        id: shown.invite.id,
        role: Some(meant_role(granted)),
        expires_at: None,
        max_uses: None,
        request: None,
    };
    let shown = invites::update(&asked.cx, &asked.call, input).await?;
    answer(&asked.cx, &asked.call, StatusCode::OK, shown).await
}

/// Takes a link of any scope back. Admins may.
#[utoipa::path(
    delete,
    path = "/v1/orgs/{organizationId}/link-invites/{inviteId}",
    operation_id = "gitbook_delete_link",
    tag = "gitbook",
    params(
        ("organizationId" = String, Path, pattern = "^[a-zA-Z0-9_-]+$"),
        ("inviteId" = String, Path, pattern = "^[a-zA-Z0-9_-]+$"),
    ),
    responses(
        (status = 205, description = "It is dead."),
        (status = 204, description = "There is no such live link."),
        Refused,
    ),
)]
async fn delete_link(asked: Asked) -> Answered {
    let organization = organization(&asked)?;
    let token = entity(&asked, INVITE)?;
    let found = invites::find_link(&asked.cx, &asked.call, organization, token).await?;
    let Some(shown) = found else {
        return Ok(empty(StatusCode::NO_CONTENT));
    };
    let input = Revoke { organization, id: shown.invite.id, request: None };
    let revoked = invites::revoke(&asked.cx, &asked.call, input).await?;
    Ok(empty(if revoked.was_live { StatusCode::RESET_CONTENT } else { StatusCode::NO_CONTENT }))
}

async fn answer(
    cx: &Context,
    call: &RequestContext,
    status: StatusCode,
    shown: InviteWithToken,
) -> Answered {
    let redundant = invites::is_redundant(cx, call, &shown.invite).await?;
    Ok(json(status, &Link::new(shown, redundant)?))
}

/// An id of this contract: not every one can be one of ours.
fn entity<'a>(asked: &'a Asked, name: &'static str) -> Result<&'a str> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let text = asked.segment(name);
    match text.bytes().all(allowed) {
        true => Ok(text),
        false => Err(Error::invalid(name, "must be letters, digits, '-' or '_'")),
    }
}

fn organization(asked: &Asked) -> Result<OrganizationId> {
    entity(asked, ORGANIZATION)?.parse().map_err(|_| Error::not_found())
}
