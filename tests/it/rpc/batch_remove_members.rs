use crate::everywhere;
use crate::support::{Code, TestApp, own};

everywhere! {
    async fn p10_removed_members_are_gone_and_do_not_come_back_by_an_old_link(app: TestApp) {
        let org = app.organization().await;
        let token = org.admin.current_invite(&org.id).await.unwrap();
        let tom = app.person("tom").await;
        let third = tom.join(&token).await.unwrap().user_id;
        let request = own::BatchRemoveMembersRequest {
            organization_id: org.id.clone(),
            member_ids: vec![third.clone(), org.admin_id.clone(), org.member_id.clone()],
        };
        let results = org.admin.batch_remove_members(request).await.unwrap().results;
        let reasons: Vec<(bool, &str)> =
            results.iter().map(|result| (result.done, result.reason.as_str())).collect();
        assert_eq!(reasons, [(true, ""), (false, "LAST_ADMIN"), (true, "")]);
        assert_eq!(org.admin.members(&org.id).await.unwrap().len(), 1);
        for person in [&tom, &org.member] {
            assert_eq!(person.join(&token).await.unwrap_err().code, Code::NotFound);
        }
        let events = org.admin.audit(&org.id).await.unwrap();
        assert_eq!(events.iter().filter(|event| event.action == "member.removed").count(), 2);
    }
}
