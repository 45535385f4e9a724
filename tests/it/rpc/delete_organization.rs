use guestlist::operations::keys::Owner;

use crate::everywhere;
use crate::support::{Code, TestApp};

everywhere! {
    async fn a_deleted_organization_is_gone_with_its_members_invites_and_keys(app: TestApp) {
        let org = app.organization().await;
        let token = org.admin.invite(&org.id).await.unwrap();
        let bound = Owner::Account(org.member.account().await);
        let bound = app.key(bound, None, Some(org.domain_id())).await;
        assert!(bound.get(&org.id).await.is_ok());

        assert_eq!(org.member.delete(&org.id).await.unwrap_err().code, Code::PermissionDenied);
        assert_eq!(org.stranger.delete(&org.id).await.unwrap_err().code, Code::NotFound);
        org.admin.delete(&org.id).await.unwrap();

        assert_eq!(org.admin.delete(&org.id).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.admin.get(&org.id).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.stranger.preview(&token).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.stranger.join(&token).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.member.end(&org.member_id).await.unwrap_err().code, Code::NotFound);
        assert_eq!(bound.get(&org.id).await.unwrap_err().code, Code::Unauthenticated);
        let mine = org.admin.list_my_organizations(Default::default()).await.unwrap();
        assert_eq!(mine.organizations, []);
    }
}
