use std::time::Duration;

use guestlist::operations::keys::Owner;

use crate::everywhere;
use crate::on_both_engines;
use crate::support::{Code, TestApp, gitpod, own};

everywhere! {
    async fn a_link_makes_a_member_with_its_role(app: TestApp) {
        let org = app.organization().await;
        let token = org.admin.invite(&org.id).await.unwrap();
        let member = org.stranger.join(&token).await.unwrap();
        assert_eq!(member.role(), gitpod::OrganizationRole::Member);
        assert_eq!(member.email, "zoe@example.com");

        let preview = org.admin.preview(&token).await.unwrap();
        assert_eq!(preview.organization_member_count, 3);
        let mine = org.stranger.list_my_organizations(Default::default()).await.unwrap();
        assert_eq!(mine.organizations[0].member_id, member.user_id);
        assert_eq!(mine.organizations[0].role, "member");
    }

    async fn p13_joining_again_returns_the_same_member_and_adds_none(app: TestApp) {
        let org = app.organization().await;
        let token = org.admin.invite(&org.id).await.unwrap();
        let first = org.stranger.join(&token).await.unwrap();
        let second = org.stranger.join(&token).await.unwrap();
        assert_eq!(first, second);
        // The link of this member's own join still returns the member after the link has ended.
        org.admin.invite(&org.id).await.unwrap();
        assert_eq!(org.stranger.join(&token).await.unwrap(), first);
        // For a member who joined by another link, an ended link is not found.
        let newest = org.admin.invite(&org.id).await.unwrap();
        assert_eq!(org.stranger.join(&newest).await.unwrap(), first);
        assert_eq!(org.member.join(&token).await.unwrap_err().code, Code::NotFound);

        let joined = org.admin.audit(&org.id).await.unwrap();
        let joined = joined.iter().filter(|event| event.action == "member.joined").count();
        assert_eq!(joined, 3, "ana, ben, zoe");
    }

    async fn p18_joining_never_changes_an_existing_members_role(app: TestApp) {
        let org = app.organization().await;
        let token = org.admin.invite(&org.id).await.unwrap();
        let member = org.admin.join(&token).await.unwrap();
        assert_eq!(member.user_id, org.admin_id);
        assert_eq!(member.role(), gitpod::OrganizationRole::Admin);
    }

    async fn a_missing_or_invalid_join_id_is_reported_by_field_name(app: TestApp) {
        let ana = app.person("ana").await;
        let failure = ana.join_organization(Default::default()).await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument);
        assert_eq!(failure.fields, ["join_id"]);
        let failure = ana.join("not-a-uuid").await.unwrap_err();
        assert_eq!((failure.code, failure.fields), (Code::InvalidArgument, vec!["invite_id".into()]));
        let failure = ana.join_by_id("").await.unwrap_err();
        assert_eq!(failure.fields, ["organization_id"]);
    }

    async fn p25_a_domain_admits_only_addresses_of_exactly_this_domain(app: TestApp) {
        let ana = app.person_with("ana@acme.com").await;
        let request = gitpod::CreateOrganizationRequest {
            name: "Acme".into(),
            join_organization: true,
            invite_accounts_with_matching_domain: true,
        };
        let id = ana.create_organization(request).await.unwrap().organization.unwrap().id;
        for outside in ["x@evil-acme.com", "x@acme.com.evil.org", "x@eu.acme.com", "x@example.com"] {
            let failure = app.person_with(outside).await.join_by_id(&id).await.unwrap_err();
            assert_eq!(failure.code, Code::NotFound, "{outside}");
        }
        let member = app.person_with("Ben@ACME.com").await.join_by_id(&id).await.unwrap();
        assert_eq!(member.role(), gitpod::OrganizationRole::Member);
    }
}

