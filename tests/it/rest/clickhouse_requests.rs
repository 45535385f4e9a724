//! ClickHouse's contract: rejected requests and repeated requests.

use std::time::Duration;

use serde_json::{Value, json};

use super::clickhouse::{create_invitation, error, invitation, invitations, list_invitations};
use super::client::{Answer, Rest, send, send_json};
use crate::on_both_engines;
use crate::support::{Organization, Person, TestApp};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Invites with an idempotency key.
async fn invite_with_key(admin: &Person, organization: &str, key: &str, body: &Value) -> Answer {
    let request = Rest::new(admin, "POST", &invitations(organization)).json(body);
    request.with("idempotency-key", key).send().await
}

async fn delete(org: &Organization, id: &Value, key: &str) -> Answer {
    let path = invitation(&org.id, id.as_str().unwrap());
    Rest::new(&org.admin, "DELETE", &path).with("idempotency-key", key).send().await
}

on_both_engines! {
    async fn inviting_a_member_or_an_invited_address_is_a_conflict(app: TestApp) {
        let org = app.organization().await;
        let member = json!({"email": "Ben@example.com"});
        let answer = send_json(&org.admin, "POST", &invitations(&org.id), &member).await;
        assert_eq!(error(&answer, 409), "CONFLICT: the address is a member's already");

        let body = json!({"email": "zoe@example.org"});
        let made = create_invitation(&org.admin, &org.id, &body).await;
        let body = json!({"email": "ZOE@EXAMPLE.ORG", "role": "admin"});
        let answer = send_json(&org.admin, "POST", &invitations(&org.id), &body).await;
        assert_eq!(error(&answer, 409), "CONFLICT: the address has a pending invitation already");
        assert_eq!(list_invitations(&org.admin, &org.id).await, [made]);
        // An expired invitation does not block a new one.
        app.clock.advance(7 * DAY);
        assert_eq!(create_invitation(&org.admin, &org.id, &body).await["role"], "admin");
    }

    async fn without_a_free_seat_an_invitation_is_rejected(app: TestApp) {
        let org = app.organization().await;
        let operator = app.operator().await;
        let limit = crate::support::own::SetSeatLimitRequest {
            organization_id: org.id.clone(),
            seat_limit: 2,
        };
        operator.set_seat_limit(limit).await.unwrap();
        let body = json!({"email": "zoe@example.org"});
        let answer = send_json(&org.admin, "POST", &invitations(&org.id), &body).await;
        assert_eq!(error(&answer, 400), "BAD_REQUEST: every seat of this organization is taken");
        assert!(list_invitations(&org.admin, &org.id).await.is_empty());
    }

    async fn a_repeated_idempotency_key_does_not_repeat_the_request(app: TestApp) {
        let org = app.organization().await;
        let (admin, body) = (&org.admin, json!({"email": "zoe@example.org", "role": "admin"}));
        let events = async || admin.audit(&org.id).await.unwrap().len();
        let first = invite_with_key(admin, &org.id, "k-1", &body).await.json(200);
        let audited = events().await;
        let again = invite_with_key(admin, &org.id, "k-1", &body).await.json(200);
        assert_eq!(again["result"], first["result"]);
        assert_ne!(again["requestId"], first["requestId"]);
        assert_eq!(events().await, audited, "nothing was done twice");
        // A request with another key is a new request.
        assert!(error(&invite_with_key(admin, &org.id, "k-2", &body).await, 409).starts_with("CONFLICT: "));

        let other = json!({"email": "yan@example.org"});
        let answer = invite_with_key(admin, &org.id, "k-1", &other).await;
        assert_eq!(
            error(&answer, 400),
            "BAD_REQUEST: idempotency-key: was used for another request within the last 24 hours"
        );
        assert_eq!(list_invitations(admin, &org.id).await.len(), 1);
        // A key belongs to one account and one organization.
        let (second, _) = admin.new_organization("Second").await;
        invite_with_key(admin, &second, "k-1", &other).await.json(200);

        app.clock.advance(DAY);
        let late = invite_with_key(admin, &org.id, "k-1", &body).await;
        assert!(error(&late, 409).starts_with("CONFLICT: "), "a key is stored for one day");
    }

    async fn a_rejected_request_does_not_use_up_its_idempotency_key(app: TestApp) {
        let org = app.organization().await;
        let body = json!({"email": "zoe@example.org"});
        let made = create_invitation(&org.admin, &org.id, &body).await;
        assert_eq!(invite_with_key(&org.admin, &org.id, "k", &body).await.status, 409);
        delete(&org, &made["id"], "d").await.json(200);
        invite_with_key(&org.admin, &org.id, "k", &body).await.json(200);
    }

    async fn a_repeated_deletion_with_the_same_key_succeeds(app: TestApp) {
        let org = app.organization().await;
        let made = create_invitation(&org.admin, &org.id, &json!({"email": "zoe@example.org"})).await;
        delete(&org, &made["id"], "k").await.json(200);
        delete(&org, &made["id"], "k").await.json(200);
        assert_eq!(error(&delete(&org, &made["id"], "other").await, 404), "NOT_FOUND");
        // The key of a deletion is still free for an invitation.
        invite_with_key(&org.admin, &org.id, "k", &json!({"email": "zoe@example.org"})).await.json(200);
    }

    async fn authority_is_checked_before_the_idempotency_key(app: TestApp) {
        let org = app.organization().await;
        let body = json!({"email": "zoe@example.org"});
        invite_with_key(&org.admin, &org.id, "k", &body).await.json(200);
        assert!(
            error(&invite_with_key(&org.member, &org.id, "k", &body).await, 403).starts_with("FORBIDDEN: ")
        );
        assert_eq!(error(&invite_with_key(&org.stranger, &org.id, "k", &body).await, 404), "NOT_FOUND");
    }

    async fn invalid_input_is_reported_and_changes_nothing(app: TestApp) {
        let org = app.organization().await;
        let before = app.database.dump().await;
        let path = invitations(&org.id);
        for (body, expected) in [
            ("", "body: is not JSON, at line 1, column 0"),
            ("{\"email\": s3cret", "body: is not JSON, at line 1, column 11"),
            ("\"s3cret\"", "body: must be an object"),
            (r#"["a@b.example"]"#, "body: must be an object"),
            ("{}", "body: missing field `email`"),
            (r#"{"email": null}"#, "email: must be a string"),
            (r#"{"email": 5}"#, "email: must be a string"),
            (r#"{"email": "s3cret"}"#, "email: must be a mail address"),
            (
                r#"{"email": "a@b.example", "email": "a@b.example"}"#,
                "body: duplicate field `email`",
            ),
            (
                r#"{"email": "a@b.example", "role": "s3cret"}"#,
                "role: must be `developer` or `admin`",
            ),
            (
                r#"{"email": "a@b.example", "role": "Admin"}"#,
                "role: must be `developer` or `admin`",
            ),
            (r#"{"email": "a@b.example", "role": 1}"#, "role: has a wrong value"),
            (
                r#"{"email": "a@b.example", "assignedRoleIds": "s3cret"}"#,
                "assignedRoleIds: must be a sequence",
            ),
            (
                r#"{"email": "a@b.example", "assignedRoleIds": [5]}"#,
                "assignedRoleIds[0]: must be a string",
            ),
            (
                r#"{"email": "a@b.example", "assignedRoleIds": ["s3cret"]}"#,
                "assignedRoleIds[0]: must be the id of a role",
            ),
        ] {
            let request = Rest::new(&org.admin, "POST", &path).body(body.to_owned());
            let answer = request.with("content-type", "application/json").send().await;
            let error = error(&answer, 400);
            let message = error.strip_prefix("BAD_REQUEST: ").unwrap();
            assert!(message.starts_with(expected), "{body}: {message}");
            assert!(!message.contains("s3cret"), "{message}");
        }
        for key in ["", &"k".repeat(256)] {
            let answer = invite_with_key(&org.admin, &org.id, key, &json!({"email": "a@b.example"})).await;
            assert!(error(&answer, 400).contains("idempotency-key: must have 1 to 255"), "{key}");
        }
        let twice = Rest::new(&org.admin, "POST", &path).json(&json!({"email": "a@b.example"}));
        let answer = twice.and("idempotency-key", "a").and("idempotency-key", "b").send().await;
        assert_eq!(error(&answer, 400), "BAD_REQUEST: idempotency-key: must stand once");

        for path in [
            "/v1/organizations/s3cret".to_owned(),
            "/v1/organizations/s3cret/roles".to_owned(),
            "/v1/organizations/s3cret/invitations".to_owned(),
            invitation(&org.id, "s3cret"),
            invitation(&org.id, "%FF"),
            invitation(&org.id, "%2F"),
        ] {
            let error = error(&send(&org.admin, "GET", &path).await, 400);
            assert!(error.starts_with("BAD_REQUEST: "), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
        assert!(app.database.dump().await == before, "the database has changed");
    }
}
