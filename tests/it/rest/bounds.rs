//! P43 and P48 over REST: a response stays within `http.max_response_bytes`, lists in requests
//! have a maximum length, and no text may contain U+0000.

use guestlist::config::Config;
use serde_json::{Value, json};

use super::clickhouse::{error, invitations};
use super::client::{send, send_json};
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
fn p43_a_list_without_pages_fails_above_the_response_size_limit() {
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
        let answer = send(&org.admin, "GET", &invitations(&org.id)).await;
        assert_eq!(answer.json(200)["result"].as_array().unwrap().len(), 30);
        assert!(answer.body.len() <= 16 * 1024);

        invite(30..100).await;
        let answer = send(&org.admin, "GET", &invitations(&org.id)).await;
        let text = error(&answer, 400);
        assert!(text.contains("16384 bytes") && text.contains("InviteService/List"), "{text}");
        assert_eq!(answer.header("retry-after"), None, "a retry does not help");
        // The RPC that the error names returns pages.
        let request = own::ListRequest { organization_id: org.id.clone(), ..Default::default() };
        assert_eq!(org.admin.list_invites(request).await.unwrap().invites.len(), 25);
    });
}

#[test]
fn p43_organization_lists_fail_above_the_response_size_limit() {
    with_small_answers(async |app| {
        let ana = app.person("ana").await;
        for _ in 0..20 {
            ana.new_organization(&"é".repeat(256)).await;
        }
        assert_eq!(send(&ana, "GET", "/v1/organizations").await.json(200)["status"], 200);
        for _ in 0..20 {
            ana.new_organization(&"é".repeat(256)).await;
        }
        let text = error(&send(&ana, "GET", "/v1/organizations").await, 400);
        assert!(text.contains("ListMyOrganizations"), "{text}");
        let text = message(&send(&ana, "GET", "/v1/orgs").await, 400);
        assert!(text.contains("`limit`"), "{text}");
        let page = send(&ana, "GET", "/v1/orgs?limit=20").await.json(200);
        assert_eq!(page["items"].as_array().unwrap().len(), 20);
    });
}

on_both_engines! {
    async fn p43_lists_in_requests_have_a_maximum_length(app: TestApp) {
        let org = app.organization().await;
        let admin = &org.admin;
        let role = "d2139ce7-8f2b-56fe-aca8-333daab1d2ec";
        let body = json!({"email": "a@example.org", "assignedRoleIds": vec![role; 26]});
        let text = error(&send_json(admin, "POST", &invitations(&org.id), &body).await, 400);
        assert!(text.contains("assignedRoleIds: must have at most 25 entries"), "{text}");
        let body = json!({"emails": vec!["a@example.org"; 1001]});
        let text = message(&send_json(admin, "POST", &invites(&org.id), &body).await, 400);
        assert!(text.contains("emails: must have 1 to 1000 entries"), "{text}");
        // A thousand wrong addresses give one short error.
        let body = json!({"emails": vec!["no address"; 1000]});
        let answer = send_json(admin, "POST", &invites(&org.id), &body).await;
        let text = message(&answer, 400);
        assert!(text.starts_with("emails[0]: ") && text.ends_with(" more"), "{text}");
        assert!(answer.body.len() < 1024, "{text}");
    }

    async fn p48_a_nul_in_any_text_of_a_route_is_rejected(app: TestApp) {
        let org = app.organization().await;
        let document = send(&org.admin, "GET", "/openapi.json").await.json(200);
        let mut requests = 0;
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
                    let answer = send_json(&org.admin, &method, &path, &json!({"role": "read"})).await;
                    assert_eq!(answer.status, 400, "{method} {path}: {}", answer.text());
                    requests += 1;
                }
            }
        }
        assert!(requests >= 10, "the document has routes with path parameters");

        for query in ["page=%00", "page=a%00b", "limit=%00", "limit=1%00"] {
            for path in ["/v1/orgs", &links(&org.id)] {
                let answer = send(&org.admin, "GET", &format!("{path}?{query}")).await;
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
            let answer = send_json(&org.admin, "POST", &path, &body).await;
            assert_eq!(answer.status, 400, "{path} {body}: {}", answer.text());
        }
    }
}
