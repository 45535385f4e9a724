use crate::everywhere;
use crate::support::{Code, TestApp, own};

everywhere! {
    async fn only_its_own_account_withdraws_a_request(app: TestApp) {
        let org = app.organization().await;
        let link = org.admin.approval_link(&org.id).await;
        let asked = org.stranger.ask(&link.token).await.unwrap();
        let other = app.person("oda").await;
        for person in [&other, &org.member, &org.admin] {
            assert_eq!(person.withdraw(&asked).await.unwrap_err().code, Code::NotFound);
        }
        let withdrawn = org.stranger.withdraw(&asked).await.unwrap();
        assert_eq!(withdrawn.state(), own::JoinRequestState::Withdrawn);
        assert!(withdrawn.decided_by.is_empty() && withdrawn.decide_time.is_some());
        assert_eq!(org.stranger.withdraw(&asked).await.unwrap(), withdrawn);
        let event = org.admin.audit(&org.id).await.unwrap().remove(0);
        assert_eq!((event.action.as_str(), &event.target_id), ("join_request.withdrawn", &asked.id));
        assert_ne!(org.stranger.ask(&link.token).await.unwrap().id, asked.id);
    }
}
