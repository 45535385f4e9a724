use std::time::Duration;

use crate::everywhere;
use crate::support::{Code, TestApp, own};

everywhere! {
    async fn a_denied_account_may_request_again_after_the_pause(app: TestApp) {
        let org = app.organization().await;
        let link = org.admin.approval_link(&org.id).await;
        let join_request = org.stranger.request_to_join(&link.token).await.unwrap();
        let denied = org.admin.deny(&join_request, "Ask your manager first", 3600).await.unwrap();
        assert_eq!(denied.state(), own::JoinRequestState::Denied);
        assert_eq!((denied.reason.as_str(), &denied.decided_by), ("Ask your manager first", &org.admin_id));
        assert_eq!(org.admin.deny(&join_request, "other", 0).await.unwrap(), denied, "a repetition changes nothing");
        let failure = org.stranger.request_to_join(&link.token).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::FailedPrecondition, "ASK_LATER"));
        let failure = org.stranger.join(&link.token).await.unwrap_err();
        assert_eq!(failure.reason, "ASK_LATER");
        app.clock.advance(Duration::from_secs(3600));
        let again = org.stranger.request_to_join(&link.token).await.unwrap();
        assert_ne!(again.id, join_request.id);
        org.admin.deny(&again, "", 0).await.unwrap();
        org.stranger.request_to_join(&link.token).await.unwrap();
        for (reason, pause, field) in
            [("x".repeat(501), 0, "reason"), ("a\u{7}".into(), 0, "reason"), (String::new(), 366 * 86_400, "pause")]
        {
            let failure = org.admin.deny(&again, &reason, pause).await.unwrap_err();
            assert_eq!((failure.code, failure.fields), (Code::InvalidArgument, vec![field.to_owned()]));
        }
    }
}
