//! Checks the plan of every statement that the service runs: none may read a whole table, or all
//! rows of an organization to find a few of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use guestlist::clock::Clock;
use guestlist::dns::Dns;
use guestlist::domain::{DomainChecks, KeyScope, Timestamp};
use guestlist::operations::accounts::erase;
use guestlist::operations::domains::check_due;
use guestlist::operations::events::delete_old_events;
use guestlist::operations::invites::end_expired;
use guestlist::operations::keys::{Owner, list_keys};
use guestlist::operations::members::end_expired_members;
use guestlist::operations::organizations::remove_deleted;
use guestlist::storage::change;
use guestlist::storage::{join_requests, notices, outbox, requests};
use sea_orm::sea_query::Values;
use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::support::nameserver;
use crate::support::{
    Database, Engine, Organization, Protocol, TestApp, gitpod, link_to, own, pairs,
};
use crate::webhooks::{Endpoint, Reply, eventually};

type Seen = Arc<Mutex<BTreeMap<String, Statement>>>;

/// Statements that may read a whole table, each with its reason.
const WHOLE_TABLES: &[&str] = &[
    // `guestlist keys list`
    "FROM \"api_keys\" LEFT JOIN \"accounts\" ON \"api_keys\".\"account_id\" = \"accounts\".\"id\" ORDER BY",
    // Whether there is any account at all: one row.
    "FROM \"accounts\" LIMIT",
    // Whether there is any deleted organization with rows: one row.
    "FROM \"removals\" LIMIT",
    // The newest or the oldest events: some rows of an index.
    "FROM \"audit_events\" ORDER BY",
    // `guestlist accounts erase`: ended invitations to an address, which nothing else looks for.
    "SELECT \"invites\".\"id\" FROM \"invites\" WHERE \"invites\".\"kind\" = ",
    // The number of waiting deliveries, for the metrics.
    "SELECT COUNT(*) AS \"waiting\"",
    // SQLite's own list of tables, which has no index: a few dozen rows.
    "FROM sqlite_master WHERE name",
];

