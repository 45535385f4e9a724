use guestlist::operations::keys::Owner;

use crate::support::{Code, TestApp, gitpod, own};
use crate::{everywhere, on_both_engines};

fn leave(organization: &str, successor: &str) -> own::LeaveOrganizationRequest {
    own::LeaveOrganizationRequest {
        organization_id: organization.into(),
        successor_member_id: successor.into(),
    }
}

everywhere! {
    async fn members_can_leave_and_only_admins_can_remove_others(app: TestApp) {
        let org = app.organization().await;
        let token = org.admin.invite(&org.id).await.unwrap();
        let zoe = org.stranger.join(&token).await.unwrap().user_id;

        let failure = org.member.end(&zoe).await.unwrap_err();
        assert_eq!(failure.code, Code::PermissionDenied);
        org.member.end(&org.member_id).await.unwrap();
        assert_eq!(org.member.get(&org.id).await.unwrap_err().code, Code::NotFound);
        org.admin.end(&zoe).await.unwrap();
        assert_eq!(org.stranger.get(&org.id).await.unwrap_err().code, Code::NotFound);

        for gone in [&zoe, &org.member_id] {
            assert_eq!(org.admin.end(gone).await.unwrap_err().code, Code::NotFound);
        }
        assert_eq!(org.admin.preview(&token).await.unwrap().organization_member_count, 1);
        let actions: Vec<String> =
            org.admin.audit(&org.id).await.unwrap().into_iter().map(|e| e.action).collect();
        assert_eq!(actions[..2], ["member.removed", "member.left"]);
    }

    async fn p20_the_last_admin_cannot_leave_while_other_members_remain(app: TestApp) {
        let org = app.organization().await;
        let failure = org.admin.end(&org.admin_id).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::FailedPrecondition, "LAST_ADMIN"));

        let admin = gitpod::OrganizationRole::Admin;
        org.admin.grant(&org.id, &org.member_id, admin).await.unwrap();
        org.admin.end(&org.admin_id).await.unwrap();
        let failure = org.member.grant(&org.id, &org.member_id, gitpod::OrganizationRole::Member);
        assert_eq!(failure.await.unwrap_err().reason, "LAST_ADMIN");
        // If no other member remains, the last admin may leave.
        org.member.end(&org.member_id).await.unwrap();
    }

    async fn p19_a_membership_of_another_organization_is_not_found(app: TestApp) {
        let org = app.organization().await;
        let (_, theirs) = org.stranger.new_organization("Other").await;
        assert_eq!(org.admin.end(&theirs).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.stranger.end(&org.member_id).await.unwrap_err().code, Code::NotFound);
        let role = gitpod::OrganizationRole::Member;
        let failure = org.admin.grant(&org.id, &theirs, role).await.unwrap_err();
        assert_eq!(failure.code, Code::NotFound);
        let failure = org.admin.end("nobody").await.unwrap_err();
        assert_eq!(failure.fields, ["user_id"]);
    }

    async fn p20_the_last_admin_leaves_with_a_successor(app: TestApp) {
        let org = app.organization().await;
        let token = org.admin.current_invite(&org.id).await.unwrap();
        let (sue, max) = (app.person("sue").await, app.person("max").await);
        let sue_id = sue.join(&token).await.unwrap().user_id;
        let suspend =
            own::SuspendMemberRequest { organization_id: org.id.clone(), member_id: sue_id.clone() };
        org.admin.suspend_member(suspend).await.unwrap();
        let max_id = max.join(&token).await.unwrap().user_id;
        max.end(&max_id).await.unwrap();
        let (_, elsewhere) = org.admin.new_organization("Other").await;
        let unknown_id = uuid::Uuid::new_v4().to_string();
        let before = org.admin.audit(&org.id).await.unwrap().len();
        for wrong in ["", &unknown_id, &elsewhere, &org.admin_id, &sue_id, &max_id] {
            let failure = org.admin.leave_with_successor(leave(&org.id, wrong)).await.unwrap_err();
            let error = (failure.code, failure.reason.as_str());
            assert_eq!(error, (Code::FailedPrecondition, "LAST_ADMIN"), "{wrong}");
        }
        assert_eq!(org.admin.audit(&org.id).await.unwrap().len(), before);

        org.admin.leave_with_successor(leave(&org.id, &org.member_id)).await.unwrap();
        let gone = org.admin.leave_with_successor(leave(&org.id, &org.member_id)).await;
        assert_eq!(gone.unwrap_err().code, Code::NotFound);
        assert_eq!(org.member.membership(&org.id, None).await.unwrap().role, "admin");
        let events = org.member.audit(&org.id).await.unwrap();
        let of = |action: &str| events.iter().find(|event| event.action == action).unwrap();
        let (left, promoted) = (of("member.left"), of("member.role_changed"));
        assert_eq!((&left.target_id, &promoted.target_id), (&org.admin_id, &org.member_id));
        assert!(promoted.note.starts_with("role: member → admin"), "{}", promoted.note);
        // P08: the invites of the admin who left have ended.
        assert_eq!(max.join(&token).await.unwrap_err().code, Code::NotFound);
    }

    async fn a_successor_is_not_promoted_if_none_is_needed(app: TestApp) {
        let org = app.organization().await;
        let token = org.admin.current_invite(&org.id).await.unwrap();
        let max = app.person("max").await;
        let max_id = max.join(&token).await.unwrap().user_id;
        // A member who is no admin gives the successor no role by leaving.
        max.leave_with_successor(leave(&org.id, &org.member_id)).await.unwrap();
        assert_eq!(org.member.membership(&org.id, None).await.unwrap().role, "member");
        let failure = org.admin.end(&max_id).await.unwrap_err();
        assert_eq!(failure.code, Code::NotFound);

        let gus = app.person("gus").await;
        gus.join(&token).await.unwrap();
        let admin = gitpod::OrganizationRole::Admin;
        org.admin.grant(&org.id, &org.member_id, admin).await.unwrap();
        let gus_id = gus.membership(&org.id, None).await.unwrap().member_id;
        org.admin.leave_with_successor(leave(&org.id, &gus_id)).await.unwrap();
        assert_eq!(gus.membership(&org.id, None).await.unwrap().role, "member");
        gus.leave_with_successor(leave(&org.id, "")).await.unwrap();
        // The last member needs no successor.
        org.member.leave_with_successor(leave(&org.id, "")).await.unwrap();

        let failure = org.admin.leave_with_successor(leave("x", "y")).await.unwrap_err();
        assert_eq!(failure.fields, ["organization_id", "successor_member_id"]);
    }

    async fn p26_a_caller_who_is_no_member_gets_not_found(app: TestApp) {
        let org = app.organization().await;
        let unknown_id = uuid::Uuid::new_v4().to_string();
        let unknown = org.stranger.leave_with_successor(leave(&unknown_id, "")).await.unwrap_err();
        assert_eq!(unknown.code, Code::NotFound);
        let oda = app.person("oda").await;
        oda.new_organization("Other").await;
        let bound = Owner::Account(org.member.account().await);
        let (elsewhere, _) = org.member.new_organization("Elsewhere").await;
        let bound = app.key(bound, None, Some(elsewhere.parse().unwrap())).await;
        for who in [&org.stranger, &oda, &bound, &app.operator().await] {
            for successor in ["", &org.member_id] {
                let failure = who.leave_with_successor(leave(&org.id, successor)).await;
                assert_eq!(failure.unwrap_err(), unknown);
            }
        }
        assert_eq!(org.admin.members(&org.id).await.unwrap().len(), 2);
    }
}

