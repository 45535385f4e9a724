//! ClickHouse's contract: each field of the responses, and the content of the lists.

use std::time::Duration;

use guestlist::clock::Clock;
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::{Answer, Rest, keys, send, send_json};
use crate::on_both_engines;
use crate::support::{Person, TestApp};

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

pub fn invitations(organization: &str) -> String {
    format!("/v1/organizations/{organization}/invitations")
}

pub fn invitation(organization: &str, id: &str) -> String {
    format!("/v1/organizations/{organization}/invitations/{id}")
}

/// Invites an address; returns the invitation.
pub async fn create_invitation(admin: &Person, organization: &str, body: &Value) -> Value {
    send_json(admin, "POST", &invitations(organization), body).await.json(200)["result"].clone()
}

/// The pending invitations.
pub async fn list_invitations(admin: &Person, organization: &str) -> Vec<Value> {
    let listed = send(admin, "GET", &invitations(organization)).await.json(200);
    listed["result"].as_array().unwrap().clone()
}

/// The error of a rejection with this status.
#[track_caller]
pub fn error(answer: &Answer, status: u16) -> String {
    let body = answer.json(status);
    assert_eq!(keys(&body), ["error", "requestId", "status"]);
    assert_eq!(body["status"], status);
    envelope(answer, &body);
    body["error"].as_str().unwrap().to_owned()
}

/// Checks that the body and the header have the same request id, a UUID.
#[track_caller]
pub fn envelope(answer: &Answer, body: &Value) {
    let id = body["requestId"].as_str().unwrap();
    assert_eq!(id.parse::<Uuid>().unwrap().to_string(), id);
    assert_eq!(answer.header("x-request-id"), Some(id));
}

fn moment(value: &Value) -> i128 {
    let text = value.as_str().unwrap();
    assert!(text.ends_with('Z'), "{text}");
    let at: prost_types::Timestamp = text.parse().unwrap();
    i128::from(at.seconds) * 1_000_000_000 + i128::from(at.nanos)
}

