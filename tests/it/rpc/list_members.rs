use std::time::Duration;

use crate::support::{Code, Organization, Person, TestApp, gitpod};
use crate::{everywhere, on_both_engines};

use gitpod::list_members_request::{Filter, Sort, SortField};

fn request(id: &str) -> gitpod::ListMembersRequest {
    gitpod::ListMembersRequest { organization_id: id.to_owned(), ..Default::default() }
}

fn filtered(id: &str, filter: Filter) -> gitpod::ListMembersRequest {
    gitpod::ListMembersRequest { filter: Some(filter), ..request(id) }
}

async fn names(person: &Person, request: gitpod::ListMembersRequest) -> Vec<String> {
    let list = person.list_members(request).await.unwrap();
    list.members.into_iter().map(|member| member.full_name).collect()
}

/// The names on all pages of `size` members, in order.
async fn all_pages(
    person: &Person,
    mut request: gitpod::ListMembersRequest,
    size: i32,
) -> Vec<String> {
    let mut names = Vec::new();
    let mut token = String::new();
    loop {
        request.pagination = Some(gitpod::PaginationRequest { page_size: size, token });
        let page = person.list_members(request.clone()).await.unwrap();
        assert!(page.members.len() <= usize::try_from(size).unwrap());
        names.extend(page.members.into_iter().map(|member| member.full_name));
        token = page.pagination.unwrap().next_token;
        if token.is_empty() {
            return names;
        }
    }
}

/// An organization with ana (admin) and ben, then eve, Cid and dan, who join in this order.
async fn organization_with_five_members(app: &TestApp) -> Organization {
    let org = app.organization().await;
    let token = org.admin.invite(&org.id).await.unwrap();
    for name in ["eve", "Cid", "dan"] {
        app.clock.advance(Duration::from_secs(1));
        let email = format!("{}@{name}.example", name.to_lowercase()).parse().unwrap();
        let owner = guestlist::operations::keys::Owner::Email { email, name: Some(name.into()) };
        app.key(owner, None, None).await.join(&token).await.unwrap();
    }
    org
}

