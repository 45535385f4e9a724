use std::time::Duration;

use crate::support::{Code, TestApp, gitpod, own};
use crate::{everywhere, on_both_engines};

fn request(organization: &str, id: &str) -> own::ResendRequest {
    own::ResendRequest { organization_id: organization.into(), id: id.into(), ..Default::default() }
}

everywhere! {
    async fn resending_gives_the_same_invitation_a_new_token_and_expiry(app: TestApp) {
        let org = app.organization().await;
        let first = org.admin.invite_address(&org.id, "zoe@example.com", "read").await.unwrap();
        let first = first.invite.unwrap();
        let old = app.mailed_token(&org.id, &first.id).await;
        app.clock.advance(Duration::from_secs(3600));
        let again = org.admin.resend_invite(request(&org.id, &first.id)).await.unwrap().invite.unwrap();
        assert_eq!((&again.id, &again.member_id), (&first.id, &first.member_id));
        assert_eq!(again.token, "");
        assert!(again.expire_time.unwrap().seconds >= first.expire_time.unwrap().seconds + 3600);
        let new = app.mailed_token(&org.id, &first.id).await;
        assert_ne!(new, old);
        assert_eq!(org.stranger.join(&old).await.unwrap_err().code, Code::NotFound);
        org.stranger.join(&new).await.unwrap();
        let failure = org.admin.resend_invite(request(&org.id, &first.id)).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::FailedPrecondition, "INVITE_ENDED"));
        let link = org.admin.link(&org.id, "read").await.unwrap();
        let failure = org.admin.resend_invite(request(&org.id, &link.id)).await.unwrap_err();
        assert_eq!(failure.reason, "NOT_AN_EMAIL_INVITATION");
    }
}

on_both_engines! {
    async fn resending_changes_the_inviter_and_the_time_of_creation(app: TestApp) {
        let org = app.organization().await;
        let admin = gitpod::OrganizationRole::Admin;
        // `first` is older than the removal by the admin below.
        org.member.end(&org.member_id).await.unwrap();
        let link = org.admin.link(&org.id, "read").await.unwrap();
        let first = org.admin.invite_address(&org.id, "ben@example.com", "read").await.unwrap();
        let first = first.invite.unwrap();
        // Joining by the link ends `first`, so a second invitation is made after the removal.
        let back = org.member.join(&link.token).await.unwrap();
        assert_eq!(
            org.admin.invite_by_id(&org.id, &first.id).await.unwrap().end_reason,
            "ALREADY_MEMBER"
        );
        org.admin.end(&back.user_id).await.unwrap();
        let second = org.admin.invite_address(&org.id, "ben@example.com", "read").await.unwrap();
        let second = second.invite.unwrap();

        let zoe = org.stranger.join(&link.token).await.unwrap();
        org.admin.grant(&org.id, &zoe.user_id, admin).await.unwrap();
        let resent = org.stranger.resend_invite(request(&org.id, &second.id)).await.unwrap();
        assert_eq!(resent.invite.unwrap().inviter_id, zoe.user_id);
        // The invitation now depends on the authority of the new inviter.
        org.stranger.end(&org.admin_id).await.unwrap();
        assert_eq!(org.stranger.invite_by_id(&org.id, &second.id).await.unwrap().state(), own::InviteState::Live);
        org.member.join(&second.id).await.unwrap();
    }

    async fn a_repeated_request_keeps_the_token(app: TestApp) {
        let org = app.organization().await;
        let first = org.admin.invite_address(&org.id, "zoe@example.com", "read").await.unwrap();
        let id = first.invite.unwrap().id;
        let resend_request = own::ResendRequest {
            request_id: "r1".into(),
            expire_time: app.in_the_future(Duration::from_secs(3630)),
            ..request(&org.id, &id)
        };
        org.admin.resend_invite(resend_request.clone()).await.unwrap();
        let token = app.mailed_token(&org.id, &id).await;
        // For a new request the expire time is now too early; for the first request it was valid.
        app.clock.advance(Duration::from_secs(60));
        org.admin.resend_invite(resend_request).await.unwrap();
        assert_eq!(app.mailed_token(&org.id, &id).await, token);
    }
}
