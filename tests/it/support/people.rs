//! People with a credential, and the RPCs that they can call.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::stream::{BoxStream, StreamExt};
use guestlist::domain::{AccountId, OrganizationId};
use prost::Message;

use super::client::{Client, Failure};
use super::{Code, Engine, TestApp, gitpod, own};

/// A user of the service, with or without a credential.
#[derive(Clone)]
pub struct Person {
    pub client: Client,
    pub key: Option<String>,
    /// `guestlist-on-behalf-of`
    pub on_behalf_of: Option<String>,
}

/// An organization with an admin and a member, and a person who is not a member.
pub struct Organization {
    pub id: String,
    pub admin: Person,
    pub admin_id: String,
    pub member: Person,
    pub member_id: String,
    pub stranger: Person,
}

macro_rules! rpcs {
    ($($name:ident: $package:ident::$request:ident => $response:ident, $path:literal;)+) => {
        impl Person {$(
            pub async fn $name(
                &self,
                request: $package::$request,
            ) -> Result<$package::$response, Failure> {
                self.call(concat!("/", $path), request).await
            }
        )+}
    };
}

rpcs! {
    create_organization: gitpod::CreateOrganizationRequest => CreateOrganizationResponse,
        "gitpod.v1.OrganizationService/CreateOrganization";
    join_organization: gitpod::JoinOrganizationRequest => JoinOrganizationResponse,
        "gitpod.v1.OrganizationService/JoinOrganization";
    get_organization: gitpod::GetOrganizationRequest => GetOrganizationResponse,
        "gitpod.v1.OrganizationService/GetOrganization";
    update_organization: gitpod::UpdateOrganizationRequest => UpdateOrganizationResponse,
        "gitpod.v1.OrganizationService/UpdateOrganization";
    delete_organization: gitpod::DeleteOrganizationRequest => DeleteOrganizationResponse,
        "gitpod.v1.OrganizationService/DeleteOrganization";
    list_members: gitpod::ListMembersRequest => ListMembersResponse,
        "gitpod.v1.OrganizationService/ListMembers";
    set_role: gitpod::SetRoleRequest => SetRoleResponse,
        "gitpod.v1.OrganizationService/SetRole";
    create_organization_invite: gitpod::CreateOrganizationInviteRequest => CreateOrganizationInviteResponse,
        "gitpod.v1.OrganizationService/CreateOrganizationInvite";
    get_organization_invite: gitpod::GetOrganizationInviteRequest => GetOrganizationInviteResponse,
        "gitpod.v1.OrganizationService/GetOrganizationInvite";
    get_organization_invite_summary: gitpod::GetOrganizationInviteSummaryRequest => GetOrganizationInviteSummaryResponse,
        "gitpod.v1.OrganizationService/GetOrganizationInviteSummary";
    leave_organization: gitpod::LeaveOrganizationRequest => LeaveOrganizationResponse,
        "gitpod.v1.OrganizationService/LeaveOrganization";
    create_own_organization: own::CreateOrganizationRequest => CreateOrganizationResponse,
        "guestlist.v1.OrganizationService/CreateOrganization";
    update_organization_metadata: own::UpdateOrganizationMetadataRequest => UpdateOrganizationMetadataResponse,
        "guestlist.v1.OrganizationService/UpdateOrganizationMetadata";
    list_memberships: own::ListMembershipsRequest => ListMembershipsResponse,
        "guestlist.v1.MemberService/ListMemberships";
    update_member_metadata: own::UpdateMemberMetadataRequest => UpdateMemberMetadataResponse,
        "guestlist.v1.MemberService/UpdateMemberMetadata";
    list_my_organizations: own::ListMyOrganizationsRequest => ListMyOrganizationsResponse,
        "guestlist.v1.OrganizationService/ListMyOrganizations";
    get_caller: own::GetCallerRequest => GetCallerResponse,
        "guestlist.v1.AccountService/GetCaller";
    resolve_account: own::ResolveAccountRequest => ResolveAccountResponse,
        "guestlist.v1.AccountService/ResolveAccount";
    create_link: own::CreateLinkRequest => CreateLinkResponse,
        "guestlist.v1.InviteService/CreateLink";
    invite_by_email: own::InviteByEmailRequest => InviteByEmailResponse,
        "guestlist.v1.InviteService/InviteByEmail";
    get_invite: own::GetRequest => GetResponse, "guestlist.v1.InviteService/Get";
    list_invites: own::ListRequest => ListResponse, "guestlist.v1.InviteService/List";
    update_invite: own::UpdateRequest => UpdateResponse, "guestlist.v1.InviteService/Update";
    revoke_invite: own::RevokeRequest => RevokeResponse, "guestlist.v1.InviteService/Revoke";
    resend_invite: own::ResendRequest => ResendResponse, "guestlist.v1.InviteService/Resend";
    decline_invite: own::DeclineRequest => DeclineResponse, "guestlist.v1.InviteService/Decline";
    list_providers: own::ListProvidersRequest => ListProvidersResponse,
        "guestlist.v1.SignInService/ListProviders";
    begin_sign_in: own::BeginSignInRequest => BeginSignInResponse,
        "guestlist.v1.SignInService/BeginSignIn";
    finish_sign_in: own::FinishSignInRequest => FinishSignInResponse,
        "guestlist.v1.SignInService/FinishSignIn";
    renew_sign_in: own::RenewSignInRequest => RenewSignInResponse,
        "guestlist.v1.SignInService/RenewSignIn";
    preview_invite: own::PreviewRequest => PreviewResponse, "guestlist.v1.InviteService/Preview";
    list_my_invitations: own::ListMyInvitationsRequest => ListMyInvitationsResponse,
        "guestlist.v1.InviteService/ListMyInvitations";
    accept_invitation: own::AcceptRequest => AcceptResponse, "guestlist.v1.InviteService/Accept";
    list_grants: own::ListGrantsRequest => ListGrantsResponse,
        "guestlist.v1.GrantService/ListGrants";
    get_membership: own::GetMembershipRequest => GetMembershipResponse,
        "guestlist.v1.MemberService/GetMembership";
    batch_get_memberships: own::BatchGetMembershipsRequest => BatchGetMembershipsResponse,
        "guestlist.v1.MemberService/BatchGetMemberships";
    add_member: own::AddMemberRequest => AddMemberResponse,
        "guestlist.v1.MemberService/AddMember";
    leave_with_successor: own::LeaveOrganizationRequest => LeaveOrganizationResponse,
        "guestlist.v1.MemberService/LeaveOrganization";
    set_member_role: own::SetMemberRoleRequest => SetMemberRoleResponse,
        "guestlist.v1.MemberService/SetMemberRole";
    set_member_expiry: own::SetMemberExpiryRequest => SetMemberExpiryResponse,
        "guestlist.v1.MemberService/SetMemberExpiry";
    suspend_member: own::SuspendMemberRequest => SuspendMemberResponse,
        "guestlist.v1.MemberService/SuspendMember";
    restore_member: own::RestoreMemberRequest => RestoreMemberResponse,
        "guestlist.v1.MemberService/RestoreMember";
    list_organizations: own::ListOrganizationsRequest => ListOrganizationsResponse,
        "guestlist.v1.AdminService/ListOrganizations";
    get_organization_stats: own::GetOrganizationStatsRequest => GetOrganizationStatsResponse,
        "guestlist.v1.AdminService/GetOrganizationStats";
    set_seat_limit: own::SetSeatLimitRequest => SetSeatLimitResponse,
        "guestlist.v1.AdminService/SetSeatLimit";
    set_tier: own::SetTierRequest => SetTierResponse, "guestlist.v1.AdminService/SetTier";
    list_audit_events: own::ListAuditEventsRequest => ListAuditEventsResponse,
        "guestlist.v1.AuditService/ListAuditEvents";
    list_events: own::ListEventsRequest => ListEventsResponse,
        "guestlist.v1.EventService/ListEvents";
    list_state: own::ListStateRequest => ListStateResponse,
        "guestlist.v1.EventService/ListState";
    create_webhook: own::CreateWebhookRequest => CreateWebhookResponse,
        "guestlist.v1.WebhookService/CreateWebhook";
    get_webhook: own::GetWebhookRequest => GetWebhookResponse,
        "guestlist.v1.WebhookService/GetWebhook";
    list_webhooks: own::ListWebhooksRequest => ListWebhooksResponse,
        "guestlist.v1.WebhookService/ListWebhooks";
    update_webhook: own::UpdateWebhookRequest => UpdateWebhookResponse,
        "guestlist.v1.WebhookService/UpdateWebhook";
    delete_webhook: own::DeleteWebhookRequest => DeleteWebhookResponse,
        "guestlist.v1.WebhookService/DeleteWebhook";
    rotate_secret: own::RotateSecretRequest => RotateSecretResponse,
        "guestlist.v1.WebhookService/RotateSecret";
    enable_webhook: own::EnableWebhookRequest => EnableWebhookResponse,
        "guestlist.v1.WebhookService/EnableWebhook";
    disable_webhook: own::DisableWebhookRequest => DisableWebhookResponse,
        "guestlist.v1.WebhookService/DisableWebhook";
    send_test: own::SendTestRequest => SendTestResponse,
        "guestlist.v1.WebhookService/SendTest";
    list_deliveries: own::ListDeliveriesRequest => ListDeliveriesResponse,
        "guestlist.v1.WebhookService/ListDeliveries";
    replay: own::ReplayRequest => ReplayResponse,
        "guestlist.v1.WebhookService/Replay";
    add_domain: own::AddDomainRequest => AddDomainResponse,
        "guestlist.v1.DomainService/AddDomain";
    verify_domain: own::VerifyDomainRequest => VerifyDomainResponse,
        "guestlist.v1.DomainService/VerifyDomain";
    list_domains: own::ListDomainsRequest => ListDomainsResponse,
        "guestlist.v1.DomainService/ListDomains";
    remove_domain: own::RemoveDomainRequest => RemoveDomainResponse,
        "guestlist.v1.DomainService/RemoveDomain";
    create_join_request: own::CreateJoinRequestRequest => CreateJoinRequestResponse,
        "guestlist.v1.JoinRequestService/CreateJoinRequest";
    list_join_requests: own::ListJoinRequestsRequest => ListJoinRequestsResponse,
        "guestlist.v1.JoinRequestService/ListJoinRequests";
    approve_join_request: own::ApproveJoinRequestRequest => ApproveJoinRequestResponse,
        "guestlist.v1.JoinRequestService/ApproveJoinRequest";
    deny_join_request: own::DenyJoinRequestRequest => DenyJoinRequestResponse,
        "guestlist.v1.JoinRequestService/DenyJoinRequest";
    withdraw_join_request: own::WithdrawJoinRequestRequest => WithdrawJoinRequestResponse,
        "guestlist.v1.JoinRequestService/WithdrawJoinRequest";
    list_joinable_organizations: own::ListJoinableOrganizationsRequest => ListJoinableOrganizationsResponse,
        "guestlist.v1.JoinRequestService/ListJoinableOrganizations";
    transfer_ownership: own::TransferOwnershipRequest => TransferOwnershipResponse,
        "guestlist.v1.MemberService/TransferOwnership";
    batch_set_member_role: own::BatchSetMemberRoleRequest => BatchSetMemberRoleResponse,
        "guestlist.v1.MemberService/BatchSetMemberRole";
    batch_suspend_members: own::BatchSuspendMembersRequest => BatchSuspendMembersResponse,
        "guestlist.v1.MemberService/BatchSuspendMembers";
    batch_remove_members: own::BatchRemoveMembersRequest => BatchRemoveMembersResponse,
        "guestlist.v1.MemberService/BatchRemoveMembers";
    set_domain_mode: own::SetDomainModeRequest => SetDomainModeResponse,
        "guestlist.v1.DomainService/SetDomainMode";
}

