use crate::everywhere;
use crate::support::{Code, TestApp, gitpod, own};

fn request(organization: &str, member: &str, role: &str) -> own::SetMemberRoleRequest {
    own::SetMemberRoleRequest {
        organization_id: organization.into(),
        member_id: member.into(),
        role: role.into(),
    }
}

everywhere! {
    async fn every_role_can_be_set_by_its_name(app: TestApp) {
        let org = app.organization().await;
        for role in ["create", "edit", "developer", "review", "comment", "read", "guest", "member"] {
            org.admin.set_member_role(request(&org.id, &org.member_id, role)).await.unwrap();
            let mine = org.member.list_my_organizations(Default::default()).await.unwrap();
            assert_eq!(mine.organizations[0].role, role);
        }
        // A role that Gitpod's contract already shows as the requested role is not changed.
        org.admin.set_member_role(request(&org.id, &org.member_id, "review")).await.unwrap();
        org.admin.grant(&org.id, &org.member_id, gitpod::OrganizationRole::Member).await.unwrap();
        let mine = org.member.list_my_organizations(Default::default()).await.unwrap();
        assert_eq!(mine.organizations[0].role, "review");

        let failure = org.admin.set_member_role(request(&org.id, &org.admin_id, "edit")).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::FailedPrecondition, "LAST_ADMIN"));
        let failure = org.admin.set_member_role(request("x", "y", "king")).await.unwrap_err();
        assert_eq!(failure.fields, ["organization_id", "member_id", "role"]);
    }
}
