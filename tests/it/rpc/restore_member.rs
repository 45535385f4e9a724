use super::suspend_member::suspend;
use crate::everywhere;
use crate::support::{Code, TestApp, own};

everywhere! {
    async fn a_restored_member_has_the_rights_of_the_role_again(app: TestApp) {
        let org = app.organization().await;
        let restore = own::RestoreMemberRequest {
            organization_id: org.id.clone(),
            member_id: org.member_id.clone(),
        };
        org.admin.suspend_member(suspend(&org.id, &org.member_id)).await.unwrap();
        for _ in 0..2 {
            org.admin.restore_member(restore.clone()).await.unwrap();
        }
        assert_eq!(org.member.members(&org.id).await.unwrap().len(), 2);
        let events = org.admin.audit(&org.id).await.unwrap();
        assert_eq!(events.iter().filter(|event| event.action == "member.restored").count(), 1);
        org.member.end(&org.member_id).await.unwrap();
        assert_eq!(org.admin.restore_member(restore).await.unwrap_err().code, Code::NotFound);
    }
}
