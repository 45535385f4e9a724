//! P33: every change has an audit event that names the changed row, and every event has a
//! change. P28: a call that only reads changes nothing. The tests run every RPC and every REST
//! route, and also operations of the command line and of the workers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use guestlist::clock::Clock;
use guestlist::config::Config;
use guestlist::dns::Dns;
use guestlist::domain::{DomainChecks, KeyScope, Role};
use guestlist::operations::accounts::erase;
use guestlist::operations::delete_old_results;
use guestlist::operations::domains::check_due;
use guestlist::operations::invites::end_expired;
use guestlist::operations::keys::{CreateKey, Owner, create_key, revoke_key};
use guestlist::operations::members::end_expired_members;
use prost::Message;
use prost_reflect::DynamicMessage;
use prost_types::method_options::IdempotencyLevel;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::Value;

use crate::joining::{limited_link, open_domain};
use crate::support::client::{DESCRIPTORS, method};
use crate::support::domains::{disprove, prove};
use crate::support::nameserver::{self, new_domain};
use crate::support::{
    Engine, Organization, Person, Protocol, TestApp, gitpod, link_to, own, run_with, trust_intranet,
};
use crate::{matrix, rest};

/// Tables whose rows need no audit event: mail and events that wait to be sent, stored results for
/// repeated requests, the fingerprint of the secret key, the version of the schema.
const BOOKKEEPING: [&str; 6] =
    ["notices", "outbox", "requests", "settings", "seaql_migrations", "webhook_deliveries"];

/// Columns whose changes need no audit event: when a key was last used, the progress of a webhook,
/// and the result of the last check of a domain.
const PROGRESS: [&str; 10] = [
    "last_used_at",
    "epoch",
    "position",
    "ordinal",
    "next_attempt_at",
    "claimed_by",
    "first_failure_at",
    "checked_at",
    "missing_since",
    "next_check_at",
];

type Row = serde_json::Map<String, Value>;

/// Every row of a store by table and id, and every event by id.
#[derive(Default, PartialEq)]
struct State {
    rows: BTreeMap<(String, String), Row>,
    events: BTreeMap<String, Event>,
}

#[derive(PartialEq)]
struct Event {
    action: String,
    target: String,
    note: String,
    organization: String,
    /// The version of the organization.
    version: i64,
    /// The message that readers of the event feed receive, encoded.
    data: Vec<u8>,
}

/// An id in the same form for both engines: lower case, without hyphens.
fn plain(text: &str) -> String {
    text.to_lowercase().replace('-', "")
}

fn text(row: &Row, column: &str) -> String {
    row.get(column).and_then(Value::as_str).map(plain).unwrap_or_default()
}

async fn tables(app: &TestApp, connection: &impl ConnectionTrait) -> Vec<String> {
    let sql = match app.database.engine {
        Engine::Postgres => "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'",
        Engine::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table'",
    };
    let backend = connection.get_database_backend();
    let rows = connection.query_all_raw(Statement::from_string(backend, sql)).await.unwrap();
    let names = rows.iter().map(|row| row.try_get::<String>("", "name").unwrap());
    // SQLite keeps a search index in separate tables.
    names
        .filter(|name| !BOOKKEEPING.contains(&name.as_str()))
        .filter(|name| !["search", "fts", "sqlite_"].iter().any(|part| name.contains(part)))
        .collect()
}

/// The rows of a table, without the columns in `PROGRESS`.
async fn rows(app: &TestApp, connection: &impl ConnectionTrait, table: &str) -> Vec<Row> {
    let backend = connection.get_database_backend();
    let sql = match app.database.engine {
        Engine::Postgres => format!("SELECT to_jsonb(t)::text AS row FROM {table} t"),
        Engine::Sqlite => {
            let columns = format!(
                "SELECT group_concat('''' || name || ''', CASE typeof(\"' || name || '\") \
                 WHEN ''blob'' THEN hex(\"' || name || '\") ELSE \"' || name || '\" END', ', ') \
                 AS row FROM pragma_table_info('{table}')"
            );
            let columns = Statement::from_string(backend, columns);
            let columns = connection.query_one_raw(columns).await.unwrap().unwrap();
            let columns: String = columns.try_get("", "row").unwrap();
            format!("SELECT json_object({columns}) AS row FROM {table}")
        }
    };
    let found = connection.query_all_raw(Statement::from_string(backend, sql)).await.unwrap();
    let parse = |row: &sea_orm::QueryResult| {
        let row: String = row.try_get("", "row").unwrap();
        let Value::Object(mut row) = serde_json::from_str(&row).unwrap() else { panic!("{row}") };
        for column in PROGRESS {
            row.remove(column);
        }
        row
    };
    found.iter().map(parse).collect()
}

/// The state of the store, after all mail is sent and while no worker changes anything.
async fn settled_state(app: &TestApp) -> State {
    let mut seen = read_state(app).await;
    loop {
        while app.database.count("SELECT count(*) FROM outbox").await > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let now = read_state(app).await;
        if now == seen {
            return now;
        }
        seen = now;
    }
}

async fn read_state(app: &TestApp) -> State {
    let connection = app.database.connect().await;
    let mut state = State::default();
    for table in tables(app, &connection).await {
        for row in rows(app, &connection, &table).await {
            let id = text(&row, "id");
            assert!(!id.is_empty(), "{table} has rows without an id");
            if table == "audit_events" {
                let event = Event {
                    action: text(&row, "action"),
                    target: text(&row, "target_id"),
                    note: text(&row, "note"),
                    organization: text(&row, "organization_id"),
                    version: row["organization_version"].as_i64().unwrap(),
                    data: hex::decode(text(&row, "data").trim_start_matches("\\x")).unwrap(),
                };
                state.events.insert(id, event);
            } else {
                state.rows.insert((table.clone(), id), row);
            }
        }
    }
    connection.close().await.unwrap();
    state
}