impl Person {
    pub fn new(client: Client, key: Option<String>) -> Self {
        Self { client, key, on_behalf_of: None }
    }

    /// The same person, who calls another replica.
    pub fn at(&self, addr: SocketAddr) -> Self {
        Self { client: Client::new(addr, self.client.protocol), ..self.clone() }
    }

    /// The same credential, which acts on behalf of another account.
    pub fn on_behalf_of(&self, account: &str) -> Self {
        Self { on_behalf_of: Some(account.to_owned()), ..self.clone() }
    }

    pub async fn call<Q: Message, A: Message + Default>(
        &self,
        path: &str,
        request: Q,
    ) -> Result<A, Failure> {
        let answer = self.client.unary(path, &self.headers(), request.encode_to_vec()).await?;
        Ok(A::decode(answer.as_slice()).expect("the response has the method's type"))
    }

    /// `guestlist.v1.EventService/Watch`
    pub async fn watch(
        &self,
        request: own::WatchRequest,
    ) -> Result<BoxStream<'static, Result<own::WatchResponse, Failure>>, Failure> {
        let path = "/guestlist.v1.EventService/Watch";
        let messages = self.client.stream(path, &self.headers(), request.encode_to_vec()).await?;
        let decode =
            |message: Vec<u8>| own::WatchResponse::decode(message.as_slice()).expect("it decodes");
        Ok(messages.map(move |message| message.map(decode)).boxed())
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        if let Some(key) = &self.key {
            headers.push(("authorization", format!("Bearer {key}")));
        }
        if let Some(account) = &self.on_behalf_of {
            headers.push(("guestlist-on-behalf-of", account.clone()));
        }
        headers
    }

    /// The caller's own account.
    pub async fn account(&self) -> AccountId {
        let caller = self.get_caller(own::GetCallerRequest {}).await.unwrap();
        caller.account.unwrap().id.parse().unwrap()
    }

    /// Creates an organization with this person as its admin; returns the ids of the organization
    /// and of the membership.
    pub async fn new_organization(&self, name: &str) -> (String, String) {
        let request = gitpod::CreateOrganizationRequest {
            name: name.to_owned(),
            join_organization: true,
            invite_accounts_with_matching_domain: false,
        };
        let made = self.create_organization(request).await.unwrap();
        (made.organization.unwrap().id, made.member.unwrap().user_id)
    }

    /// Creates a new join link; returns its token.
    pub async fn invite(&self, organization: &str) -> Result<String, Failure> {
        let request =
            gitpod::CreateOrganizationInviteRequest { organization_id: organization.to_owned() };
        let made = self.create_organization_invite(request).await?;
        Ok(made.invite.unwrap().invite_id)
    }

    /// Returns the token of the live join link.
    pub async fn current_invite(&self, organization: &str) -> Result<String, Failure> {
        let request =
            gitpod::GetOrganizationInviteRequest { organization_id: organization.to_owned() };
        let got = self.get_organization_invite(request).await?;
        Ok(got.invite.unwrap().invite_id)
    }

    pub async fn preview(
        &self,
        token: &str,
    ) -> Result<gitpod::GetOrganizationInviteSummaryResponse, Failure> {
        let request = gitpod::GetOrganizationInviteSummaryRequest { invite_id: token.to_owned() };
        self.get_organization_invite_summary(request).await
    }

    pub async fn join(&self, token: &str) -> Result<gitpod::OrganizationMember, Failure> {
        use gitpod::join_organization_request::JoinId;
        let request =
            gitpod::JoinOrganizationRequest { join_id: Some(JoinId::InviteId(token.to_owned())) };
        Ok(self.join_organization(request).await?.member.unwrap())
    }

    pub async fn join_by_id(&self, id: &str) -> Result<gitpod::OrganizationMember, Failure> {
        use gitpod::join_organization_request::JoinId;
        let request = gitpod::JoinOrganizationRequest {
            join_id: Some(JoinId::OrganizationId(id.to_owned())),
        };
        Ok(self.join_organization(request).await?.member.unwrap())
    }

    pub async fn get(&self, organization: &str) -> Result<gitpod::Organization, Failure> {
        let request = gitpod::GetOrganizationRequest { organization_id: organization.to_owned() };
        Ok(self.get_organization(request).await?.organization.unwrap())
    }

    pub async fn delete(&self, organization: &str) -> Result<(), Failure> {
        let request =
            gitpod::DeleteOrganizationRequest { organization_id: organization.to_owned() };
        self.delete_organization(request).await.map(|_| ())
    }

    /// Ends a membership, of the caller or of another account.
    pub async fn end(&self, member: &str) -> Result<(), Failure> {
        let request = gitpod::LeaveOrganizationRequest { user_id: member.to_owned() };
        self.leave_organization(request).await.map(|_| ())
    }

    /// Returns the caller's own membership, or the one that `whose` selects.
    pub async fn membership(
        &self,
        organization: &str,
        whose: Option<own::get_membership_request::Whose>,
    ) -> Result<own::Membership, Failure> {
        let request = own::GetMembershipRequest { organization_id: organization.to_owned(), whose };
        Ok(self.get_membership(request).await?.membership.unwrap())
    }

    /// Sets or removes the end of a membership.
    pub async fn set_end(
        &self,
        organization: &str,
        member: &str,
        expire_time: Option<prost_types::Timestamp>,
    ) -> Result<own::Membership, Failure> {
        let request = own::SetMemberExpiryRequest {
            organization_id: organization.to_owned(),
            member_id: member.to_owned(),
            expire_time,
        };
        Ok(self.set_member_expiry(request).await?.membership.unwrap())
    }

    /// Makes an account a member, without an invite.
    pub async fn add(
        &self,
        organization: &str,
        account: &str,
        role: &str,
    ) -> Result<own::Membership, Failure> {
        let request = own::AddMemberRequest {
            organization_id: organization.to_owned(),
            account_id: account.to_owned(),
            role: role.to_owned(),
            ..Default::default()
        };
        Ok(self.add_member(request).await?.membership.unwrap())
    }

    pub async fn grant(
        &self,
        organization: &str,
        member: &str,
        role: gitpod::OrganizationRole,
    ) -> Result<(), Failure> {
        let request = gitpod::SetRoleRequest {
            organization_id: organization.to_owned(),
            user_id: member.to_owned(),
            role: role.into(),
        };
        self.set_role(request).await.map(|_| ())
    }

    /// The first hundred members who have not left.
    pub async fn members(
        &self,
        organization: &str,
    ) -> Result<Vec<gitpod::OrganizationMember>, Failure> {
        let request = gitpod::ListMembersRequest {
            organization_id: organization.to_owned(),
            pagination: Some(gitpod::PaginationRequest { page_size: 100, token: String::new() }),
            ..Default::default()
        };
        Ok(self.list_members(request).await?.members)
    }

    /// Creates a named link that grants a role.
    pub async fn link(&self, organization: &str, role: &str) -> Result<own::Invite, Failure> {
        let request = own::CreateLinkRequest {
            grants: Some(own::create_link_request::Grants::Role(role.to_owned())),
            ..link_to(organization)
        };
        Ok(self.create_link(request).await?.invite.unwrap())
    }

    /// Invites one address with a role.
    pub async fn invite_address(
        &self,
        organization: &str,
        email: &str,
        role: &str,
    ) -> Result<own::EmailInvitationResult, Failure> {
        let request = own::InviteByEmailRequest {
            organization_id: organization.to_owned(),
            invitations: vec![own::EmailInvitation {
                email: email.to_owned(),
                role: role.to_owned(),
                ..Default::default()
            }],
            ..Default::default()
        };
        Ok(self.invite_by_email(request).await?.results.remove(0))
    }

    /// One invite, as the admins of its organization see it.
    pub async fn invite_by_id(&self, organization: &str, id: &str) -> Result<own::Invite, Failure> {
        let request =
            own::GetRequest { organization_id: organization.to_owned(), id: id.to_owned() };
        Ok(self.get_invite(request).await?.invite.unwrap())
    }

    /// Revokes an invite.
    pub async fn revoke(&self, organization: &str, id: &str) -> Result<own::Invite, Failure> {
        let request = own::RevokeRequest {
            organization_id: organization.to_owned(),
            id: id.to_owned(),
            request_id: String::new(),
        };
        Ok(self.revoke_invite(request).await?.invite.unwrap())
    }

    /// Creates a webhook of an organization, or of the deployment if `organization` is empty.
    /// Returns the webhook and its secret.
    pub async fn webhook(
        &self,
        organization: &str,
        url: &str,
    ) -> Result<(own::Webhook, String), Failure> {
        let request = own::CreateWebhookRequest {
            organization_id: organization.to_owned(),
            url: url.to_owned(),
            ..Default::default()
        };
        let made = self.create_webhook(request).await?;
        Ok((made.webhook.unwrap(), made.secret))
    }

    /// The current state of a webhook.
    pub async fn webhook_by_id(&self, webhook: &own::Webhook) -> Result<own::Webhook, Failure> {
        let request = own::GetWebhookRequest {
            organization_id: webhook.organization_id.clone(),
            webhook_id: webhook.id.clone(),
        };
        Ok(self.get_webhook(request).await?.webhook.unwrap())
    }

    /// The first hundred deliveries that wait for a webhook.
    pub async fn deliveries(
        &self,
        webhook: &own::Webhook,
    ) -> Result<Vec<own::WebhookDelivery>, Failure> {
        let request = own::ListDeliveriesRequest {
            organization_id: webhook.organization_id.clone(),
            webhook_id: webhook.id.clone(),
            page: Some(own::PageRequest { page_size: 100, page_token: String::new() }),
        };
        Ok(self.list_deliveries(request).await?.deliveries)
    }

    /// The first hundred events of an organization's audit trail, newest first. Events of the mail
    /// worker are left out, because it writes them at any time.
    pub async fn audit(&self, organization: &str) -> Result<Vec<own::AuditEvent>, Failure> {
        let request = own::ListAuditEventsRequest {
            organization_id: organization.to_owned(),
            page: Some(own::PageRequest { page_size: 100, page_token: String::new() }),
            ..Default::default()
        };
        let mut events = self.list_audit_events(request).await?.events;
        events.retain(|event| !["invite.mailed", "invite.mail_failed"].contains(&&*event.action));
        Ok(events)
    }
}