/// Calls everything that the service offers, in every variant that has its own statement.
async fn everything(app: &TestApp) {
    use gitpod::list_members_request::{Filter, Sort, SortField};

    let org = app.organization().await;
    org.admin.current_invite(&org.id).await.unwrap();
    org.admin.invite(&org.id).await.unwrap();
    let admin = gitpod::OrganizationRole::Admin;
    org.admin.grant(&org.id, &org.member_id, admin).await.unwrap();
    org.member.invite(&org.id).await.unwrap();
    org.admin.grant(&org.id, &org.member_id, gitpod::OrganizationRole::Member).await.unwrap();
    let filters = [
        Filter::default(),
        Filter {
            search: "a".into(),
            statuses: vec![1, 2, 3],
            roles: vec![1],
            user_ids: vec![org.member_id.clone()],
            email: "ana@example.com".into(),
            login_provider: 1,
            ..Default::default()
        },
        Filter { email: "ana@example.com".into(), ..Default::default() },
    ];
    for filter in filters {
        for field in [SortField::Unspecified, SortField::Name, SortField::DateJoined] {
            for order in [gitpod::SortOrder::Asc, gitpod::SortOrder::Desc] {
                let mut request = gitpod::ListMembersRequest {
                    organization_id: org.id.clone(),
                    filter: Some(filter.clone()),
                    sort: Some(Sort { field: field.into(), order: order.into() }),
                    count: Some(gitpod::CountRequest { include: true }),
                    pagination: Some(gitpod::PaginationRequest {
                        page_size: 1,
                        ..Default::default()
                    }),
                };
                let page = org.admin.list_members(request.clone()).await.unwrap();
                let token = page.pagination.unwrap().next_token;
                if !token.is_empty() {
                    request.pagination = Some(gitpod::PaginationRequest { page_size: 1, token });
                    org.admin.list_members(request).await.unwrap();
                }
            }
        }
    }
    let rename = gitpod::UpdateOrganizationRequest {
        organization_id: org.id.clone(),
        name: Some("Acme 2".into()),
        ..Default::default()
    };
    org.admin.update_organization(rename).await.unwrap();
    org.admin.new_organization("Second").await;
    for page_token in ["".to_owned(), {
        let page = Some(own::PageRequest { page_size: 1, page_token: String::new() });
        let listed =
            org.admin.list_my_organizations(own::ListMyOrganizationsRequest { page, filter: None });
        listed.await.unwrap().next_page_token
    }] {
        let page = Some(own::PageRequest { page_size: 1, page_token });
        org.admin
            .list_my_organizations(own::ListMyOrganizationsRequest { page, filter: None })
            .await
            .unwrap();
    }
    let mut audit = own::ListAuditEventsRequest {
        organization_id: org.id.clone(),
        filter: Some(own::AuditFilter {
            actions: vec!["member.joined".into(), "member.left".into()],
            account_id: org.admin.account().await.to_string(),
            target_id: org.member_id.clone(),
            start_time: Some(prost_types::Timestamp { seconds: 0, nanos: 0 }),
            end_time: Some(prost_types::Timestamp { seconds: 9_000_000_000, nanos: 0 }),
        }),
        page: None,
    };
    org.admin.list_audit_events(audit.clone()).await.unwrap();
    audit.filter = None;
    audit.page = Some(own::PageRequest { page_size: 1, page_token: String::new() });
    let page_token = org.admin.list_audit_events(audit.clone()).await.unwrap().next_page_token;
    audit.page = Some(own::PageRequest { page_size: 1, page_token });
    org.admin.list_audit_events(audit).await.unwrap();

    memberships(app, &org).await;
    member_ends(app).await;
    metadata(app, &org).await;
    invitations(app, &org).await;
    org.member.end(&org.member_id).await.unwrap();
    let token = org.admin.current_invite(&org.id).await.unwrap();
    org.member.join(&token).await.unwrap();
    org.stranger.join_by_id(&org.id).await.unwrap_err();
    let bound =
        Owner::Email { email: "ana@example.com".parse().unwrap(), name: Some("Ana".into()) };
    let bound = app.key(bound, Some(KeyScope::Operator), Some(org.domain_id())).await;
    bound.list_my_organizations(Default::default()).await.unwrap();
    org.admin.delete(&org.id).await.unwrap();
    bound.audit(&org.id).await.unwrap_err();
    let operator = Owner::Account(org.admin.account().await);
    let operator = app.key(operator, Some(KeyScope::Operator), None).await;
    operator.audit(&org.id).await.unwrap();
    let mut outside = own::ListAuditEventsRequest {
        page: Some(own::PageRequest { page_size: 1, page_token: String::new() }),
        ..Default::default()
    };
    let page_token = operator.list_audit_events(outside.clone()).await.unwrap().next_page_token;
    outside.page = Some(own::PageRequest { page_size: 1, page_token });
    operator.list_audit_events(outside).await.unwrap();
    for filter in [
        own::OrganizationFilter::default(),
        own::OrganizationFilter {
            creator_id: org.admin.account().await.to_string(),
            ..Default::default()
        },
        own::OrganizationFilter { organization_id: org.id.clone(), ..Default::default() },
        own::OrganizationFilter { search: "e".into(), ..Default::default() },
    ] {
        let mut list = own::ListOrganizationsRequest {
            filter: Some(filter),
            page: Some(own::PageRequest { page_size: 1, page_token: String::new() }),
        };
        let page_token = operator.list_organizations(list.clone()).await.unwrap().next_page_token;
        list.page = Some(own::PageRequest { page_size: 1, page_token });
        operator.list_organizations(list).await.unwrap();
    }
    let events = Owner::Service("consumer".parse().unwrap());
    let events = app.key(events, Some(KeyScope::Events), None).await;
    for organization_id in [String::new(), org.id.clone()] {
        let start_time = Some(prost_types::Timestamp { seconds: 0, nanos: 0 });
        let mut request =
            own::ListEventsRequest { organization_id, start_time, limit: 1, ..Default::default() };
        request.cursor = events.list_events(request.clone()).await.unwrap().cursor;
        events.list_events(request).await.unwrap();
    }
    let first = own::ListStateRequest { limit: 1, ..Default::default() };
    let page_token = events.list_state(first.clone()).await.unwrap().next_page_token;
    events.list_state(own::ListStateRequest { page_token, ..first }).await.unwrap();
    guestlist::storage::events::oldest_waiting(app.store().read()).await.unwrap();
    delete_old_events(app.store(), Timestamp::from_micros(1)).await.unwrap();
    list_keys(app.store()).await.unwrap();
    webhooks(app).await;
    domains(app).await;
    let (large, _) = org.admin.new_organization("Large").await;
    app.database.crowd(&large, 600).await;
    org.admin.delete(&large).await.unwrap();
    while remove_deleted(app.store()).await.unwrap() {}
    let (first, _) = org.admin.new_organization("First").await;
    org.admin.invite_address(&first, "gone@example.com", "read").await.unwrap();
    let gone = app.person("gone").await;
    gone.join(&org.admin.invite(&first).await.unwrap()).await.unwrap();
    let (other, _) = org.admin.new_organization("Other").await;
    org.admin.invite_address(&other, "gone@example.com", "read").await.unwrap();
    let account = gone.account().await;
    assert_eq!(erase(app.store(), account, app.clock.now()).await.unwrap().left.len(), 1);
}

