//! Joining by mail domain while an email invitation is pending for the same address.

use std::time::Duration;

use super::open_domain;
use crate::support::{Code, Engine, Organization, TestApp, gitpod, own};
use crate::{everywhere, on_both_engines};
use sea_orm::ConnectionTrait;

const ZOE: &str = "zoe@example.com";

/// An organization that addresses in example.com may join, and Zoe's invitation with this role.
async fn invited(app: &TestApp, role: &str) -> (Organization, own::Invite) {
    let org = app.organization().await;
    open_domain(&org.admin, &org.id).await;
    let invited = org.admin.invite_address(&org.id, ZOE, role).await.unwrap();
    (org, invited.invite.unwrap())
}

/// Zoe's role, by its name in Guestlist's own API.
async fn role_of_zoe(org: &Organization) -> String {
    let mine = org.stranger.list_my_organizations(Default::default()).await.unwrap();
    let here = mine.organizations.into_iter().find(|one| {
        one.organization.as_ref().is_some_and(|organization| organization.id == org.id)
    });
    here.unwrap().role
}

/// Actions and notes of the audit events about a target, oldest first.
async fn trail(org: &Organization, target: &str) -> Vec<(String, String)> {
    let events = org.admin.audit(&org.id).await.unwrap();
    let about = events.into_iter().rev().filter(|event| event.target_id == target);
    about.map(|event| (event.action, event.note)).collect()
}

fn owned(events: &[(&str, &str)]) -> Vec<(String, String)> {
    events.iter().map(|(action, note)| ((*action).to_owned(), (*note).to_owned())).collect()
}

/// Joins Zoe by domain. Checks that she is an ordinary member and that the invitation has ended.
async fn joins_as_member(org: &Organization, invite: &own::Invite) {
    let member = org.stranger.join_by_id(&org.id).await.unwrap();
    assert_ne!(member.user_id, invite.member_id);
    assert_eq!(role_of_zoe(org).await, "member");
    let ended = org.admin.invite_by_id(&org.id, &invite.id).await.unwrap();
    assert_eq!((ended.end_reason.as_str(), ended.uses), ("ALREADY_MEMBER", 0));
    assert_eq!(ended.state(), own::InviteState::Revoked);
    let last = trail(org, &invite.id).await.pop().unwrap();
    assert_eq!(last, ("invite.ended".to_owned(), "ALREADY_MEMBER".to_owned()));
}

everywhere! {
    async fn p17_a_domain_join_uses_a_pending_invitation_of_a_higher_role(app: TestApp) {
        for role in ["admin", "create"] {
            let (org, invite) = invited(app, role).await;
            let member = org.stranger.join_by_id(&org.id).await.unwrap();
            assert_eq!(member.user_id, invite.member_id, "the reserved id");
            assert_eq!(role_of_zoe(&org).await, role);
            let used = org.admin.invite_by_id(&org.id, &invite.id).await.unwrap();
            assert_eq!((used.end_reason.as_str(), used.uses), ("ACCEPTED", 1));
            assert_eq!(used.state(), own::InviteState::Accepted);
            let created = format!("by email, as {role}");
            assert_eq!(trail(&org, &invite.id).await, owned(&[("invite.created", &created)]));
            let joined = trail(&org, &member.user_id).await;
            let note = format!("as {role}, by invite {}", invite.id);
            assert_eq!(joined, owned(&[("member.joined", &note)]));
            // A second join, by domain or by the invitation, returns the same member.
            let again = org.stranger.join_by_id(&org.id).await.unwrap();
            assert_eq!(again.user_id, member.user_id);
            assert_eq!(org.stranger.join(&invite.id).await.unwrap().user_id, member.user_id);
        }
    }

    async fn p18_a_domain_join_ends_an_invitation_of_no_higher_role(app: TestApp) {
        for role in ["member", "edit", "developer", "review", "guest"] {
            let (org, invite) = invited(app, role).await;
            joins_as_member(&org, &invite).await;
            let failure = org.stranger.join(&invite.id).await.unwrap_err();
            assert_eq!(failure.code, Code::NotFound);
        }
    }
}

/// Sets columns of one row directly in the database.
async fn set(app: &TestApp, table: &str, id: &str, change: &str) {
    let id = match app.database.engine {
        Engine::Postgres => format!("'{id}'"),
        Engine::Sqlite => format!("x'{}'", id.replace('-', "")),
    };
    let connection = app.database.connect().await;
    let sql = format!("UPDATE {table} SET {change} WHERE id = {id}");
    assert_eq!(connection.execute_unprepared(&sql).await.unwrap().rows_affected(), 1);
    connection.close().await.unwrap();
}