everywhere! {
    async fn p48_a_search_ignores_case_and_unicode_composition_of_names(app: TestApp) {
        let org = app.organization().await;
        let token = org.admin.invite(&org.id).await.unwrap();
        for (i, name) in ["Jose\u{301} ΟΔΟΣΑ", "Ze\u{202e}\u{200b}\u{feff}d"].into_iter().enumerate() {
            let email = format!("p{i}@example.org").parse().unwrap();
            let owner = guestlist::operations::keys::Owner::Email { email, name: Some(name.into()) };
            app.key(owner, None, None).await.join(&token).await.unwrap();
        }
        for (search, expected) in [
            ("josé", "José ΟΔΟΣΑ"),
            ("JOSE\u{301}", "José ΟΔΟΣΑ"),
            ("jos\u{e9} οδος", "José ΟΔΟΣΑ"),
            ("ΟΔΟΣ", "José ΟΔΟΣΑ"),
            ("zed", "Zed"),
        ] {
            let filter = Filter { search: search.to_owned(), ..Default::default() };
            let seen = names(&org.admin, filtered(&org.id, filter)).await;
            assert_eq!(seen, [expected], "{search}");
        }
        for search in ["jose", "josee\u{301}", "ze\u{202e}"] {
            let filter = Filter { search: search.to_owned(), ..Default::default() };
            let seen = names(&org.admin, filtered(&org.id, filter)).await;
            assert!(seen.is_empty(), "{search}: {seen:?}");
        }
    }

    async fn the_caller_is_listed_first_and_the_others_by_name(app: TestApp) {
        let org = organization_with_five_members(app).await;
        for size in [1, 2, 3, 5, 100] {
            let seen = all_pages(&org.member, request(&org.id), size).await;
            assert_eq!(seen, ["ben", "ana", "Cid", "dan", "eve"], "pages of {size}");
            let seen = all_pages(&org.admin, request(&org.id), size).await;
            assert_eq!(seen, ["ana", "ben", "Cid", "dan", "eve"], "pages of {size}");
        }
        assert_eq!(org.stranger.members(&org.id).await.unwrap_err().code, Code::NotFound);
    }

    async fn members_are_sorted_by_name_or_join_date_over_all_pages(app: TestApp) {
        let org = organization_with_five_members(app).await;
        for (field, order, expected) in [
            (SortField::Name, gitpod::SortOrder::Asc, ["ana", "ben", "Cid", "dan", "eve"]),
            (SortField::Name, gitpod::SortOrder::Desc, ["eve", "dan", "Cid", "ben", "ana"]),
            (SortField::DateJoined, gitpod::SortOrder::Unspecified, ["ana", "ben", "eve", "Cid", "dan"]),
            (SortField::DateJoined, gitpod::SortOrder::Desc, ["dan", "Cid", "eve", "ben", "ana"]),
        ] {
            let sort = Some(Sort { field: field.into(), order: order.into() });
            let sorted = gitpod::ListMembersRequest { sort, ..request(&org.id) };
            for size in [1, 2, 5] {
                let seen = all_pages(&org.member, sorted.clone(), size).await;
                assert_eq!(seen, expected, "{field:?} {order:?} in pages of {size}");
            }
        }
    }

    async fn members_are_filtered_by_search_role_email_and_id(app: TestApp) {
        let org = organization_with_five_members(app).await;
        let id = org.id.as_str();
        let admins = vec![gitpod::OrganizationRole::Admin.into()];
        let others = vec![gitpod::OrganizationRole::Member.into()];
        let both = [admins.clone(), others.clone()].concat();
        for (filter, expected) in [
            (Filter { search: "CI".into(), ..Default::default() }, vec!["Cid"]),
            (Filter { search: "@EXAMPLE.com".into(), ..Default::default() }, vec!["ana", "ben"]),
            (Filter { search: "%".into(), ..Default::default() }, vec![]),
            (Filter { search: "_".into(), ..Default::default() }, vec![]),
            (Filter { roles: admins, ..Default::default() }, vec!["ana"]),
            (Filter { roles: others, ..Default::default() }, vec!["ben", "Cid", "dan", "eve"]),
            (Filter { roles: both, ..Default::default() }, vec!["ana", "ben", "Cid", "dan", "eve"]),
            (Filter { email: " DAN@Dan.example".into(), ..Default::default() }, vec!["dan"]),
            (Filter { email: "dan".into(), ..Default::default() }, vec![]),
            (
                Filter {
                    user_ids: vec![org.member_id.clone(), uuid::Uuid::new_v4().to_string()],
                    ..Default::default()
                },
                vec!["ben"],
            ),
            (Filter { login_provider: 3, ..Default::default() }, vec![]),
            (
                Filter {
                    exclude_group_ids: vec![uuid::Uuid::new_v4().to_string()],
                    exclude_members_in_any_team: true,
                    search: "e".into(),
                    ..Default::default()
                },
                vec!["ana", "ben", "Cid", "dan", "eve"],
            ),
        ] {
            assert_eq!(names(&org.admin, filtered(id, filter.clone())).await, expected, "{filter:?}");
        }
    }

    async fn members_who_left_are_listed_only_on_request(app: TestApp) {
        let org = app.organization().await;
        org.admin.end(&org.member_id).await.unwrap();
        assert_eq!(names(&org.admin, request(&org.id)).await, ["ana"]);
        let left = Filter {
            statuses: vec![gitpod::UserStatus::Left.into()],
            ..Default::default()
        };
        let gone = org.admin.list_members(filtered(&org.id, left)).await.unwrap().members;
        assert_eq!(gone.len(), 1);
        assert_eq!(gone[0].user_id, org.member_id);
        assert_eq!(gone[0].status(), gitpod::UserStatus::Left);
    }

    async fn the_count_is_returned_only_on_request_and_on_the_first_page(app: TestApp) {
        let org = organization_with_five_members(app).await;
        let mut request = request(&org.id);
        assert_eq!(org.admin.list_members(request.clone()).await.unwrap().count, None);
        request.count = Some(gitpod::CountRequest { include: true });
        request.pagination = Some(gitpod::PaginationRequest { page_size: 2, token: String::new() });
        let page = org.admin.list_members(request.clone()).await.unwrap();
        let count = page.count.unwrap();
        assert_eq!((count.value, count.relation()), (5, gitpod::CountResponseRelation::Eq));

        let token = page.pagination.unwrap().next_token;
        request.pagination = Some(gitpod::PaginationRequest { page_size: 2, token });
        assert_eq!(org.admin.list_members(request.clone()).await.unwrap().count, None);

        request.pagination = None;
        request.filter = Some(Filter { search: "e".into(), roles: vec![2], ..Default::default() });
        let count = org.admin.list_members(request).await.unwrap().count.unwrap();
        assert_eq!(count.value, 4);
    }

    async fn the_error_names_every_invalid_field(app: TestApp) {
        let org = app.organization().await;
        let many = vec![uuid::Uuid::new_v4().to_string(); 26];
        let wrong = gitpod::ListMembersRequest {
            organization_id: "x".into(),
            pagination: Some(gitpod::PaginationRequest { page_size: 101, token: String::new() }),
            filter: Some(Filter {
                search: "é".repeat(257),
                email: "x".repeat(321),
                user_ids: many,
                exclude_group_ids: vec!["x".into()],
                ..Default::default()
            }),
            ..Default::default()
        };
        let failure = org.admin.list_members(wrong).await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument);
        let expected = [
            "organization_id", "pagination.page_size", "filter.search", "filter.email",
            "filter.exclude_group_ids[0]", "filter.user_ids",
        ];
        assert_eq!(failure.fields, expected);

        let mut negative = request(&org.id);
        negative.pagination = Some(gitpod::PaginationRequest { page_size: -1, token: String::new() });
        let failure = org.admin.list_members(negative).await.unwrap_err();
        assert_eq!(failure.fields, ["pagination.page_size"]);
    }
}

