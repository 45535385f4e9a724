use crate::support::{Code, Engine, Person, Protocol, TestApp};
use crate::{everywhere, on_both_engines};

everywhere! {
    async fn p27_the_preview_shows_only_the_organization_and_member_count(app: TestApp) {
        let org = app.organization().await;
        let token = org.admin.invite(&org.id).await.unwrap();
        for person in [&org.stranger, &org.member, &org.admin] {
            let preview = person.preview(&token.to_uppercase()).await.unwrap();
            assert_eq!(preview.organization_id, org.id);
            assert_eq!(preview.organization_name, "Acme");
            assert_eq!(preview.organization_member_count, 2);
        }
        let failure = app.without_credential().preview(&token).await.unwrap_err();
        assert_eq!(failure.code, Code::Unauthenticated);
        let failure = org.stranger.preview("x").await.unwrap_err();
        assert_eq!((failure.code, failure.fields), (Code::InvalidArgument, vec!["invite_id".into()]));
    }
}

on_both_engines! {
    async fn a_preview_writes_no_audit_event(app: TestApp) {
        let org = app.organization().await;
        let token = org.admin.invite(&org.id).await.unwrap();
        let before = org.admin.audit(&org.id).await.unwrap();
        for _ in 0..20 {
            org.stranger.preview(&token).await.unwrap();
        }
        assert_eq!(org.admin.audit(&org.id).await.unwrap(), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_allows_previews_without_a_credential() {
    for protocol in Protocol::ALL {
        let app =
            TestApp::configured(Engine::Sqlite, protocol, |config| config.public_preview = true)
                .await;
        let org = app.organization().await;
        let token = org.admin.invite(&org.id).await.unwrap();
        assert_eq!(
            app.without_credential().preview(&token).await.unwrap().organization_name,
            "Acme"
        );
        // A wrong credential is still rejected, and no other call works without a credential.
        let broken = Person::new(app.client(), Some("gl_0_0".into()));
        let failure = broken.preview(&token).await.unwrap_err();
        assert_eq!(failure.code, Code::Unauthenticated);
        let failure = app.without_credential().join(&token).await.unwrap_err();
        assert_eq!(failure.code, Code::Unauthenticated);
        app.stop().await;
    }
}
