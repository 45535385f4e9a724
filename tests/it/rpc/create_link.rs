use std::time::Duration;

use crate::support::{Code, TestApp, link_to, own};
use crate::{everywhere, on_both_engines};

use own::create_link_request::Grants;

fn space(id: &str, level: &str) -> Option<Grants> {
    let content = Some(own::content_grant::Content::Space(id.into()));
    Some(Grants::Grant(own::ContentGrant { content, level: level.into() }))
}

everywhere! {
    async fn several_links_are_valid_at_once_and_the_join_link_stays(app: TestApp) {
        let org = app.organization().await;
        let join_link = org.admin.current_invite(&org.id).await.unwrap();
        let request = own::CreateLinkRequest {
            grants: Some(Grants::Role("review".into())),
            expire_time: app.in_the_future(Duration::from_secs(3600)),
            max_uses: 2,
            allowed_domains: vec!["EXAMPLE.com".into()],
            note: "für die Prüfer".into(),
            ..link_to(&org.id)
        };
        let made = org.admin.create_link(request.clone()).await.unwrap().invite.unwrap();
        assert_eq!((made.kind(), made.state()), (own::InviteKind::NamedLink, own::InviteState::Live));
        assert_eq!((made.role.as_str(), made.max_uses, made.uses), ("review", 2, 0));
        assert_eq!(made.allowed_domains, ["example.com"]);
        assert_eq!((made.note, made.expire_time), (request.note, request.expire_time));
        assert_eq!(made.inviter_id, org.admin_id);

        let other = org.admin.link(&org.id, "read").await.unwrap();
        assert_ne!(other.token, made.token);
        for token in [&made.token, &other.token, &join_link] {
            assert_eq!(org.stranger.preview(token).await.unwrap().organization_id, org.id);
        }
        org.stranger.join(&made.token).await.unwrap();
        let mine = org.stranger.list_my_organizations(Default::default()).await.unwrap();
        assert_eq!(mine.organizations[0].role, "review");
        let used = org.admin.invite_by_id(&org.id, &made.id).await.unwrap();
        assert_eq!((used.uses, used.token), (1, made.token));
    }

    async fn the_error_names_every_invalid_field(app: TestApp) {
        let org = app.organization().await;
        let wrong = own::CreateLinkRequest {
            organization_id: "x".into(),
            grants: None,
            max_uses: -1,
            allowed_domains: vec!["nodot".into()],
            note: "é".repeat(257),
            request_id: "x".repeat(129),
            ..Default::default()
        };
        let failure = org.admin.create_link(wrong).await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument);
        let expected =
            ["organization_id", "grants", "max_uses", "allowed_domains[0]", "note", "request_id"];
        assert_eq!(failure.fields, expected);

        for (grants, field) in [
            (Some(Grants::Role("king".into())), "role"),
            (space("", "read"), "grant.space"),
            (space("s/1", "read"), "grant.space"),
            (space("s1", ""), "grant.level"),
            (Some(Grants::Grant(own::ContentGrant::default())), "grant.content"),
        ] {
            let request = own::CreateLinkRequest { grants, ..link_to(&org.id) };
            let failure = org.admin.create_link(request).await.unwrap_err();
            assert_eq!(failure.fields, [field]);
        }
        let past = own::CreateLinkRequest {
            grants: Some(Grants::Role("read".into())),
            expire_time: app.in_the_future(Duration::ZERO),
            ..link_to(&org.id)
        };
        let failure = org.admin.create_link(past).await.unwrap_err();
        assert_eq!(failure.fields, ["expire_time"]);
    }
}

