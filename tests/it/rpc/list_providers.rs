use crate::everywhere;
use crate::support::{TestApp, own};

everywhere! {
    async fn without_a_sign_in_issuer_no_provider_is_listed(app: TestApp) {
        let answer = app.without_credential().list_providers(own::ListProvidersRequest {}).await.unwrap();
        assert_eq!(answer.providers, []);
    }
}
