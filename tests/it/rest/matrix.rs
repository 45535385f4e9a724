//! P21: every REST route for every kind of caller, on both engines. The rows are in this file;
//! the routes are read from the served OpenAPI document. A route without a row fails the test.

use serde_json::Value;

use super::client::{Answer, Rest, send};
use crate::matrix::{CALLERS, callers};
use crate::on_both_engines;
use crate::support::{Person, TestApp};

pub type Row = (&'static str, &'static str, &'static str, [u16; CALLERS.len()]);

const ANY: [u16; CALLERS.len()] = [401, 401, 401, 200, 200, 200, 200, 200, 200, 200, 200];
const MEMBERS: [u16; CALLERS.len()] = [401, 401, 401, 404, 404, 404, 404, 403, 200, 200, 200];
const ADMINS: [u16; CALLERS.len()] = [401, 401, 401, 404, 404, 404, 404, 403, 403, 403, 200];

/// The row [`ADMINS`] with another status for success.
const fn admins(status: u16) -> [u16; CALLERS.len()] {
    let mut row = ADMINS;
    row[CALLERS.len() - 1] = status;
    row
}

/// Method · path, with `$…` for values that the test fills in · body · the status for each caller.
pub const ROWS: &[Row] = &[
    ("GET", "/v1/organizations", "", ANY),
    ("GET", "/v1/organizations/$organization", "", MEMBERS),
    ("GET", "/v1/organizations/$organization/roles", "", ADMINS),
    ("GET", "/v1/organizations/$organization/invitations", "", ADMINS),
    (
        "POST",
        "/v1/organizations/$organization/invitations",
        r#"{"email": "new@example.org"}"#,
        ADMINS,
    ),
    ("GET", "/v1/organizations/$organization/invitations/$invitation", "", ADMINS),
    ("DELETE", "/v1/organizations/$organization/invitations/$invitation", "", ADMINS),
    ("GET", "/v1/user", "", ANY),
    ("GET", "/v1/orgs", "", ANY),
    ("GET", "/v1/orgs/$organization", "", MEMBERS),
    ("POST", "/v1/orgs/$organization/invites", r#"{"emails": ["new@example.org"]}"#, ADMINS),
    (
        "POST",
        "/v1/orgs/$organization/invites/$token",
        "",
        [401, 401, 401, 404, 200, 200, 200, 403, 200, 200, 200],
    ),
    ("GET", "/v1/orgs/$organization/link-invites", "", ADMINS),
    ("POST", "/v1/orgs/$organization/link-invites", r#"{"role": "read"}"#, admins(201)),
    ("GET", "/v1/orgs/$organization/link-invites/$token", "", ADMINS),
    ("PATCH", "/v1/orgs/$organization/link-invites/$token", r#"{"role": "edit"}"#, ADMINS),
    ("DELETE", "/v1/orgs/$organization/link-invites/$token", "", admins(205)),
];

pub async fn send_with_body(caller: &Person, method: &str, path: &str, body: &str) -> Answer {
    let request = Rest::new(caller, method, path);
    match body {
        "" => request.send().await,
        body => request.body(body.to_owned()).with("content-type", "application/json").send().await,
    }
}

on_both_engines! {
    async fn p21_every_route_returns_the_expected_status_to_every_kind_of_caller(app: TestApp) {
        let mut wrong = Vec::new();
        for (method, path, body, expected) in ROWS {
            let org = app.organization().await;
            let callers = callers(app, &org).await;
            let link = org.admin.link(&org.id, "read").await.unwrap();
            let invited = org.admin.invite_address(&org.id, "iva@example.org", "member");
            let path = path
                .replace("$organization", &org.id)
                .replace("$invitation", &invited.await.unwrap().invite.unwrap().id)
                .replace("$token", &link.token);
            for (i, caller) in callers.iter().enumerate() {
                let answer = send_with_body(caller, method, &path, body).await;
                let status = answer.status.as_u16();
                if status != expected[i] {
                    let (caller, right) = (CALLERS[i], expected[i]);
                    let text = answer.text();
                    wrong.push(format!(
                        "{method} {path}: {caller} got {status}, not {right}: {text}"
                    ));
                }
                // HEAD returns the same status as GET, without a body.
                if *method == "GET" {
                    let head = send_with_body(caller, "HEAD", &path, "").await;
                    assert_eq!((head.status.as_u16(), head.body.len()), (status, 0));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    async fn p26_a_stranger_gets_the_same_error_whether_or_not_the_id_exists(app: TestApp) {
        let org = app.organization().await;
        let link = org.admin.link(&org.id, "read").await.unwrap();
        let invited = org.admin.invite_address(&org.id, "iva@example.org", "member");
        let invitation = invited.await.unwrap().invite.unwrap().id;
        let unknown = uuid::Uuid::new_v4().to_string();
        for (method, path, body, expected) in ROWS {
            if expected[4] != 404 {
                continue;
            }
            let mut first = None;
            for (organization, invitation, token) in [
                (&org.id, &invitation, &link.token),
                (&org.id, &unknown, &unknown),
                (&unknown, &invitation, &link.token),
                (&unknown, &unknown, &unknown),
            ] {
                let path = path
                    .replace("$organization", organization)
                    .replace("$invitation", invitation)
                    .replace("$token", token);
                let answer = send_with_body(&org.stranger, method, &path, body).await.comparable();
                assert_eq!(answer.0, 404, "{method} {path}");
                assert_eq!(*first.get_or_insert(answer.clone()), answer, "{method} {path}");
            }
        }
    }

    async fn p21_every_route_has_a_row(app: TestApp) {
        let document = send(&app.without_credential(), "GET", "/openapi.json").await.json(200);
        let mut routes = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            let path = path
                .replace("{organizationId}", "$organization")
                .replace("{invitationId}", "$invitation")
                .replace("{inviteId}", "$token");
            for (method, _) in item.as_object().unwrap().iter().filter(|(_, v)| is_operation(v)) {
                routes.push((method.to_uppercase(), path.clone()));
            }
        }
        let mut rows: Vec<(String, String)> =
            ROWS.iter().map(|(method, path, ..)| ((*method).into(), (*path).into())).collect();
        routes.sort();
        rows.sort();
        assert_eq!(routes, rows);
    }
}

fn is_operation(value: &Value) -> bool {
    value["responses"].is_object()
}
