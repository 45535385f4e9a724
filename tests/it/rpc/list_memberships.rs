use crate::everywhere;
use crate::support::{Code, TestApp, own, pairs};

everywhere! {
    async fn members_are_filtered_by_id_metadata_and_external_id(app: TestApp) {
        let org = app.organization().await;
        let mut ids = vec![org.admin_id.clone(), org.member_id.clone()];
        let mut accounts = vec![org.admin.account().await.to_string()];
        for (name, metadata, external_id) in [
            ("ada", pairs(&[("plan", "pro"), ("dept", "r&d")]), "1"),
            ("bob", pairs(&[("plan", "Pro")]), "2"),
            ("cem", pairs(&[("plan", "pro"), ("note", "\"dept\":\"r&d\"")]), ""),
            ("dot", pairs(&[("plan", "pro plus")]), "3"),
        ] {
            app.clock.advance(std::time::Duration::from_secs(1));
            let account = app.person(name).await.account().await.to_string();
            let request = own::AddMemberRequest {
                organization_id: org.id.clone(),
                account_id: account.clone(),
                role: "read".into(),
                metadata: metadata.clone(),
                external_id: external_id.into(),
                ..Default::default()
            };
            let added = org.admin.add_member(request).await.unwrap().membership.unwrap();
            assert_eq!((&added.metadata, added.external_id.as_str()), (&metadata, external_id));
            ids.push(added.member_id);
            accounts.push(account);
        }
        let list = async |filter: own::MembershipFilter, page_size: i32| {
            let (mut found, mut page_token) = (Vec::new(), String::new());
            loop {
                let request = own::ListMembershipsRequest {
                    organization_id: org.id.clone(),
                    filter: Some(filter.clone()),
                    page: Some(own::PageRequest { page_size, page_token }),
                };
                let page = org.member.list_memberships(request).await.unwrap();
                found.extend(page.memberships.into_iter().map(|one| one.member_id));
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    return found;
                }
            }
        };
        let other = app.organization().await;
        let by_ids = |member_ids: Vec<String>, account_ids: Vec<String>| own::MembershipFilter {
            member_ids, account_ids, ..Default::default()
        };
        for (filter, expected) in [
            (by_ids(vec![ids[3].clone(), ids[0].clone(), other.admin_id.clone()], vec![]), vec![0, 3]),
            (by_ids(vec![], accounts[..3].to_vec()), vec![0, 2, 3]),
            (by_ids(vec![ids[2].clone(), ids[4].clone()], accounts[..2].to_vec()), vec![2]),
            (by_ids(vec![other.admin_id.clone()], vec![]), vec![]),
            (own::MembershipFilter::default(), vec![0, 1, 2, 3, 4, 5]),
            (own::MembershipFilter { metadata: pairs(&[("plan", "pro")]), ..Default::default() }, vec![2, 4]),
            (
                own::MembershipFilter { metadata: pairs(&[("dept", "r&d"), ("plan", "pro")]), ..Default::default() },
                vec![2],
            ),
            (own::MembershipFilter { metadata: pairs(&[("plan", "p")]), ..Default::default() }, vec![]),
            (own::MembershipFilter { external_id: "2".into(), ..Default::default() }, vec![3]),
            (
                own::MembershipFilter {
                    metadata: pairs(&[("plan", "pro")]),
                    external_id: "2".into(),
                    ..Default::default()
                },
                vec![],
            ),
        ] {
            let expected: Vec<String> = expected.into_iter().map(|i: usize| ids[i].clone()).collect();
            let mut found = list(filter.clone(), 1).await;
            // The first two may join at the same time of the test's clock, so their order is open.
            found[..].sort();
            let mut sorted = expected.clone();
            sorted.sort();
            assert_eq!(found, sorted, "{filter:?}");
            assert_eq!(list(filter.clone(), 100).await.len(), expected.len(), "{filter:?}");
        }
        for filter in [by_ids(vec![ids[0].clone(); 101], vec![]), by_ids(vec![], vec!["x".into()])] {
            let request = own::ListMembershipsRequest {
                organization_id: org.id.clone(), filter: Some(filter), page: None,
            };
            let failure = org.member.list_memberships(request).await.unwrap_err();
            assert_eq!(failure.code, Code::InvalidArgument);
        }
        let request = own::ListMembershipsRequest {
            organization_id: org.id.clone(),
            filter: Some(own::MembershipFilter { metadata: pairs(&[("a b", "c")]), ..Default::default() }),
            page: None,
        };
        let failure = org.member.list_memberships(request).await.unwrap_err();
        assert_eq!((failure.code, failure.fields), (Code::InvalidArgument, vec!["filter.metadata".to_owned()]));
    }
}
