//! The routes of ClickHouse's contract.

use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{Body, ErrorResponses, ErrorResponsesWithBody};
use super::model::{Done, Envelope, Invitation, InvitationEnvelope, NewInvitation, Organization};
use super::roles::{ListedRole, Role};
use crate::domain::{
    self, Attributes, Invite, InviteId, InviteKind, InviteState, OrganizationId, PageSize,
};
use crate::error::{Error, Result};
use crate::operations::invites::{
    self, InviteFilter, InviteOne, ListInvites, RequestToken, Revoke,
};
use crate::operations::{Context, RequestContext, organizations};
use crate::transport::rest::bounded_list::BoundedList;
use crate::transport::rest::request::{RestRequest, Shared};
use crate::transport::rest::{RestResult, json};

const ORGANIZATION: &str = "organizationId";
const INVITATION: &str = "invitationId";

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The contract's lists have no pages. They are read in pages of this size.
const PAGE_SIZE: PageSize = PageSize::of(1000);

/// Every route of the contract.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(list_organizations))
        .routes(routes!(get_organization))
        .routes(routes!(list_roles))
        .routes(routes!(list_invitations, create_invitation))
        .routes(routes!(get_invitation, delete_invitation))
}

/// Lists the organizations of the caller. A list that is larger than the maximum response is
/// rejected with status 400.
#[utoipa::path(
    get,
    path = "/v1/organizations",
    operation_id = "clickhouse_list_organizations",
    tag = "clickhouse",
    responses(
        (status = 200, description = "The list.", body = Envelope<Vec<Organization>>),
        ErrorResponses,
    ),
)]
async fn list_organizations(request: RestRequest) -> RestResult {
    let instead = "guestlist.v1.OrganizationService/ListMyOrganizations has pages";
    let mut listed = BoundedList::new(request.max_response_bytes, instead);
    let mut token = String::new();
    loop {
        let page = organizations::list_my_organizations(
            &request.cx,
            &request.call,
            Attributes::default(),
            PAGE_SIZE,
            &token,
            "page",
        );
        let page = page.await?;
        for (_, organization) in page.entries {
            listed.add(Organization::from(organization))?;
        }
        if page.next_token.is_empty() {
            return ok(&Envelope::new(&request.call.request_id, listed.into_entries()));
        }
        token = page.next_token;
    }
}

/// Gets an organization of the caller.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organizationId}",
    operation_id = "clickhouse_get_organization",
    tag = "clickhouse",
    params(("organizationId" = String, Path, format = "uuid")),
    responses(
        (status = 200, description = "Found.", body = Envelope<Organization>),
        ErrorResponses,
    ),
)]
async fn get_organization(request: RestRequest) -> RestResult {
    let id = request.id(ORGANIZATION)?;
    let found = organizations::get_organization(&request.cx, &request.call, id).await?;
    ok(&Envelope::new(&request.call.request_id, Organization::from(found)))
}

/// Lists the roles that an invitation can grant. Requires the admin role.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organizationId}/roles",
    operation_id = "clickhouse_list_roles",
    tag = "clickhouse",
    params(("organizationId" = String, Path, format = "uuid")),
    responses(
        (status = 200, description = "The list.", body = Envelope<Vec<ListedRole>>),
        ErrorResponses,
    ),
)]
async fn list_roles(request: RestRequest) -> RestResult {
    let id = request.id(ORGANIZATION)?;
    let grantable = invites::grantable_roles(&request.cx, &request.call, id).await?;
    let is_grantable = |role: &Role| grantable.contains(&domain::Role::from(*role));
    let listed = Role::ALL.into_iter().filter(is_grantable).map(Role::listed).collect();
    ok(&Envelope::<Vec<ListedRole>>::new(&request.call.request_id, listed))
}

/// Lists the pending email invitations, oldest first. Requires the admin role. A list that is
/// larger than the maximum response is rejected with status 400.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organizationId}/invitations",
    operation_id = "clickhouse_list_invitations",
    tag = "clickhouse",
    params(("organizationId" = String, Path, format = "uuid")),
    responses(
        (status = 200, description = "The list.", body = Envelope<Vec<Invitation>>),
        ErrorResponses,
    ),
)]
async fn list_invitations(request: RestRequest) -> RestResult {
    let mut input = ListInvites {
        organization: request.id(ORGANIZATION)?,
        filter: InviteFilter {
            kinds: vec![InviteKind::Email],
            states: vec![InviteState::Live],
            ..InviteFilter::default()
        },
        oldest_first: true,
        with_tokens: false,
        size: PAGE_SIZE,
        token: String::new(),
        token_field: "page",
        count: false,
    };
    let instead = "guestlist.v1.InviteService/List has pages";
    let mut listed = BoundedList::new(request.max_response_bytes, instead);
    loop {
        let page = invites::list(&request.cx, &request.call, input.clone()).await?;
        for shown in page.invites {
            listed.add(Invitation::try_from(shown.invite)?)?;
        }
        if page.next_token.is_empty() {
            return ok(&Envelope::new(&request.call.request_id, listed.into_entries()));
        }
        input.token = page.next_token;
    }
}

