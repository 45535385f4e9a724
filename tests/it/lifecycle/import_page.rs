//! Tests the programs in `deploy/import.md` on small sample exports.

use std::io::Write;
use std::process::Command;

use serde_json::{Value, json};

use super::{column, on_both_engines};
use crate::support::{Engine, Installation};

const PAGE: &str = include_str!("../../../deploy/import.md");

/// The program for a product in `deploy/import.md`.
fn program(product: &str) -> &'static str {
    let (_, section) = PAGE.split_once(&format!("\n## {product}\n")).expect("a product section");
    let (_, code) = section.split_once("```sh\n").expect("a program in it");
    code.split_once("```").expect("the program ends").0
}

/// Runs a product's program on files, and imports its output; returns false if jq is missing.
async fn imported(at: &Installation, product: &str, files: &[(&str, Vec<Value>)]) -> bool {
    assert_eq!(at.serve().stop().code, Some(0));
    if Command::new("jq").arg("--version").output().is_err() {
        // Written directly to stderr: the test harness hides the captured output of passed tests.
        let mut stderr = std::io::stderr();
        writeln!(stderr, "skipped: the import from {product}, no jq").unwrap();
        return false;
    }
    for (name, pages) in files {
        let text: Vec<String> = pages.iter().map(Value::to_string).collect();
        std::fs::write(at.directory().join(name), text.join("\n")).unwrap();
    }
    let converted = Command::new("bash")
        .args(["-euc", program(product)])
        .env("ISSUER", "https://id.example")
        .current_dir(at.directory())
        .output()
        .unwrap();
    assert!(converted.status.success(), "{}", String::from_utf8_lossy(&converted.stderr));
    let file = at.directory().join("guestlist.jsonl").display().to_string();
    let text = std::fs::read_to_string(&file).unwrap();
    let checked = at.run(&["import", &file, "--dry-run"]);
    assert_eq!((checked.code, checked.err.as_str()), (0, ""), "{text}");
    let output = at.run(&["import", &file]);
    assert_eq!((output.code, output.err.as_str()), (0, ""), "{text}");
    let counts = "accounts 3, organizations 2, members 4, former members 0, pending invitations 1";
    assert!(output.out.contains(counts), "{} of {text}", output.out);
    let again = at.run(&["import", &file, "--dry-run"]).out;
    assert!(again.contains("would write 0 and find 10 in the store"), "{again}");
    true
}

/// The members: subject, name, role, status and organization.
async fn members(at: &Installation) -> Vec<String> {
    let text = match at.database.engine {
        Engine::Sqlite => "",
        Engine::Postgres => "COLLATE \"C\"",
    };
    let sql = format!(
        "SELECT accounts.subject || ' ' || accounts.name || ', ' || members.role || ', ' || \
         members.status || ', ' || organizations.name AS one FROM members \
         JOIN accounts ON accounts.id = account_id \
         JOIN organizations ON organizations.id = organization_id \
         ORDER BY accounts.subject {text}, organizations.name {text}"
    );
    column(at, &sql).await
}

async fn invited(at: &Installation) -> Vec<String> {
    column(at, "SELECT email || ' ' || role FROM invites WHERE kind = 'email'").await
}

fn in_days(days: i64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let then = i64::try_from(now.as_secs()).unwrap() + days * 86_400;
    let then = std::time::UNIX_EPOCH + std::time::Duration::from_secs(then.unsigned_abs());
    humantime::format_rfc3339_seconds(then).to_string()
}

