//! GitBook's contract: what a link grants, and changing it.

use guestlist::domain::Role;
use serde_json::{Value, json};

use super::client::{send, send_json};
use super::gitbook::{create_link, join, link, message};
use crate::on_both_engines;
use crate::support::{Person, TestApp};

const ROLES: [&str; 6] = ["admin", "create", "edit", "review", "comment", "read"];

pub async fn change_link(
    admin: &Person,
    organization: &str,
    link_of: &Value,
    body: &Value,
) -> Value {
    let path = link(organization, link_of["id"].as_str().unwrap());
    send_json(admin, "PATCH", &path, body).await.json(200)
}

on_both_engines! {
    async fn a_change_must_have_the_field_that_fits_the_scope_of_the_link(app: TestApp) {
        let org = app.organization().await;
        let role = create_link(&org.admin, &org.id, &json!({"role": "edit"})).await;
        for to in ROLES.map(|role| json!(role)).into_iter().chain([Value::Null, json!("edit")]) {
            let after = change_link(&org.admin, &org.id, &role, &json!({"role": to})).await;
            assert_eq!(
                after,
                json!({"object": "invite", "id": role["id"], "redundant": true, "role": to})
            );
        }
        let space = create_link(&org.admin, &org.id, &json!({"level": null, "space": "s"})).await;
        let after = change_link(&org.admin, &org.id, &space, &json!({"level": "create"})).await;
        assert_eq!((&after["level"], &after["space"]), (&json!("create"), &space["space"]));

        for (of, body) in [
            (&role, json!({})),
            (&role, json!({"level": "read"})),
            (&role, json!({"role": "read", "level": "read"})),
            (&role, json!({"role": "read", "level": null})),
            (&space, json!({})),
            (&space, json!({"role": "read"})),
            (&space, json!({"role": null, "level": "read"})),
        ] {
            let path = link(&org.id, of["id"].as_str().unwrap());
            let answer = send_json(&org.admin, "PATCH", &path, &body).await;
            assert!(message(&answer, 400).starts_with("body: must have "), "{body}");
        }
        // A changed link still joins, and a later read shows the change.
        join(&org.stranger, &org.id, role["id"].as_str().unwrap()).await.json(200);
        let got = send(&org.admin, "GET", &link(&org.id, space["id"].as_str().unwrap())).await;
        assert_eq!(got.json(200), after);
    }

    async fn a_change_to_the_shown_role_keeps_the_stored_role(app: TestApp) {
        let org = app.organization().await;
        for (stored, shown) in [("member", "edit"), ("developer", "edit"), ("edit", "edit")] {
            let made = org.admin.link(&org.id, stored).await.unwrap();
            let events = org.admin.audit(&org.id).await.unwrap().len();
            let path = link(&org.id, &made.token);
            let got = send(&org.admin, "GET", &path).await.json(200);
            assert_eq!(got["role"], shown);
            let same = send_json(&org.admin, "PATCH", &path, &json!({"role": "edit"})).await.json(200);
            assert_eq!(same, got);
            assert_eq!(org.admin.invite_by_id(&org.id, &made.id).await.unwrap().role, stored);
            assert_eq!(org.admin.audit(&org.id).await.unwrap().len(), events);
            send_json(&org.admin, "PATCH", &path, &json!({"role": "read"})).await.json(200);
            send_json(&org.admin, "PATCH", &path, &json!({"role": "edit"})).await.json(200);
            assert_eq!(org.admin.invite_by_id(&org.id, &made.id).await.unwrap().role, "edit");
        }
    }

    async fn every_role_is_shown_as_a_gitbook_role(app: TestApp) {
        let org = app.organization().await;
        for role in Role::ALL {
            let made = org.admin.link(&org.id, role.as_str()).await.unwrap();
            let got = send(&org.admin, "GET", &link(&org.id, &made.token)).await.json(200);
            let expected = match role {
                Role::Guest => Value::Null,
                Role::Member | Role::Developer => json!("edit"),
                other => json!(other.as_str()),
            };
            assert_eq!(got["role"], expected, "{role}");
        }
    }
}