on_both_engines! {
    async fn p26_every_ended_link_is_not_found(app: TestApp) {
        let org = app.organization().await;
        let replaced = org.admin.invite(&org.id).await.unwrap();
        let revoked = org.admin.invite(&org.id).await.unwrap();
        let (other, _) = org.member.new_organization("Other").await;
        let deleted = org.member.invite(&other).await.unwrap();
        org.member.delete(&other).await.unwrap();
        org.admin.invite(&org.id).await.unwrap();
        let unknown = uuid::Uuid::new_v4().to_string();

        let expected = org.stranger.join(&unknown).await.unwrap_err();
        assert_eq!(expected.code, Code::NotFound);
        for dead in [&replaced, &revoked, &deleted] {
            assert_eq!(org.stranger.join(dead).await.unwrap_err(), expected);
            assert_eq!(org.stranger.preview(dead).await.unwrap_err(), expected);
        }
        assert_eq!(org.stranger.join_by_id(&org.id).await.unwrap_err(), expected);
        assert_eq!(org.stranger.join_by_id(&unknown).await.unwrap_err(), expected);
    }

    async fn p08_links_end_when_their_inviter_is_demoted_or_leaves(app: TestApp) {
        let org = app.organization().await;
        let admin = gitpod::OrganizationRole::Admin;
        let member = gitpod::OrganizationRole::Member;
        // The inviter is demoted.
        org.admin.grant(&org.id, &org.member_id, admin).await.unwrap();
        let token = org.member.invite(&org.id).await.unwrap();
        org.admin.grant(&org.id, &org.member_id, member).await.unwrap();
        assert_eq!(org.stranger.join(&token).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.stranger.preview(&token).await.unwrap_err().code, Code::NotFound);
        // The inviter gets the role again, but the link stays ended.
        org.admin.grant(&org.id, &org.member_id, admin).await.unwrap();
        assert_eq!(org.stranger.join(&token).await.unwrap_err().code, Code::NotFound);
        let fresh = org.admin.current_invite(&org.id).await.unwrap();
        assert_ne!(fresh, token);
        // The inviter leaves.
        let token = org.member.invite(&org.id).await.unwrap();
        org.member.end(&org.member_id).await.unwrap();
        assert_eq!(org.stranger.join(&token).await.unwrap_err().code, Code::NotFound);
        let fresh = org.admin.current_invite(&org.id).await.unwrap();
        org.stranger.join(&fresh).await.unwrap();
    }

    async fn p10_a_removed_account_needs_an_invite_made_after_the_removal(app: TestApp) {
        let org = app.organization().await;
        let before = org.admin.invite(&org.id).await.unwrap();
        let update = gitpod::UpdateOrganizationRequest {
            organization_id: org.id.clone(),
            invite_domains: Some(gitpod::InviteDomains { domains: vec!["example.com".into()] }),
            ..Default::default()
        };
        org.admin.update_organization(update).await.unwrap();
        org.admin.end(&org.member_id).await.unwrap();
        assert_eq!(org.member.join(&before).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.member.join_by_id(&org.id).await.unwrap_err().code, Code::NotFound);
        // Other accounts may still join, by the same link and by the same domain.
        org.stranger.join(&before).await.unwrap();
        app.person("gus").await.join_by_id(&org.id).await.unwrap();

        let after = org.admin.invite(&org.id).await.unwrap();
        let back = org.member.join(&after).await.unwrap();
        assert_ne!(back.user_id, org.member_id, "joining after a removal is a new membership");
        // Leaving later does not cancel the removal: the account may still join by the later
        // link, but not by the domain.
        org.member.end(&back.user_id).await.unwrap();
        assert_eq!(org.member.join_by_id(&org.id).await.unwrap_err().code, Code::NotFound);
        org.member.join(&after).await.unwrap();
    }

    async fn p09_nothing_is_inherited_from_a_deleted_organization(app: TestApp) {
        let org = app.organization().await;
        let token = org.admin.invite(&org.id).await.unwrap();
        org.admin.delete(&org.id).await.unwrap();
        let (again, _) = org.admin.new_organization("Acme").await;
        assert_ne!(again, org.id);
        assert_eq!(org.stranger.join(&token).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.stranger.join_by_id(&org.id).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.admin.members(&again).await.unwrap().len(), 1);
    }

    async fn without_an_admin_only_the_creator_can_join_by_id(app: TestApp) {
        let ana = app.person_with("ana@acme.com").await;
        let ben = app.person_with("ben@acme.com").await;
        let request = gitpod::CreateOrganizationRequest {
            name: "Acme".into(),
            join_organization: true,
            invite_accounts_with_matching_domain: true,
        };
        let made = ana.create_organization(request).await.unwrap();
        let id = made.organization.unwrap().id;
        ana.end(&made.member.unwrap().user_id).await.unwrap();
        assert_eq!(ben.join_by_id(&id).await.unwrap_err().code, Code::NotFound);
        let back = ana.join_by_id(&id).await.unwrap();
        assert_eq!(back.role(), gitpod::OrganizationRole::Admin);
        ben.join_by_id(&id).await.unwrap();
    }

    async fn a_key_bound_to_one_organization_joins_no_other(app: TestApp) {
        let org = app.organization().await;
        let (other, _) = org.stranger.new_organization("Other").await;
        let token = org.stranger.invite(&other).await.unwrap();
        let bound = Owner::Account(org.member.account().await);
        let bound = app.key(bound, None, Some(org.domain_id())).await;
        assert_eq!(bound.join(&token).await.unwrap_err().code, Code::NotFound);
        assert_eq!(bound.preview(&token).await.unwrap_err().code, Code::NotFound);
        org.member.join(&token).await.unwrap();
        let mine = bound.list_my_organizations(own::ListMyOrganizationsRequest::default()).await;
        assert_eq!(mine.unwrap().organizations.len(), 1);
    }

    async fn p24_a_changed_account_name_is_shown_at_once(app: TestApp) {
        let org = app.organization().await;
        app.clock.advance(Duration::from_secs(1));
        let email = "ben@example.com".parse().unwrap();
        let renamed = Owner::Email { email, name: Some("Zacharias".into()) };
        app.key(renamed, None, None).await;
        let names: Vec<String> = org
            .admin
            .members(&org.id)
            .await
            .unwrap()
            .into_iter()
            .map(|member| member.full_name)
            .collect();
        assert_eq!(names, ["ana", "Zacharias"]);
    }
}