/// Checks a change. Returns its errors, and the actions of its events.
fn check_change(before: &State, after: &State) -> (Vec<String>, Vec<String>) {
    let mut wrong = Vec::new();
    let events: Vec<&Event> = after
        .events
        .iter()
        .filter(|(id, _)| !before.events.contains_key(*id))
        .map(|(_, event)| event)
        .collect();
    if before.events.keys().any(|id| !after.events.contains_key(id)) {
        wrong.push("an event was deleted".to_owned());
    }
    let mut changed = BTreeSet::new();
    for key in before.rows.keys().chain(after.rows.keys()) {
        let (old, new) = (before.rows.get(key), after.rows.get(key));
        if old == new || !changed.insert(key.1.clone()) {
            continue;
        }
        let (table, id) = key;
        let named = |event: &&Event| {
            event.target == *id
                || event.note.contains(id.as_str())
                || (table == "organizations" && event.organization == *id)
        };
        if events.iter().any(named) || is_covered_by_other_event(table, old, new, &events) {
            continue;
        }
        wrong.push(format!("{table} {id} changed without an event: {old:?} → {new:?}"));
    }
    wrong.extend(organization_errors(before, after, &events));
    for event in &events {
        wrong.extend(event_data_errors(before, after, event));
        if !changed.contains(&event.target) {
            wrong.push(format!("{} of {} has no change", event.action, event.target));
        }
    }
    (wrong, events.iter().map(|event| event.action.clone()).collect())
}

/// Checks the data that readers of the event feed receive, and returns the errors. The data must
/// have the kind of the event and name its target. It must contain no address and no name.
fn event_data_errors(before: &State, after: &State, event: &Event) -> Vec<String> {
    use own::event::Data;

    let message = own::Event::decode(event.data.as_slice()).unwrap();
    let text = format!("{:?}", message.data);
    let (kind, id) = match message.data {
        Some(Data::Account(it)) => ("account.", it.account_id),
        Some(Data::Organization(it)) => ("organization.", it.organization_id),
        Some(Data::Member(it)) => ("member.", it.member_id),
        Some(Data::Invite(it)) => ("invite.", it.invite_id),
        Some(Data::Grant(it)) => ("grant.", it.grant_id),
        Some(Data::Key(it)) => ("key.", it.key_id),
        Some(Data::Webhook(it)) => ("webhook.", it.webhook_id),
        Some(Data::Domain(it)) => ("domain.", it.domain_id),
        Some(Data::JoinRequest(it)) => ("join_request.", it.join_request_id),
        None => ("", String::new()),
    };
    let mut wrong = Vec::new();
    if kind.is_empty() || !event.action.starts_with(kind) || plain(&id) != event.target {
        wrong.push(format!("{} of {} has the data of {kind} {id}", event.action, event.target));
    }
    if event.organization.is_empty() != (event.version == 0) {
        wrong.push(format!("{} has version {}", event.action, event.version));
    }
    // The text of the decoded fields. In the encoded message, bytes between the fields can look
    // like letters.
    let data = text.to_lowercase();
    for ((table, _), row) in before.rows.iter().chain(&after.rows) {
        let secrets = match table.as_str() {
            "accounts" => &["name", "email"][..],
            "organizations" => &["name"],
            "invites" => &["email"],
            "webhooks" => &["url", "description"],
            "domains" => &["domain", "challenge"],
            "join_requests" => &["reason"],
            _ => &[],
        };
        for column in secrets {
            // Short names are parts of other words, and some people have a role as their name.
            let secret = row.get(*column).and_then(Value::as_str).unwrap_or_default();
            let secret = secret.to_lowercase();
            if secret.len() > 3 && secret.parse::<Role>().is_err() && data.contains(&secret) {
                wrong.push(format!("{} contains the {column} of {table}", event.action));
            }
        }
    }
    if data.contains('@') {
        wrong.push(format!("{} contains an address", event.action));
    }
    wrong
}

/// Errors of organizations: the version did not increase by one with each change, or the stored
/// number of members is wrong.
fn organization_errors(before: &State, after: &State, events: &[&Event]) -> Vec<String> {
    let number = |row: &Row, column: &str| row[column].as_i64().unwrap();
    let mut wrong = Vec::new();
    for ((table, id), new) in &after.rows {
        if table != "organizations" {
            continue;
        }
        let members = after.rows.iter().filter(|((table, _), row)| {
            table == "members"
                && text(row, "organization_id") == *id
                && text(row, "status") != "left"
        });
        if number(new, "member_count") != i64::try_from(members.count()).unwrap() {
            wrong.push(format!("{id} has a wrong member count"));
        }
        let Some(old) = before.rows.get(&(table.clone(), id.clone())) else { continue };
        // A step may make several changes: mail is sent after the request.
        let versions: BTreeSet<i64> = events
            .iter()
            .filter(|event| event.organization == *id)
            .map(|event| event.version)
            .collect();
        let (old, new) = (number(old, "version"), number(new, "version"));
        if !versions.iter().copied().eq(old + 1..=new) {
            wrong.push(format!("{id} went from version {old} to {new} with {versions:?}"));
        }
    }
    wrong
}

