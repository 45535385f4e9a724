use guestlist::domain::KeyScope;
use guestlist::operations::keys::Owner;

use super::suspend_member::suspend;
use crate::support::{Code, TestApp, gitpod, own};
use crate::{everywhere, on_both_engines};

everywhere! {
    async fn p33_every_change_writes_an_event_and_nothing_else_does(app: TestApp) {
        let org = app.organization().await;
        org.admin.get(&org.id).await.unwrap();
        org.admin.members(&org.id).await.unwrap();
        org.admin.grant(&org.id, &org.member_id, gitpod::OrganizationRole::Admin).await.unwrap();
        org.stranger.delete(&org.id).await.unwrap_err();
        let rename = gitpod::UpdateOrganizationRequest {
            organization_id: org.id.clone(),
            name: Some("Acme 2".into()),
            ..Default::default()
        };
        org.admin.update_organization(rename).await.unwrap();
        org.member.end(&org.member_id).await.unwrap();

        let events = org.admin.audit(&org.id).await.unwrap();
        let actions: Vec<&str> = events.iter().map(|event| event.action.as_str()).collect();
        let expected = [
            "member.left", "organization.updated", "member.role_changed", "member.joined",
            "invite.created", "member.joined", "organization.created",
        ];
        assert_eq!(actions, expected);
        let ana = org.admin.account().await.to_string();
        let ben = org.member.account().await.to_string();
        let actors: Vec<&str> = events.iter().map(|event| event.actor_account_id.as_str()).collect();
        assert_eq!(actors, [&ben, &ana, &ana, &ben, &ana, &ana, &ana]);
        assert!(events.iter().all(|event| event.organization_id == org.id));
        assert!(events.iter().all(|event| !event.request_id.is_empty() && event.time.is_some()));
    }

    async fn admins_read_the_events_and_operators_after_deletion(app: TestApp) {
        let org = app.organization().await;
        let operator = Owner::Account(org.stranger.account().await);
        let operator = app.key(operator, Some(KeyScope::Operator), None).await;
        assert_eq!(org.member.audit(&org.id).await.unwrap_err().code, Code::PermissionDenied);
        for outside in [&org.stranger, &operator] {
            assert_eq!(outside.audit(&org.id).await.unwrap_err().code, Code::NotFound);
        }

        org.admin.delete(&org.id).await.unwrap();
        for outside in [&org.stranger, &org.admin] {
            assert_eq!(outside.audit(&org.id).await.unwrap_err().code, Code::NotFound);
        }
        let events = operator.audit(&org.id).await.unwrap();
        assert_eq!(events[0].action, "organization.deleted");
        let never = uuid::Uuid::new_v4().to_string();
        assert_eq!(operator.audit(&never).await.unwrap_err().code, Code::NotFound);
    }

    async fn events_are_listed_in_pages_and_filtered(app: TestApp) {
        let org = app.organization().await;
        let all = org.admin.audit(&org.id).await.unwrap();
        let mut paged = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = own::ListAuditEventsRequest {
                organization_id: org.id.clone(),
                page: Some(own::PageRequest { page_size: 2, page_token }),
                ..Default::default()
            };
            let page = org.admin.list_audit_events(request).await.unwrap();
            paged.extend(page.events);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(paged, all);

        let ben = org.member.account().await.to_string();
        let (newest, oldest) = (all.first().unwrap().time, all.last().unwrap().time);
        for (filter, expected) in [
            (own::AuditFilter { actions: vec!["invite.created".into()], ..Default::default() }, 1),
            (own::AuditFilter { account_id: ben, ..Default::default() }, 1),
            (own::AuditFilter { target_id: org.admin_id.clone(), ..Default::default() }, 1),
            (own::AuditFilter { start_time: oldest, ..Default::default() }, all.len()),
            (own::AuditFilter { end_time: oldest, ..Default::default() }, 0),
            (own::AuditFilter { start_time: newest, ..Default::default() }, 1),
        ] {
            let request = own::ListAuditEventsRequest {
                organization_id: org.id.clone(),
                filter: Some(filter.clone()),
                ..Default::default()
            };
            let events = org.admin.list_audit_events(request).await.unwrap().events;
            assert_eq!(events.len(), expected, "{filter:?}");
        }
    }

    async fn operators_list_events_outside_organizations(app: TestApp) {
        let org = app.organization().await;
        let (operator, account) = (app.operator().await, org.stranger.account().await);
        let request = |page_size, page_token| own::ListAuditEventsRequest {
            page: Some(own::PageRequest { page_size, page_token }),
            ..Default::default()
        };
        let all = operator.list_audit_events(request(100, String::new())).await.unwrap().events;
        assert!(all.iter().all(|event| event.organization_id.is_empty()));
        let about: Vec<&str> = all
            .iter()
            .filter(|event| event.target_id == account.to_string())
            .map(|event| event.action.as_str())
            .collect();
        assert_eq!(about, ["account.created"]);
        let keys = all.iter().filter(|event| event.action == "key.created").count();
        assert_eq!(keys, 5, "the first key, the keys of three people, and the operator's key");
        let filter = own::AuditFilter { actions: vec!["account.created".into()], ..Default::default() };
        let filtered = own::ListAuditEventsRequest { filter: Some(filter), ..request(100, String::new()) };
        let filtered = operator.list_audit_events(filtered).await.unwrap().events;
        assert_eq!(filtered.len(), 5);

        let (mut paged, mut page_token) = (Vec::new(), String::new());
        loop {
            let page = operator.list_audit_events(request(2, page_token)).await.unwrap();
            paged.extend(page.events);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(paged, all);
        // A filter that matches no event returns an empty page, not NOT_FOUND.
        let filter = own::AuditFilter { actions: vec!["no.such".into()], ..Default::default() };
        let none = own::ListAuditEventsRequest { filter: Some(filter), ..Default::default() };
        assert_eq!(operator.list_audit_events(none).await.unwrap().events, []);

        let bound = Owner::Account(org.admin.account().await);
        let bound = app.key(bound, Some(KeyScope::Operator), Some(org.domain_id())).await;
        for other in [&org.admin, &org.stranger, &bound] {
            let failure = other.list_audit_events(Default::default()).await.unwrap_err();
            assert_eq!(failure.code, Code::PermissionDenied);
        }
    }

    async fn the_error_names_every_invalid_field(app: TestApp) {
        let ana = app.person("ana").await;
        let request = own::ListAuditEventsRequest {
            organization_id: "x".into(),
            filter: Some(own::AuditFilter {
                actions: vec![String::new(); 26],
                account_id: "x".into(),
                ..Default::default()
            }),
            page: Some(own::PageRequest { page_size: -1, page_token: String::new() }),
        };
        let failure = ana.list_audit_events(request).await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument);
        let expected = ["organization_id", "page.page_size", "filter.actions", "filter.account_id"];
        assert_eq!(failure.fields, expected);
    }
}