on_both_engines! {
    async fn an_invitation_has_every_documented_field(app: TestApp) {
        let org = app.organization().await;
        let body = json!({"email": " Zoe@Example.ORG ", "role": "admin"});
        let before = app.clock.now();
        let answer = send_json(&org.admin, "POST", &invitations(&org.id), &body).await;
        let made = answer.json(200);
        envelope(&answer, &made);
        assert_eq!(made["status"], 200);
        assert_eq!(
            keys(&made),
            ["createdAt", "email", "expiresAt", "id", "requestId", "result", "role", "status"]
        );
        let result = &made["result"];
        assert_eq!(
            keys(result),
            ["assignedRoles", "createdAt", "email", "expireAt", "expiresAt", "id", "role"]
        );
        for field in ["createdAt", "email", "expiresAt", "id", "role"] {
            assert_eq!(made[field], result[field], "{field}");
        }
        assert_eq!(result["email"], "zoe@example.org");
        assert_eq!(result["role"], "admin");
        assert_eq!(result["expireAt"], result["expiresAt"]);
        let created = moment(&result["createdAt"]);
        assert!(created >= i128::from(before.as_micros()) * 1000);
        let lifetime = moment(&result["expiresAt"]) - created;
        assert_eq!(lifetime, i128::try_from(WEEK.as_nanos()).unwrap());
        result["id"].as_str().unwrap().parse::<Uuid>().unwrap();
        let assigned = result["assignedRoles"].as_array().unwrap();
        assert_eq!(assigned.len(), 1);
        assert_eq!(keys(&assigned[0]), ["roleId", "roleName", "roleType"]);
        assert_eq!(
            (&assigned[0]["roleName"], &assigned[0]["roleType"]),
            (&json!("admin"), &json!("system"))
        );

        let got =
            send(&org.admin, "GET", &invitation(&org.id, result["id"].as_str().unwrap())).await;
        let mut body = got.json(200);
        envelope(&got, &body);
        body["requestId"] = made["requestId"].clone();
        assert_eq!(body, made);

        let list = send(&org.admin, "GET", &invitations(&org.id)).await;
        let body = list.json(200);
        envelope(&list, &body);
        assert_eq!(keys(&body), ["requestId", "result", "status"]);
        assert_eq!(body["result"], json!([result]));
    }

    async fn pending_invitations_of_every_api_are_listed_oldest_first(app: TestApp) {
        let org = app.organization().await;
        let admin = &org.admin;
        assert_eq!(list_invitations(admin, &org.id).await, Vec::<Value>::new());
        let first = create_invitation(admin, &org.id, &json!({"email": "a@example.org"})).await;
        admin.invite_address(&org.id, "b@example.org", "review").await.unwrap();
        let path = format!("/v1/orgs/{}/invites", org.id);
        send_json(admin, "POST", &path, &json!({"emails": ["c@example.org"]})).await.json(200);
        // Neither of these is an email invitation.
        admin.link(&org.id, "member").await.unwrap();
        admin.invite(&org.id).await.unwrap();
        // Ended invitations are not pending.
        let revoked = create_invitation(admin, &org.id, &json!({"email": "d@example.org"})).await;
        admin.revoke(&org.id, revoked["id"].as_str().unwrap()).await.unwrap();
        let accepted = create_invitation(admin, &org.id, &json!({"email": "e@example.org"})).await;
        app.person_with("e@example.org")
            .await
            .join(accepted["id"].as_str().unwrap())
            .await
            .unwrap();

        let emails = |list: &[Value]| -> Vec<String> {
            list.iter().map(|one| one["email"].as_str().unwrap().to_owned()).collect()
        };
        let list = list_invitations(admin, &org.id).await;
        assert_eq!(emails(&list), ["a@example.org", "b@example.org", "c@example.org"]);
        assert_eq!(list[0], first);
        for ended in [&revoked, &accepted] {
            let path = invitation(&org.id, ended["id"].as_str().unwrap());
            assert_eq!(error(&send(admin, "GET", &path).await, 404), "NOT_FOUND");
            assert_eq!(error(&send(admin, "DELETE", &path).await, 404), "NOT_FOUND");
        }

        app.clock.advance(WEEK);
        assert_eq!(list_invitations(admin, &org.id).await, Vec::<Value>::new());
        let path = invitation(&org.id, first["id"].as_str().unwrap());
        assert_eq!(error(&send(admin, "GET", &path).await, 404), "NOT_FOUND");
        assert_eq!(error(&send(admin, "DELETE", &path).await, 404), "NOT_FOUND");
    }

    async fn a_list_longer_than_a_page_is_returned_completely(app: TestApp) {
        let org = app.organization().await;
        let emails: Vec<String> = (0..1000).map(|i| format!("p{i}@example.org")).collect();
        let path = format!("/v1/orgs/{}/invites", org.id);
        send_json(&org.admin, "POST", &path, &json!({"emails": emails})).await.json(200);
        create_invitation(&org.admin, &org.id, &json!({"email": "last@example.org"})).await;
        let list = list_invitations(&org.admin, &org.id).await;
        assert_eq!(list.len(), 1001);
        assert_eq!(list[1000]["email"], "last@example.org");
    }

    async fn deleting_an_invitation_returns_a_body_and_frees_the_address(app: TestApp) {
        let org = app.organization().await;
        let body = json!({"email": "zoe@example.org"});
        let made = create_invitation(&org.admin, &org.id, &body).await;
        let path = invitation(&org.id, made["id"].as_str().unwrap());
        let answer = send(&org.admin, "DELETE", &path).await;
        let deleted = answer.json(200);
        envelope(&answer, &deleted);
        assert_eq!(keys(&deleted), ["requestId", "status"]);
        assert_eq!(deleted["status"], 200);

        assert_eq!(error(&send(&org.admin, "DELETE", &path).await, 404), "NOT_FOUND");
        let zoe = app.person_with("zoe@example.org").await;
        assert!(zoe.join(made["id"].as_str().unwrap()).await.is_err());
        let again = create_invitation(&org.admin, &org.id, &body).await;
        assert_ne!(again["id"], made["id"]);
    }

    async fn only_the_invited_address_can_join_by_the_id_of_an_invitation(app: TestApp) {
        let org = app.organization().await;
        let body = json!({"email": "zoe@example.org", "role": "admin"});
        let made = create_invitation(&org.admin, &org.id, &body).await;
        let id = made["id"].as_str().unwrap();
        assert!(org.stranger.join(id).await.is_err());
        let zoe = app.person_with("zoe@example.org").await;
        let member = zoe.join(id).await.unwrap();
        assert_eq!(member.role, i32::from(crate::support::gitpod::OrganizationRole::Admin));
        assert!(list_invitations(&org.admin, &org.id).await.is_empty());
    }

    async fn p19_invites_of_other_kinds_and_other_organizations_are_not_found(app: TestApp) {
        let org = app.organization().await;
        let made = create_invitation(&org.admin, &org.id, &json!({"email": "zoe@example.org"})).await;
        let (other, _) = org.admin.new_organization("Other").await;
        let link = org.admin.link(&org.id, "member").await.unwrap();
        for (organization, id) in [
            (&other, made["id"].as_str().unwrap()),
            (&org.id, link.id.as_str()),
            (&org.id, &Uuid::new_v4().to_string()),
        ] {
            for method in ["GET", "DELETE"] {
                let answer = send(&org.admin, method, &invitation(organization, id)).await;
                assert_eq!(error(&answer, 404), "NOT_FOUND");
            }
        }
        // The rejected calls have changed nothing.
        assert_eq!(list_invitations(&org.admin, &org.id).await, [made]);
        assert!(app.person("yan").await.preview(&link.token).await.is_ok());
    }

    async fn organization_routes_show_the_callers_own_organizations(app: TestApp) {
        let org = app.organization().await;
        let (second, _) = org.admin.new_organization("Second").await;
        let answer = send(&org.admin, "GET", "/v1/organizations").await;
        let body = answer.json(200);
        envelope(&answer, &body);
        let result = body["result"].as_array().unwrap();
        let ids: Vec<&Value> = result.iter().map(|one| &one["id"]).collect();
        assert_eq!(ids, [&json!(org.id), &json!(second)]);
        assert_eq!(keys(&result[0]), ["createdAt", "id", "name"]);
        assert_eq!(result[0]["name"], "Acme");
        moment(&result[0]["createdAt"]);

        let one = send(&org.member, "GET", &format!("/v1/organizations/{}", org.id)).await;
        let body = one.json(200);
        envelope(&one, &body);
        assert_eq!(body["result"], result[0]);
        let none = send(&org.stranger, "GET", "/v1/organizations").await.json(200);
        assert_eq!(none["result"], json!([]));
        let bound = app
            .key(
                guestlist::operations::keys::Owner::Account(org.admin.account().await),
                None,
                Some(org.domain_id()),
            )
            .await;
        let listed = send(&bound, "GET", "/v1/organizations").await.json(200);
        assert_eq!(listed["result"].as_array().unwrap().len(), 1);
    }

    async fn an_api_key_is_accepted_by_basic_and_by_bearer_authentication(app: TestApp) {
        use base64::Engine as _;
        let org = app.organization().await;
        let key = org.admin.key.as_deref().unwrap();
        let (id, secret) = key["gl_".len()..].split_once('_').unwrap();
        let basic = |pair: String| {
            let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
            Rest::new(&app.without_credential(), "GET", &invitations(&org.id))
                .with("authorization", &format!("Basic {encoded}"))
                .send()
        };
        basic(format!("{id}:{secret}")).await.json(200);
        let wrong = basic(format!("{id}:{id}")).await;
        assert!(error(&wrong, 401).starts_with("UNAUTHORIZED: "));
        assert_eq!(wrong.header("www-authenticate"), Some("Basic realm=\"guestlist\""));
        let anonymous = send(&app.without_credential(), "GET", &invitations(&org.id)).await;
        assert!(error(&anonymous, 401).starts_with("UNAUTHORIZED: "));
    }

    async fn a_request_id_that_is_not_a_uuid_is_mapped_to_a_uuid(app: TestApp) {
        let org = app.organization().await;
        let named = |name: &'static str| {
            Rest::new(&org.admin, "GET", "/v1/organizations").with("x-request-id", name).send()
        };
        let answer = named("mine-1").await;
        assert_eq!(answer.header("x-request-id"), Some("mine-1"));
        let id: Uuid = answer.json(200)["requestId"].as_str().unwrap().parse().unwrap();
        assert_eq!(id.get_version_num(), 5);
        assert_eq!(named("mine-1").await.json(200)["requestId"], id.to_string());
        assert_ne!(named("mine-2").await.json(200)["requestId"], id.to_string());
        let own = "0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b";
        assert_eq!(named(own).await.json(200)["requestId"], own);
    }
}
