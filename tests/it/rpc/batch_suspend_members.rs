use crate::everywhere;
use crate::support::{Code, TestApp, own};

everywhere! {
    async fn p20_the_last_admin_is_not_suspended(app: TestApp) {
        let org = app.organization().await;
        org.admin.link(&org.id, "read").await.unwrap();
        let request = own::BatchSuspendMembersRequest {
            organization_id: org.id.clone(),
            member_ids: vec![org.member_id.clone(), org.admin_id.clone()],
        };
        let results = org.admin.batch_suspend_members(request).await.unwrap().results;
        assert!(results[0].done && results[0].reason.is_empty());
        assert_eq!((results[1].done, results[1].reason.as_str()), (false, "LAST_ADMIN"));
        assert_eq!(org.member.get(&org.id).await.unwrap_err().code, Code::PermissionDenied);
        org.admin.get(&org.id).await.unwrap();
    }
}