/// A request for a named link. The caller of this function still has to set `grants`.
pub fn link_to(organization: &str) -> own::CreateLinkRequest {
    own::CreateLinkRequest { organization_id: organization.to_owned(), ..Default::default() }
}

/// Metadata in the type that the messages use.
pub fn pairs(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A time in the type that the messages use.
pub fn moment(at: guestlist::domain::Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at.as_seconds(), nanos: at.subsec_nanos() }
}

impl TestApp {
    /// Each of these people on each replica: there are two with PostgreSQL, and one with SQLite.
    pub async fn at_replicas(&self, people: &[&Person]) -> Vec<Vec<Person>> {
        let mut addresses = vec![self.addr()];
        if self.database.engine == Engine::Postgres {
            addresses.push(self.replica().await);
        }
        people.iter().map(|person| addresses.iter().map(|at| person.at(*at)).collect()).collect()
    }

    /// The time `after` from now, by the test's clock.
    pub fn in_the_future(&self, after: std::time::Duration) -> Option<prost_types::Timestamp> {
        use guestlist::clock::Clock;
        Some(moment(self.clock.now().plus(after)))
    }

    /// The token of an email invitation. Only the mail contains it, so this function unseals it as
    /// the mail worker does.
    pub async fn mailed_token(&self, organization: &str, id: &str) -> String {
        let organization = organization.parse().unwrap();
        let found = guestlist::storage::invites::find_with_token(
            self.store().read(),
            organization,
            id.parse().unwrap(),
        );
        let (invite, sealed) = found.await.unwrap().unwrap();
        let keyring = guestlist::keyring::Keyring::parse(secrecy::ExposeSecret::expose_secret(
            &self.secret_key,
        ));
        let token = guestlist::operations::invites::unseal(&keyring.unwrap(), &invite, &sealed);
        token.unwrap().expose()
    }

