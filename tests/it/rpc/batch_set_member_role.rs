use crate::everywhere;
use crate::support::{Code, TestApp, own};

everywhere! {
    async fn each_member_has_a_result_and_a_failure_does_not_stop_the_others(app: TestApp) {
        let org = app.organization().await;
        let token = org.admin.current_invite(&org.id).await.unwrap();
        let third = app.person("tom").await.join(&token).await.unwrap().user_id;
        let unknown = uuid::Uuid::new_v4().to_string();
        let mut request = own::BatchSetMemberRoleRequest {
            organization_id: org.id.clone(),
            member_ids: vec![org.member_id.clone(), unknown, org.admin_id.clone(), third],
            role: "review".into(),
        };
        let results = org.admin.batch_set_member_role(request.clone()).await.unwrap().results;
        let ids: Vec<&String> = results.iter().map(|result| &result.member_id).collect();
        assert_eq!(ids, request.member_ids.iter().collect::<Vec<_>>());
        let reasons: Vec<(bool, &str)> =
            results.iter().map(|result| (result.done, result.reason.as_str())).collect();
        assert_eq!(reasons, [(true, ""), (false, "NOT_FOUND"), (false, "LAST_ADMIN"), (true, "")]);
        assert_eq!(org.member.membership(&org.id, None).await.unwrap().role, "review");
        let before = org.admin.audit(&org.id).await.unwrap();
        org.admin.batch_set_member_role(request.clone()).await.unwrap();
        assert_eq!(org.admin.audit(&org.id).await.unwrap().len(), before.len(), "no new event");

        request.member_ids = vec![org.member_id.clone(); 2];
        let failure = org.admin.batch_set_member_role(request.clone()).await.unwrap_err();
        assert_eq!((failure.code, failure.fields), (Code::InvalidArgument, vec!["member_ids".to_owned()]));
        request.member_ids.clear();
        let failure = org.admin.batch_set_member_role(request.clone()).await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument);
        request.member_ids = vec![org.member_id.clone()];
        let failure = org.member.batch_set_member_role(request).await.unwrap_err();
        assert_eq!(failure.code, Code::PermissionDenied);
    }
}