/// Domains, a join by a domain, and the work of the domain worker.
async fn domains(app: &TestApp) {
    let org = app.organization().await;
    let domain = org.admin.proved_domain(&org.id, own::DomainMode::Automatic).await;
    org.admin.verify(&domain).await.unwrap();
    org.admin.domains(&org.id).await.unwrap();
    let person = app.person_with(&format!("dan@{}", domain.domain)).await;
    person.join_by_id(&org.id).await.unwrap();
    let day = std::time::Duration::from_secs(24 * 60 * 60);
    app.clock.advance(day);
    let dns = Dns::new(vec![nameserver::address()]);
    let checks = DomainChecks { interval: day, grace: day };
    check_due(app.store(), &dns, checks, app.clock.now()).await.unwrap();
    org.admin.set_mode(&domain, own::DomainMode::OnRequest).await.unwrap();
    let dora = app.person_with(&format!("dora@{}", domain.domain)).await;
    dora.list_joinable_organizations(Default::default()).await.unwrap();
    let request = dora.request_to_join_by_domain(&org.id).await.unwrap();
    dora.withdraw(&request).await.unwrap();
    let request = dora.request_to_join_by_domain(&org.id).await.unwrap();
    org.admin.deny(&request, "", 0).await.unwrap();
    let request = dora.request_to_join_by_domain(&org.id).await.unwrap();
    let mut page = Some(own::PageRequest { page_size: 1, page_token: String::new() });
    for state in [own::JoinRequestState::Pending, own::JoinRequestState::Denied] {
        let list = own::ListJoinRequestsRequest {
            organization_id: org.id.clone(),
            state: state.into(),
            page: page.take(),
        };
        org.admin.list_join_requests(list).await.unwrap();
    }
    org.admin.approve(&request, "").await.unwrap();
    org.admin.remove(&domain).await.unwrap();
    org.admin.delete(&org.id).await.unwrap();
}

