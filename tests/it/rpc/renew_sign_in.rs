//! The renewal by real providers is in `tests/clients/sign-in`.

use crate::everywhere;
use crate::support::{Code, TestApp, own};

everywhere! {
    async fn an_issuer_that_is_not_configured_is_not_found(app: TestApp) {
        let request = own::RenewSignInRequest {
            issuer: "https://id.example".to_owned(),
            refresh_token: "x".to_owned(),
            token: "x".to_owned(),
        };
        let anonymous = app.without_credential();
        let failure = anonymous.renew_sign_in(request.clone()).await.unwrap_err();
        assert_eq!(failure.code, Code::NotFound);
        let wrong = own::RenewSignInRequest {
            refresh_token: String::new(),
            token: "x".repeat(8193),
            ..request
        };
        let failure = anonymous.renew_sign_in(wrong).await.unwrap_err();
        assert_eq!(failure.fields, ["refresh_token", "token"]);
    }
}
