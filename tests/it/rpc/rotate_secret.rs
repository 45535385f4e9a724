use std::time::Duration;

use crate::support::{TestApp, own};
use crate::webhooks::{Endpoint, of};
use crate::{everywhere, on_both_engines};

everywhere! {
    async fn both_secrets_sign_after_a_rotation(app: TestApp) {
        let org = app.organization().await;
        let endpoint = Endpoint::start().await;
        app.settle().await;
        let (webhook, first) = org.admin.webhook(&org.id, &endpoint.url).await.unwrap();
        endpoint.next_of("webhook.created").await;
        let (organization_id, webhook_id) = of(&webhook);
        let request = own::RotateSecretRequest { organization_id, webhook_id };
        let rotated = org.admin.rotate_secret(request).await.unwrap();
        assert!(rotated.secret.starts_with("whsec_") && rotated.secret != first);
        assert!(rotated.webhook.unwrap().previous_secret_expire_time.is_some());
        let received = endpoint.next_of("webhook.updated").await;
        assert_eq!(received.json()["data"]["webhook"]["changedFields"][0], "secret");
        assert_eq!(received.header("webhook-signature").split(' ').count(), 2);
        assert!(received.is_signed_by(&first) && received.is_signed_by(&rotated.secret));
        let event = org.admin.audit(&org.id).await.unwrap().remove(0);
        assert_eq!((event.action.as_str(), event.note.as_str()), ("webhook.updated", "secret"));
    }
}

on_both_engines! {
    async fn after_a_day_only_the_new_secret_signs(app: TestApp) {
        let org = app.organization().await;
        let endpoint = Endpoint::start().await;
        app.settle().await;
        let (webhook, _) = org.admin.webhook(&org.id, &endpoint.url).await.unwrap();
        let (organization_id, webhook_id) = of(&webhook);
        let request = own::RotateSecretRequest { organization_id, webhook_id };
        org.admin.rotate_secret(request).await.unwrap();
        endpoint.next_of("webhook.updated").await;
        app.clock.advance(Duration::from_secs(24 * 60 * 60 - 60));
        org.admin.link(&org.id, "read").await.unwrap();
        let before = endpoint.next_of("invite.created").await;
        assert_eq!(before.header("webhook-signature").split(' ').count(), 2);
        app.clock.advance(Duration::from_secs(60));
        org.admin.link(&org.id, "read").await.unwrap();
        let after = endpoint.next_of("invite.created").await;
        assert_eq!(after.header("webhook-signature").split(' ').count(), 1);
    }

    async fn p02_the_store_has_no_webhook_secret_in_plain_text(app: TestApp) {
        let org = app.organization().await;
        let (webhook, secret) = org.admin.webhook(&org.id, "http://127.0.0.1:9/").await.unwrap();
        let found = guestlist::storage::webhooks::find_with_secrets(
            app.store().read(),
            Some(org.domain_id()),
            webhook.id.parse().unwrap(),
        );
        let (_, sealed) = found.await.unwrap().unwrap();
        let plain = base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            secret.strip_prefix("whsec_").unwrap(),
        );
        let plain = plain.unwrap();
        let holds = |part: &[u8]| sealed.current.windows(8).any(|window| part.windows(8).any(|it| it == window));
        assert!(!holds(&plain) && !holds(secret.as_bytes()));
    }
}