/// Webhooks of both kinds of owners, and the work of the webhook worker.
async fn webhooks(app: &TestApp) {
    let org = app.organization().await;
    let operator = app.operator().await;
    let endpoint = Endpoint::start().await;
    for (owner, organization) in [(&org.admin, org.id.as_str()), (&operator, "")] {
        endpoint.otherwise(Reply::Status(500, "", ""));
        let (webhook, _) = owner.webhook(organization, &endpoint.url).await.unwrap();
        owner.webhook(organization, &endpoint.url).await.unwrap();
        endpoint.next().await;
        org.admin.link(&org.id, "read").await.unwrap();
        let of = || (organization.to_owned(), webhook.id.clone());
        let mut page = Some(own::PageRequest { page_size: 1, page_token: String::new() });
        for _ in 0..2 {
            let organization_id = organization.to_owned();
            let list = own::ListWebhooksRequest { organization_id, page };
            let page_token = owner.list_webhooks(list).await.unwrap().next_page_token;
            page = Some(own::PageRequest { page_size: 1, page_token });
        }
        let start_time = Some(prost_types::Timestamp::default());
        let (organization_id, webhook_id) = of();
        let span =
            own::ReplayRequest { organization_id, webhook_id, start_time, ..Default::default() };
        assert!(owner.replay(span.clone()).await.unwrap().events > 1);
        let event_id = org.admin.audit(&org.id).await.unwrap().remove(0).id;
        owner.replay(own::ReplayRequest { event_id, ..span }).await.unwrap();
        let mut page = Some(own::PageRequest { page_size: 1, page_token: String::new() });
        for _ in 0..2 {
            let (organization_id, webhook_id) = of();
            let list = own::ListDeliveriesRequest { organization_id, webhook_id, page };
            let page_token = owner.list_deliveries(list).await.unwrap().next_page_token;
            page = Some(own::PageRequest { page_size: 1, page_token });
        }
        for url in [None, Some(format!("{}/other", endpoint.url))] {
            let (organization_id, webhook_id) = of();
            let description = Some("x".to_owned());
            let update = own::UpdateWebhookRequest {
                organization_id,
                webhook_id,
                url,
                description,
                ..Default::default()
            };
            owner.update_webhook(update).await.unwrap();
        }
        let (organization_id, webhook_id) = of();
        let rotate = own::RotateSecretRequest { organization_id, webhook_id };
        owner.rotate_secret(rotate).await.unwrap();
        let (organization_id, webhook_id) = of();
        let test = own::SendTestRequest { organization_id, webhook_id };
        owner.send_test(test).await.unwrap();
        let (organization_id, webhook_id) = of();
        let disable = own::DisableWebhookRequest { organization_id, webhook_id };
        owner.disable_webhook(disable).await.unwrap();
        let (organization_id, webhook_id) = of();
        let enable = own::EnableWebhookRequest { organization_id, webhook_id };
        owner.enable_webhook(enable).await.unwrap();
        // A delivery that is accepted after a failure, and a webhook that a response disables.
        app.clock.advance(std::time::Duration::from_secs(600));
        endpoint.plan([Reply::Status(200, "", "")]);
        // Not planned: the clock ends claims, so a response may be lost and its event sent again.
        endpoint.otherwise(Reply::Status(410, "", ""));
        eventually("it is disabled", async || {
            app.clock.advance(std::time::Duration::from_secs(600));
            app.database.count("SELECT count(*) FROM webhooks WHERE disabled_at IS NOT NULL").await
                > 0
        })
        .await;
        let (organization_id, webhook_id) = of();
        let delete = own::DeleteWebhookRequest { organization_id, webhook_id };
        owner.delete_webhook(delete).await.unwrap();
    }
    org.admin.delete(&org.id).await.unwrap();
}

