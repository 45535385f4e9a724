use crate::everywhere;
use crate::support::{TestApp, own};

everywhere! {
    async fn without_an_issuer_that_people_sign_in_with_there_is_none(app: TestApp) {
        let answer = app.nobody().list_providers(own::ListProvidersRequest {}).await.unwrap();
        assert_eq!(answer.providers, []);
    }
}
