use crate::everywhere;
use crate::support::{Code, TestApp};

everywhere! {
    async fn p19_an_invite_can_be_read_only_in_its_own_organization(app: TestApp) {
        let org = app.organization().await;
        let link = org.admin.link(&org.id, "read").await.unwrap();
        assert_eq!(org.admin.invite_by_id(&org.id, &link.id).await.unwrap(), link);
        let (other, _) = org.admin.new_organization("Other").await;
        assert_eq!(org.admin.invite_by_id(&other, &link.id).await.unwrap_err().code, Code::NotFound);
        // A token is not an id.
        assert_eq!(org.admin.invite_by_id(&org.id, &link.token).await.unwrap_err().code, Code::NotFound);
        org.admin.revoke(&org.id, &link.id).await.unwrap();
        assert_eq!(org.admin.invite_by_id(&org.id, &link.id).await.unwrap().token, "", "it has ended");
        let failure = org.admin.invite_by_id("x", "y").await.unwrap_err();
        assert_eq!(failure.fields, ["organization_id", "id"]);
    }
}