/// Memberships by their keys, one and many, and the counts of an organization.
async fn memberships(app: &TestApp, org: &Organization) {
    use own::get_membership_request::Whose;

    org.member.membership(&org.id, None).await.unwrap();
    let by_id = Some(Whose::MemberId(org.admin_id.clone()));
    org.member.membership(&org.id, by_id).await.unwrap();
    let service = Owner::Service("portal".parse().unwrap());
    let service = app.key(service, Some(KeyScope::Act), None).await;
    let account_id = org.member.account().await.to_string();
    let key = own::MembershipKey { organization_id: org.id.clone(), account_id };
    for number in [1, 100] {
        let request = own::BatchGetMembershipsRequest { memberships: vec![key.clone(); number] };
        service.batch_get_memberships(request).await.unwrap();
    }
    let operator = app.operator().await;
    let request = own::GetOrganizationStatsRequest { organization_id: org.id.clone() };
    operator.get_organization_stats(request).await.unwrap();

    let (max, account) = (app.person("max").await, app.person("max").await.account().await);
    let added = org.admin.add(&org.id, &account.to_string(), "guest").await.unwrap();
    let leave = own::LeaveOrganizationRequest {
        organization_id: org.id.clone(),
        successor_member_id: added.member_id,
    };
    max.leave_with_successor(leave).await.unwrap();
    for name in ["Third", "Fourth"] {
        let (other, _) = org.admin.new_organization(name).await;
        org.admin.invite_address(&other, "max@example.com", "read").await.unwrap();
    }
    let mut list = own::ListMyInvitationsRequest {
        page: Some(own::PageRequest { page_size: 1, page_token: String::new() }),
    };
    let page_token = max.list_my_invitations(list.clone()).await.unwrap().next_page_token;
    assert!(!page_token.is_empty());
    list.page = Some(own::PageRequest { page_size: 1, page_token });
    let invitation = max.list_my_invitations(list).await.unwrap().invitations.remove(0);
    let bound = Owner::Email { email: "max@example.com".parse().unwrap(), name: None };
    let (own_organization, _) = max.new_organization("Fifth").await;
    let bound = app.key(bound, None, Some(own_organization.parse().unwrap())).await;
    bound.list_my_invitations(Default::default()).await.unwrap();
    max.accept_invitation(own::AcceptRequest { invitation: invitation.id }).await.unwrap();
}

/// Memberships that have reached their end: read before and after the end is stored.
async fn member_ends(app: &TestApp) {
    use gitpod::list_members_request::Filter;

    let org = app.organization().await;
    let admin = gitpod::OrganizationRole::Admin;
    org.admin.grant(&org.id, &org.member_id, admin).await.unwrap();
    org.member.link(&org.id, "read").await.unwrap();
    let link = org.admin.link(&org.id, "read").await.unwrap();
    let hour = std::time::Duration::from_secs(60 * 60);
    let end = app.in_the_future(hour);
    org.admin.set_end(&org.id, &org.member_id, end).await.unwrap();
    app.clock.advance(hour);
    org.member.get(&org.id).await.unwrap_err();
    org.admin.preview(&link.token).await.unwrap();
    org.admin.invite_by_id(&org.id, &link.id).await.unwrap();
    for statuses in [vec![], vec![1, 2], vec![1, 2, 3]] {
        let list = gitpod::ListMembersRequest {
            organization_id: org.id.clone(),
            filter: Some(Filter { statuses, ..Default::default() }),
            count: Some(gitpod::CountRequest { include: true }),
            ..Default::default()
        };
        org.admin.list_members(list).await.unwrap();
    }
    for states in [vec![], vec![1], vec![5], vec![1, 4, 5]] {
        let list = own::ListRequest {
            organization_id: org.id.clone(),
            filter: Some(own::InviteFilter { states, ..Default::default() }),
            count: true,
            ..Default::default()
        };
        org.admin.list_invites(list).await.unwrap();
    }
    let list = own::ListGrantsRequest { organization_id: org.id.clone(), ..Default::default() };
    org.admin.list_grants(list).await.unwrap();
    let operator = app.operator().await;
    let request = own::GetOrganizationStatsRequest { organization_id: org.id.clone() };
    operator.get_organization_stats(request).await.unwrap();
    let now = app.clock.now();
    end_expired_members(app.store(), now, 1).await.unwrap();
    org.stranger.join(&link.token).await.unwrap();
}

