use crate::everywhere;
use crate::support::{TestApp, own};

everywhere! {
    async fn requests_of_one_organization_are_listed_by_state_in_pages(app: TestApp) {
        let (org, other) = (app.organization().await, app.organization().await);
        let link = org.admin.approval_link(&org.id).await;
        let elsewhere = other.admin.approval_link(&other.id).await;
        let mut expected_ids = Vec::new();
        for i in 0..4 {
            let person = app.person(&format!("p{i}")).await;
            person.request_to_join(&elsewhere.token).await.unwrap();
            expected_ids.push(person.request_to_join(&link.token).await.unwrap().id);
        }
        let (mut listed, mut token) = (Vec::new(), String::new());
        loop {
            let page = own::ListJoinRequestsRequest {
                organization_id: org.id.clone(),
                state: 0,
                page: Some(own::PageRequest { page_size: 3, page_token: token }),
            };
            let page = org.admin.list_join_requests(page).await.unwrap();
            listed.extend(page.join_requests);
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(listed.iter().map(|one| one.id.clone()).collect::<Vec<_>>(), expected_ids);
        assert_eq!(listed[3].email, "p3@example.com");
        assert!(listed[3].email_verified);
        org.admin.deny(&listed[1], "", 0).await.unwrap();
        let denied = org.admin.requests(&org.id, own::JoinRequestState::Denied).await.unwrap();
        assert_eq!(denied.iter().map(|one| &one.id).collect::<Vec<_>>(), [&expected_ids[1]]);
        let pending = org.admin.requests(&org.id, own::JoinRequestState::Pending).await.unwrap();
        assert_eq!(pending.len(), 3);
    }
}
