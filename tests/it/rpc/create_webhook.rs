use guestlist::config::Config;

use crate::support::{Code, TestApp, own};
use crate::{everywhere, on_both_engines_with};

const URL: &str = "http://127.0.0.1:9/hooks";

everywhere! {
    async fn a_webhook_is_made_with_a_secret_that_is_shown_once(app: TestApp) {
        let org = app.organization().await;
        let request = own::CreateWebhookRequest {
            organization_id: org.id.clone(),
            url: URL.into(),
            description: "For the ledger".into(),
            event_types: ["member.joined", "member.left", "member.joined"].map(str::to_owned).to_vec(),
        };
        let made = org.admin.create_webhook(request).await.unwrap();
        assert!(made.secret.starts_with("whsec_") && made.secret.len() == 50, "32 bytes in base64");
        let webhook = made.webhook.unwrap();
        assert_eq!((webhook.organization_id.as_str(), webhook.url.as_str()), (org.id.as_str(), URL));
        assert_eq!(webhook.description, "For the ledger");
        assert_eq!(webhook.event_types, ["member.joined", "member.left"]);
        assert!(webhook.enabled && webhook.disabled_reason.is_empty());
        let shown = org.admin.webhook_by_id(&webhook).await.unwrap();
        assert_eq!(shown.create_time, webhook.create_time);
        assert!(!format!("{shown:?}").contains("whsec_"));
        let event = org.admin.audit(&org.id).await.unwrap().remove(0);
        assert_eq!((event.action.as_str(), &event.target_id), ("webhook.created", &webhook.id));
        let (second, secret) = org.admin.webhook(&org.id, URL).await.unwrap();
        assert_ne!((second.id, secret), (webhook.id, made.secret));
    }

    async fn an_invalid_url_or_event_type_is_reported_by_field_name(app: TestApp) {
        let org = app.organization().await;
        for (url, types, field) in [
            ("", &[][..], "url"),
            ("hooks", &[], "url"),
            ("ftp://127.0.0.1/", &[], "url"),
            ("http://u:p@127.0.0.1/", &[], "url"),
            ("http://127.0.0.1/#x", &[], "url"),
            ("http://10.0.0.1/", &[], "url"),
            (URL, &["member.joined", "member.vanished"], "event_types[1]"),
        ] {
            let request = own::CreateWebhookRequest {
                organization_id: org.id.clone(),
                url: url.into(),
                event_types: types.iter().map(|&kind| kind.to_owned()).collect(),
                ..Default::default()
            };
            let failure = org.admin.create_webhook(request).await.unwrap_err();
            assert_eq!((failure.code, &failure.fields), (Code::InvalidArgument, &vec![field.to_owned()]), "{url}");
        }
        // A caller outside the organization gets no error about the URL.
        let failure = org.stranger.webhook(&org.id, "http://10.0.0.1/").await.unwrap_err();
        assert_eq!(failure.code, Code::NotFound);
    }
}

fn limit_to_three(config: &mut Config) {
    config.webhooks.max_per_organization = 3;
}

async fn at_the_limit(app: &TestApp) {
    let (org, other) = (app.organization().await, app.organization().await);
    let made = (0..12).map(|_| org.admin.webhook(&org.id, URL));
    let made = futures::future::join_all(made).await;
    let (made, refused): (Vec<_>, Vec<_>) = made.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 3);
    for refused in refused {
        let failure = refused.unwrap_err();
        assert_eq!(
            (failure.code, failure.reason.as_str()),
            (Code::FailedPrecondition, "WEBHOOK_LIMIT")
        );
    }
    other.admin.webhook(&other.id, URL).await.unwrap();
    let operator = app.operator().await;
    for _ in 0..5 {
        operator.webhook("", URL).await.unwrap();
    }
}

on_both_engines_with! {
    limit_to_three;
    p42_parallel_calls_cannot_exceed_the_webhook_limit: at_the_limit;
}
