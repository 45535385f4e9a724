use crate::everywhere;
use crate::support::{Code, TestApp, own};

everywhere! {
    async fn only_organizations_with_an_active_membership_are_listed(app: TestApp) {
        let org = app.organization().await;
        for name in ["Second", "Third"] {
            app.clock.advance(std::time::Duration::from_secs(1));
            org.admin.new_organization(name).await;
        }
        let mut names = Vec::new();
        let mut page_token = String::new();
        loop {
            let page = Some(own::PageRequest { page_size: 2, page_token });
            let listed =
                org.admin.list_my_organizations(own::ListMyOrganizationsRequest { page, filter: None }).await.unwrap();
            assert!(listed.organizations.len() <= 2);
            for entry in listed.organizations {
                assert_eq!(entry.role, "admin");
                names.push(entry.organization.unwrap().name);
            }
            page_token = listed.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(names, ["Acme", "Second", "Third"]);

        let mine = org.member.list_my_organizations(Default::default()).await.unwrap();
        assert_eq!(mine.organizations.len(), 1);
        assert_eq!(mine.organizations[0].role, "member");
        org.member.end(&org.member_id).await.unwrap();
        let mine = org.member.list_my_organizations(Default::default()).await.unwrap();
        assert_eq!(mine.organizations, []);

        let wrong = Some(own::PageRequest { page_size: 101, page_token: "x".into() });
        let failure = org.admin.list_my_organizations(own::ListMyOrganizationsRequest { page: wrong, filter: None });
        let failure = failure.await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument);
        assert_eq!(failure.fields, ["page.page_size"]);
    }
}
