//! The exchange with real providers is in `tests/clients/sign-in`.

use crate::everywhere;
use crate::support::{Code, TestApp, own};

everywhere! {
    async fn an_issuer_that_is_not_configured_is_not_found(app: TestApp) {
        let request = own::FinishSignInRequest {
            issuer: "https://id.example".to_owned(),
            code: "x".to_owned(),
            response_issuer: String::new(),
            code_verifier: "v".repeat(43),
            nonce: "n".repeat(16),
        };
        let anonymous = app.without_credential();
        let failure = anonymous.finish_sign_in(request.clone()).await.unwrap_err();
        assert_eq!(failure.code, Code::NotFound);
        let wrong = own::FinishSignInRequest {
            code: String::new(),
            code_verifier: "v".repeat(42),
            nonce: String::new(),
            ..request
        };
        let failure = anonymous.finish_sign_in(wrong).await.unwrap_err();
        assert_eq!(failure.fields, ["code", "code_verifier", "nonce"]);
    }
}