/// Invites a person by email. Requires the admin role.
#[utoipa::path(
    post,
    path = "/v1/organizations/{organizationId}/invitations",
    operation_id = "clickhouse_create_invitation",
    tag = "clickhouse",
    params(
        ("organizationId" = String, Path, format = "uuid"),
        (
            "idempotency-key" = Option<String>, Header, min_length = 1, max_length = 255,
            description = "The key of the request: a repeat within 24 hours has no further effect.",
        ),
    ),
    request_body = NewInvitation,
    responses(
        (status = 200, description = "The invitation.", body = InvitationEnvelope),
        (status = 409, description = "The person is a member or has an invitation.", body = Body),
        ErrorResponsesWithBody,
    ),
)]
async fn create_invitation(mut request: RestRequest) -> RestResult {
    let organization = request.id(ORGANIZATION)?;
    let token = idempotency_key(&request)?;
    let new: NewInvitation = request.json().await?;
    let role = new.role()?.into();
    let invitation = invites::Invitation::new(new.email, role);
    let input = InviteOne { organization, invitation, request: token };
    let invite = invites::invite_one(&request.cx, &request.call, input).await?;
    ok(&InvitationEnvelope::new(&request.call.request_id, invite.try_into()?))
}

/// Gets a pending email invitation. Requires the admin role.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organizationId}/invitations/{invitationId}",
    operation_id = "clickhouse_get_invitation",
    tag = "clickhouse",
    params(
        ("organizationId" = String, Path, format = "uuid"),
        ("invitationId" = String, Path, format = "uuid"),
    ),
    responses((status = 200, description = "Found.", body = InvitationEnvelope), ErrorResponses),
)]
async fn get_invitation(request: RestRequest) -> RestResult {
    let (organization, id) = (request.id(ORGANIZATION)?, request.id(INVITATION)?);
    let invite = find(&request.cx, &request.call, organization, id).await?;
    if invite.state != InviteState::Live {
        return Err(Error::not_found().into());
    }
    ok(&InvitationEnvelope::new(&request.call.request_id, invite.try_into()?))
}

/// Revokes a pending email invitation. Requires the admin role.
#[utoipa::path(
    delete,
    path = "/v1/organizations/{organizationId}/invitations/{invitationId}",
    operation_id = "clickhouse_delete_invitation",
    tag = "clickhouse",
    params(
        ("organizationId" = String, Path, format = "uuid"),
        ("invitationId" = String, Path, format = "uuid"),
        (
            "idempotency-key" = Option<String>, Header, min_length = 1, max_length = 255,
            description = "The key of the request: a repeat within 24 hours has no further effect.",
        ),
    ),
    responses(
        (status = 200, description = "The invitation is revoked.", body = Done),
        ErrorResponses,
    ),
)]
async fn delete_invitation(request: RestRequest) -> RestResult {
    let (organization, id) = (request.id(ORGANIZATION)?, request.id(INVITATION)?);
    let token = idempotency_key(&request)?;
    // The state of the invitation is not checked here, so that a repeated request gets the same
    // response.
    find(&request.cx, &request.call, organization, id).await?;
    let input = Revoke { organization, id, request: token };
    let revoked = invites::revoke(&request.cx, &request.call, input).await?;
    if !revoked.was_live {
        return Err(Error::not_found().into());
    }
    ok(&Done::new(&request.call.request_id))
}

/// The email invitation with this id. Other kinds of invite do not exist in this contract.
async fn find(
    cx: &Context,
    call: &RequestContext,
    organization: OrganizationId,
    id: InviteId,
) -> Result<Invite> {
    let shown = invites::get(cx, call, organization, id).await?;
    match shown.invite.kind {
        InviteKind::Email => Ok(shown.invite),
        InviteKind::JoinLink | InviteKind::NamedLink => Err(Error::not_found()),
    }
}

fn idempotency_key(request: &RestRequest) -> Result<Option<RequestToken>> {
    let Some(key) = request.header(IDEMPOTENCY_KEY)? else { return Ok(None) };
    if !(1..=255).contains(&key.len()) {
        return Err(Error::invalid(IDEMPOTENCY_KEY, "must have 1 to 255 characters"));
    }
    Ok(Some(RequestToken { id: key.to_owned(), field: IDEMPOTENCY_KEY }))
}

fn ok(value: &impl serde::Serialize) -> RestResult {
    Ok(json(StatusCode::OK, value))
}