/// Metadata and external ids: set, found and read with events.
async fn metadata(app: &TestApp, org: &Organization) {
    let plan = || pairs(&[("plan", "pro")]);
    let create = own::CreateOrganizationRequest {
        name: "With metadata".into(),
        metadata: plan(),
        external_id: "x".into(),
    };
    org.admin.create_own_organization(create).await.unwrap();
    let update = own::UpdateOrganizationMetadataRequest {
        organization_id: org.id.clone(),
        metadata: plan(),
        external_id: Some("y".into()),
    };
    org.admin.update_organization_metadata(update).await.unwrap();
    let filter = own::MyOrganizationFilter { metadata: plan(), external_id: "y".into() };
    let list = own::ListMyOrganizationsRequest { filter: Some(filter), page: None };
    assert_eq!(org.admin.list_my_organizations(list).await.unwrap().organizations.len(), 1);
    let update = own::UpdateMemberMetadataRequest {
        organization_id: org.id.clone(),
        member_id: org.admin_id.clone(),
        metadata: plan(),
        external_id: Some("z".into()),
    };
    org.admin.update_member_metadata(update).await.unwrap();
    for filter in [
        own::MembershipFilter::default(),
        own::MembershipFilter { metadata: plan(), external_id: "z".into(), ..Default::default() },
        own::MembershipFilter { member_ids: vec![org.admin_id.clone()], ..Default::default() },
        own::MembershipFilter {
            account_ids: vec![org.admin.account().await.to_string()],
            ..Default::default()
        },
    ] {
        let list = own::ListMembershipsRequest {
            organization_id: org.id.clone(),
            filter: Some(filter),
            page: Some(own::PageRequest { page_size: 1, page_token: String::new() }),
        };
        let page = org.admin.list_memberships(list.clone()).await.unwrap();
        let page = own::PageRequest { page_size: 1, page_token: page.next_page_token };
        org.admin
            .list_memberships(own::ListMembershipsRequest { page: Some(page), ..list })
            .await
            .unwrap();
    }
    let link = own::CreateLinkRequest {
        grants: Some(own::create_link_request::Grants::Role("read".into())),
        metadata: plan(),
        external_id: "x".into(),
        max_uses: 1,
        ..link_to(&org.id)
    };
    let link = org.admin.create_link(link).await.unwrap().invite.unwrap();
    let update = own::UpdateRequest {
        organization_id: org.id.clone(),
        id: link.id,
        external_id: Some("w".into()),
        ..Default::default()
    };
    org.admin.update_invite(update).await.unwrap();
    app.person("wim").await.join(&link.token).await.unwrap();
    let events = own::ListEventsRequest {
        organization_id: org.id.clone(),
        start_time: Some(prost_types::Timestamp::default()),
        limit: 1000,
        ..Default::default()
    };
    org.admin.list_events(events).await.unwrap();
}

