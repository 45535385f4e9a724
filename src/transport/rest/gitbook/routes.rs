//! The routes of GitBook's contract.

use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{ErrorResponses, ErrorResponsesWithBody};
use super::links::{Link, OrganizationLink};
use super::model::{Done, Invited, List, OrganizationShown, User};
use super::requests::{LinkChange, NewInvitations, NewLink, Paging};
use super::roles::{from_member_role, to_member_role};
use crate::domain::{
    AttributeChanges, Attributes, InviteKind, InviteState, OrganizationId, PageSize,
};
use crate::error::{Error, Kind, Result, reason};
use crate::operations::invites::{
    self, CreateLink, InviteByEmail, InviteFilter, InviteWithToken, ListInvites, Revoke, Update,
};
use crate::operations::members::{self, JoinBy};
use crate::operations::organizations;
use crate::operations::{Context, RequestContext, accounts};
use crate::transport::rest::bounded_list::BoundedList;
use crate::transport::rest::request::{RestRequest, Shared};
use crate::transport::rest::{RestResult, empty, json};

const ORGANIZATION: &str = "organizationId";
const INVITE: &str = "inviteId";

/// The advice in the error for a page that is too large.
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

/// Gets the account of the caller.
#[utoipa::path(
    get,
    path = "/v1/user",
    operation_id = "gitbook_get_user",
    tag = "gitbook",
    responses((status = 200, description = "Found.", body = User), ErrorResponses),
)]
async fn get_user(request: RestRequest) -> RestResult {
    Ok(json(StatusCode::OK, &User::from(&accounts::get_caller(&request.call).account)))
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
    responses(
        (status = 200, description = "A page.", body = List<OrganizationShown>),
        ErrorResponses,
    ),
)]
async fn list_organizations(request: RestRequest) -> RestResult {
    let paging: Paging = request.query()?;
    let (size, page) = (PageSize::of(paging.limit()?), &paging.page);
    let listed = organizations::list_my_organizations(
        &request.cx,
        &request.call,
        Attributes::default(),
        size,
        page,
        "page",
    )
    .await?;
    let mut items = BoundedList::new(request.max_response_bytes, FEWER);
    for (_, organization) in listed.entries {
        items.add(OrganizationShown::from(organization))?;
    }
    let list = List::new(items.into_entries(), listed.next_token, None);
    Ok(json(StatusCode::OK, &list))
}

/// Gets an organization of the caller.
#[utoipa::path(
    get,
    path = "/v1/orgs/{organizationId}",
    operation_id = "gitbook_get_organization",
    tag = "gitbook",
    params(("organizationId" = String, Path, pattern = "^[a-zA-Z0-9_-]+$")),
    responses((status = 200, description = "Found.", body = OrganizationShown), ErrorResponses),
)]
async fn get_organization(request: RestRequest) -> RestResult {
    let id = organization(&request)?;
    let found = organizations::get_organization(&request.cx, &request.call, id).await?;
    Ok(json(StatusCode::OK, &OrganizationShown::from(found)))
}

/// Invites people by email, each separately. Members and people with an invitation are skipped.
/// Requires the admin role.
#[utoipa::path(
    post,
    path = "/v1/orgs/{organizationId}/invites",
    operation_id = "gitbook_invite",
    tag = "gitbook",
    params(("organizationId" = String, Path, pattern = "^[a-zA-Z0-9_-]+$")),
    request_body = NewInvitations,
    responses(
        (status = 200, description = "The people invited.", body = Invited),
        ErrorResponsesWithBody,
    ),
)]
async fn invite(mut request: RestRequest) -> RestResult {
    let organization = organization(&request)?;
    let new: NewInvitations = request.json().await?;
    let sso = new.sso;
    let invitations = new.invitations()?;
    let input = InviteByEmail { sso, ..InviteByEmail::new(organization, invitations) };
    let invited = invites::invite_by_email(&request.cx, &request.call, input).await?;
    Ok(json(StatusCode::OK, &Invited::new(invited, sso)))
}

/// Joins the organization with any invite to it. A member who joins again stays a member.
#[utoipa::path(
    post,
    path = "/v1/orgs/{organizationId}/invites/{inviteId}",
    operation_id = "gitbook_join",
    tag = "gitbook",
    params(
        ("organizationId" = String, Path, pattern = "^[a-zA-Z0-9_-]+$"),
        ("inviteId" = String, Path, pattern = "^[a-zA-Z0-9_-]+$"),
    ),
    responses((status = 200, description = "The caller is a member.", body = Done), ErrorResponses),
)]
async fn join(request: RestRequest) -> RestResult {
    let organization = organization(&request)?;
    let name = id_parameter(&request, INVITE)?.parse().map_err(|_| Error::not_found())?;
    let by = JoinBy::InviteTo(organization, name);
    members::join_organization(&request.cx, &request.call, by).await.map_err(as_forbidden)?;
    Ok(json(StatusCode::OK, &Done {}))
}

/// In this contract, the status is 403 if an admin must approve the caller first.
fn as_forbidden(error: Error) -> Error {
    match error.reason {
        reason::APPROVAL_PENDING => Error { kind: Kind::PermissionDenied, ..error },
        _ => error,
    }
}

