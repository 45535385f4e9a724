//! GitBook's contract: errors, the routes for the user and for organizations, and joining.

use serde_json::{Value, json};
use uuid::Uuid;

use super::client::{Answer, Rest, keys, send, send_json};
use crate::on_both_engines;
use crate::support::{Person, TestApp, gitpod, own};

pub fn links(organization: &str) -> String {
    format!("/v1/orgs/{organization}/link-invites")
}

pub fn link(organization: &str, token: &str) -> String {
    format!("/v1/orgs/{organization}/link-invites/{token}")
}

pub fn invites(organization: &str) -> String {
    format!("/v1/orgs/{organization}/invites")
}

/// Joins with a token.
pub async fn join(person: &Person, organization: &str, token: &str) -> Answer {
    send(person, "POST", &format!("/v1/orgs/{organization}/invites/{token}")).await
}

/// Creates a link; returns it.
pub async fn create_link(admin: &Person, organization: &str, body: &Value) -> Value {
    send_json(admin, "POST", &links(organization), body).await.json(201)
}

/// The message of a rejection with this status.
#[track_caller]
pub fn message(answer: &Answer, status: u16) -> String {
    let body = answer.json(status);
    assert_eq!((keys(&body), keys(&body["error"])), (vec!["error"], vec!["code", "message"]));
    assert_eq!(body["error"]["code"], status);
    body["error"]["message"].as_str().unwrap().to_owned()
}

/// All grants of an organization.
async fn grants(admin: &Person, organization: &str) -> Vec<own::Grant> {
    let request =
        own::ListGrantsRequest { organization_id: organization.to_owned(), ..Default::default() };
    admin.list_grants(request).await.unwrap().grants
}