/// Whether the event of another row covers this change. For example, an organization is deleted
/// with its members and invites, and a member's row repeats the account's name and address.
fn is_covered_by_other_event(
    table: &str,
    old: Option<&Row>,
    new: Option<&Row>,
    events: &[&Event],
) -> bool {
    match (old, new) {
        (Some(old), None)
            if ["members", "invites", "grants", "webhooks", "domains", "join_requests"]
                .contains(&table) =>
        {
            let organization = text(old, "organization_id");
            events
                .iter()
                .any(|event| event.action == "organization.deleted" && event.target == organization)
        }
        // Erasing an account removes its address from invitations that have ended.
        (Some(old), Some(new)) if table == "invites" => {
            let but_address = |row: &Row| {
                let mut row = row.clone();
                for column in ["email", "delivery_error", "metadata", "external_id", "locale"] {
                    row.remove(column);
                }
                row
            };
            but_address(old) == but_address(new)
                && new["email"].is_null()
                && events.iter().any(|event| event.action == "account.erased")
        }
        // Erasing an account removes the admins' reasons from its denied join requests.
        (Some(old), Some(new)) if table == "join_requests" => {
            let but_reason = |row: &Row| {
                let mut row = row.clone();
                row.remove("reason");
                row
            };
            but_reason(old) == but_reason(new)
                && new["reason"] == ""
                && events.iter().any(|event| event.action == "account.erased")
        }
        // The webhook of a deleted organization stays until it has received the last event.
        (Some(_), Some(new)) if table == "webhooks" => {
            let organization = text(new, "organization_id");
            events
                .iter()
                .any(|event| event.action == "organization.deleted" && event.target == organization)
        }
        (Some(old), Some(new)) if table == "members" => {
            let account = text(new, "account_id");
            let of_account: Vec<_> =
                events.iter().filter(|event| event.target == account).collect();
            let is_erased = of_account.iter().any(|event| event.action == "account.erased");
            let but_place = |row: &Row| {
                let mut row = row.clone();
                for column in ["sort_name", "email"] {
                    row.remove(column);
                }
                // Erasing an account removes the data that integrators stored for its members.
                for column in ["metadata", "external_id"] {
                    if is_erased && new[column].is_null() {
                        row.remove(column);
                    }
                }
                row
            };
            but_place(old) == but_place(new) && !of_account.is_empty()
        }
        _ => false,
    }
}

/// The errors and the changes of the steps so far.
struct Checker<'a> {
    app: &'a TestApp,
    wrong: Vec<String>,
    /// The names of the steps that succeeded and wrote events.
    steps_with_events: BTreeSet<String>,
}

impl Checker<'_> {
    /// Runs a change, which may fail, and checks it. Returns the actions of its events,
    /// sorted.
    async fn step(&mut self, name: &str, change: impl Future<Output = bool>) -> Vec<String> {
        let before = settled_state(self.app).await;
        let done = change.await;
        let after = settled_state(self.app).await;
        let (wrong, mut actions) = check_change(&before, &after);
        self.wrong.extend(wrong.into_iter().map(|what| format!("{name}: {what}")));
        let by_worker = ["invite.expired", "member.expired"];
        if !done && actions.iter().any(|action| !by_worker.contains(&action.as_str())) {
            self.wrong.push(format!("{name}: the call failed, but wrote {actions:?}"));
        }
        if done && !actions.is_empty() {
            self.steps_with_events.insert(name.to_owned());
        }
        actions.sort();
        actions
    }

    /// Runs a step, and checks that its events have exactly these actions.
    async fn expect(&mut self, name: &str, expected: &[&str], change: impl Future<Output = bool>) {
        let mut actions = self.step(name, change).await;
        if !expected.contains(&"invite.expired") {
            // The server's own worker runs once a minute and ends expired invites.
            actions.retain(|action| action != "invite.expired");
        }
        if actions != expected {
            self.wrong.push(format!("{name}: {actions:?} instead of {expected:?}"));
        }
    }
}

fn is_safe(path: &str) -> bool {
    let proto = method(path).method_descriptor_proto().clone();
    proto.options.is_some_and(|o| o.idempotency_level() == IdempotencyLevel::NoSideEffects)
}

async fn call(person: &Person, rpc: &str, request: &str) -> bool {
    let path = format!("/{rpc}");
    let mut json = serde_json::Deserializer::from_str(request);
    let message = DynamicMessage::deserialize(method(&path).input(), &mut json).unwrap();
    let headers = [("authorization", format!("Bearer {}", person.key.as_deref().unwrap()))];
    person.client.unary(&path, &headers, message.encode_to_vec()).await.is_ok()
}

/// Calls each RPC with the requests of `matrix::ROWS`.
async fn check_rpcs(checker: &mut Checker<'_>) {
    let app = checker.app;
    let operator = app.operator().await;
    for (rpc, request, codes) in matrix::ROWS {
        let org = app.organization().await;
        let link = org.admin.link(&org.id, "member").await.unwrap().id;
        let invited = org.admin.invite_address(&org.id, "iva@example.org", "member");
        let webhook = matrix::webhook_for(request, &org).await;
        let domain = matrix::domain_for(request, &org).await;
        let join_request = matrix::request_for(request, &org).await;
        let request = request
            .replace("$webhook", &webhook)
            .replace("$domain", &domain)
            .replace("$request", &join_request)
            .replace("$invitation", &invited.await.unwrap().invite.unwrap().id)
            .replace("$invite", &link)
            .replace("$organization", &org.id)
            .replace("$token", &org.admin.current_invite(&org.id).await.unwrap())
            .replace("$stranger", &org.stranger.account().await.to_string())
            .replace("$member", &org.member_id)
            .replace("$admin", &org.admin_id);
        // The last column is for the admin. RPCs that admins may not call are for operators.
        let is_admins = *codes.last().unwrap() != tonic::Code::PermissionDenied;
        let who = match *rpc {
            "gitpod.v1.OrganizationService/JoinOrganization" => &org.stranger,
            _ if is_admins => &org.admin,
            _ => &operator,
        };
        let actions = checker.step(rpc, call(who, rpc, &request)).await;
        assert!(!is_safe(&format!("/{rpc}")) || actions.is_empty(), "{rpc}: {actions:?}");
    }
}

