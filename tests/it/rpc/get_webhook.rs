use guestlist::domain::KeyScope;
use guestlist::operations::keys::Owner;

use crate::everywhere;
use crate::support::{Code, TestApp, own};

everywhere! {
    async fn p19_only_its_owner_can_read_a_webhook(app: TestApp) {
        let (org, other) = (app.organization().await, app.organization().await);
        let operator = app.operator().await;
        let (webhook, _) = org.admin.webhook(&org.id, "http://127.0.0.1:9/").await.unwrap();
        let (global, _) = operator.webhook("", "http://127.0.0.1:9/").await.unwrap();
        assert_eq!(global.organization_id, "");
        let of = |organization: &str, id: &str| own::GetWebhookRequest {
            organization_id: organization.to_owned(),
            webhook_id: id.to_owned(),
        };
        let found = org.admin.get_webhook(of(&org.id, &webhook.id)).await.unwrap();
        assert_eq!(found.webhook.unwrap().id, webhook.id);
        assert_eq!(operator.get_webhook(of("", &global.id)).await.unwrap().webhook.unwrap().id, global.id);
        for (who, organization, id, code) in [
            (&other.admin, other.id.as_str(), &webhook.id, Code::NotFound),
            (&org.stranger, &org.id, &webhook.id, Code::NotFound),
            (&org.admin, &org.id, &global.id, Code::NotFound),
            (&org.admin, "", &global.id, Code::PermissionDenied),
            (&org.admin, "", &webhook.id, Code::PermissionDenied),
            (&operator, "", &webhook.id, Code::NotFound),
            (&operator, &org.id, &webhook.id, Code::NotFound),
            (&org.member, &org.id, &webhook.id, Code::PermissionDenied),
        ] {
            assert_eq!(who.get_webhook(of(organization, id)).await.unwrap_err().code, code);
        }
        // A key bound to one organization is not an operator of the deployment.
        let owner = Owner::Account(org.admin.account().await);
        let bound = app.key(owner, Some(KeyScope::Operator), Some(org.domain_id())).await;
        assert_eq!(bound.get_webhook(of("", &global.id)).await.unwrap_err().code, Code::PermissionDenied);
        bound.get_webhook(of(&org.id, &webhook.id)).await.unwrap();
    }
}