/// Calls for invites of every kind.
async fn invitations(app: &TestApp, org: &Organization) {
    let operator = app.operator().await;
    let limit = own::SetSeatLimitRequest { organization_id: org.id.clone(), seat_limit: 100 };
    operator.set_seat_limit(limit).await.unwrap();
    let content = Some(own::content_grant::Content::Space("s1".into()));
    let grant = own::ContentGrant { content, level: "read".into() };
    let request = own::CreateLinkRequest {
        grants: Some(own::create_link_request::Grants::Grant(grant)),
        request_id: "r".into(),
        ..link_to(&org.id)
    };
    let link = org.admin.create_link(request).await.unwrap().invite.unwrap();
    org.member.join(&link.token).await.unwrap();
    let gus = app.person("gus").await;
    let mail = org.admin.invite_address(&org.id, "gus@example.com", "read").await.unwrap();
    let mail = mail.invite.unwrap().id;
    let resend = own::ResendRequest {
        organization_id: org.id.clone(),
        id: mail.clone(),
        ..Default::default()
    };
    org.admin.resend_invite(resend).await.unwrap();
    let decline = own::DeclineRequest { invitation: mail, request_id: String::new() };
    gus.decline_invite(decline).await.unwrap();
    let update = own::UpdateRequest {
        organization_id: org.id.clone(),
        id: link.id.clone(),
        max_uses: Some(9),
        ..Default::default()
    };
    org.admin.update_invite(update).await.unwrap();
    org.admin.revoke(&org.id, &link.id).await.unwrap();
    let invitations = ["ute", "uwe"].map(|name| own::EmailInvitation {
        email: format!("{name}@example.com"),
        external_id: name.into(),
        ..Default::default()
    });
    let many = own::InviteByEmailRequest {
        organization_id: org.id.clone(),
        invitations: invitations.into(),
        ..Default::default()
    };
    assert_eq!(org.admin.invite_by_email(many).await.unwrap().results.len(), 2);
    for filter in [
        own::InviteFilter::default(),
        own::InviteFilter {
            kinds: vec![2, 3],
            states: vec![1, 4, 5],
            role: "read".into(),
            inviter_id: org.admin_id.clone(),
            email: "gus@example.com".into(),
            start_time: Some(prost_types::Timestamp { seconds: 0, nanos: 0 }),
            end_time: Some(prost_types::Timestamp { seconds: 9_000_000_000, nanos: 0 }),
            metadata: pairs(&[("plan", "pro")]),
            external_id: "x".into(),
        },
        own::InviteFilter { email: "gus@example.com".into(), ..Default::default() },
    ] {
        let list = own::ListRequest {
            organization_id: org.id.clone(),
            filter: Some(filter),
            page: Some(own::PageRequest { page_size: 1, page_token: String::new() }),
            count: true,
        };
        let page = org.admin.list_invites(list.clone()).await.unwrap();
        let page = own::PageRequest { page_size: 1, page_token: page.next_page_token };
        org.admin.list_invites(own::ListRequest { page: Some(page), ..list }).await.unwrap();
    }
    for member_id in [String::new(), org.member_id.clone()] {
        let organization_id = org.id.clone();
        let list = own::ListGrantsRequest { organization_id, member_id, page: None };
        org.admin.list_grants(list).await.unwrap();
    }
    let who = |member: &str| (org.id.clone(), member.to_owned());
    let (organization_id, member_id) = who(&org.member_id);
    let suspend = own::SuspendMemberRequest { organization_id, member_id };
    org.admin.suspend_member(suspend).await.unwrap();
    let (organization_id, member_id) = who(&org.member_id);
    let restore = own::RestoreMemberRequest { organization_id, member_id };
    org.admin.restore_member(restore).await.unwrap();
    let request = own::CreateLinkRequest {
        grants: Some(own::create_link_request::Grants::Role("read".into())),
        expire_time: app.in_the_future(std::time::Duration::from_secs(1)),
        ..link_to(&org.id)
    };
    org.admin.create_link(request).await.unwrap();
    let expired = app.clock.now().plus(std::time::Duration::from_secs(2));
    assert_eq!(end_expired(app.store(), expired, 10).await.unwrap().ended, 1);
    app.store()
        .write(change!(async |tx| {
            let at = Timestamp::from_micros(0);
            requests::prune(tx, at).await?;
            let claimant = uuid::Uuid::new_v4();
            for mail in outbox::claim(tx, claimant, Timestamp::from_micros(i64::MAX), at, 9).await?
            {
                outbox::postpone(tx, mail.id, claimant, at).await?;
                outbox::is_held(tx, mail.id, claimant).await?;
                outbox::finish(tx, mail.id, claimant).await?;
            }
            notices::is_any_due(tx, at).await?;
            for notice in
                notices::claim(tx, claimant, Timestamp::from_micros(i64::MAX), at, 9).await?
            {
                join_requests::waiting(tx, notice.topic.organization).await?;
                notices::postpone(tx, notice.id, claimant, at).await?;
                notices::renew(tx, notice.id, claimant, 1, at).await?;
                notices::finish(tx, notice.id, claimant).await?;
            }
            Ok(())
        }))
        .await
        .unwrap();
}