on_both_engines! {
    async fn p20_an_admin_remains_if_the_successor_leaves_in_parallel(app: TestApp) {
        for round in 0..12 {
            let org = app.organization().await;
            let token = org.admin.current_invite(&org.id).await.unwrap();
            let max = app.person("max").await;
            max.join(&token).await.unwrap();
            let members = app.at_replicas(&[&org.member]).await.remove(0);
            let successor = members.last().unwrap();
            let left = org.admin.leave_with_successor(leave(&org.id, &org.member_id));
            let gone = successor.end(&org.member_id);
            // `join!` starts its calls in the order in which they are written.
            let (left, gone) = if round % 2 == 0 {
                futures::join!(left, gone)
            } else {
                let (gone, left) = futures::join!(gone, left);
                (left, gone)
            };
            // Max is still a member, so the last admin may not leave.
            let refused = match (left, gone) {
                (Ok(_), Err(failure)) | (Err(failure), Ok(())) => failure,
                both => panic!("{both:?}"),
            };
            assert_eq!(refused.reason, "LAST_ADMIN");
            let listed = max.members(&org.id).await.unwrap();
            let admins: Vec<&str> = listed
                .iter()
                .filter(|one| one.role() == gitpod::OrganizationRole::Admin)
                .map(|one| one.user_id.as_str())
                .collect();
            assert_eq!((listed.len(), admins.len()), (2, 1), "{listed:?}");
        }
    }
}
