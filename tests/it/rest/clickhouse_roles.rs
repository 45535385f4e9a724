//! ClickHouse's contract: roles and their ids.

use serde_json::{Value, json};
use uuid::Uuid;

use super::clickhouse::{create_invitation, envelope, invitation};
use super::client::{keys, send};
use crate::on_both_engines;
use crate::support::TestApp;

on_both_engines! {
    async fn role_ids_are_accepted_in_invitations(app: TestApp) {
        let org = app.organization().await;
        let path = format!("/v1/organizations/{}/roles", org.id);
        let answer = send(&org.admin, "GET", &path).await;
        let body = answer.json(200);
        envelope(&answer, &body);
        assert_eq!(keys(&body), ["requestId", "result", "status"]);
        let roles = body["result"].as_array().unwrap();
        let names: Vec<&Value> = roles.iter().map(|role| &role["name"]).collect();
        assert_eq!(names, ["admin", "developer"]);
        for (i, role) in roles.iter().enumerate() {
            assert_eq!(keys(role), ["id", "name", "type"]);
            assert_eq!(role["type"], "system");
            let id: Uuid = role["id"].as_str().unwrap().parse().unwrap();
            assert_eq!(id.get_version_num(), 5);
            let body = json!({"email": format!("r{i}@example.org"), "assignedRoleIds": [id]});
            let made = create_invitation(&org.admin, &org.id, &body).await;
            assert_eq!(made["role"], role["name"]);
            let assigned = json!([{"roleId": id, "roleName": role["name"], "roleType": "system"}]);
            assert_eq!(made["assignedRoles"], assigned);
        }
        for (i, more) in [json!({}), json!({"assignedRoleIds": []}), json!({"role": null})]
            .iter_mut()
            .enumerate()
        {
            more["email"] = json!(format!("d{i}@example.org"));
            assert_eq!(create_invitation(&org.admin, &org.id, more).await["role"], "developer");
        }
    }

    async fn every_role_is_shown_as_admin_or_developer(app: TestApp) {
        let org = app.organization().await;
        for role in guestlist::domain::Role::ALL {
            let email = format!("{role}@example.org");
            let invite = org.admin.invite_address(&org.id, &email, role.as_str()).await.unwrap();
            let path = invitation(&org.id, &invite.invite.unwrap().id);
            let shown = send(&org.admin, "GET", &path).await.json(200);
            let expected = if role.as_str() == "admin" { "admin" } else { "developer" };
            assert_eq!(
                (&shown["role"], &shown["result"]["role"]),
                (&json!(expected), &json!(expected))
            );
        }
        // In the other direction, a role of this contract is stored unchanged.
        for role in ["admin", "developer"] {
            let body = json!({"email": format!("to-{role}@example.org"), "role": role});
            let made = create_invitation(&org.admin, &org.id, &body).await;
            let stored = org.admin.invite_by_id(&org.id, made["id"].as_str().unwrap()).await.unwrap();
            assert_eq!(stored.role, role);
        }
    }
}
