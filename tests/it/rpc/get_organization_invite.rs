use crate::everywhere;
use crate::support::{Code, TestApp, gitpod};

everywhere! {
    async fn the_live_join_link_is_returned_and_created_if_missing(app: TestApp) {
        let ana = app.person("ana").await;
        let (id, _) = ana.new_organization("Acme").await;
        let made = ana.current_invite(&id).await.unwrap();
        assert_eq!(ana.current_invite(&id).await.unwrap(), made);
        app.person("ben").await.join(&made).await.unwrap();
        assert_eq!(ana.current_invite(&id).await.unwrap(), made, "a join does not use up the link");
        let created = ana.audit(&id).await.unwrap();
        let created = created.iter().filter(|event| event.action == "invite.created").count();
        assert_eq!(created, 1);
    }

    async fn p08_a_new_join_link_is_returned_after_the_inviter_was_removed(app: TestApp) {
        let org = app.organization().await;
        let admin = gitpod::OrganizationRole::Admin;
        org.admin.grant(&org.id, &org.member_id, admin).await.unwrap();
        let theirs = org.member.invite(&org.id).await.unwrap();
        org.admin.end(&org.member_id).await.unwrap();
        let fresh = org.admin.current_invite(&org.id).await.unwrap();
        assert_ne!(fresh, theirs);
        assert_eq!(org.stranger.join(&theirs).await.unwrap_err().code, Code::NotFound);
        org.stranger.join(&fresh).await.unwrap();
    }
}
