//! The calls of ClickHouse's contract.

use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{Body, Refused, RefusedBody};
use super::model::{Answer, Done, Invitation, InvitationAnswer, NewInvitation, Organization};
use super::roles::{ListedRole, Role};
use crate::domain::{self, Invite, InviteId, InviteKind, InviteState, OrganizationId, PageSize};
use crate::error::{Error, Result};
use crate::operations::invites::{
    self, InviteFilter, InviteOne, ListInvites, RequestToken, Revoke,
};
use crate::operations::{Context, RequestContext, organizations};
use crate::transport::rest::asked::{Asked, Shared};
use crate::transport::rest::gathered::Gathered;
use crate::transport::rest::{Answered, json};

const ORGANIZATION: &str = "organizationId";
const INVITATION: &str = "invitationId";

/// What names a request so that it is carried out once.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// This contract's lists have no pages; they are read by pages of this size.
const PAGE: PageSize = PageSize::of(1000);

/// Every route of the contract.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(list_organizations))
        .routes(routes!(get_organization))
        .routes(routes!(list_roles))
        .routes(routes!(list_invitations, create_invitation))
        .routes(routes!(get_invitation, delete_invitation))
}

/// Lists the organizations of the caller. A list that is larger than the server answers
/// is refused with 400.
#[utoipa::path(
    get,
    path = "/v1/organizations",
    operation_id = "clickhouse_list_organizations",
    tag = "clickhouse",
    responses(
        (status = 200, description = "The list.", body = Answer<Vec<Organization>>),
        Refused,
    ),
)]
async fn list_organizations(asked: Asked) -> Answered {
    let instead = "guestlist.v1.OrganizationService/ListMyOrganizations has pages";
    let mut listed = Gathered::new(asked.max_response_bytes, instead);
    let mut token = String::new();
    loop {
        let page =
            organizations::list_my_organizations(&asked.cx, &asked.call, PAGE, &token, "page");
        let page = page.await?;
        for (_, organization) in page.entries {
            listed.add(Organization::from(organization))?;
        }
        if page.next_token.is_empty() {
            return ok(&Answer::new(&asked.call.request_id, listed.into_entries()));
        }
        token = page.next_token;
    }
}

/// Reads an organization of the caller's.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organizationId}",
    operation_id = "clickhouse_get_organization",
    tag = "clickhouse",
    params(("organizationId" = String, Path, format = "uuid")),
    responses((status = 200, description = "Found.", body = Answer<Organization>), Refused),
)]
async fn get_organization(asked: Asked) -> Answered {
    let id = asked.id(ORGANIZATION)?;
    let found = organizations::get_organization(&asked.cx, &asked.call, id).await?;
    ok(&Answer::new(&asked.call.request_id, Organization::from(found)))
}

/// Lists the roles that an invitation can carry. Admins may.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organizationId}/roles",
    operation_id = "clickhouse_list_roles",
    tag = "clickhouse",
    params(("organizationId" = String, Path, format = "uuid")),
    responses((status = 200, description = "The list.", body = Answer<Vec<ListedRole>>), Refused),
)]
async fn list_roles(asked: Asked) -> Answered {
    let id = asked.id(ORGANIZATION)?;
    let grantable = invites::grantable_roles(&asked.cx, &asked.call, id).await?;
    let is_grantable = |role: &Role| grantable.contains(&domain::Role::from(*role));
    let listed = Role::ALL.into_iter().filter(is_grantable).map(Role::listed).collect();
    ok(&Answer::<Vec<ListedRole>>::new(&asked.call.request_id, listed))
}