/// Calls each REST route with the requests of `rest::matrix::ROWS`.
async fn check_routes(checker: &mut Checker<'_>) {
    let app = checker.app;
    for (method, path, body, _) in rest::matrix::ROWS {
        let org = app.organization().await;
        let link = org.admin.link(&org.id, "read").await.unwrap();
        let invited = org.admin.invite_address(&org.id, "iva@example.org", "member");
        let name = format!("{method} {path}");
        let path = path
            .replace("$organization", &org.id)
            .replace("$invitation", &invited.await.unwrap().invite.unwrap().id)
            .replace("$token", &link.token);
        let who = if name.ends_with("/invites/$token") { &org.stranger } else { &org.admin };
        let send = async {
            rest::matrix::send_with_body(who, method, &path, body).await.status.is_success()
        };
        let actions = checker.step(&name, send).await;
        assert!(*method != "GET" || actions.is_empty(), "{name}: {actions:?}");
    }
}

/// An organization with a second admin, who has created invites of all kinds and has a grant.
async fn second_admin(app: &TestApp) -> Organization {
    let org = app.organization().await;
    let admin = gitpod::OrganizationRole::Admin;
    org.admin.grant(&org.id, &org.member_id, admin).await.unwrap();
    org.member.invite(&org.id).await.unwrap();
    org.member.link(&org.id, "read").await.unwrap();
    org.member.invite_address(&org.id, "iva@example.org", "read").await.unwrap();
    let link = content_link(&org.admin, &org.id).await;
    org.member.join(&link).await.unwrap();
    org
}

async fn content_link(admin: &Person, org: &str) -> String {
    let content = Some(own::content_grant::Content::Space("s1".into()));
    let grant = own::ContentGrant { content, level: "read".into() };
    let request = own::CreateLinkRequest {
        grants: Some(own::create_link_request::Grants::Grant(grant)),
        ..link_to(org)
    };
    admin.create_link(request).await.unwrap().invite.unwrap().token
}

async fn check_ends(checker: &mut Checker<'_>) {
    let app = checker.app;
    let three = ["invite.ended"; 3];
    let with = |own: &'static [&'static str]| {
        let mut all: Vec<&str> = own.iter().chain(&three).copied().collect();
        all.sort_unstable();
        all
    };
    let org = second_admin(app).await;
    let expected = with(&["grant.ended", "member.removed"]);
    checker.expect(LEAVE, &expected, async { org.admin.end(&org.member_id).await.is_ok() }).await;
    let org = second_admin(app).await;
    let expected = with(&["grant.ended", "member.left"]);
    checker.expect(LEAVE, &expected, async { org.member.end(&org.member_id).await.is_ok() }).await;

    let org = app.organization().await;
    let leave = own::LeaveOrganizationRequest {
        organization_id: org.id.clone(),
        successor_member_id: org.member_id.clone(),
    };
    checker
        .expect(
            LEAVE_WITH_SUCCESSOR,
            &["invite.ended", "member.left", "member.role_changed"],
            async { org.admin.leave_with_successor(leave).await.is_ok() },
        )
        .await;

    let org = second_admin(app).await;
    let demote = org.admin.grant(&org.id, &org.member_id, gitpod::OrganizationRole::Member);
    let expected = with(&["member.role_changed"]);
    checker.expect("SetRole", &expected, async { demote.await.is_ok() }).await;
    let org = second_admin(app).await;
    let demote = own::SetMemberRoleRequest {
        organization_id: org.id.clone(),
        member_id: org.member_id.clone(),
        role: "edit".into(),
    };
    checker
        .expect("SetMemberRole", &expected, async {
            org.admin.set_member_role(demote).await.is_ok()
        })
        .await;
    let org = second_admin(app).await;
    let suspend = own::SuspendMemberRequest {
        organization_id: org.id.clone(),
        member_id: org.member_id.clone(),
    };
    let expected = with(&["member.suspended"]);
    checker
        .expect(SUSPEND, &expected, async { org.admin.suspend_member(suspend).await.is_ok() })
        .await;
    let restore = own::RestoreMemberRequest {
        organization_id: org.id.clone(),
        member_id: org.member_id.clone(),
    };
    checker
        .expect(RESTORE, &["member.restored"], async {
            org.admin.restore_member(restore).await.is_ok()
        })
        .await;

    let org = second_admin(app).await;
    let account = Owner::Account(org.member.account().await);
    for _ in 0..2 {
        app.key(account.clone(), None, Some(org.domain_id())).await;
    }
    let gone = app.key(account.clone(), None, Some(org.domain_id())).await;
    let gone = gone.get_caller(Default::default()).await.unwrap().key_id;
    revoke_key(app.store(), gone.parse().unwrap(), app.clock.now()).await.unwrap();
    let expected = ["key.revoked", "key.revoked", "organization.deleted"];
    checker
        .expect("DeleteOrganization", &expected, async { org.admin.delete(&org.id).await.is_ok() })
        .await;
}

