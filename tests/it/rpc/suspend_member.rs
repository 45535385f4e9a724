use crate::support::{Code, TestApp, gitpod, own};
use crate::{everywhere, on_both_engines};

pub fn suspend(organization: &str, member: &str) -> own::SuspendMemberRequest {
    own::SuspendMemberRequest { organization_id: organization.into(), member_id: member.into() }
}

everywhere! {
    async fn a_suspended_member_has_no_rights_and_keeps_the_seat(app: TestApp) {
        let org = app.organization().await;
        let token = org.admin.current_invite(&org.id).await.unwrap();
        for _ in 0..2 {
            org.admin.suspend_member(suspend(&org.id, &org.member_id)).await.unwrap();
        }
        let failure = org.member.get(&org.id).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::PermissionDenied, "SUSPENDED"));
        assert_eq!(org.member.end(&org.member_id).await.unwrap_err().code, Code::PermissionDenied);
        // An invite does not restore a suspended member.
        assert_eq!(org.member.join(&token).await.unwrap_err().code, Code::PermissionDenied);
        let listed = org.admin.members(&org.id).await.unwrap();
        let ben = listed.iter().find(|member| member.user_id == org.member_id).unwrap();
        assert_eq!(ben.status(), gitpod::UserStatus::Suspended);
        assert_eq!(org.admin.preview(&token).await.unwrap().organization_member_count, 2);
        let mine = org.member.list_my_organizations(Default::default()).await.unwrap();
        assert_eq!(mine.organizations, []);
        let events = org.admin.audit(&org.id).await.unwrap();
        assert_eq!(events.iter().filter(|event| event.action == "member.suspended").count(), 1);

        let failure = org.admin.suspend_member(suspend(&org.id, &org.admin_id)).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::FailedPrecondition, "LAST_ADMIN"));
    }
}

on_both_engines! {
    async fn p08_the_invites_of_a_suspended_admin_end_permanently(app: TestApp) {
        let org = app.organization().await;
        org.admin.grant(&org.id, &org.member_id, gitpod::OrganizationRole::Admin).await.unwrap();
        let link = org.member.link(&org.id, "read").await.unwrap();
        let join_link = org.member.invite(&org.id).await.unwrap();
        org.admin.suspend_member(suspend(&org.id, &org.member_id)).await.unwrap();
        let restore = own::RestoreMemberRequest {
            organization_id: org.id.clone(),
            member_id: org.member_id.clone(),
        };
        org.admin.restore_member(restore).await.unwrap();
        for token in [&link.token, &join_link] {
            assert_eq!(org.stranger.join(token).await.unwrap_err().code, Code::NotFound);
        }
        org.member.invite(&org.id).await.unwrap();
    }

    async fn p20_a_suspended_admin_does_not_count_as_an_admin(app: TestApp) {
        let org = app.organization().await;
        org.admin.grant(&org.id, &org.member_id, gitpod::OrganizationRole::Admin).await.unwrap();
        org.admin.suspend_member(suspend(&org.id, &org.member_id)).await.unwrap();
        let failure = org.admin.end(&org.admin_id).await.unwrap_err();
        assert_eq!(failure.reason, "LAST_ADMIN");
        // A suspended member who is removed is no longer a member.
        org.admin.end(&org.member_id).await.unwrap();
        assert_eq!(org.member.get(&org.id).await.unwrap_err().code, Code::NotFound);
    }
}