/// Lists the pending email invitations, oldest first. Admins may. A list that is larger
/// than the server answers is refused with 400.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organizationId}/invitations",
    operation_id = "clickhouse_list_invitations",
    tag = "clickhouse",
    params(("organizationId" = String, Path, format = "uuid")),
    responses((status = 200, description = "The list.", body = Answer<Vec<Invitation>>), Refused),
)]
async fn list_invitations(asked: Asked) -> Answered {
    let mut input = ListInvites {
        organization: asked.id(ORGANIZATION)?,
        filter: InviteFilter {
            kinds: vec![InviteKind::Email],
            states: vec![InviteState::Live],
            ..InviteFilter::default()
        },
        oldest_first: true,
        with_tokens: false,
        size: PAGE,
        token: String::new(),
        token_field: "page",
        count: false,
    };
    let instead = "guestlist.v1.InviteService/List has pages";
    let mut listed = Gathered::new(asked.max_response_bytes, instead);
    loop {
        let page = invites::list(&asked.cx, &asked.call, input.clone()).await?;
        for shown in page.invites {
            listed.add(Invitation::try_from(shown.invite)?)?;
        }
        if page.next_token.is_empty() {
            return ok(&Answer::new(&asked.call.request_id, listed.into_entries()));
        }
        input.token = page.next_token;
    }
}

/// Invites somebody by mail. Admins may.
#[utoipa::path(
    post,
    path = "/v1/organizations/{organizationId}/invitations",
    operation_id = "clickhouse_create_invitation",
    tag = "clickhouse",
    params(
        ("organizationId" = String, Path, format = "uuid"),
        (
            "idempotency-key" = Option<String>, Header, min_length = 1, max_length = 255,
            description = "Names the request: for 24 hours it is carried out once.",
        ),
    ),
    request_body = NewInvitation,
    responses(
        (status = 200, description = "The invitation.", body = InvitationAnswer),
        (status = 409, description = "A member, or invited already.", body = Body),
        RefusedBody,
    ),
)]
async fn create_invitation(mut asked: Asked) -> Answered {
    let organization = asked.id(ORGANIZATION)?;
    let request = idempotency_key(&asked)?;
    let new: NewInvitation = asked.json().await?;
    let role = new.role()?.into();
    let invitation = invites::Invitation { email: new.email, role };
    let input = InviteOne { organization, invitation, request };
    let invite = invites::invite_one(&asked.cx, &asked.call, input).await?;
    ok(&InvitationAnswer::new(&asked.call.request_id, invite.try_into()?))
}

/// Reads a pending email invitation. Admins may.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organizationId}/invitations/{invitationId}",
    operation_id = "clickhouse_get_invitation",
    tag = "clickhouse",
    params(
        ("organizationId" = String, Path, format = "uuid"),
        ("invitationId" = String, Path, format = "uuid"),
    ),
    responses((status = 200, description = "Found.", body = InvitationAnswer), Refused),
)]
async fn get_invitation(asked: Asked) -> Answered {
    let (organization, id) = (asked.id(ORGANIZATION)?, asked.id(INVITATION)?);
    let invite = find(&asked.cx, &asked.call, organization, id).await?;
    if invite.state != InviteState::Live {
        return Err(Error::not_found().into());
    }
    ok(&InvitationAnswer::new(&asked.call.request_id, invite.try_into()?))
}

/// Takes a pending email invitation back. Admins may.
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
            description = "Names the request: for 24 hours it is carried out once.",
        ),
    ),
    responses((status = 200, description = "It is dead.", body = Done), Refused),
)]
async fn delete_invitation(asked: Asked) -> Answered {
    let (organization, id) = (asked.id(ORGANIZATION)?, asked.id(INVITATION)?);
    let request = idempotency_key(&asked)?;
    // Whether it is dead already is not looked at here: the same request again
    // has the same answer.
    find(&asked.cx, &asked.call, organization, id).await?;
    let input = Revoke { organization, id, request };
    let revoked = invites::revoke(&asked.cx, &asked.call, input).await?;
    if !revoked.was_live {
        return Err(Error::not_found().into());
    }
    ok(&Done::new(&asked.call.request_id))
}

/// The email invitation with this id; the other kinds of invite are none here.
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

fn idempotency_key(asked: &Asked) -> Result<Option<RequestToken>> {
    let Some(key) = asked.header(IDEMPOTENCY_KEY)? else { return Ok(None) };
    if !(1..=255).contains(&key.len()) {
        return Err(Error::invalid(IDEMPOTENCY_KEY, "must have 1 to 255 characters"));
    }
    Ok(Some(RequestToken { id: key.to_owned(), field: IDEMPOTENCY_KEY }))
}

fn ok(value: &impl serde::Serialize) -> Answered {
    Ok(json(StatusCode::OK, value))
}