on_both_engines! {
    async fn a_page_token_is_valid_only_for_its_caller_list_filter_and_order(app: TestApp) {
        let org = organization_with_five_members(app).await;
        let page = |token: &str| gitpod::ListMembersRequest {
            pagination: Some(gitpod::PaginationRequest { page_size: 2, token: token.to_owned() }),
            ..request(&org.id)
        };
        let first = org.admin.list_members(page("")).await.unwrap();
        let token = first.pagination.unwrap().next_token;
        assert!(org.admin.list_members(page(&token)).await.is_ok());

        let mut flipped = token.clone().into_bytes();
        flipped[10] = if flipped[10] == b'A' { b'B' } else { b'A' };
        let flipped = String::from_utf8(flipped).unwrap();
        let (other, _) = org.admin.new_organization("Other").await;
        let elsewhere = gitpod::ListMembersRequest { organization_id: other, ..page(&token) };
        let searched = gitpod::ListMembersRequest {
            filter: Some(Filter { search: "e".into(), ..Default::default() }),
            ..page(&token)
        };
        let sorted = gitpod::ListMembersRequest {
            sort: Some(Sort { field: SortField::Name.into(), order: 0 }),
            ..page(&token)
        };
        for (person, request) in [
            (&org.admin, page(&flipped)),
            (&org.admin, page("x")),
            (&org.admin, elsewhere),
            (&org.admin, searched),
            (&org.admin, sorted),
            (&org.member, page(&token)),
        ] {
            let failure = person.list_members(request).await.unwrap_err();
            assert_eq!(failure.code, Code::InvalidArgument);
            assert_eq!(failure.fields, ["pagination.token"]);
        }
    }

    async fn the_next_page_continues_after_members_have_joined_and_left(app: TestApp) {
        let org = organization_with_five_members(app).await;
        let page = |token: String| gitpod::ListMembersRequest {
            pagination: Some(gitpod::PaginationRequest { page_size: 3, token }),
            ..request(&org.id)
        };
        let first = org.admin.list_members(page(String::new())).await.unwrap();
        assert_eq!(first.members[2].full_name, "Cid");
        // A member of the first page leaves, and a new member sorts before the end of that page.
        org.member.end(&org.member_id).await.unwrap();
        let token = org.admin.current_invite(&org.id).await.unwrap();
        app.person("abe").await.join(&token).await.unwrap();
        let rest = org.admin.list_members(page(first.pagination.unwrap().next_token)).await.unwrap();
        let rest: Vec<&str> = rest.members.iter().map(|member| member.full_name.as_str()).collect();
        assert_eq!(rest, ["dan", "eve"]);
    }
}
