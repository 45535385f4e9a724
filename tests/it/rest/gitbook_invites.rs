//! GitBook's contract: email invitations.

use serde_json::{Value, json};

use super::client::{Rest, keys, send_json};
use super::gitbook::{invites, message};
use crate::on_both_engines;
use crate::support::{Person, TestApp, own};

/// Sends one request to invite; returns the response.
pub async fn send_invites(admin: &Person, organization: &str, body: &Value) -> Value {
    send_json(admin, "POST", &invites(organization), body).await.json(200)
}

/// Address, role and reserved member of every email invitation, oldest first.
async fn stored(admin: &Person, organization: &str) -> Vec<(String, String, String)> {
    let request =
        own::ListRequest { organization_id: organization.to_owned(), ..Default::default() };
    let mut listed: Vec<_> = admin
        .list_invites(request)
        .await
        .unwrap()
        .invites
        .into_iter()
        .filter(|invite| !invite.email.is_empty())
        .map(|invite| (invite.email, invite.role, invite.member_id))
        .collect();
    listed.reverse();
    listed
}

on_both_engines! {
    async fn each_address_is_invited_with_its_role(app: TestApp) {
        let org = app.organization().await;
        let body = json!({
            "emails": [
                "a@example.org",
                {"email": "b@example.org", "role": "admin"},
                {"email": "c@example.org", "role": null},
            ],
            "role": "comment",
        });
        let answer = send_invites(&org.admin, &org.id, &body).await;
        assert_eq!(keys(&answer), ["invited", "users"]);
        assert_eq!(answer["invited"], 3);
        let stored = stored(&org.admin, &org.id).await;
        let roles: Vec<(&str, &str)> =
            stored.iter().map(|(email, role, _)| (email.as_str(), role.as_str())).collect();
        assert_eq!(
            roles,
            [("a@example.org", "comment"), ("b@example.org", "admin"), ("c@example.org", "guest")]
        );
        let users: Vec<&str> = stored.iter().map(|(_, _, member)| member.as_str()).collect();
        assert_eq!(answer["users"], json!(users));

        // The member has the id that was reserved by the invitation.
        let a = app.person_with("a@example.org").await;
        let token = a.join(&pending(&org.admin, &org.id, "a@example.org").await).await.unwrap();
        assert_eq!(token.user_id, users[0]);
    }

    async fn a_missing_role_and_an_explicit_null_differ(app: TestApp) {
        let org = app.organization().await;
        send_invites(&org.admin, &org.id, &json!({"emails": ["a@example.org"]})).await;
        send_invites(&org.admin, &org.id, &json!({"emails": ["b@example.org"], "role": null})).await;
        let mixed = json!({"emails": [{"email": "c@example.org", "role": "read"}], "role": null});
        send_invites(&org.admin, &org.id, &mixed).await;
        let stored = stored(&org.admin, &org.id).await;
        let roles: Vec<&str> = stored.iter().map(|(_, role, _)| role.as_str()).collect();
        assert_eq!(roles, ["edit", "guest", "read"]);
        let missing = json!({"emails": [{"email": "d@example.org"}], "role": "read"});
        let answer = send_json(&org.admin, "POST", &invites(&org.id), &missing).await;
        assert_eq!(message(&answer, 400), "emails[0]: missing field `role`");
    }

    async fn members_and_invited_addresses_are_skipped(app: TestApp) {
        let org = app.organization().await;
        send_invites(&org.admin, &org.id, &json!({"emails": ["zoe@example.org"]})).await;
        let body = json!({
            "emails": ["Ben@Example.com", "ZOE@example.org", "new@example.org", "NEW@example.org"],
        });
        let answer = send_invites(&org.admin, &org.id, &body).await;
        assert_eq!(answer["invited"], 1);
        assert_eq!(answer["users"].as_array().unwrap().len(), 1);
        let stored = stored(&org.admin, &org.id).await;
        assert_eq!((stored.len(), stored[1].0.as_str()), (2, "new@example.org"));
        assert_eq!(answer["users"][0], stored[1].2);
        let none_invited = send_invites(&org.admin, &org.id, &json!({"emails": ["ben@example.com"]})).await;
        assert_eq!(none_invited, json!({"users": [], "invited": 0}));
    }

    async fn at_most_a_thousand_addresses_can_be_invited_at_once(app: TestApp) {
        let org = app.organization().await;
        let emails = |count: usize| -> Value {
            json!({"emails": (0..count).map(|i| format!("p{i}@example.org")).collect::<Vec<_>>()})
        };
        for count in [0, 1001] {
            let answer = send_json(&org.admin, "POST", &invites(&org.id), &emails(count)).await;
            assert_eq!(message(&answer, 400), "emails: must have 1 to 1000 entries");
        }
        assert_eq!(send_invites(&org.admin, &org.id, &emails(1000)).await["invited"], 1000);
    }

    async fn invalid_input_is_reported_and_changes_nothing(app: TestApp) {
        let org = app.organization().await;
        let before = app.database.dump().await;
        let address = "must be a mail address";
        for (body, expected) in [
            ("{}", "body: missing field `emails`"),
            (r#"{"emails": "a@b.example"}"#, "emails: must be a sequence"),
            (
                r#"{"emails": [5]}"#,
                "emails[0]: must be an address or an object with email and role",
            ),
            (r#"{"emails": [["a@b.example", null]]}"#, "emails[0]: must be an address"),
            (r#"{"emails": [null]}"#, "emails[0]: must be an address"),
            (r#"{"emails": ["a@b.example", "s3cret"]}"#, &format!("emails[1]: {address}")),
            (
                r#"{"emails": [{"email": "s3cret", "role": null}]}"#,
                &format!("emails[0].email: {address}"),
            ),
            (r#"{"emails": [{"role": null}]}"#, "emails[0]: missing field `email`"),
            (
                r#"{"emails": [{"email": "a@b.example", "role": "s3cret"}]}"#,
                "emails[0].role: must be one of `admin`",
            ),
            (r#"{"emails": ["a@b.example"], "role": "s3cret"}"#, "role: must be one of `admin`"),
            (r#"{"emails": ["a@b.example"], "sso": null}"#, "sso: must be a boolean"),
            (r#"{"emails": ["a@b.example"], "sso": "s3cret"}"#, "sso: must be a boolean"),
            (
                r#"{"emails": ["a@b.example"], "sso": true}"#,
                "sso: no single sign-on is configured for this organization",
            ),
        ] {
            let request = Rest::new(&org.admin, "POST", &invites(&org.id)).body(body.to_owned());
            let answer = request.with("content-type", "application/json").send().await;
            let text = message(&answer, 400);
            assert!(text.starts_with(expected), "{body}: {text}");
            assert!(!text.contains("s3cret"), "{text}");
        }
        assert!(app.database.dump().await == before, "the database has changed");
    }

    async fn without_free_seats_no_address_is_invited(app: TestApp) {
        let org = app.organization().await;
        let limit = own::SetSeatLimitRequest { organization_id: org.id.clone(), seat_limit: 2 };
        app.operator().await.set_seat_limit(limit).await.unwrap();
        let answer = send_invites(&org.admin, &org.id, &json!({"emails": ["a@example.org"]})).await;
        assert_eq!(answer, json!({"users": [], "invited": 0}));
    }
}

/// The id of the pending invitation of an address.
async fn pending(admin: &Person, organization: &str, email: &str) -> String {
    let listed = super::clickhouse::list_invitations(admin, organization).await;
    let one = listed.iter().find(|one| one["email"] == email).unwrap();
    one["id"].as_str().unwrap().to_owned()
}
