//! P43 and P48 over REST: a response stays within `http.max_response_bytes`, lists in requests
//! have a maximum length, and no text may contain U+0000.

use guestlist::config::Config;
use serde_json::{Value, json};

use super::clickhouse::{error, invitations};
use super::client::{ask, give};
use super::gitbook::{invites, links, message};
use crate::on_both_engines;
use crate::support::{Engine, Protocol, TestApp, own, run_with};

fn small_answers(config: &mut Config) {
    config.http.max_response_bytes = 16 * 1024;
}

/// Runs a behaviour on both engines, with responses of at most 16 KiB.
fn with_small_answers(behaviour: impl AsyncFn(&TestApp)) {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        run_with(small_answers, engine, Protocol::Grpc, &behaviour);
    }
}

#[test]
fn p43_lists_without_pages_end_at_the_bound_of_an_answer() {
    with_small_answers(async |app| {
        let org = app.organization().await;
        let one = |i| own::EmailInvitation {
            email: format!("a{i}@example.org"),
            role: String::new(),
            ..Default::default()
        };
        let invite = async |range: std::ops::Range<i32>| {
            let request = own::InviteByEmailRequest {
                organization_id: org.id.clone(),
                invitations: range.map(one).collect(),
                ..Default::default()
            };
            org.admin.invite_by_email(request).await.unwrap();
        };
        invite(0..30).await;
        let answer = ask(&org.admin, "GET", &invitations(&org.id)).await;
        assert_eq!(answer.json(200)["result"].as_array().unwrap().len(), 30);
        assert!(answer.body.len() <= 16 * 1024);

        invite(30..100).await;
        let answer = ask(&org.admin, "GET", &invitations(&org.id)).await;
        let told = error(&answer, 400);
        assert!(told.contains("16384 bytes") && told.contains("InviteService/List"), "{told}");
        assert_eq!(answer.header("retry-after"), None, "a retry does not help");
        // The RPC that the error names returns pages.
        let request = own::ListRequest { organization_id: org.id.clone(), ..Default::default() };
        assert_eq!(org.admin.list_invites(request).await.unwrap().invites.len(), 25);
    });
}

#[test]
fn p43_lists_of_organizations_keep_the_bound_of_an_answer() {
    with_small_answers(async |app| {
        let ana = app.person("ana").await;
        for _ in 0..20 {
            ana.found(&"é".repeat(256)).await;
        }
        assert_eq!(ask(&ana, "GET", "/v1/organizations").await.json(200)["status"], 200);
        for _ in 0..20 {
            ana.found(&"é".repeat(256)).await;
        }
        let told = error(&ask(&ana, "GET", "/v1/organizations").await, 400);
        assert!(told.contains("ListMyOrganizations"), "{told}");
        let told = message(&ask(&ana, "GET", "/v1/orgs").await, 400);
        assert!(told.contains("`limit`"), "{told}");
        let page = ask(&ana, "GET", "/v1/orgs?limit=20").await.json(200);
        assert_eq!(page["items"].as_array().unwrap().len(), 20);
    });
}

on_both_engines! {
    async fn p43_lists_of_requests_have_bounds(app: TestApp) {
        let org = app.organization().await;
        let admin = &org.admin;
        let role = "d2139ce7-8f2b-56fe-aca8-333daab1d2ec";
        let body = json!({"email": "a@example.org", "assignedRoleIds": vec![role; 26]});
        let told = error(&give(admin, "POST", &invitations(&org.id), &body).await, 400);
        assert!(told.contains("assignedRoleIds: must have at most 25 entries"), "{told}");
        let body = json!({"emails": vec!["a@example.org"; 1001]});
        let told = message(&give(admin, "POST", &invites(&org.id), &body).await, 400);
        assert!(told.contains("emails: must have 1 to 1000 entries"), "{told}");
        // A thousand wrong addresses give one short error.
        let body = json!({"emails": vec!["no address"; 1000]});
        let answer = give(admin, "POST", &invites(&org.id), &body).await;
        let told = message(&answer, 400);
        assert!(told.starts_with("emails[0]: ") && told.ends_with(" more"), "{told}");
        assert!(answer.body.len() < 1024, "{told}");
    }

    async fn p48_no_text_of_any_route_has_a_nul(app: TestApp) {
        let org = app.organization().await;
        let document = ask(&org.admin, "GET", "/openapi.json").await.json(200);
        let mut asked = 0;
        for (template, methods) in document["paths"].as_object().unwrap() {
            let names: Vec<&str> = template.split(['{', '}']).skip(1).step_by(2).collect();
            for name in &names {
                let mut path = template.clone();
                for other in &names {
                    let value = if other == name { "a%00b" } else { &org.id };
                    path = path.replace(&format!("{{{other}}}"), value);
                }
                for method in methods.as_object().unwrap().keys().map(|m| m.to_uppercase()) {
                    // For any body: the path is checked, before or after the body.
                    let answer = give(&org.admin, &method, &path, &json!({"role": "read"})).await;
                    assert_eq!(answer.status, 400, "{method} {path}: {}", answer.text());
                    asked += 1;
                }
            }
        }
        assert!(asked >= 10, "the document has routes with path parameters");

        for query in ["page=%00", "page=a%00b", "limit=%00", "limit=1%00"] {
            for path in ["/v1/orgs", &links(&org.id)] {
                let answer = ask(&org.admin, "GET", &format!("{path}?{query}")).await;
                assert_eq!(answer.status, 400, "{path} {query}: {}", answer.text());
            }
        }
        let bodies: [(String, Value); 7] = [
            (invitations(&org.id), json!({"email": "a\0@example.org"})),
            (invitations(&org.id), json!({"email": "a@example.org", "role": "admin\0"})),
            (invitations(&org.id), json!({"email": "a@example.org", "assignedRoleIds": ["\0"]})),
            (invites(&org.id), json!({"emails": ["a\0@example.org"]})),
            (invites(&org.id), json!({"emails": [{"email": "\0", "role": "read"}]})),
            (links(&org.id), json!({"level": "read", "space": "a\0b"})),
            (links(&org.id), json!({"level": "read", "collection": "\0"})),
        ];
        for (path, body) in bodies {
            let answer = give(&org.admin, "POST", &path, &body).await;
            assert_eq!(answer.status, 400, "{path} {body}: {}", answer.text());
        }
    }
}