/// The lines of a statement's plan.
async fn plan(app: &TestApp, statement: &Statement) -> Vec<String> {
    let connection = app.database.connect().await;
    let (explain, column) = match app.database.engine {
        Engine::Sqlite => ("EXPLAIN QUERY PLAN ", "detail"),
        Engine::Postgres => {
            // Without this, PostgreSQL reads small tables whole because they are small.
            connection.execute_unprepared("SET enable_seqscan = off").await.unwrap();
            ("EXPLAIN ", "QUERY PLAN")
        }
    };
    let explained = Statement { sql: format!("{explain}{}", statement.sql), ..statement.clone() };
    let rows = connection.query_all_raw(explained).await.unwrap();
    let lines = rows.iter().map(|row| row.try_get::<String>("", column).unwrap()).collect();
    connection.close().await.unwrap();
    lines
}

/// Whether a statement finds rows by a list of values, or by a mail address. The list of actions of
/// events does not count, because it finds many rows.
fn is_by_list_or_address(sql: &str) -> bool {
    let is_by_list = sql.contains("(?, ?, ?, ?, ?, ?, ?, ?") && !sql.contains("\"action\" IN");
    is_by_list || sql.contains("\"email\" = ?")
}

async fn check_plans(engine: Engine) {
    let seen = Seen::default();
    let record = Arc::clone(&seen);
    let backend = match engine {
        Engine::Sqlite => DbBackend::Sqlite,
        Engine::Postgres => DbBackend::Postgres,
    };
    let observer = Arc::new(move |statement: &guestlist::storage::Statement| {
        let sql = statement.sql.to_string();
        let values = Some(Values(statement.values.clone()));
        let statement = Statement { sql: sql.clone(), values, db_backend: backend };
        record.lock().unwrap().insert(sql, statement);
    });
    let database = Database::migrated(engine).await;
    let app = TestApp::on(database, Protocol::Grpc, |_| (), Some(observer)).await;
    everything(&app).await;

    let statements: Vec<Statement> = seen.lock().unwrap().values().cloned().collect();
    let checked: Vec<&Statement> = statements
        .iter()
        .filter(|s| ["SELECT", "UPDATE", "DELETE"].iter().any(|verb| s.sql.starts_with(verb)))
        .filter(|s| !WHOLE_TABLES.iter().any(|whole| s.sql.contains(whole)))
        .collect();
    assert!(checked.len() > 40, "{} statements were seen", checked.len());
    let mut bad = Vec::new();
    for statement in checked {
        let lines = plan(&app, statement).await;
        let whole = lines.iter().any(|line| match engine {
            // `SCAN x USING INDEX` reads a whole index.
            Engine::Sqlite => line.starts_with("SCAN ") && !line.contains("SCAN CONSTANT"),
            Engine::Postgres => line.contains("Seq Scan"),
        });
        // An organization may have a million rows, and these statements find a few of them.
        let finds_few = is_by_list_or_address(&statement.sql);
        let by_organization =
            |line: &String| line.contains(" INDEX ") && line.ends_with(" (organization_id=?)");
        let whole = whole || finds_few && lines.iter().any(by_organization);
        if whole {
            bad.push(format!("{}\n    {}", statement.sql, lines.join("\n    ")));
        }
    }
    app.stop().await;
    assert!(bad.is_empty(), "these read a whole table:\n{}", bad.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_reads_a_whole_table_sqlite() {
    check_plans(Engine::Sqlite).await;
}

mod no_statement_reads_a_whole_table {
    #[tokio::test(flavor = "multi_thread")]
    async fn postgres() {
        super::check_plans(super::Engine::Postgres).await;
    }
}
