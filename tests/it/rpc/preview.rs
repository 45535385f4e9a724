use crate::everywhere;
use crate::support::{Code, Engine, Protocol, TestApp, own};

fn request(token: &str) -> own::PreviewRequest {
    own::PreviewRequest { token: token.into() }
}

everywhere! {
    async fn a_token_of_any_kind_can_be_previewed_without_spending_a_use(app: TestApp) {
        let org = app.organization().await;
        let join_link = org.admin.current_invite(&org.id).await.unwrap();
        let link = org.admin.link(&org.id, "read").await.unwrap();
        let invited = org.admin.invite_address(&org.id, "zoe@example.com", "read").await.unwrap();
        let invite = invited.invite.unwrap();
        let mailed = app.mailed_token(&org.id, &invite.id).await;
        for token in [&join_link, &link.token, &mailed] {
            let preview = org.stranger.preview_invite(request(token)).await.unwrap();
            assert_eq!((preview.organization_id.as_str(), preview.member_count), (org.id.as_str(), 2));
            assert_eq!(preview.organization_name, "Acme");
        }
        let gus = app.person("gus").await;
        assert_eq!(gus.preview_invite(request(&mailed)).await.unwrap_err().code, Code::NotFound);
        for no_token in [&link.id, &invite.id] {
            let failure = org.stranger.preview_invite(request(no_token)).await.unwrap_err();
            assert_eq!(failure.code, Code::NotFound);
        }
        assert_eq!(org.admin.invite_by_id(&org.id, &link.id).await.unwrap().uses, 0);
        let failure = app.without_credential().preview_invite(request(&link.token)).await.unwrap_err();
        assert_eq!(failure.code, Code::Unauthenticated);
        assert_eq!(gus.preview_invite(request("x")).await.unwrap_err().fields, ["token"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_allows_previews_without_a_credential() {
    let app = TestApp::configured(Engine::Sqlite, Protocol::ConnectJson, |config| {
        config.public_preview = true;
    })
    .await;
    let org = app.organization().await;
    let invited = org.admin.invite_address(&org.id, "zoe@example.com", "read").await.unwrap();
    let invite = invited.invite.unwrap();
    let mailed = app.mailed_token(&org.id, &invite.id).await;
    let preview = app.without_credential().preview_invite(request(&mailed)).await.unwrap();
    assert_eq!(preview.organization_id, org.id);
    let failure = app.without_credential().preview_invite(request(&invite.id)).await.unwrap_err();
    assert_eq!(failure.code, Code::NotFound, "an id does not preview");
    app.stop().await;
}