on_both_engines! {
    async fn p17_an_invitation_whose_inviter_may_not_grant_it_is_not_used(app: TestApp) {
        for change in ["role = 'member'", "status = 'suspended'"] {
            let org = app.organization().await;
            open_domain(&org.admin, &org.id).await;
            let admin = gitpod::OrganizationRole::Admin;
            org.admin.grant(&org.id, &org.member_id, admin).await.unwrap();
            let invited = org.member.invite_address(&org.id, ZOE, "admin").await.unwrap();
            set(app, "members", &org.member_id, change).await;
            joins_as_member(&org, &invited.invite.unwrap()).await;
        }
        // An inviter whose role is below the invitation's role may not grant it.
        let (org, invite) = invited(app, "admin").await;
        set(app, "invites", &invite.id, "role = 'admin'").await;
        let admin = gitpod::OrganizationRole::Admin;
        org.admin.grant(&org.id, &org.member_id, admin).await.unwrap();
        set(app, "members", &org.admin_id, "role = 'create'").await;
        org.stranger.join_by_id(&org.id).await.unwrap();
        assert_eq!(role_of_zoe(&org).await, "member");
    }

    async fn p11_a_domain_join_does_not_use_an_expired_invitation(app: TestApp) {
        let (org, invite) = invited(app, "admin").await;
        app.clock.advance(Duration::from_secs(31 * 24 * 60 * 60));
        let member = org.stranger.join_by_id(&org.id).await.unwrap();
        assert_ne!(member.user_id, invite.member_id);
        assert_eq!(role_of_zoe(&org).await, "member");
        let ended = org.admin.invite_by_id(&org.id, &invite.id).await.unwrap();
        assert_eq!((ended.end_reason.as_str(), ended.uses), ("EXPIRED", 0));
        let last = trail(&org, &invite.id).await.pop().unwrap();
        assert_eq!(last.0, "invite.expired");
    }

    async fn p14_a_domain_join_without_a_free_seat_keeps_the_invitation_live(app: TestApp) {
        let operator = app.operator().await;
        let (org, invite) = invited(app, "admin").await;
        let limit = |seat_limit| own::SetSeatLimitRequest {
            organization_id: org.id.clone(),
            seat_limit,
        };
        operator.set_seat_limit(limit(2)).await.unwrap();
        let failure = org.stranger.join_by_id(&org.id).await.unwrap_err();
        assert_eq!(failure.reason, "SEAT_LIMIT");
        let kept = org.admin.invite_by_id(&org.id, &invite.id).await.unwrap();
        assert_eq!((kept.state(), kept.uses), (own::InviteState::Live, 0));
        operator.set_seat_limit(limit(3)).await.unwrap();
        let member = org.stranger.join_by_id(&org.id).await.unwrap();
        assert_eq!(member.user_id, invite.member_id);
    }

    async fn joining_by_link_ends_a_pending_invitation_and_writes_an_event(app: TestApp) {
        for role in ["admin", "guest"] {
            let (org, invite) = invited(app, role).await;
            let token = org.admin.invite(&org.id).await.unwrap();
            org.stranger.join(&token).await.unwrap();
            assert_eq!(role_of_zoe(&org).await, "member");
            let ended = org.admin.invite_by_id(&org.id, &invite.id).await.unwrap();
            assert_eq!((ended.end_reason.as_str(), ended.uses), ("ALREADY_MEMBER", 0));
            let last = trail(&org, &invite.id).await.pop().unwrap();
            assert_eq!(last, ("invite.ended".to_owned(), "ALREADY_MEMBER".to_owned()));
        }
    }

    async fn a_domain_join_keeps_invitations_of_other_accounts_and_organizations(app: TestApp) {
        let (org, _) = invited(app, "guest").await;
        let gus = org.admin.invite_address(&org.id, "gus@example.com", "admin").await.unwrap();
        let gus = gus.invite.unwrap();
        // An invitation of another organization for the same address stays, too.
        let (other, _) = org.admin.new_organization("Other").await;
        let elsewhere = org.admin.invite_address(&other, ZOE, "admin").await.unwrap();
        org.stranger.join_by_id(&org.id).await.unwrap();
        assert_eq!(role_of_zoe(&org).await, "member");
        let kept = org.admin.invite_by_id(&org.id, &gus.id).await.unwrap();
        assert_eq!(kept.state(), own::InviteState::Live);
        let kept = org.admin.invite_by_id(&other, &elsewhere.invite.unwrap().id).await.unwrap();
        assert_eq!(kept.state(), own::InviteState::Live);
    }
}
