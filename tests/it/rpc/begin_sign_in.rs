use crate::everywhere;
use crate::support::{Code, Engine, Protocol, TestApp, own};

fn request() -> own::BeginSignInRequest {
    own::BeginSignInRequest {
        issuer: "https://id.example".to_owned(),
        state: "s".repeat(16),
        nonce: "n".repeat(128),
        code_challenge: "c".repeat(43),
    }
}

everywhere! {
    async fn an_issuer_that_is_not_configured_is_not_found(app: TestApp) {
        let anonymous = app.without_credential();
        assert_eq!(anonymous.begin_sign_in(request()).await.unwrap_err().code, Code::NotFound);
        let wrong = own::BeginSignInRequest {
            state: "s".repeat(15),
            nonce: "n n n n n n n n n n".to_owned(),
            code_challenge: "c".repeat(42),
            ..request()
        };
        let failure = anonymous.begin_sign_in(wrong).await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument);
        assert_eq!(failure.fields, ["state", "nonce", "code_challenge"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p41_sign_ins_are_limited_by_network() {
    let app = TestApp::configured(Engine::Sqlite, Protocol::ConnectJson, |config| {
        config.limits.sign_ins_per_network = 3;
    })
    .await;
    let anonymous = app.without_credential();
    for _ in 0..3 {
        assert_eq!(anonymous.begin_sign_in(request()).await.unwrap_err().code, Code::NotFound);
    }
    let failure = anonymous.begin_sign_in(request()).await.unwrap_err();
    assert_eq!(failure.code, Code::ResourceExhausted);
    let ended = own::FinishSignInRequest {
        issuer: "https://id.example".to_owned(),
        code: "x".to_owned(),
        code_verifier: "v".repeat(43),
        nonce: "n".repeat(16),
        response_issuer: String::new(),
    };
    let failure = anonymous.finish_sign_in(ended).await.unwrap_err();
    assert_eq!(failure.code, Code::ResourceExhausted, "all steps share the limit");
    let renewed = own::RenewSignInRequest {
        issuer: "https://id.example".to_owned(),
        refresh_token: "x".to_owned(),
        token: "x".to_owned(),
    };
    let failure = anonymous.renew_sign_in(renewed).await.unwrap_err();
    assert_eq!(failure.code, Code::ResourceExhausted, "all steps share the limit");
    app.stop().await;
}