on_both_engines! {
    async fn joining_once_or_again_returns_an_empty_object(app: TestApp) {
        let org = app.organization().await;
        let made = create_link(&org.admin, &org.id, &json!({"role": "review"})).await;
        let token = made["id"].as_str().unwrap();
        for _ in 0..2 {
            assert_eq!(join(&org.stranger, &org.id, token).await.json(200), json!({}));
        }
        let members = org.admin.members(&org.id).await.unwrap();
        assert_eq!(members.len(), 3);
        assert!(org.stranger.get(&org.id).await.is_ok());
        // A member keeps the role.
        assert_eq!(join(&org.admin, &org.id, token).await.json(200), json!({}));
        let admins = org.admin.members(&org.id).await.unwrap();
        let admin = i32::from(gitpod::OrganizationRole::Admin);
        assert_eq!(admins.iter().filter(|member| member.role == admin).count(), 1);
    }

    async fn a_link_to_content_makes_a_guest_and_records_the_grant(app: TestApp) {
        let org = app.organization().await;
        for (kind, level) in [("space", "comment"), ("collection", "edit")] {
            let made = create_link(&org.admin, &org.id, &json!({"level": level, kind: "c-1"})).await;
            join(&org.stranger, &org.id, made["id"].as_str().unwrap()).await.json(200);
        }
        // A guest may see the organization but not its members.
        assert!(org.stranger.get(&org.id).await.is_ok());
        assert!(org.stranger.members(&org.id).await.is_err());
        let grants = grants(&org.admin, &org.id).await;
        let shown: Vec<(own::content_grant::Content, &str)> = grants
            .iter()
            .map(|grant| {
                let grant = grant.grant.as_ref().unwrap();
                (grant.content.clone().unwrap(), grant.level.as_str())
            })
            .collect();
        let space = own::content_grant::Content::Space("c-1".to_owned());
        let collection = own::content_grant::Content::Collection("c-1".to_owned());
        assert_eq!(shown, [(space, "comment"), (collection, "edit")]);
    }

    async fn p19_a_token_works_only_with_its_own_organization_in_the_path(app: TestApp) {
        let org = app.organization().await;
        let (other, _) = org.admin.new_organization("Other").await;
        let made = create_link(&org.admin, &org.id, &json!({"role": "edit"})).await;
        let join_link = org.admin.invite(&org.id).await.unwrap();
        let mailed = org.admin.invite_address(&org.id, "zoe@example.com", "read").await.unwrap();
        let mailed = mailed.invite.unwrap().id;
        for token in [made["id"].as_str().unwrap(), &join_link, &mailed] {
            let answer = join(&org.stranger, &other, token).await;
            assert_eq!(message(&answer, 404), "not found");
            assert_eq!(org.admin.members(&org.id).await.unwrap().len(), 2);
            assert_eq!(org.admin.members(&other).await.unwrap().len(), 1);
        }
        // In its own organization, each of the tokens joins.
        assert_eq!(join(&org.stranger, &org.id, &mailed).await.json(200), json!({}));
        for (i, token) in [made["id"].as_str().unwrap(), &join_link].into_iter().enumerate() {
            let other = app.person(&format!("joins{i}")).await;
            assert_eq!(join(&other, &org.id, token).await.json(200), json!({}));
        }
        assert_eq!(org.admin.members(&org.id).await.unwrap().len(), 5);
    }

    async fn p26_every_token_that_cannot_join_gets_the_same_response(app: TestApp) {
        let org = app.organization().await;
        let (other, _) = org.admin.new_organization("Other").await;
        let make = async |body: Value| {
            create_link(&org.admin, &org.id, &body).await["id"].as_str().unwrap().to_owned()
        };
        let foreign = create_link(&org.admin, &other, &json!({"role": "read"})).await;
        let deleted = make(json!({"role": "read"})).await;
        send(&org.admin, "DELETE", &link(&org.id, &deleted)).await.empty(205);
        let replaced = org.admin.invite(&org.id).await.unwrap();
        org.admin.invite(&org.id).await.unwrap();
        let expires = own::CreateLinkRequest {
            expire_time: app.in_the_future(std::time::Duration::from_secs(60)),
            grants: Some(own::create_link_request::Grants::Role("read".to_owned())),
            ..crate::support::link_to(&org.id)
        };
        let expired = org.admin.create_link(expires).await.unwrap().invite.unwrap().token;
        app.clock.advance(std::time::Duration::from_secs(60));
        let unknown = Uuid::new_v4().to_string();
        let expected = join(&org.stranger, &org.id, &unknown).await;
        assert_eq!(message(&expected, 404), "not found");
        for token in
            [&deleted, &replaced, &expired, foreign["id"].as_str().unwrap(), "no-uuid", &org.id]
        {
            let answer = join(&org.stranger, &org.id, token).await;
            assert_eq!(answer.comparable(), expected.comparable(), "{token}");
        }
        // A live token with an unknown organization.
        let live = make(json!({"role": "read"})).await;
        for organization in [unknown.as_str(), "no-uuid"] {
            let answer = join(&org.stranger, organization, &live).await;
            assert_eq!(answer.comparable(), expected.comparable(), "{organization}");
        }
    }

    async fn p27_a_wrong_account_gets_the_reason_but_no_address(app: TestApp) {
        let org = app.organization().await;
        let invited = org.admin.invite_address(&org.id, "yan@example.org", "read").await.unwrap();
        let token = app.mailed_token(&org.id, &invited.invite.unwrap().id).await;
        let answer = join(&org.stranger, &org.id, &token).await;
        assert_eq!(message(&answer, 403), "this invitation is for another address");
        let yan = app.person_with("yan@example.org").await;
        assert_eq!(join(&yan, &org.id, &token).await.json(200), json!({}));
    }

    async fn user_routes_show_the_caller_and_their_organizations(app: TestApp) {
        let org = app.organization().await;
        let user = send(&org.admin, "GET", "/v1/user").await.json(200);
        assert_eq!(keys(&user), ["displayName", "email", "id", "object"]);
        assert_eq!(user["object"], "user");
        assert_eq!(user["id"], org.admin.account().await.to_string());
        assert_eq!(
            (&user["displayName"], &user["email"]),
            (&json!("ana"), &json!("ana@example.com"))
        );

        let organization = send(&org.member, "GET", &format!("/v1/orgs/{}", org.id)).await.json(200);
        assert_eq!(organization, json!({"object": "organization", "id": org.id, "title": "Acme"}));
        let listed = send(&org.member, "GET", "/v1/orgs").await.json(200);
        assert_eq!(listed, json!({"items": [organization]}));
        assert_eq!(send(&org.stranger, "GET", "/v1/orgs").await.json(200), json!({"items": []}));
        for id in [org.id.as_str(), "no-uuid"] {
            let answer = send(&org.stranger, "GET", &format!("/v1/orgs/{id}")).await;
            assert_eq!(message(&answer, 404), "not found");
        }
    }

    async fn organizations_are_listed_in_pages(app: TestApp) {
        let ana = app.person("ana").await;
        let mut expected = Vec::new();
        for name in ["One", "Two", "Three"] {
            expected.push(json!(ana.new_organization(name).await.0));
        }
        let mut found = Vec::new();
        let mut page = String::new();
        for last in [false, true] {
            let path = format!("/v1/orgs?limit=2&page={page}");
            let listed = send(&ana, "GET", &path).await.json(200);
            found.extend(listed["items"].as_array().unwrap().iter().map(|one| one["id"].clone()));
            assert_eq!(listed["next"].is_null(), last);
            page = listed["next"]["page"].as_str().unwrap_or_default().to_owned();
        }
        assert_eq!(found, expected);
        let answer = send(&ana, "GET", "/v1/orgs?page=nonsense").await;
        assert!(message(&answer, 400).starts_with("page: must be the token of the page before"));
    }

    async fn the_version_in_a_gitbook_path_is_optional(app: TestApp) {
        let org = app.organization().await;
        for path in ["/user", "/orgs", "/orgs?limit=1", &format!("/orgs/{}/link-invites", org.id)] {
            let with = send(&org.admin, "GET", &format!("/v1{path}")).await;
            let without = send(&org.admin, "GET", path).await;
            assert_eq!(without.json(200), with.json(200), "{path}");
        }
        let path = format!("/orgs/{}/link-invites", org.id);
        send_json(&org.admin, "POST", &path, &json!({"role": null})).await.json(201);
        assert_eq!(
            message(&send(&org.admin, "GET", "/orgs/a/nothing").await, 404),
            "there is no such path"
        );
        // ClickHouse's contract has no path without the version.
        let answer = send(&org.admin, "GET", "/organizations").await;
        assert_eq!(answer.json(404)["code"], "unimplemented");
    }

    async fn a_rejected_request_gets_the_reason_and_the_authentication_scheme(app: TestApp) {
        let org = app.organization().await;
        let answer = send(&app.without_credential(), "GET", "/v1/user").await;
        assert!(message(&answer, 401).starts_with("a credential is needed"));
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"guestlist\""));
        let wrong = Rest::new(&org.admin, "GET", "/v1/user").with("authorization", "Bearer gl_x");
        message(&wrong.send().await, 401);
        let denied = send(&org.member, "GET", &links(&org.id)).await;
        let expected = "your role in this organization does not allow this";
        assert_eq!(message(&denied, 403), expected);
    }
}
