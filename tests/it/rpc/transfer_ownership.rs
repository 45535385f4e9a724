use crate::support::{Code, Failure, Organization, TestApp, own};
use crate::{everywhere, on_both_engines};

async fn transfer(org: &Organization, to: &str, own_role: &str) -> Result<(), Failure> {
    let request = own::TransferOwnershipRequest {
        organization_id: org.id.clone(),
        member_id: to.to_owned(),
        own_role: own_role.to_owned(),
    };
    org.admin.transfer_ownership(request).await.map(drop)
}

everywhere! {
    async fn p08_a_transfer_of_ownership_ends_the_invites_of_the_old_owner(app: TestApp) {
        let org = app.organization().await;
        let link = org.admin.link(&org.id, "read").await.unwrap();
        transfer(&org, &org.member_id, "edit").await.unwrap();
        assert_eq!(org.member.membership(&org.id, None).await.unwrap().role, "admin");
        assert_eq!(org.admin.membership(&org.id, None).await.unwrap().role, "edit");
        let ended = org.member.invite_by_id(&org.id, &link.id).await.unwrap();
        assert_eq!(ended.end_reason, "INVITER_GONE");
        let events = org.member.audit(&org.id).await.unwrap();
        let changed = events.iter().filter(|event| event.action == "member.role_changed");
        assert_eq!(changed.count(), 2);
        // The caller is no longer an admin.
        assert_eq!(transfer(&org, &org.member_id, "read").await.unwrap_err().code, Code::PermissionDenied);
    }

    async fn a_transfer_to_an_invalid_member_changes_nothing(app: TestApp) {
        let org = app.organization().await;
        let failure = transfer(&org, &org.admin_id, "edit").await.unwrap_err();
        assert_eq!((failure.code, failure.fields), (Code::InvalidArgument, vec!["member_id".to_owned()]));
        let unknown = uuid::Uuid::new_v4().to_string();
        assert_eq!(transfer(&org, &unknown, "edit").await.unwrap_err().code, Code::NotFound);
        let suspend = own::SuspendMemberRequest { organization_id: org.id.clone(), member_id: org.member_id.clone() };
        org.admin.suspend_member(suspend).await.unwrap();
        assert_eq!(transfer(&org, &org.member_id, "edit").await.unwrap_err().reason, "SUSPENDED");
        assert_eq!(org.admin.membership(&org.id, None).await.unwrap().role, "admin");
    }
}

on_both_engines! {
    async fn p20_parallel_transfers_leave_exactly_one_admin(app: TestApp) {
        let org = app.organization().await;
        transfer(&org, &org.member_id, "admin").await.unwrap();
        let back = own::TransferOwnershipRequest {
            organization_id: org.id.clone(),
            member_id: org.admin_id.clone(),
            own_role: "read".into(),
        };
        let (one, other) = futures::join!(
            transfer(&org, &org.member_id, "read"),
            org.member.transfer_ownership(back),
        );
        // Each of the two transfers to the other, and the calls run one after the other.
        assert!(one.is_ok() && other.is_ok());
        let roles = [
            org.admin.membership(&org.id, None).await.unwrap().role,
            org.member.membership(&org.id, None).await.unwrap().role,
        ];
        assert_eq!(roles.iter().filter(|role| *role == "admin").count(), 1);
    }
}
