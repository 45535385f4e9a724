use crate::everywhere;
use crate::support::{Code, TestApp, gitpod};

use gitpod::OrganizationRole::{Admin, Member, Unspecified};

everywhere! {
    async fn only_admins_set_roles_and_the_same_role_changes_nothing(app: TestApp) {
        let org = app.organization().await;
        let failure = org.member.grant(&org.id, &org.member_id, Admin).await.unwrap_err();
        assert_eq!(failure.code, Code::PermissionDenied);
        let failure = org.stranger.grant(&org.id, &org.member_id, Admin).await.unwrap_err();
        assert_eq!(failure.code, Code::NotFound);

        let before = org.admin.audit(&org.id).await.unwrap().len();
        org.admin.grant(&org.id, &org.member_id, Member).await.unwrap();
        assert_eq!(org.admin.audit(&org.id).await.unwrap().len(), before);

        org.admin.grant(&org.id, &org.member_id, Admin).await.unwrap();
        let events = org.member.audit(&org.id).await.unwrap();
        assert_eq!(events.len(), before + 1);
        assert_eq!(events[0].action, "member.role_changed");
        assert_eq!(events[0].target_id, org.member_id);
        assert_eq!(events[0].note, "role: member → admin");
        org.member.invite(&org.id).await.unwrap();
    }

    async fn p20_the_last_admin_keeps_the_role(app: TestApp) {
        let org = app.organization().await;
        let failure = org.admin.grant(&org.id, &org.admin_id, Member).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::FailedPrecondition, "LAST_ADMIN"));
        org.admin.grant(&org.id, &org.member_id, Admin).await.unwrap();
        org.admin.grant(&org.id, &org.admin_id, Member).await.unwrap();
        assert_eq!(org.admin.invite(&org.id).await.unwrap_err().code, Code::PermissionDenied);
    }

    async fn the_error_names_every_invalid_field(app: TestApp) {
        let ana = app.person("ana").await;
        let failure = ana.grant("x", "y", Unspecified).await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument);
        assert_eq!(failure.fields, ["organization_id", "user_id", "role"]);
    }
}
