use crate::everywhere;
use crate::support::{Code, TestApp, gitpod};

everywhere! {
    async fn members_leave_and_admins_remove(app: TestApp) {
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

    async fn p20_the_last_admin_stays_while_others_remain(app: TestApp) {
        let org = app.organization().await;
        let failure = org.admin.end(&org.admin_id).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::FailedPrecondition, "LAST_ADMIN"));

        let admin = gitpod::OrganizationRole::Admin;
        org.admin.grant(&org.id, &org.member_id, admin).await.unwrap();
        org.admin.end(&org.admin_id).await.unwrap();
        let failure = org.member.grant(&org.id, &org.member_id, gitpod::OrganizationRole::Member);
        assert_eq!(failure.await.unwrap_err().reason, "LAST_ADMIN");
        // Nobody remains: the last one turns off the light.
        org.member.end(&org.member_id).await.unwrap();
    }

    async fn p19_a_membership_elsewhere_is_nobodys_business(app: TestApp) {
        let org = app.organization().await;
        let (_, theirs) = org.stranger.found("Other").await;
        assert_eq!(org.admin.end(&theirs).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.stranger.end(&org.member_id).await.unwrap_err().code, Code::NotFound);
        let role = gitpod::OrganizationRole::Member;
        let failure = org.admin.grant(&org.id, &theirs, role).await.unwrap_err();
        assert_eq!(failure.code, Code::NotFound);
        let failure = org.admin.end("nobody").await.unwrap_err();
        assert_eq!(failure.fields, ["user_id"]);
    }
}
