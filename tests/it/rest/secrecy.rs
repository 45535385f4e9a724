//! The secrets that the contracts show to each caller, and that a read changes nothing.

use serde_json::json;

use super::clickhouse::{create_invitation, invitation, invitations};
use super::client::{Rest, send};
use super::delivered;
use super::gitbook::{create_link, invites, join, link, links};
use crate::on_both_engines;
use crate::support::TestApp;
use crate::support::client::http;

on_both_engines! {
    async fn p04_only_admins_receive_tokens(app: TestApp) {
        let org = app.organization().await;
        let made = create_link(&org.admin, &org.id, &json!({"role": "read"})).await;
        let token = made["id"].as_str().unwrap();
        let one = create_invitation(&org.admin, &org.id, &json!({"email": "zoe@example.org"})).await;
        let mailed = app.mailed_token(&org.id, one["id"].as_str().unwrap()).await;
        let join_link = org.admin.invite(&org.id).await.unwrap();
        let paths = [
            "/v1/organizations".to_owned(),
            format!("/v1/organizations/{}", org.id),
            format!("/v1/organizations/{}/roles", org.id),
            invitations(&org.id),
            invitation(&org.id, one["id"].as_str().unwrap()),
            "/v1/user".to_owned(),
            "/v1/orgs".to_owned(),
            format!("/v1/orgs/{}", org.id),
            links(&org.id),
            link(&org.id, token),
        ];
        for path in &paths {
            // A mailed token is only in its mail; the join link is only in its own RPC.
            let text = send(&org.admin, "GET", path).await.text();
            assert!(!text.contains(&mailed) && !text.contains(&join_link), "{path}");
            for other in [&org.member, &org.stranger, &app.without_credential()] {
                let text = send(other, "GET", path).await.text();
                assert!(!text.contains(token) && !text.contains(&mailed), "{path}");
            }
        }
        let events = org.admin.audit(&org.id).await.unwrap();
        let trail = format!("{events:?}");
        assert!(trail.contains("invite") && !trail.contains(token) && !trail.contains(&mailed));
    }

    async fn p05_no_error_and_no_metric_contains_a_token_or_key(app: TestApp) {
        let org = app.organization().await;
        let made = create_link(&org.admin, &org.id, &json!({"role": "read"})).await;
        let token = made["id"].as_str().unwrap();
        let key = org.admin.key.as_deref().unwrap();
        let secret = key.rsplit_once('_').unwrap().1;
        let bodies = [
            token.to_owned(),
            format!("\"{token}\""),
            format!("{{\"{token}\": {token}}}"),
            json!({"email": token, "role": token, "emails": [token], "level": token}).to_string(),
            json!({"role": token}).to_string(),
            json!({"level": "read", "space": format!("{token} {key}")}).to_string(),
            json!({"email": "a@b.example", "assignedRoleIds": [token]}).to_string(),
            json!({"emails": [{"email": token, "role": null}]}).to_string(),
            json!({"emails": [{"email": "a@b.example", "role": token}]}).to_string(),
        ];
        let mut refused = 0;
        for person in [&org.admin, &org.member, &org.stranger, &app.without_credential()] {
            for path in [
                invitations(token),
                invitation(&org.id, token),
                invitations(&org.id),
                invites(&org.id),
                links(&org.id),
                link(token, token),
                link(&org.id, &format!("{token}.")),
                format!("{}/{token}/{token}", links(&org.id)),
                format!("{}?page={token}&limit={token}", links(&org.id)),
                format!("/v1/orgs?page={token}"),
                format!("/v1/user/{token}"),
            ] {
                for method in ["GET", "PATCH", "DELETE", "PUT"] {
                    let answer = send(person, method, &path).await;
                    let lists = answer.status.is_success();
                    assert!(lists || !answer.text().contains(token), "{method} {path}");
                    refused += u32::from(!lists);
                }
                for body in &bodies {
                    let request = Rest::new(person, "POST", &path).body(body.clone());
                    let request = request.with("content-type", "application/json");
                    let answer = request.with("idempotency-key", key).send().await;
                    assert!(!answer.status.is_success(), "{path} {body}");
                    let text = answer.text();
                    assert!(!text.contains(token) && !text.contains(secret), "{path} {text}");
                }
            }
        }
        assert!(refused > 100);
        let metrics = http::<http_body_util::Full<bytes::Bytes>>()
            .get(app.url("/metrics").parse().unwrap())
            .await
            .unwrap();
        let text = http_body_util::BodyExt::collect(metrics.into_body()).await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&text);
        assert!(!text.contains(token) && !text.contains(&org.id), "{text}");
        for (route, protocol) in [
            ("POST /v1/organizations/{organizationId}/invitations", "clickhouse"),
            ("GET /v1/orgs/{organizationId}/link-invites/{inviteId}", "gitbook"),
            ("/v1/orgs/{organizationId}/link-invites/{inviteId}", "gitbook"),
            ("(unknown)", "gitbook"),
        ] {
            let series = format!("rpc=\"{route}\",protocol=\"{protocol}\"");
            assert!(text.contains(&series), "{series}\n{text}");
        }
    }

    async fn p28_get_head_and_options_requests_change_nothing(app: TestApp) {
        let org = app.organization().await;
        let made = create_link(&org.admin, &org.id, &json!({"role": "read"})).await;
        let token = made["id"].as_str().unwrap();
        let one = create_invitation(&org.admin, &org.id, &json!({"email": "zoe@example.com"})).await;
        delivered(&org.admin, &org.id, one["id"].as_str().unwrap()).await;
        let before = app.database.dump().await;
        for path in [
            "/v1/organizations".to_owned(),
            format!("/v1/organizations/{}", org.id),
            format!("/v1/organizations/{}/roles", org.id),
            invitations(&org.id),
            invitation(&org.id, one["id"].as_str().unwrap()),
            "/v1/user".to_owned(),
            "/v1/orgs".to_owned(),
            format!("/v1/orgs/{}", org.id),
            invites(&org.id),
            format!("{}/{token}", invites(&org.id)),
            links(&org.id),
            link(&org.id, token),
        ] {
            for person in [&org.admin, &org.stranger] {
                for method in ["GET", "HEAD", "OPTIONS"] {
                    let answer = send(person, method, &path).await;
                    assert!(answer.status.as_u16() < 500, "{method} {path}");
                }
            }
        }
        assert!(app.database.dump().await == before, "the database has changed");
        join(&org.stranger, &org.id, token).await.json(200);
    }
}