async fn check_join_methods(checker: &mut Checker<'_>) {
    let app = checker.app;
    let org = app.organization().await;
    org.admin.invite_address(&org.id, "zoe@example.com", "read").await.unwrap();
    let link = limited_link(&org.admin, &org.id, 1).await.token;
    let expected = ["invite.ended", "member.joined"];
    checker
        .expect("link beside an invitation", &expected, async {
            org.stranger.join(&link).await.is_ok()
        })
        .await;
    checker.expect("the same again", &[], async { org.stranger.join(&link).await.is_ok() }).await;
    let content = content_link(&org.admin, &org.id).await;
    checker
        .expect("content for a member", &["grant.created"], async {
            org.stranger.join(&content).await.is_ok()
        })
        .await;

    for (role, expected) in
        [("admin", &["member.joined"][..]), ("read", &["invite.ended", "member.joined"][..])]
    {
        let org = app.organization().await;
        open_domain(&org.admin, &org.id).await;
        org.admin.invite_address(&org.id, "zoe@example.com", role).await.unwrap();
        let join = async { org.stranger.join_by_id(&org.id).await.is_ok() };
        checker.expect("domain beside an invitation", expected, join).await;
    }
    let org = app.organization().await;
    org.admin.invite_address(&org.id, "zoe@example.com", "read").await.unwrap();
    let zoe = org.stranger.account().await.to_string();
    for expected in [&["invite.ended", "member.joined"][..], &[]] {
        let add = async { org.admin.add(&org.id, &zoe, "edit").await.is_ok() };
        checker.expect("added beside an invitation", expected, add).await;
    }

    let org = app.organization().await;
    let invited = org.admin.invite_address(&org.id, "zoe@example.com", "read").await.unwrap();
    let accept = own::AcceptRequest { invitation: invited.invite.unwrap().id };
    for expected in [&["member.joined"][..], &[]] {
        let accept = org.stranger.accept_invitation(accept.clone());
        checker.expect(ACCEPT, expected, async { accept.await.is_ok() }).await;
    }

    let org = app.organization().await;
    let invited = org.admin.invite_address(&org.id, "zoe@example.com", "read").await.unwrap();
    let invitation = invited.invite.unwrap().id;
    let decline = own::DeclineRequest { invitation, request_id: "r".into() };
    for expected in [&["invite.declined"][..], &[]] {
        let decline = org.stranger.decline_invite(decline.clone());
        checker.expect(DECLINE, expected, async { decline.await.is_ok() }).await;
    }

    // The call changes nothing if there is no new address to invite.
    let invite = |emails: &[&str]| own::InviteByEmailRequest {
        organization_id: org.id.clone(),
        invitations: emails
            .iter()
            .map(|email| own::EmailInvitation {
                email: (*email).into(),
                role: "read".into(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    };
    org.admin.invite_by_email(invite(&["iva@example.org"])).await.unwrap();
    let no_new_address = invite(&["iva@example.org", "ben@example.com", "nonsense"]);
    checker
        .expect("nobody to invite", &[], async {
            org.admin.invite_by_email(no_new_address).await.is_ok()
        })
        .await;
    app.clock.advance(Duration::from_secs(31 * 24 * 60 * 60));
    let expected = ["invite.created", "invite.expired", "invite.mailed"];
    checker
        .expect("an invitation after one that expired", &expected, async {
            org.admin.invite_by_email(invite(&["iva@example.org"])).await.is_ok()
        })
        .await;

    // A call that sets the current value changes nothing.
    let same = gitpod::UpdateOrganizationRequest {
        organization_id: org.id.clone(),
        name: Some("Acme".into()),
        ..Default::default()
    };
    checker
        .expect("the same name", &[], async { org.admin.update_organization(same).await.is_ok() })
        .await;
    let same = org.admin.grant(&org.id, &org.member_id, gitpod::OrganizationRole::Member);
    checker.expect("the same role", &[], async { same.await.is_ok() }).await;
    let link = org.admin.link(&org.id, "read").await.unwrap().id;
    let same = own::UpdateRequest {
        organization_id: org.id.clone(),
        id: link.clone(),
        role: Some("read".into()),
        ..Default::default()
    };
    checker
        .expect("the same terms", &[], async { org.admin.update_invite(same).await.is_ok() })
        .await;
    for expected in [&["invite.revoked"][..], &[]] {
        let revoke = async { org.admin.revoke(&org.id, &link).await.is_ok() };
        checker.expect("revoked twice", expected, revoke).await;
    }
}

/// Memberships that expire. The worker or the next change of the organization stores the end.
async fn check_member_ends(checker: &mut Checker<'_>) {
    let app = checker.app;
    let hour = Duration::from_secs(60 * 60);
    let org = second_admin(app).await;
    let end = app.in_the_future(hour);
    for (end, expected) in
        [(end, &["member.updated"][..]), (end, &[]), (None, &["member.updated"]), (None, &[])]
    {
        let set = org.admin.set_end(&org.id, &org.member_id, end);
        checker.expect(SET_EXPIRY, expected, async { set.await.is_ok() }).await;
    }
    let past = app.in_the_future(Duration::ZERO);
    let set = org.admin.set_end(&org.id, &org.member_id, past);
    checker.expect("an end in the past", &[], async { set.await.is_ok() }).await;

    org.admin.set_end(&org.id, &org.member_id, app.in_the_future(hour)).await.unwrap();
    app.clock.advance(hour);
    let now = app.clock.now();
    let expected =
        ["grant.ended", "invite.ended", "invite.ended", "invite.ended", "member.expired"];
    for expected in [&expected[..], &[]] {
        let end = end_expired_members(app.store(), now, 10);
        checker.expect("the worker", expected, async { end.await.is_ok() }).await;
    }

    let org = second_admin(app).await;
    org.admin.set_end(&org.id, &org.member_id, app.in_the_future(hour)).await.unwrap();
    let link = limited_link(&org.admin, &org.id, 1).await.token;
    app.clock.advance(hour);
    let expected = [
        "grant.ended",
        "invite.ended",
        "invite.ended",
        "invite.ended",
        "member.expired",
        "member.joined",
    ];
    let join = async { org.stranger.join(&link).await.is_ok() };
    checker.expect("a join after an end", &expected, join).await;
}

async fn check_webhooks(checker: &mut Checker<'_>) {
    let app = checker.app;
    let org = app.organization().await;
    let operator = app.operator().await;
    for (owner, organization) in [(&org.admin, org.id.as_str()), (&operator, "")] {
        let (webhook, _) = owner.webhook(organization, "http://127.0.0.1:9/").await.unwrap();
        let (organization_id, webhook_id) = (organization.to_owned(), webhook.id.clone());
        let of = || (organization_id.clone(), webhook_id.clone());
        let expected = [&["webhook.disabled"][..], &[]];
        for expected in expected {
            let (organization_id, webhook_id) = of();
            let request = own::DisableWebhookRequest { organization_id, webhook_id };
            let disable = async { owner.disable_webhook(request).await.is_ok() };
            checker.expect("DisableWebhook", expected, disable).await;
        }
        for expected in [&["webhook.enabled"][..], &[]] {
            let (organization_id, webhook_id) = of();
            let request = own::EnableWebhookRequest { organization_id, webhook_id };
            checker
                .expect(ENABLE, expected, async { owner.enable_webhook(request).await.is_ok() })
                .await;
        }
        for (description, expected) in [("x", &["webhook.updated"][..]), ("x", &[])] {
            let (organization_id, webhook_id) = of();
            let request = own::UpdateWebhookRequest {
                organization_id,
                webhook_id,
                description: Some(description.to_owned()),
                ..Default::default()
            };
            let update = async { owner.update_webhook(request).await.is_ok() };
            checker.expect("UpdateWebhook", expected, update).await;
        }
        let (organization_id, webhook_id) = of();
        let request = own::SendTestRequest { organization_id, webhook_id };
        checker.expect("SendTest", &[], async { owner.send_test(request).await.is_ok() }).await;
        let (organization_id, webhook_id) = of();
        let start_time = Some(prost_types::Timestamp::default());
        let request =
            own::ReplayRequest { organization_id, webhook_id, start_time, ..Default::default() };
        checker.expect("Replay", &[], async { owner.replay(request).await.is_ok() }).await;
    }
    let delete = async { org.admin.delete(&org.id).await.is_ok() };
    checker.expect("DeleteOrganization", &["organization.deleted"], delete).await;
}

async fn check_domains(checker: &mut Checker<'_>) {
    let app = checker.app;
    let org = app.organization().await;
    let domain = org.admin.domain(&org.id, &new_domain()).await.unwrap();
    checker.expect("no proof", &[], async { org.admin.verify(&domain).await.is_ok() }).await;
    prove(&domain);
    for expected in [&["domain.verified"][..], &[]] {
        checker.expect(VERIFY, expected, async { org.admin.verify(&domain).await.is_ok() }).await;
    }
    let mode = own::DomainMode::Automatic;
    for expected in [&["domain.mode_changed"][..], &[]] {
        let set = org.admin.set_mode(&domain, mode);
        checker.expect("SetDomainMode", expected, async { set.await.is_ok() }).await;
    }
    disprove(&domain);
    let dns = Dns::new(vec![nameserver::address()]);
    let day = Duration::from_secs(24 * 60 * 60);
    let checks = DomainChecks { interval: day, grace: day };
    for expected in [&[][..], &["domain.lapsed"]] {
        app.clock.advance(day);
        let check = check_due(app.store(), &dns, checks, app.clock.now());
        checker.expect("check", expected, async { check.await.is_ok() }).await;
    }
    org.admin.domain(&org.id, &new_domain()).await.unwrap();
    let delete = async { org.admin.delete(&org.id).await.is_ok() };
    checker.expect("DeleteOrganization", &["organization.deleted"], delete).await;
}

async fn check_join_requests(checker: &mut Checker<'_>) {
    let app = checker.app;
    let org = app.organization().await;
    let link = org.admin.approval_link(&org.id).await;
    let actions = checker.step("join by it", async {
        // The call is rejected, but its change is committed.
        org.stranger.join(&link.token).await.unwrap_err().reason == "APPROVAL_PENDING"
    });
    assert_eq!(actions.await, ["join_request.created"]);
    let join_request = org.stranger.request_to_join(&link.token).await.unwrap();
    for expected in [&["join_request.withdrawn"][..], &[]] {
        let withdraw = async { org.stranger.withdraw(&join_request).await.is_ok() };
        checker.expect(WITHDRAW, expected, withdraw).await;
    }
    for expected in [&["join_request.created"][..], &[]] {
        checker
            .expect(REQUEST_TO_JOIN, expected, async {
                org.stranger.request_to_join(&link.token).await.is_ok()
            })
            .await;
    }
    let join_request = org.stranger.request_to_join(&link.token).await.unwrap();
    for expected in [&["join_request.denied"][..], &[]] {
        let deny = async { org.admin.deny(&join_request, "Not yet, sorry", 0).await.is_ok() };
        checker.expect("DenyJoinRequest", expected, deny).await;
    }
    let join_request = org.stranger.request_to_join(&link.token).await.unwrap();
    for expected in [&["join_request.approved", "member.joined"][..], &[]] {
        let approve = async { org.admin.approve(&join_request, "").await.is_ok() };
        checker.expect("ApproveJoinRequest", expected, approve).await;
    }
    let kim = app.person("kim").await;
    kim.request_to_join(&link.token).await.unwrap();
    let token = org.admin.current_invite(&org.id).await.unwrap();
    let expected = ["join_request.ended", "member.joined"];
    checker
        .expect("join beside a request", &expected, async { kim.join(&token).await.is_ok() })
        .await;
    let lea = app.person("lea").await;
    let join_request = lea.request_to_join(&link.token).await.unwrap();
    org.admin.deny(&join_request, "Lea was here before", 0).await.unwrap();
    lea.request_to_join(&link.token).await.unwrap();
    let (account, now) = (lea.account().await, app.clock.now());
    let expected = ["account.erased", "join_request.ended", "key.revoked"];
    checker
        .expect("erase", &expected, async { erase(app.store(), account, now).await.is_ok() })
        .await;
    let delete = async { org.admin.delete(&org.id).await.is_ok() };
    checker.expect("DeleteOrganization", &["organization.deleted"], delete).await;
}

async fn check_other_changes(checker: &mut Checker<'_>) {
    let app = checker.app;
    let service = Owner::Service("portal".parse().unwrap());
    let service = app.key(service, Some(KeyScope::Act), None).await;
    let resolve_request = |name: &str| own::ResolveAccountRequest {
        issuer: "intranet".into(),
        subject: "7".into(),
        email: "uma@example.com".into(),
        email_verified: true,
        name: name.into(),
        ..Default::default()
    };
    let cases = [("Uma", "account.created"), ("Uma B", "account.updated"), ("", ""), ("Uma C", "")];
    for (name, expected) in cases {
        let expected: Vec<&str> =
            Some(expected).filter(|one| !one.is_empty()).into_iter().collect();
        let resolve = service.resolve_account(resolve_request(name));
        checker.expect(RESOLVE, &expected, async { resolve.await.is_ok() }).await;
    }

    let org = app.organization().await;
    let key = |name: &str| CreateKey {
        owner: Owner::Email {
            email: "zoe@example.com".parse().unwrap(),
            name: Some(name.to_owned()),
        },
        organization: None,
        scope: None,
        expires_in: None,
    };
    let token = org.admin.current_invite(&org.id).await.unwrap();
    org.stranger.join(&token).await.unwrap();
    let now = app.clock.now();
    let made = create_key(app.store(), key("zoe"), now).await.unwrap();
    let expected = ["account.updated", "key.created"];
    checker
        .expect("keys create", &expected, async {
            create_key(app.store(), key("Zoe B"), now).await.is_ok()
        })
        .await;
    let id = made.id().clone();
    checker
        .expect("keys revoke", &["key.revoked"], async {
            revoke_key(app.store(), id.clone(), now).await.is_ok()
        })
        .await;
    checker
        .expect("keys revoke again", &[], async { revoke_key(app.store(), id, now).await.is_ok() })
        .await;

    let org = app.organization().await;
    org.admin.invite_address(&org.id, "eve@example.org", "read").await.unwrap();
    let revoked = org.admin.invite_address(&org.id, "kim@example.org", "read").await.unwrap();
    org.admin.revoke(&org.id, &revoked.invite.unwrap().id).await.unwrap();
    org.admin.invite_address(&org.id, "kim@example.org", "read").await.unwrap();
    let kim = app.person_with("kim@example.org").await;
    let account = kim.account().await;
    kim.join(&org.admin.current_invite(&org.id).await.unwrap()).await.unwrap();
    let (other, _) = org.admin.new_organization("Other").await;
    org.admin.invite_address(&other, "kim@example.org", "read").await.unwrap();
    let expected = ["account.erased", "invite.ended", "key.revoked", "member.left"];
    checker
        .expect("accounts erase", &expected, async {
            erase(app.store(), account, now).await.is_ok()
        })
        .await;
    checker
        .expect("accounts erase again", &[], async {
            erase(app.store(), account, now).await.is_ok()
        })
        .await;

    // The step `expiry` below also ends invitations that earlier steps left.
    end_expired(app.store(), now, 10).await.unwrap();
    for email in ["iva@example.org", "eve@example.org"] {
        org.admin.invite_address(&org.id, email, "read").await.unwrap();
    }
    settled_state(app).await;
    app.clock.advance(Duration::from_secs(31 * 24 * 60 * 60));
    let now = app.clock.now();
    let step =
        checker.step("expiry", async { end_expired(app.store(), now, 10).await.is_ok() }).await;
    assert!(step.len() >= 2 && step.iter().all(|action| action == "invite.expired"), "{step:?}");
    checker
        .expect("pruning", &[], async { delete_old_results(app.store(), now).await.is_ok() })
        .await;
}

const SET_EXPIRY: &str = "guestlist.v1.MemberService/SetMemberExpiry";

/// RPCs that may change something, but not with the requests of `matrix::ROWS`. Some only read if
/// there is a join link, some only send to a webhook, and other tests here call the rest by name.
const NOT_CHANGED_BY_ROWS: [&str; 16] = [
    REQUEST_TO_JOIN,
    WITHDRAW,
    "gitpod.v1.OrganizationService/GetOrganizationInvite",
    "gitpod.v1.OrganizationService/GetOrganizationInviteSummary",
    LEAVE,
    LEAVE_WITH_SUCCESSOR,
    SUSPEND,
    RESTORE,
    ACCEPT,
    DECLINE,
    RESOLVE,
    "guestlist.v1.WebhookService/SendTest",
    "guestlist.v1.WebhookService/Replay",
    // They change nothing in our store: the code and the refresh token belong to the issuer.
    "guestlist.v1.SignInService/FinishSignIn",
    "guestlist.v1.SignInService/RenewSignIn",
    ENABLE,
];

const LEAVE: &str = "gitpod.v1.OrganizationService/LeaveOrganization";
const LEAVE_WITH_SUCCESSOR: &str = "guestlist.v1.MemberService/LeaveOrganization";
const SUSPEND: &str = "guestlist.v1.MemberService/SuspendMember";
const RESTORE: &str = "guestlist.v1.MemberService/RestoreMember";
const ACCEPT: &str = "guestlist.v1.InviteService/Accept";
const DECLINE: &str = "guestlist.v1.InviteService/Decline";
const ENABLE: &str = "guestlist.v1.WebhookService/EnableWebhook";
const REQUEST_TO_JOIN: &str = "guestlist.v1.JoinRequestService/CreateJoinRequest";
const WITHDRAW: &str = "guestlist.v1.JoinRequestService/WithdrawJoinRequest";
const VERIFY: &str = "guestlist.v1.DomainService/VerifyDomain";
const RESOLVE: &str = "guestlist.v1.AccountService/ResolveAccount";

/// Starts with a check of the rows that the first start of the server has written.
async fn begin(app: &TestApp) -> Checker<'_> {
    let (wrong, _) = check_change(&State::default(), &settled_state(app).await);
    Checker { app, wrong, steps_with_events: BTreeSet::new() }
}

impl Checker<'_> {
    /// Asserts that there are no errors, and that each of these steps has changed something.
    fn finish(self, expected: impl Iterator<Item = String>) {
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
        let missed: Vec<String> =
            expected.filter(|name| !self.steps_with_events.contains(name)).collect();
        assert!(missed.is_empty(), "these have changed nothing: {missed:?}");
    }
}

async fn rpcs(app: &TestApp) {
    let mut checker = begin(app).await;
    check_rpcs(&mut checker).await;
    let rpcs = DESCRIPTORS.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let rpcs =
        rpcs.map(|method| format!("{}/{}", method.parent_service().full_name(), method.name()));
    let changing = |rpc: &String| !is_safe(&format!("/{rpc}"));
    checker
        .finish(rpcs.filter(changing).filter(|rpc| !NOT_CHANGED_BY_ROWS.contains(&rpc.as_str())));
}

async fn routes(app: &TestApp) {
    let mut checker = begin(app).await;
    check_routes(&mut checker).await;
    let routes = rest::matrix::ROWS.iter().filter(|(method, ..)| *method != "GET");
    checker.finish(routes.map(|(method, path, ..)| format!("{method} {path}")));
}

async fn ends(app: &TestApp) {
    let mut checker = begin(app).await;
    check_ends(&mut checker).await;
    checker.finish([LEAVE, LEAVE_WITH_SUCCESSOR, SUSPEND, RESTORE].map(str::to_owned).into_iter());
}

async fn join_methods(app: &TestApp) {
    let mut checker = begin(app).await;
    check_join_methods(&mut checker).await;
    checker.finish([ACCEPT, DECLINE].map(str::to_owned).into_iter());
}

async fn member_ends(app: &TestApp) {
    let mut checker = begin(app).await;
    check_member_ends(&mut checker).await;
    checker.finish([SET_EXPIRY].map(str::to_owned).into_iter());
}

async fn rest(app: &TestApp) {
    let mut checker = begin(app).await;
    check_other_changes(&mut checker).await;
    checker.finish([RESOLVE].map(str::to_owned).into_iter());
}

async fn webhooks(app: &TestApp) {
    let mut checker = begin(app).await;
    check_webhooks(&mut checker).await;
    checker.finish([ENABLE].map(str::to_owned).into_iter());
}

async fn domains(app: &TestApp) {
    let mut checker = begin(app).await;
    check_domains(&mut checker).await;
    checker.finish([VERIFY].map(str::to_owned).into_iter());
}

async fn requests(app: &TestApp) {
    let mut checker = begin(app).await;
    check_join_requests(&mut checker).await;
    checker.finish([REQUEST_TO_JOIN, WITHDRAW].map(str::to_owned).into_iter());
}

fn settings(config: &mut Config) {
    trust_intranet(config);
    config.limits.invites_per_account = 0;
    config.limits.invites_per_organization = 0;
    config.limits.invites_per_address = 0;
    config.limits.joins_per_account = 0;
    config.limits.joins_per_network = 0;
    config.limits.previews_per_account = 0;
    config.limits.previews_per_network = 0;
}

macro_rules! change_tests {
    ($($name:ident)+) => {
        mod p33_every_change_has_an_event_and_every_event_has_a_change {$(
            mod $name {
                use super::super::{Engine, Protocol, run_with, settings};

                #[test]
                fn sqlite() {
                    run_with(settings, Engine::Sqlite, Protocol::Grpc, super::super::$name);
                }

                #[test]
                fn postgres() {
                    run_with(settings, Engine::Postgres, Protocol::Grpc, super::super::$name);
                }
            }
        )+}
    };
}

change_tests! { rpcs routes ends member_ends join_methods webhooks domains requests rest }
