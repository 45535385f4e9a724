use crate::everywhere;
use crate::support::{Code, TestApp, link_to, own};

everywhere! {
    async fn admins_list_all_grants_and_members_only_their_own(app: TestApp) {
        let org = app.organization().await;
        let mut members = Vec::new();
        for (i, person) in [&org.stranger, &org.member].into_iter().enumerate() {
            let content = Some(own::content_grant::Content::Collection(format!("c{i}")));
            let grant = own::ContentGrant { content, level: "read".into() };
            let request = own::CreateLinkRequest {
                grants: Some(own::create_link_request::Grants::Grant(grant)),
                ..link_to(&org.id)
            };
            let link = org.admin.create_link(request).await.unwrap().invite.unwrap();
            members.push(person.join(&link.token).await.unwrap().user_id);
        }
        let request = own::ListGrantsRequest { organization_id: org.id.clone(), ..Default::default() };
        let all = org.admin.list_grants(request.clone()).await.unwrap().grants;
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].member_id, members[0]);

        let page = |page_token: &str| own::ListGrantsRequest {
            page: Some(own::PageRequest { page_size: 1, page_token: page_token.into() }),
            ..request.clone()
        };
        let first = org.admin.list_grants(page("")).await.unwrap();
        let second = org.admin.list_grants(page(&first.next_page_token)).await.unwrap();
        assert_eq!([first.grants, second.grants].concat(), all);
        assert_eq!(second.next_page_token, "");

        let of = |member: &str| own::ListGrantsRequest { member_id: member.into(), ..request.clone() };
        let one = org.admin.list_grants(of(&members[1])).await.unwrap().grants;
        assert_eq!(one, all[1..]);
        assert_eq!(org.member.list_grants(request.clone()).await.unwrap().grants, all[1..]);
        assert_eq!(org.member.list_grants(of(&members[1])).await.unwrap().grants, all[1..]);
        let failure = org.member.list_grants(of(&members[0])).await.unwrap_err();
        assert_eq!(failure.code, Code::PermissionDenied);
    }
}