on_both_engines! {
    async fn an_export_of_better_auth_is_imported(at: Installation) {
        let user = |id: &str, name: &str| json!({
            "id": id, "name": name, "email": format!("{id}@acme.com"), "emailVerified": true,
            "image": null, "createdAt": "2026-01-02T03:04:05.123+00:00",
        });
        let organization = |id: &str, name: &str| json!({
            "id": id, "name": name, "slug": id, "createdAt": "2026-01-02T03:04:05", "metadata": null,
        });
        let member = |id: &str, organization: &str, user: &str, role: &str| json!({
            "id": id, "organizationId": organization, "userId": user, "role": role,
            "createdAt": "2026-01-02T03:04:05.000Z",
        });
        let invitation = |id: &str, status: &str, expires: &str| json!({
            "id": id, "organizationId": "o1", "email": format!("{id}@acme.com"), "role": "admin",
            "status": status, "expiresAt": expires, "inviterId": "u1",
        });
        let files = [
            ("user.json", vec![json!([user("u1", "Ana"), user("u2", "Ben"), user("u3", "Uma")])]),
            ("organization.json", vec![json!([organization("o1", "Acme"), organization("o2", "Other")])]),
            ("member.json", vec![json!([
                member("m1", "o1", "u1", "owner"), member("m2", "o1", "u2", "member"),
                member("m3", "o2", "u3", "member,admin"), member("m4", "o1", "u3", "editor"),
            ])]),
            ("invitation.json", vec![json!([
                invitation("eve", "pending", &in_days(2)), invitation("kim", "accepted", &in_days(2)),
                invitation("late", "pending", &in_days(-2)),
            ])]),
        ];
        // The import, not the program, leaves out the expired invitation.
        if imported(at, "Better Auth", &files).await {
            assert_eq!(members(at).await, [
                "u1 Ana, admin, active, Acme", "u2 Ben, member, active, Acme",
                "u3 Uma, member, active, Acme", "u3 Uma, admin, active, Other",
            ]);
            assert_eq!(invited(at).await, ["eve@acme.com admin"]);
        }
    }

    async fn an_export_of_clerk_is_imported(at: Installation) {
        let list = |data: Value| json!({ "data": data, "total_count": 1 });
        let organization = |id: &str, name: &str, seats: i64| json!({
            "object": "organization", "id": id, "name": name, "slug": id,
            "max_allowed_memberships": seats, "created_at": 1_767_323_045_123_i64,
        });
        let member = |organization: &str, user: &str, first: &str, role: &str| json!({
            "object": "organization_membership", "id": format!("{organization}{user}"), "role": role,
            "organization": { "id": organization }, "created_at": 1_767_323_045_123_i64,
            "public_user_data": {
                "user_id": user, "first_name": first, "last_name": "B", "image_url": "https://i.example/1",
                "identifier": if user == "u2" { "+4930901820".to_owned() } else { format!("{user}@acme.com") },
            },
        });
        let invitation = |name: &str, status: &str| json!({
            "object": "organization_invitation", "id": name, "email_address": format!("{name}@acme.com"),
            "role": "org:member", "organization_id": "o1", "status": status,
            "created_at": 1_767_323_045_123_i64, "expires_at": null,
        });
        let files = [
            ("organizations.json", vec![list(json!([organization("o1", "Acme", 5)])),
                list(json!([organization("o2", "Other", 0)]))]),
            ("memberships.json", vec![
                list(json!([member("o1", "u1", "Ana", "org:admin"), member("o1", "u2", "Ben", "org:member"),
                    member("o1", "u3", "Uma", "org:billing")])),
                list(json!([member("o2", "u3", "Uma", "org:admin")])),
            ]),
            ("invitations.json", vec![list(json!([invitation("eve", "pending"), invitation("kim", "revoked")]))]),
        ];
        if imported(at, "Clerk", &files).await {
            assert_eq!(members(at).await, [
                "u1 Ana B, admin, active, Acme", "u2 Ben B, member, active, Acme",
                "u3 Uma B, member, active, Acme", "u3 Uma B, admin, active, Other",
            ]);
            assert_eq!(invited(at).await, ["eve@acme.com member"]);
        }
    }

    async fn an_export_of_workos_is_imported(at: Installation) {
        let list = |data: Value| json!({ "object": "list", "data": data, "list_metadata": {} });
        let time = "2026-01-02T03:04:05.123Z";
        let user = |id: &str, first: &str| json!({
            "object": "user", "id": id, "email": format!("{id}@acme.com"), "first_name": first,
            "last_name": null, "email_verified": true, "profile_picture_url": null, "created_at": time,
        });
        let organization = |id: &str, name: &str| json!({
            "object": "organization", "id": id, "name": name, "domains": [], "created_at": time,
        });
        let member = |organization: &str, user: &str, role: &str, status: &str| json!({
            "object": "organization_membership", "id": format!("{organization}{user}"), "user_id": user,
            "organization_id": organization, "role": { "slug": role }, "status": status, "created_at": time,
        });
        let invitation = |name: &str, state: &str, organization: Option<&str>| json!({
            "object": "invitation", "id": name, "email": format!("{name}@acme.com"), "state": state,
            "organization_id": organization, "inviter_user_id": "u1", "created_at": time,
            "expires_at": in_days(5),
        });
        let files = [
            ("users.json", vec![list(json!([user("u1", "Ana"), user("u2", "Ben")])), list(json!([user("u3", "Uma")]))]),
            ("organizations.json", vec![list(json!([organization("o1", "Acme"), organization("o2", "Other")]))]),
            ("organization_memberships.json", vec![list(json!([
                member("o1", "u1", "admin", "active"), member("o1", "u2", "member", "inactive"),
                member("o2", "u3", "admin", "active"), member("o1", "u3", "member", "active"),
                member("o2", "u2", "member", "pending"),
            ]))]),
            ("invitations.json", vec![list(json!([
                invitation("eve", "pending", Some("o1")), invitation("kim", "expired", Some("o1")),
                invitation("app", "pending", None),
            ]))]),
        ];
        if imported(at, "WorkOS", &files).await {
            assert_eq!(members(at).await, [
                "u1 Ana, admin, active, Acme", "u2 Ben, member, suspended, Acme",
                "u3 Uma, member, active, Acme", "u3 Uma, admin, active, Other",
            ]);
            assert_eq!(invited(at).await, ["eve@acme.com member"]);
        }
    }
}