/// Lists the live links that grant a role in the organization, oldest first. Requires the admin
/// role.
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
    responses(
        (status = 200, description = "A page.", body = List<OrganizationLink>),
        ErrorResponses,
    ),
)]
async fn list_links(request: RestRequest) -> RestResult {
    let paging: Paging = request.query()?;
    let input = ListInvites {
        organization: organization(&request)?,
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
    let listed = invites::list(&request.cx, &request.call, input).await?;
    let mut items = BoundedList::new(request.max_response_bytes, FEWER);
    for shown in listed.invites {
        // The caller is an admin, so every link is redundant.
        items.add(OrganizationLink::new(shown, true)?)?;
    }
    let list = List::new(items.into_entries(), listed.next_token, listed.count);
    Ok(json(StatusCode::OK, &list))
}

/// Creates a link: to the organization, a space or a collection. Requires the admin role.
#[utoipa::path(
    post,
    path = "/v1/orgs/{organizationId}/link-invites",
    operation_id = "gitbook_create_link",
    tag = "gitbook",
    params(("organizationId" = String, Path, pattern = "^[a-zA-Z0-9_-]+$")),
    request_body = NewLink,
    responses((status = 201, description = "The link.", body = Link), ErrorResponsesWithBody),
)]
async fn create_link(mut request: RestRequest) -> RestResult {
    let organization = organization(&request)?;
    let new: NewLink = request.json().await?;
    let input = CreateLink {
        organization,
        grants: new.grants()?,
        expires_at: None,
        max_uses: None,
        allowed_domains: Vec::new(),
        note: String::new(),
        attributes: Attributes::default(),
        member_end: None,
        continue_url: None,
        requires_approval: false,
        request: None,
    };
    let shown = invites::create_link(&request.cx, &request.call, input).await?;
    respond(&request.cx, &request.call, StatusCode::CREATED, shown).await
}

/// Gets a live link of any scope. Requires the admin role.
#[utoipa::path(
    get,
    path = "/v1/orgs/{organizationId}/link-invites/{inviteId}",
    operation_id = "gitbook_get_link",
    tag = "gitbook",
    params(
        ("organizationId" = String, Path, pattern = "^[a-zA-Z0-9_-]+$"),
        ("inviteId" = String, Path, pattern = "^[a-zA-Z0-9_-]+$"),
    ),
    responses((status = 200, description = "The link.", body = Link), ErrorResponses),
)]
async fn get_link(request: RestRequest) -> RestResult {
    let organization = organization(&request)?;
    let token = id_parameter(&request, INVITE)?;
    let found = invites::find_link(&request.cx, &request.call, organization, token).await?;
    let shown = found.ok_or_else(Error::not_found)?;
    respond(&request.cx, &request.call, StatusCode::OK, shown).await
}

/// Changes the grant of a live link: `role` for a link to the organization, `level` for a link to
/// content. Requires the admin role.
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
    responses((status = 200, description = "The link.", body = Link), ErrorResponsesWithBody),
)]
async fn update_link(mut request: RestRequest) -> RestResult {
    let organization = organization(&request)?;
    let change: LinkChange = request.json().await?;
    let token = id_parameter(&request, INVITE)?;
    let found = invites::find_link(&request.cx, &request.call, organization, token).await?;
    let shown = found.ok_or_else(Error::not_found)?;
    let content = shown.invite.content.as_ref();
    let granted = change.granted(content.is_some())?;
    // Several roles have the same name in this contract: the same name is no change.
    if to_member_role(content.map_or(shown.invite.role, |content| content.level)) == granted {
        return respond(&request.cx, &request.call, StatusCode::OK, shown).await;
    }
    let input = Update {
        organization,
        id: shown.invite.id,
        role: Some(from_member_role(granted)),
        expires_at: None,
        max_uses: None,
        member_end: None,
        attributes: AttributeChanges::default(),
        request: None,
    };
    let shown = invites::update(&request.cx, &request.call, input).await?;
    respond(&request.cx, &request.call, StatusCode::OK, shown).await
}

/// Revokes a link of any scope. Requires the admin role.
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
        (status = 205, description = "The link is revoked."),
        (status = 204, description = "There is no such live link."),
        ErrorResponses,
    ),
)]
async fn delete_link(request: RestRequest) -> RestResult {
    let organization = organization(&request)?;
    let token = id_parameter(&request, INVITE)?;
    let found = invites::find_link(&request.cx, &request.call, organization, token).await?;
    let Some(shown) = found else {
        return Ok(empty(StatusCode::NO_CONTENT));
    };
    let input = Revoke { organization, id: shown.invite.id, request: None };
    let revoked = invites::revoke(&request.cx, &request.call, input).await?;
    Ok(empty(if revoked.was_live { StatusCode::RESET_CONTENT } else { StatusCode::NO_CONTENT }))
}

async fn respond(
    cx: &Context,
    call: &RequestContext,
    status: StatusCode,
    shown: InviteWithToken,
) -> RestResult {
    let redundant = invites::is_redundant(cx, call, &shown.invite).await?;
    Ok(json(status, &Link::new(shown, redundant)?))
}

/// A path parameter in the syntax of this contract's ids.
fn id_parameter<'a>(request: &'a RestRequest, name: &'static str) -> Result<&'a str> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let text = request.path_parameter(name);
    match text.bytes().all(allowed) {
        true => Ok(text),
        false => Err(Error::invalid(name, "must be letters, digits, '-' or '_'")),
    }
}

fn organization(request: &RestRequest) -> Result<OrganizationId> {
    id_parameter(request, ORGANIZATION)?.parse().map_err(|_| Error::not_found())
}