    /// A person with a key of scope `operator`.
    pub async fn operator(&self) -> Person {
        let email = "ops@example.com".parse().unwrap();
        let owner = guestlist::operations::keys::Owner::Email { email, name: None };
        self.key(owner, Some(guestlist::domain::KeyScope::Operator), None).await
    }

    /// Creates an organization with an admin and a member; `stranger` is not a member.
    pub async fn organization(&self) -> Organization {
        let (admin, member, stranger) =
            (self.person("ana").await, self.person("ben").await, self.person("zoe").await);
        let (id, admin_id) = admin.new_organization("Acme").await;
        let token = admin.invite(&id).await.unwrap();
        let member_id = member.join(&token).await.unwrap().user_id;
        Organization { id, admin, admin_id, member, member_id, stranger }
    }
}

impl Organization {
    pub fn domain_id(&self) -> OrganizationId {
        self.id.parse().unwrap()
    }
}

/// Repeats the call `ask` until a key is rejected. A call that starts later than a second after
/// `revoked` must be rejected (P22); before that, the call may also succeed.
pub async fn assert_rejected_within_a_second(revoked: Instant, call: impl AsyncFn() -> Code) {
    loop {
        let late = revoked.elapsed() > Duration::from_secs(1);
        match call().await {
            Code::Unauthenticated => return,
            code => assert_eq!((code, late), (Code::Ok, false)),
        }
    }
}