on_both_engines! {
    async fn the_note_of_an_event_has_the_number_of_invites_that_ended_with_it(app: TestApp) {
        let org = app.organization().await;
        let admin = gitpod::OrganizationRole::Admin;
        let member = gitpod::OrganizationRole::Member;
        let token = org.admin.current_invite(&org.id).await.unwrap();
        for (links, noted) in [(0, ""), (2, "invites ended: 2")] {
            let mut ben = org.member_id.clone();
            let invites = async |ben: &str| {
                org.admin.grant(&org.id, ben, admin).await.unwrap();
                for _ in 0..links {
                    org.member.link(&org.id, "read").await.unwrap();
                }
            };
            let newest = async |action: &str| {
                let newest = org.admin.audit(&org.id).await.unwrap().remove(0);
                assert_eq!(newest.action, action);
                newest.note
            };
            if org.member.get(&org.id).await.is_err() {
                ben = org.member.join(&token).await.unwrap().user_id;
            }

            invites(&ben).await;
            org.admin.grant(&org.id, &ben, member).await.unwrap();
            let parts = ["role: admin → member", noted];
            let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            assert_eq!(newest("member.role_changed").await, parts.join("; "));

            invites(&ben).await;
            org.admin.suspend_member(suspend(&org.id, &ben)).await.unwrap();
            assert_eq!(newest("member.suspended").await, noted);
            let restore = own::RestoreMemberRequest {
                organization_id: org.id.clone(),
                member_id: ben.clone(),
            };
            org.admin.restore_member(restore).await.unwrap();

            invites(&ben).await;
            org.member.end(&ben).await.unwrap();
            assert_eq!(newest("member.left").await, noted);
        }
    }
}
