//! P21: every RPC for every kind of caller, over every protocol, on both engines.
//! The rows are in this file, and the RPCs come from the descriptors: an RPC without
//! a row fails the test.

use std::time::Duration;

use guestlist::clock::Clock;
use guestlist::domain::KeyScope;
use guestlist::operations::keys::{CreateKey, Owner, revoke_key};
use prost::Message;
use prost_reflect::DynamicMessage;
use sea_orm::ConnectionTrait;

use crate::support::client::{DESCRIPTORS, method};
use crate::support::domains::prove;
use crate::support::nameserver::new_domain;
use crate::support::{Code, Engine, Organization, Person, TestApp};
use crate::{everywhere, on_both_engines};

use Code::{
    AlreadyExists as AE, FailedPrecondition as FP, NotFound as NF, Ok as OK,
    PermissionDenied as PD, Unauthenticated as U,
};

pub const CALLERS: [&str; 11] = [
    "nobody",
    "expired key",
    "revoked key",
    "key bound to another organization",
    "stranger",
    "admin of another organization",
    "operator",
    "suspended member",
    "guest",
    "member",
    "admin",
];

pub type Row = (&'static str, &'static str, [Code; CALLERS.len()]);

/// RPC · request, with `$…` for ids and tokens · the code that each caller receives.
pub const ROWS: &[Row] = &[
    (
        "gitpod.v1.OrganizationService/CreateOrganization",
        r#"{"name": "Next"}"#,
        [U, U, U, PD, OK, OK, OK, OK, OK, OK, OK],
    ),
    (
        "guestlist.v1.EventService/ListEvents",
        r#"{"organizationId": "$organization"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.EventService/Watch",
        r#"{"organizationId": "$organization"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    ("guestlist.v1.EventService/ListState", "{}", [U, U, U, PD, PD, PD, PD, PD, PD, PD, PD]),
    (
        "gitpod.v1.OrganizationService/JoinOrganization",
        r#"{"inviteId": "$token"}"#,
        [U, U, U, NF, OK, OK, OK, PD, OK, OK, OK],
    ),
    (
        "gitpod.v1.OrganizationService/GetOrganization",
        r#"{"organizationId": "$organization"}"#,
        [U, U, U, NF, NF, NF, NF, PD, OK, OK, OK],
    ),
    (
        "gitpod.v1.OrganizationService/UpdateOrganization",
        r#"{"organizationId": "$organization", "name": "Renamed"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "gitpod.v1.OrganizationService/DeleteOrganization",
        r#"{"organizationId": "$organization"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "gitpod.v1.OrganizationService/ListMembers",
        r#"{"organizationId": "$organization"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, OK, OK],
    ),
    (
        "gitpod.v1.OrganizationService/SetRole",
        r#"{"organizationId": "$organization", "userId": "$member", "role": "ORGANIZATION_ROLE_ADMIN"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "gitpod.v1.OrganizationService/CreateOrganizationInvite",
        r#"{"organizationId": "$organization"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "gitpod.v1.OrganizationService/GetOrganizationInvite",
        r#"{"organizationId": "$organization"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "gitpod.v1.OrganizationService/GetOrganizationInviteSummary",
        r#"{"inviteId": "$token"}"#,
        [U, U, U, NF, OK, OK, OK, OK, OK, OK, OK],
    ),
    (
        "gitpod.v1.OrganizationService/LeaveOrganization",
        r#"{"userId": "$admin"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, FP],
    ),
    (
        "guestlist.v1.OrganizationService/CreateOrganization",
        r#"{"name": "Next", "metadata": {"plan": "pro"}}"#,
        [U, U, U, PD, OK, OK, OK, OK, OK, OK, OK],
    ),
    (
        "guestlist.v1.OrganizationService/UpdateOrganizationMetadata",
        r#"{"organizationId": "$organization", "metadata": {"plan": "pro"}}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.OrganizationService/ListMyOrganizations",
        "{}",
        [U, U, U, OK, OK, OK, OK, OK, OK, OK, OK],
    ),
    ("guestlist.v1.AccountService/GetCaller", "{}", [U, U, U, OK, OK, OK, OK, OK, OK, OK, OK]),
    ("guestlist.v1.SignInService/ListProviders", "{}", [OK, U, U, OK, OK, OK, OK, OK, OK, OK, OK]),
    (
        "guestlist.v1.SignInService/BeginSignIn",
        r#"{"issuer": "https://id.example", "state": "0123456789abcdef", "nonce": "0123456789abcdef", "codeChallenge": "0123456789012345678901234567890123456789012"}"#,
        [NF, U, U, NF, NF, NF, NF, NF, NF, NF, NF],
    ),
    (
        "guestlist.v1.SignInService/FinishSignIn",
        r#"{"issuer": "https://id.example", "code": "x", "nonce": "0123456789abcdef", "codeVerifier": "0123456789012345678901234567890123456789012"}"#,
        [NF, U, U, NF, NF, NF, NF, NF, NF, NF, NF],
    ),
    (
        "guestlist.v1.SignInService/RenewSignIn",
        r#"{"issuer": "https://id.example", "refreshToken": "x", "token": "x"}"#,
        [NF, U, U, NF, NF, NF, NF, NF, NF, NF, NF],
    ),
    (
        "guestlist.v1.AccountService/ResolveAccount",
        r#"{"issuer": "https://id.example", "subject": "1"}"#,
        [U, U, U, PD, PD, PD, PD, PD, PD, PD, PD],
    ),
    (
        "guestlist.v1.InviteService/CreateLink",
        r#"{"organizationId": "$organization", "role": "member"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.InviteService/InviteByEmail",
        r#"{"organizationId": "$organization", "invitations": [{"email": "new@example.org"}]}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.InviteService/Get",
        r#"{"organizationId": "$organization", "id": "$invite"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.InviteService/List",
        r#"{"organizationId": "$organization"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.InviteService/Update",
        r#"{"organizationId": "$organization", "id": "$invite", "role": "guest"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.InviteService/Revoke",
        r#"{"organizationId": "$organization", "id": "$invite"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.InviteService/Resend",
        r#"{"organizationId": "$organization", "id": "$invitation"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.InviteService/ListMyInvitations",
        "{}",
        [U, U, U, OK, OK, OK, OK, OK, OK, OK, OK],
    ),
    (
        // The invitation is for an address that no caller has.
        "guestlist.v1.InviteService/Accept",
        r#"{"invitation": "$invitation"}"#,
        [U, U, U, NF, NF, NF, NF, NF, NF, NF, NF],
    ),
    (
        // As for `Accept`.
        "guestlist.v1.InviteService/Decline",
        r#"{"invitation": "$invitation"}"#,
        [U, U, U, NF, NF, NF, NF, NF, NF, NF, NF],
    ),
    (
        "guestlist.v1.InviteService/Preview",
        r#"{"token": "$token"}"#,
        [U, U, U, NF, OK, OK, OK, OK, OK, OK, OK],
    ),
    (
        "guestlist.v1.GrantService/ListGrants",
        r#"{"organizationId": "$organization"}"#,
        [U, U, U, NF, NF, NF, NF, PD, OK, OK, OK],
    ),
    (
        "guestlist.v1.MemberService/GetMembership",
        r#"{"organizationId": "$organization"}"#,
        [U, U, U, NF, NF, NF, NF, OK, OK, OK, OK],
    ),
    (
        "guestlist.v1.MemberService/GetMembership",
        r#"{"organizationId": "$organization", "memberId": "$admin"}"#,
        [U, U, U, NF, NF, NF, NF, NF, NF, OK, OK],
    ),
    (
        "guestlist.v1.MemberService/BatchGetMemberships",
        r#"{"memberships": [{"organizationId": "$organization", "accountId": "$stranger"}]}"#,
        [U, U, U, PD, PD, PD, PD, PD, PD, PD, PD],
    ),
    (
        "guestlist.v1.MemberService/ListMemberships",
        r#"{"organizationId": "$organization"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, OK, OK],
    ),
    (
        "guestlist.v1.MemberService/UpdateMemberMetadata",
        r#"{"organizationId": "$organization", "memberId": "$member", "externalId": "x-1"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.MemberService/AddMember",
        r#"{"organizationId": "$organization", "accountId": "$stranger", "role": "edit"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.MemberService/LeaveOrganization",
        r#"{"organizationId": "$organization"}"#,
        [U, U, U, NF, NF, NF, NF, PD, OK, OK, FP],
    ),
    (
        "guestlist.v1.MemberService/SetMemberRole",
        r#"{"organizationId": "$organization", "memberId": "$member", "role": "edit"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.MemberService/SetMemberExpiry",
        r#"{"organizationId": "$organization", "memberId": "$member", "expireTime": "2999-12-31T23:59:59.999999Z"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.MemberService/SuspendMember",
        r#"{"organizationId": "$organization", "memberId": "$admin"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, FP],
    ),
    (
        "guestlist.v1.MemberService/RestoreMember",
        r#"{"organizationId": "$organization", "memberId": "$member"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.AdminService/ListOrganizations",
        "{}",
        [U, U, U, PD, PD, PD, OK, PD, PD, PD, PD],
    ),
    (
        "guestlist.v1.AdminService/GetOrganizationStats",
        r#"{"organizationId": "$organization"}"#,
        [U, U, U, PD, PD, PD, OK, PD, PD, PD, PD],
    ),
    (
        "guestlist.v1.AdminService/SetSeatLimit",
        r#"{"organizationId": "$organization", "seatLimit": "100"}"#,
        [U, U, U, PD, PD, PD, OK, PD, PD, PD, PD],
    ),
    (
        "guestlist.v1.AdminService/SetTier",
        r#"{"organizationId": "$organization", "tier": "ORGANIZATION_TIER_CORE"}"#,
        [U, U, U, PD, PD, PD, OK, PD, PD, PD, PD],
    ),
    (
        "guestlist.v1.AuditService/ListAuditEvents",
        r#"{"organizationId": "$organization"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        // The events that belong to no organization.
        "guestlist.v1.AuditService/ListAuditEvents",
        "{}",
        [U, U, U, PD, PD, PD, OK, PD, PD, PD, PD],
    ),
    (
        "guestlist.v1.WebhookService/CreateWebhook",
        r#"{"organizationId": "$organization", "url": "http://127.0.0.1:9/"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        // A webhook of the deployment.
        "guestlist.v1.WebhookService/CreateWebhook",
        r#"{"url": "http://127.0.0.1:9/"}"#,
        [U, U, U, PD, PD, PD, OK, PD, PD, PD, PD],
    ),
    (
        "guestlist.v1.WebhookService/GetWebhook",
        r#"{"organizationId": "$organization", "webhookId": "$webhook"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.WebhookService/ListWebhooks",
        r#"{"organizationId": "$organization"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        // The webhooks of the deployment.
        "guestlist.v1.WebhookService/ListWebhooks",
        r#"{}"#,
        [U, U, U, PD, PD, PD, OK, PD, PD, PD, PD],
    ),
    (
        "guestlist.v1.WebhookService/UpdateWebhook",
        r#"{"organizationId": "$organization", "webhookId": "$webhook", "description": "x"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.WebhookService/RotateSecret",
        r#"{"organizationId": "$organization", "webhookId": "$webhook"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.WebhookService/SendTest",
        r#"{"organizationId": "$organization", "webhookId": "$webhook"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.WebhookService/ListDeliveries",
        r#"{"organizationId": "$organization", "webhookId": "$webhook"}"#,
        [U, U, U, NF, NF, NF, OK, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.WebhookService/Replay",
        r#"{"organizationId": "$organization", "webhookId": "$webhook", "startTime": "2020-01-01T00:00:00Z"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.WebhookService/DisableWebhook",
        r#"{"organizationId": "$organization", "webhookId": "$webhook"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.WebhookService/EnableWebhook",
        r#"{"organizationId": "$organization", "webhookId": "$webhook"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.WebhookService/DeleteWebhook",
        r#"{"organizationId": "$organization", "webhookId": "$webhook"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.DomainService/AddDomain",
        r#"{"organizationId": "$organization", "domain": "acme.com"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.DomainService/VerifyDomain",
        r#"{"organizationId": "$organization", "domainId": "$domain"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.DomainService/ListDomains",
        r#"{"organizationId": "$organization"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.DomainService/SetDomainMode",
        r#"{"organizationId": "$organization", "domainId": "$domain", "mode": "DOMAIN_MODE_AUTOMATIC"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.DomainService/RemoveDomain",
        r#"{"organizationId": "$organization", "domainId": "$domain"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        // The organization has no domain that allows join requests.
        "guestlist.v1.JoinRequestService/CreateJoinRequest",
        r#"{"organizationId": "$organization"}"#,
        [U, U, U, NF, NF, NF, NF, PD, AE, AE, AE],
    ),
    (
        "guestlist.v1.JoinRequestService/ListJoinRequests",
        r#"{"organizationId": "$organization"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.JoinRequestService/ApproveJoinRequest",
        r#"{"organizationId": "$organization", "joinRequestId": "$request"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.JoinRequestService/DenyJoinRequest",
        r#"{"organizationId": "$organization", "joinRequestId": "$request"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        // The stranger made the join request. The operator's key belongs to the same account.
        "guestlist.v1.JoinRequestService/WithdrawJoinRequest",
        r#"{"organizationId": "$organization", "joinRequestId": "$request"}"#,
        [U, U, U, NF, OK, NF, OK, NF, NF, NF, NF],
    ),
    (
        "guestlist.v1.JoinRequestService/ListJoinableOrganizations",
        r#"{}"#,
        [U, U, U, OK, OK, OK, OK, OK, OK, OK, OK],
    ),
    (
        "guestlist.v1.MemberService/TransferOwnership",
        r#"{"organizationId": "$organization", "memberId": "$member", "ownRole": "edit"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.MemberService/BatchSetMemberRole",
        r#"{"organizationId": "$organization", "memberIds": ["$member"], "role": "edit"}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.MemberService/BatchSuspendMembers",
        r#"{"organizationId": "$organization", "memberIds": ["$member"]}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
    (
        "guestlist.v1.MemberService/BatchRemoveMembers",
        r#"{"organizationId": "$organization", "memberIds": ["$member"]}"#,
        [U, U, U, NF, NF, NF, NF, PD, PD, PD, OK],
    ),
];

/// One caller of each kind, in the order of `CALLERS`.
pub async fn callers(app: &TestApp, org: &Organization) -> Vec<Person> {
    let admin = Owner::Account(org.admin.account().await);
    let key = |expires_in| CreateKey {
        owner: admin.clone(),
        organization: None,
        scope: None,
        expires_in,
    };
    let expired = app.key_as(key(Some(Duration::from_secs(60)))).await;
    assert!(expired.get(&org.id).await.is_ok());
    app.clock.advance(Duration::from_secs(60));
    let revoked = app.key_as(key(None)).await;
    let id = revoked.get_caller(Default::default()).await.unwrap().key_id;
    revoke_key(app.store(), id.parse().unwrap(), app.clock.now()).await.unwrap();
    let (elsewhere, _) = org.admin.new_organization("Elsewhere").await;
    let bound = app.key(admin.clone(), None, Some(elsewhere.parse().unwrap())).await;

    let other_admin = app.person("oda").await;
    other_admin.new_organization("Other").await;
    let operator = Owner::Account(org.stranger.account().await);
    let operator = app.key(operator, Some(KeyScope::Operator), None).await;

    let token = org.admin.current_invite(&org.id).await.unwrap();
    let (suspended, guest) = (app.person("sue").await, app.person("gus").await);
    let sue = suspended.join(&token).await.unwrap().user_id;
    let gus = guest.join(&token).await.unwrap().user_id;
    put_member(app, &sue, "status = 'suspended'").await;
    put_member(app, &gus, "role = 'guest'").await;
    vec![
        app.without_credential(),
        expired,
        revoked,
        bound,
        org.stranger.clone(),
        other_admin,
        operator,
        suspended,
        guest,
        org.member.clone(),
        org.admin.clone(),
    ]
}

/// The id of a new webhook if the request has a placeholder for one, else an empty text. Nothing
/// listens at the URL of the webhook.
pub async fn webhook_for(request: &str, org: &Organization) -> String {
    if !request.contains("$webhook") {
        return String::new();
    }
    org.admin.webhook(&org.id, "http://127.0.0.1:9/").await.unwrap().0.id
}

/// The id of a new domain if the request has a placeholder for one, else an empty text. The
/// domain's proof is in DNS.
pub async fn domain_for(request: &str, org: &Organization) -> String {
    if !request.contains("$domain") {
        return String::new();
    }
    let domain = org.admin.domain(&org.id, &new_domain()).await.unwrap();
    prove(&domain);
    domain.id
}

/// The id of the stranger's pending join request if the request has a placeholder for one, else
/// an empty text.
pub async fn request_for(request: &str, org: &Organization) -> String {
    if !request.contains("$request") {
        return String::new();
    }
    let link = org.admin.approval_link(&org.id).await;
    org.stranger.request_to_join(&link.token).await.unwrap().id
}

/// Changes a member's row directly in the store, without an RPC.
async fn put_member(app: &TestApp, member: &str, change: &str) {
    let connection = app.database.connect().await;
    let id = match app.database.engine {
        Engine::Postgres => format!("'{member}'"),
        Engine::Sqlite => format!("x'{}'", member.replace('-', "")),
    };
    let sql = format!("UPDATE members SET {change} WHERE id = {id}");
    assert_eq!(connection.execute_unprepared(&sql).await.unwrap().rows_affected(), 1);
    connection.close().await.unwrap();
}

everywhere! {
    async fn p21_every_rpc_returns_the_expected_code_to_every_kind_of_caller(app: TestApp) {
        let mut wrong = Vec::new();
        for (rpc, request, expected) in ROWS {
            let org = app.organization().await;
            let callers = callers(app, &org).await;
            let token = org.admin.current_invite(&org.id).await.unwrap();
            let link = org.admin.link(&org.id, "member").await.unwrap().id;
            let invited = org.admin.invite_address(&org.id, "iva@example.org", "member");
            let webhook = webhook_for(request, &org).await;
            let domain = domain_for(request, &org).await;
            let join_request = request_for(request, &org).await;
            let request = request
                .replace("$webhook", &webhook)
                .replace("$domain", &domain)
                .replace("$request", &join_request)
                .replace("$invitation", &invited.await.unwrap().invite.unwrap().id)
                .replace("$invite", &link)
                .replace("$organization", &org.id)
                .replace("$token", &token)
                .replace("$stranger", &org.stranger.account().await.to_string())
                .replace("$member", &org.member_id)
                .replace("$admin", &org.admin_id);
            let path = format!("/{rpc}");
            let mut json = serde_json::Deserializer::from_str(&request);
            let message = DynamicMessage::deserialize(method(&path).input(), &mut json).unwrap();
            for (i, caller) in callers.iter().enumerate() {
                let key = caller.key.iter().map(|key| ("authorization", format!("Bearer {key}")));
                let headers: Vec<(&'static str, String)> = key.collect();
                let answer = caller.client.unary(&path, &headers, message.encode_to_vec()).await;
                let code = answer.map_or_else(|failure| failure.code, |_| Code::Ok);
                if code != expected[i] {
                    wrong.push(format!("{rpc}: {} got {code:?}, not {:?}", CALLERS[i], expected[i]));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

on_both_engines! {
    async fn p26_a_stranger_gets_the_same_error_whether_or_not_the_id_exists(app: TestApp) {
        let org = app.organization().await;
        let unknown = uuid::Uuid::new_v4().to_string();
        let expected = org.stranger.get(&unknown).await.unwrap_err();
        for (rpc, request, codes) in ROWS {
            if codes[4] != Code::NotFound {
                continue;
            }
            let path = format!("/{rpc}");
            for (id, member) in [(&org.id, &org.admin_id), (&unknown, &unknown)] {
                let request = ["$admin", "$member", "$stranger", "$invitation", "$invite", "$webhook", "$domain", "$request"]
                    .iter()
                    .fold(request.replace("$organization", id), |request, name| {
                        request.replace(name, member)
                    });
                let mut json = serde_json::Deserializer::from_str(&request);
                let message = DynamicMessage::deserialize(method(&path).input(), &mut json).unwrap();
                let key = format!("Bearer {}", org.stranger.key.as_deref().unwrap());
                let headers = [("authorization", key)];
                let answer = org.stranger.client.unary(&path, &headers, message.encode_to_vec()).await;
                assert_eq!(answer.unwrap_err(), expected, "{rpc}");
            }
        }
    }
}

#[test]
fn p21_every_rpc_has_a_row() {
    let mut rpcs: Vec<String> = DESCRIPTORS
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .map(|method| format!("{}/{}", method.parent_service().full_name(), method.name()))
        .collect();
    let mut rows: Vec<String> = ROWS.iter().map(|(rpc, ..)| (*rpc).to_owned()).collect();
    rpcs.sort();
    rows.sort();
    rows.dedup();
    assert_eq!(rpcs, rows);
}
