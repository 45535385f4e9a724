use crate::everywhere;
use crate::support::{Code, TestApp, own};

everywhere! {
    async fn pages_contain_each_webhook_once(app: TestApp) {
        let (org, other) = (app.organization().await, app.organization().await);
        let mut made = Vec::new();
        for _ in 0..5 {
            made.push(org.admin.webhook(&org.id, "http://127.0.0.1:9/").await.unwrap().0.id);
        }
        other.admin.webhook(&other.id, "http://127.0.0.1:9/").await.unwrap();
        let (mut listed, mut page_token) = (Vec::new(), String::new());
        loop {
            let page = Some(own::PageRequest { page_size: 2, page_token });
            let request = own::ListWebhooksRequest { organization_id: org.id.clone(), page };
            let response = org.admin.list_webhooks(request).await.unwrap();
            assert!(response.webhooks.len() <= 2);
            listed.extend(response.webhooks.into_iter().map(|webhook| webhook.id));
            page_token = response.next_page_token;
            if page_token.is_empty() {
                break;
            }
            // A page token is valid only for its list.
            let page = Some(own::PageRequest { page_size: 2, page_token: page_token.clone() });
            let request = own::ListWebhooksRequest { organization_id: other.id.clone(), page };
            let failure = other.admin.list_webhooks(request).await.unwrap_err();
            assert_eq!(failure.code, Code::InvalidArgument);
        }
        assert_eq!(listed, made);
    }
}
