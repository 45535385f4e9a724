use crate::everywhere;
use crate::support::{Code, TestApp};

everywhere! {
    async fn p07_a_new_link_ends_the_previous_one_at_once(app: TestApp) {
        let org = app.organization().await;
        let first = org.admin.invite(&org.id).await.unwrap();
        assert_eq!(org.admin.current_invite(&org.id).await.unwrap(), first);
        let second = org.admin.invite(&org.id).await.unwrap();
        assert_ne!(first, second);
        assert_eq!(org.stranger.preview(&first).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.stranger.join(&first).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.admin.current_invite(&org.id).await.unwrap(), second);
        org.stranger.join(&second).await.unwrap();
    }

    async fn p04_only_admins_ever_see_a_token(app: TestApp) {
        let org = app.organization().await;
        let token = org.admin.invite(&org.id).await.unwrap();
        assert_eq!(org.member.invite(&org.id).await.unwrap_err().code, Code::PermissionDenied);
        let failure = org.member.current_invite(&org.id).await.unwrap_err();
        assert_eq!(failure.code, Code::PermissionDenied);
        assert_eq!(org.stranger.invite(&org.id).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.stranger.current_invite(&org.id).await.unwrap_err().code, Code::NotFound);
        let events = format!("{:?}", org.admin.audit(&org.id).await.unwrap());
        let members = format!("{:?}", org.member.members(&org.id).await.unwrap());
        for shown in [events, members] {
            assert!(!shown.contains(&token), "{shown}");
        }
    }

    async fn p01_a_token_is_a_random_uuid_and_not_the_id_of_the_invite(app: TestApp) {
        let org = app.organization().await;
        let token: uuid::Uuid = org.admin.invite(&org.id).await.unwrap().parse().unwrap();
        assert_eq!(token.get_version_num(), 4);
        let events = org.admin.audit(&org.id).await.unwrap();
        let created = events.iter().find(|event| event.action == "invite.created").unwrap();
        // The id of a join link manages it; no account can join by it.
        let failure = org.stranger.join(&created.target_id).await.unwrap_err();
        assert_eq!(failure.code, Code::NotFound);
    }
}
