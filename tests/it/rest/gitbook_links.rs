//! GitBook's contract: invite links.

use serde_json::{Value, json};

use super::client::{Rest, keys, send, send_json};
use super::delivered;
use super::gitbook::{create_link, join, link, links, message};
use crate::on_both_engines;
use crate::support::{Person, TestApp, own};

const ROLES: [&str; 6] = ["admin", "create", "edit", "review", "comment", "read"];

async fn page(admin: &Person, organization: &str, query: &str) -> Value {
    send(admin, "GET", &format!("{}{query}", links(organization))).await.json(200)
}

fn ids(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect()
}

on_both_engines! {
    async fn a_link_of_each_scope_has_its_fields(app: TestApp) {
        let org = app.organization().await;
        for role in ROLES.map(|role| json!(role)).into_iter().chain([Value::Null]) {
            let made = create_link(&org.admin, &org.id, &json!({"role": role})).await;
            assert_eq!(keys(&made), ["id", "object", "redundant", "role"]);
            assert_eq!((&made["object"], &made["role"]), (&json!("invite"), &role));
            assert_eq!(made["redundant"], true, "an admin has every role");
            let got = send(&org.admin, "GET", &link(&org.id, made["id"].as_str().unwrap())).await;
            assert_eq!(got.json(200), made);
            for kind in ["space", "collection"] {
                let id = format!("{kind}_1-A");
                let body = json!({"level": role, kind: id});
                let made = crate::rest::gitbook::create_link(&org.admin, &org.id, &body).await;
                let mut fields = ["id", "level", "object", "redundant", kind];
                fields.sort_unstable();
                assert_eq!(keys(&made), fields);
                assert_eq!((&made["object"], &made["level"]), (&json!("invite"), &role));
                assert_eq!(made[kind], json!({"object": kind, "id": id}));
                assert_eq!(made["redundant"], false, "the admin has no such grant");
                let path = link(&org.id, made["id"].as_str().unwrap());
                assert_eq!(send(&org.admin, "GET", &path).await.json(200), made);
            }
        }
    }

    async fn a_link_is_redundant_if_it_gives_the_caller_nothing_new(app: TestApp) {
        let org = app.organization().await;
        let made = create_link(&org.admin, &org.id, &json!({"level": "edit", "space": "s"})).await;
        let token = made["id"].as_str().unwrap();
        join(&org.admin, &org.id, token).await.json(200);
        let mine = send(&org.admin, "GET", &link(&org.id, token)).await.json(200);
        assert_eq!(mine["redundant"], true);
        // Another admin does not have this grant, and another level is a different grant.
        org.admin
            .grant(&org.id, &org.member_id, crate::support::gitpod::OrganizationRole::Admin)
            .await
            .unwrap();
        let theirs = send(&org.member, "GET", &link(&org.id, token)).await.json(200);
        assert_eq!(theirs["redundant"], false);
        let other = crate::rest::gitbook_link_changes::change_link(
            &org.admin,
            &org.id,
            &made,
            &json!({"level": "read"}),
        )
        .await;
        assert_eq!((&other["level"], &other["redundant"]), (&json!("read"), &json!(false)));
    }

    async fn live_links_of_organization_scope_are_listed_in_pages(app: TestApp) {
        let org = app.organization().await;
        let admin = &org.admin;
        assert_eq!(page(admin, &org.id, "").await, json!({"items": [], "count": 0}));
        let mut expected = Vec::new();
        for _ in 0..5 {
            let made = create_link(admin, &org.id, &json!({"role": "read"})).await;
            expected.push(made["id"].as_str().unwrap().to_owned());
        }
        create_link(admin, &org.id, &json!({"level": "read", "space": "s"})).await;
        create_link(admin, &org.id, &json!({"level": "read", "collection": "c"})).await;
        admin.invite(&org.id).await.unwrap();
        admin.invite_address(&org.id, "zoe@example.org", "read").await.unwrap();
        let gone = create_link(admin, &org.id, &json!({"role": "read"})).await;
        send(admin, "DELETE", &link(&org.id, gone["id"].as_str().unwrap())).await.empty(205);

        let all = page(admin, &org.id, "").await;
        assert_eq!(keys(&all), ["count", "items"]);
        assert_eq!(all["count"], 5);
        assert_eq!(ids(&all), expected);
        assert_eq!(keys(&all["items"][0]), ["id", "object", "redundant", "role"]);

        let mut found: Vec<String> = Vec::new();
        let mut query = "?limit=2".to_owned();
        for pages in 1..=3 {
            let part = page(admin, &org.id, &query).await;
            assert_eq!(part["count"], 5);
            found.extend(ids(&part).into_iter().map(str::to_owned));
            if pages == 3 {
                assert_eq!(keys(&part), ["count", "items"]);
            } else {
                assert_eq!(keys(&part["next"]), ["page"]);
                query = format!("?limit=2&page={}", part["next"]["page"].as_str().unwrap());
            }
        }
        assert_eq!(found, expected);
        for (limit, length) in [("0", 5), ("-0", 5), ("3", 3), ("3.0", 3), ("1e3", 5), ("1000", 5)]
        {
            let part = page(admin, &org.id, &format!("?limit={limit}")).await;
            assert_eq!(ids(&part).len(), length, "{limit}");
        }
    }

    async fn a_page_has_a_hundred_links_by_default(app: TestApp) {
        let org = app.organization().await;
        for _ in 0..101 {
            org.admin.link(&org.id, "read").await.unwrap();
        }
        for query in ["", "?limit=0"] {
            let first = page(&org.admin, &org.id, query).await;
            assert_eq!((ids(&first).len(), &first["count"]), (100, &json!(101)));
        }
        assert_eq!(ids(&page(&org.admin, &org.id, "?limit=1000").await).len(), 101);
    }

    async fn invalid_page_parameters_are_rejected(app: TestApp) {
        let org = app.organization().await;
        for limit in ["1001", "-1", "1.5", "x", "NaN", "inf", "1e9", "0x10", "%FF"] {
            let answer = send(&org.admin, "GET", &format!("{}?limit={limit}", links(&org.id))).await;
            assert_eq!(
                message(&answer, 400),
                "limit: must be a whole number of 0 to 1000",
                "{limit}"
            );
        }
        org.admin.link(&org.id, "read").await.unwrap();
        org.admin.link(&org.id, "read").await.unwrap();
        let (other, _) = org.admin.new_organization("Other").await;
        let first = page(&org.admin, &org.id, "?limit=1").await;
        let token = first["next"]["page"].as_str().unwrap();
        for (organization, token) in
            [(&other, token), (&org.id, "nonsense"), (&org.id, &token[1..])]
        {
            let path = format!("{}?page={token}", links(organization));
            let text = message(&send(&org.admin, "GET", &path).await, 400);
            assert!(text.starts_with("page: must be the token of the page before"), "{text}");
        }
        let twice = send(&org.admin, "GET", &format!("{}?limit=1&limit=2", links(&org.id))).await;
        assert_eq!(message(&twice, 400), "query: must name each parameter once");
    }

    async fn the_status_of_a_deletion_shows_whether_the_link_existed(app: TestApp) {
        let org = app.organization().await;
        for body in [json!({"role": "read"}), json!({"level": "read", "space": "s"})] {
            let made = create_link(&org.admin, &org.id, &body).await;
            let path = link(&org.id, made["id"].as_str().unwrap());
            send(&org.admin, "DELETE", &path).await.empty(205);
            send(&org.admin, "DELETE", &path).await.empty(204);
            assert_eq!(message(&send(&org.admin, "GET", &path).await, 404), "not found");
            let change = send_json(&org.admin, "PATCH", &path, &json!({"role": "edit"})).await;
            assert_eq!(message(&change, 404), "not found");
        }
        send(&org.admin, "DELETE", &link(&org.id, "no-uuid")).await.empty(204);
    }

    async fn p19_invites_of_other_kinds_and_other_organizations_are_not_found(app: TestApp) {
        let org = app.organization().await;
        let (other, _) = org.admin.new_organization("Other").await;
        let made = create_link(&org.admin, &org.id, &json!({"role": "read"})).await;
        let join_link = org.admin.invite(&org.id).await.unwrap();
        let invited = org.admin.invite_address(&org.id, "zoe@example.org", "read").await.unwrap();
        let invited = invited.invite.unwrap().id;
        delivered(&org.admin, &org.id, &invited).await;
        let mailed = app.mailed_token(&org.id, &invited).await;
        let before = app.database.dump().await;
        for (organization, token) in [
            (&other, made["id"].as_str().unwrap()),
            (&org.id, join_link.as_str()),
            (&org.id, mailed.as_str()),
        ] {
            let path = link(organization, token);
            assert_eq!(message(&send(&org.admin, "GET", &path).await, 404), "not found");
            let change = send_json(&org.admin, "PATCH", &path, &json!({"role": "edit"})).await;
            assert_eq!(message(&change, 404), "not found");
            send(&org.admin, "DELETE", &path).await.empty(204);
        }
        assert!(app.database.dump().await == before, "the database has changed");
    }

    async fn expired_and_used_up_links_are_not_found(app: TestApp) {
        let org = app.organization().await;
        let hour = std::time::Duration::from_secs(3600);
        let role = || Some(own::create_link_request::Grants::Role("read".to_owned()));
        let expires = own::CreateLinkRequest {
            expire_time: app.in_the_future(hour),
            grants: role(),
            ..crate::support::link_to(&org.id)
        };
        let once = own::CreateLinkRequest {
            max_uses: 1,
            grants: role(),
            ..crate::support::link_to(&org.id)
        };
        let expired = org.admin.create_link(expires).await.unwrap().invite.unwrap().token;
        let spent = org.admin.create_link(once).await.unwrap().invite.unwrap().token;
        assert_eq!(page(&org.admin, &org.id, "").await["count"], 2);
        join(&org.stranger, &org.id, &spent).await.json(200);
        app.clock.advance(hour);
        assert_eq!(page(&org.admin, &org.id, "").await, json!({"items": [], "count": 0}));
        for token in [&expired, &spent] {
            let path = link(&org.id, token);
            assert_eq!(message(&send(&org.admin, "GET", &path).await, 404), "not found");
            send(&org.admin, "DELETE", &path).await.empty(204);
        }
    }

    async fn invalid_input_is_reported_and_changes_nothing(app: TestApp) {
        let org = app.organization().await;
        let made = create_link(&org.admin, &org.id, &json!({"role": "read"})).await;
        let before = app.database.dump().await;
        let scopes = "body: must have exactly role, level and space, or level and collection";
        let roles = "must be one of `admin`, `create`, `edit`, `review`, `comment`, `read`";
        for (body, expected) in [
            ("", "body: is not JSON, at line 1, column 0"),
            ("[null, null]", "body: must be an object"),
            ("{}", scopes),
            (r#"{"level": "read"}"#, scopes),
            (r#"{"space": "s"}"#, scopes),
            (r#"{"role": null, "space": "s"}"#, scopes),
            (r#"{"role": null, "level": null}"#, scopes),
            (r#"{"role": "read", "level": "read", "space": "s"}"#, scopes),
            (r#"{"level": "read", "space": "s", "collection": "c"}"#, scopes),
            (r#"{"role": "s3cret"}"#, &format!("role: {roles}")),
            (r#"{"role": "member"}"#, &format!("role: {roles}")),
            (r#"{"role": "guest"}"#, &format!("role: {roles}")),
            (r#"{"role": 5}"#, "role: has a wrong value"),
            (r#"{"level": "Read", "space": "s"}"#, &format!("level: {roles}")),
            (r#"{"level": "read", "space": null}"#, "space: must be a string"),
            (r#"{"level": "read", "space": {"id": "s"}}"#, "space: must be a string"),
            (r#"{"level": "read", "space": ""}"#, "space: must be 1 to 128 letters"),
            (
                r#"{"level": "read", "collection": "s3cret!"}"#,
                "collection: must be 1 to 128 letters",
            ),
        ] {
            let request = Rest::new(&org.admin, "POST", &links(&org.id)).body(body.to_owned());
            let answer = request.with("content-type", "application/json").send().await;
            let text = message(&answer, 400);
            assert!(text.starts_with(expected), "{body}: {text}");
            assert!(!text.contains("s3cret"), "{text}");
        }
        for id in ["a.b", "%FF", "%20", "a%2Fb", "s3cret!"] {
            for method in ["GET", "DELETE"] {
                let text = message(&send(&org.admin, method, &link(&org.id, id)).await, 400);
                assert!(!text.contains("s3cret"), "{text}");
            }
            let path = link(id, made["id"].as_str().unwrap());
            let text = message(&send(&org.admin, "GET", &path).await, 400);
            assert!(!text.contains("s3cret"), "{text}");
        }
        assert!(app.database.dump().await == before, "the database has changed");
    }
}
