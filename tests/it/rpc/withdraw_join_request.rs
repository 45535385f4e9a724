use crate::everywhere;
use crate::support::{Code, TestApp, own};

everywhere! {
    async fn only_its_own_account_can_withdraw_a_join_request(app: TestApp) {
        let org = app.organization().await;
        let link = org.admin.approval_link(&org.id).await;
        let join_request = org.stranger.request_to_join(&link.token).await.unwrap();
        let other = app.person("oda").await;
        for person in [&other, &org.member, &org.admin] {
            assert_eq!(person.withdraw(&join_request).await.unwrap_err().code, Code::NotFound);
        }
        let withdrawn = org.stranger.withdraw(&join_request).await.unwrap();
        assert_eq!(withdrawn.state(), own::JoinRequestState::Withdrawn);
        assert!(withdrawn.decided_by.is_empty() && withdrawn.decide_time.is_some());
        assert_eq!(org.stranger.withdraw(&join_request).await.unwrap(), withdrawn);
        let event = org.admin.audit(&org.id).await.unwrap().remove(0);
        assert_eq!((event.action.as_str(), &event.target_id), ("join_request.withdrawn", &join_request.id));
        assert_ne!(org.stranger.request_to_join(&link.token).await.unwrap().id, join_request.id);
    }
}
