use crate::everywhere;
use crate::support::{Code, TestApp, own};

everywhere! {
    async fn revoking_ends_an_invite_of_any_kind_at_once(app: TestApp) {
        let org = app.organization().await;
        let link = org.admin.link(&org.id, "read").await.unwrap();
        let mail = org.admin.invite_address(&org.id, "zoe@example.com", "read").await.unwrap();
        let mail = mail.invite.unwrap();
        let token = app.mailed_token(&org.id, &mail.id).await;
        for id in [&link.id, &mail.id] {
            let revoked = org.admin.revoke(&org.id, id).await.unwrap();
            assert_eq!((revoked.state(), revoked.end_reason.as_str()), (own::InviteState::Revoked, "REVOKED"));
            assert_eq!(revoked.ended_by, org.admin_id);
            assert!(revoked.end_time.is_some());
            // A repeated call succeeds and changes nothing.
            // (The mail may be sent between the two calls.)
            let again = org.admin.revoke(&org.id, id).await.unwrap();
            assert_eq!(own::Invite { delivery: revoked.delivery, ..again }, revoked);
        }
        for dead in [&link.token, &token, &mail.id] {
            assert_eq!(org.stranger.join(dead).await.unwrap_err().code, Code::NotFound);
            assert_eq!(org.stranger.preview(dead).await.unwrap_err().code, Code::NotFound);
        }
        let (other, _) = org.admin.new_organization("Other").await;
        let elsewhere = org.admin.link(&other, "read").await.unwrap();
        assert_eq!(org.admin.revoke(&org.id, &elsewhere.id).await.unwrap_err().code, Code::NotFound);
        let events = org.admin.audit(&org.id).await.unwrap();
        assert_eq!(events.iter().filter(|event| event.action == "invite.revoked").count(), 2);
    }
}
