use crate::everywhere;
use crate::support::{Code, TestApp, own};

fn request(invitation: &str) -> own::DeclineRequest {
    own::DeclineRequest { invitation: invitation.into(), request_id: String::new() }
}

everywhere! {
    async fn only_the_recipient_can_decline_an_invitation(app: TestApp) {
        let org = app.organization().await;
        let (gus, zoe) = (app.person("gus").await, &org.stranger);
        for by_token in [true, false] {
            let invited = org.admin.invite_address(&org.id, "zoe@example.com", "read").await.unwrap();
            let invite = invited.invite.unwrap();
            let token = app.mailed_token(&org.id, &invite.id).await;
            let failure = gus.decline_invite(request(&token)).await.unwrap_err();
            assert_eq!((failure.code, failure.reason.as_str()), (Code::PermissionDenied, "EMAIL_MISMATCH"));
            assert!(!failure.message.contains('@'));
            let failure = gus.decline_invite(request(&invite.id)).await.unwrap_err();
            assert_eq!(failure.code, Code::NotFound);

            let named = if by_token { &token } else { &invite.id };
            let with_request_id = own::DeclineRequest { request_id: "r".into(), ..request(named) };
            // The same request may be repeated, because its response may be lost.
            if by_token {
                zoe.decline_invite(with_request_id.clone()).await.unwrap();
                zoe.decline_invite(with_request_id).await.unwrap();
            } else {
                zoe.decline_invite(request(named)).await.unwrap();
            }
            assert_eq!(zoe.decline_invite(request(named)).await.unwrap_err().code, Code::NotFound);
            assert_eq!(zoe.join(&token).await.unwrap_err().code, Code::NotFound);
            let ended = org.admin.invite_by_id(&org.id, &invite.id).await.unwrap();
            assert_eq!((ended.state(), ended.end_reason.as_str()), (own::InviteState::Declined, "DECLINED"));
            assert_eq!(ended.ended_by, "");
        }
        // An ended invitation gives the same error as an unknown one, to each holder of its token.
        let invited = org.admin.invite_address(&org.id, "zoe@example.com", "read").await.unwrap();
        let invite = invited.invite.unwrap();
        let token = app.mailed_token(&org.id, &invite.id).await;
        org.admin.revoke(&org.id, &invite.id).await.unwrap();
        let unknown = uuid::Uuid::new_v4().to_string();
        let unknown = gus.decline_invite(request(&unknown)).await.unwrap_err();
        for person in [&gus, zoe] {
            assert_eq!(person.decline_invite(request(&token)).await.unwrap_err(), unknown);
        }
        let link = org.admin.link(&org.id, "read").await.unwrap();
        assert_eq!(zoe.decline_invite(request(&link.token)).await.unwrap_err().code, Code::NotFound);
        assert_eq!(zoe.decline_invite(request("x")).await.unwrap_err().fields, ["invitation"]);
    }
}