on_both_engines! {
    async fn a_repeated_request_returns_the_same_link_for_one_day(app: TestApp) {
        let org = app.organization().await;
        let request = own::CreateLinkRequest {
            grants: Some(Grants::Role("read".into())),
            request_id: "r1".into(),
            ..link_to(&org.id)
        };
        let first = org.admin.create_link(request.clone()).await.unwrap().invite.unwrap();
        let again = org.admin.create_link(request.clone()).await.unwrap().invite.unwrap();
        assert_eq!(first, again);
        let events = org.admin.audit(&org.id).await.unwrap();
        assert_eq!(events.iter().filter(|e| e.target_id == first.id).count(), 1);

        let other = own::CreateLinkRequest { note: "other".into(), ..request.clone() };
        let failure = org.admin.create_link(other).await.unwrap_err();
        assert_eq!((failure.code, failure.fields), (Code::InvalidArgument, vec!["request_id".into()]));
        // A request id belongs to one organization and one account.
        let (second, _) = org.admin.new_organization("Second").await;
        let elsewhere = own::CreateLinkRequest { organization_id: second, ..request.clone() };
        assert_ne!(org.admin.create_link(elsewhere).await.unwrap().invite.unwrap().id, first.id);
        // The authority is checked before the stored result is looked up.
        let failure = org.member.create_link(request.clone()).await.unwrap_err();
        assert_eq!(failure.code, Code::PermissionDenied);

        app.clock.advance(Duration::from_secs(24 * 60 * 60));
        let later = org.admin.create_link(request).await.unwrap().invite.unwrap();
        assert_ne!(later.id, first.id);
    }

    async fn parallel_requests_with_one_request_id_make_one_link(app: TestApp) {
        let org = app.organization().await;
        let request = own::CreateLinkRequest {
            grants: Some(Grants::Role("read".into())),
            request_id: "r1".into(),
            ..link_to(&org.id)
        };
        let many = (0..16).map(|_| org.admin.create_link(request.clone()));
        let made = futures::future::join_all(many).await;
        let ids: std::collections::HashSet<String> =
            made.into_iter().map(|made| made.unwrap().invite.unwrap().id).collect();
        assert_eq!(ids.len(), 1);
    }

    async fn p03_a_token_grants_only_the_organization_and_role_of_its_link(app: TestApp) {
        let org = app.organization().await;
        let link = org.admin.link(&org.id, "guest").await.unwrap();
        org.stranger.join(&link.token).await.unwrap();
        let mine = org.stranger.list_my_organizations(Default::default()).await.unwrap();
        let place = &mine.organizations[0];
        assert_eq!(place.organization.as_ref().unwrap().id, org.id);
        assert_eq!(place.role, "guest");
        assert_eq!(org.stranger.members(&org.id).await.unwrap_err().code, Code::PermissionDenied);
    }

    async fn a_content_link_makes_a_guest_and_records_the_grant(app: TestApp) {
        let org = app.organization().await;
        let request =
            own::CreateLinkRequest { grants: space("s-1", "edit"), ..link_to(&org.id) };
        let link = org.admin.create_link(request).await.unwrap().invite.unwrap();
        assert_eq!(link.role, "");
        assert_eq!(link.grant.as_ref().unwrap().level, "edit");
        let zoe = org.stranger.join(&link.token).await.unwrap();
        assert_eq!(org.stranger.join(&link.token).await.unwrap(), zoe);
        // An existing member keeps the role and gets the grant only once.
        for _ in 0..2 {
            let ben = org.member.join(&link.token).await.unwrap();
            assert_eq!(ben.user_id, org.member_id);
        }
        let request =
            own::ListGrantsRequest { organization_id: org.id.clone(), ..Default::default() };
        let grants = org.admin.list_grants(request.clone()).await.unwrap().grants;
        let whose: Vec<&str> = grants.iter().map(|grant| grant.member_id.as_str()).collect();
        assert_eq!(whose, [&zoe.user_id, &org.member_id]);
        assert!(grants.iter().all(|grant| grant.invite_id == link.id && grant.grant == link.grant));
        let used = org.admin.invite_by_id(&org.id, &link.id).await.unwrap();
        assert_eq!(used.uses, 2);
        let mine = org.stranger.list_grants(request.clone()).await.unwrap().grants;
        assert_eq!(mine.len(), 1);
        // A grant ends with the membership.
        org.admin.end(&zoe.user_id).await.unwrap();
        assert_eq!(org.admin.list_grants(request).await.unwrap().grants.len(), 1);
    }

    async fn p06_domain_rules_are_checked_when_joining(app: TestApp) {
        let org = app.organization().await;
        let request = own::CreateLinkRequest {
            grants: Some(Grants::Role("read".into())),
            allowed_domains: vec!["acme.com".into()],
            max_uses: 5,
            ..link_to(&org.id)
        };
        let link = org.admin.create_link(request).await.unwrap().invite.unwrap();
        for outside in ["x@evil-acme.com", "x@acme.com.evil.org", "x@eu.acme.com"] {
            let failure = app.person_with(outside).await.join(&link.token).await.unwrap_err();
            assert_eq!(failure.code, Code::PermissionDenied, "{outside}");
            assert_eq!(failure.reason, "DOMAIN_NOT_ALLOWED");
        }
        app.person_with("x@ACME.com").await.join(&link.token).await.unwrap();
        assert_eq!(org.admin.invite_by_id(&org.id, &link.id).await.unwrap().uses, 1);
    }
}
