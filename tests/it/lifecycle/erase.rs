//! `guestlist accounts erase`, also while a server runs: which data of a person it removes.

use std::collections::BTreeSet;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;

use super::{column, on_both_engines, until};
use crate::auth::issuer::SigningKey;
use crate::support::program::CommandOutput;
use crate::support::{
    Code, Engine, Installation, Person, Server, assert_rejected_within_a_second, gitpod, own,
};

const ISSUER: &str = "https://sign-in.quetzal.example";
const SUBJECT: &str = "quetzal|4711";
const NAME: &str = "Wilhelmina Quetzal";
const OLD_NAME: &str = "Mina Kestrel";
const EMAIL: &str = "wilhelmina@quetzal.example";
const PICTURE: &str = "https://pictures.example/wilhelmina.png";
/// Values that integrators store about the person.
const STORED: [&str; 2] = ["quetzal-department", "quetzal-personnel-number"];

/// The columns of each table: first those with personal data, which `accounts erase` blanks or
/// whose rows it deletes, then the others. Two of the others may still contain names, because they
/// are free text of an organization: `organizations.name` and `invites.note`.
const COLUMNS: &[(&str, &[&str], &[&str])] = &[
    (
        "accounts",
        &["issuer", "subject", "email", "name", "picture", "login_provider"],
        &["id", "kind", "email_verified", "login_provider_kind", "created_at", "updated_at"],
    ),
    (
        "members",
        &["sort_name", "email", "metadata", "external_id"],
        &[
            "id",
            "organization_id",
            "account_id",
            "role",
            "status",
            "joined_at",
            "joined_by",
            "invite_id",
            "left_at",
            "removed",
            "left_version",
            "expires_at",
        ],
    ),
    (
        "invites",
        &["email", "delivery_error", "metadata", "external_id", "locale"],
        &[
            "id",
            "organization_id",
            "kind",
            "role",
            "token_hash",
            "token_sealed",
            "inviter_id",
            "state",
            "version",
            "expires_at",
            "max_uses",
            "uses",
            "created_at",
            "ended_at",
            "ended_by",
            "end_reason",
            "note",
            "allowed_domains",
            "sso",
            "content_kind",
            "content_id",
            "content_level",
            "member_id",
            "delivery",
            "continue_url",
            "requires_approval",
            "member_lifetime",
            "member_expires_at",
            "reminders",
        ],
    ),
    (
        // The caller chooses the text of the request id; the hash is of the request's parameters.
        "requests",
        &["request_id", "body_hash"],
        &["account_id", "organization_id", "operation", "outcome", "created_at"],
    ),
    (
        "organizations",
        &[],
        &[
            "id",
            "name",
            "invite_domains",
            "tier",
            "creator_id",
            "created_at",
            "updated_at",
            "version",
            "member_count",
            "seat_limit",
            "metadata",
            "external_id",
            "next_member_end",
        ],
    ),
    (
        "api_keys",
        &[],
        &[
            "id",
            "secret_hash",
            "account_id",
            "scope",
            "organization_id",
            "created_at",
            "expires_at",
            "revoked_at",
            "last_used_at",
        ],
    ),
    (
        "grants",
        &[],
        &[
            "id",
            "organization_id",
            "member_id",
            "content_kind",
            "content_id",
            "content_level",
            "invite_id",
            "created_at",
        ],
    ),
    (
        "outbox",
        &[],
        &[
            "id",
            "organization_id",
            "invite_id",
            "attempts",
            "next_attempt_at",
            "claimed_by",
            "created_at",
            "traceparent",
            "reminder",
        ],
    ),
    (
        // The server writes notes and data: ids, roles and reasons.
        "audit_events",
        &[],
        &[
            "id",
            "at",
            "action",
            "actor_id",
            "on_behalf_of_id",
            "target_kind",
            "target_id",
            "organization_id",
            "request_id",
            "note",
            "epoch",
            "position",
            "ordinal",
            "organization_version",
            "data",
            "traceparent",
        ],
    ),
    ("removals", &[], &["organization_id"]),
    ("settings", &[], &["name", "value"]),
    // The URL, the description and the responses belong to an organization's service.
    (
        "webhooks",
        &[],
        &[
            "id",
            "organization_id",
            "url",
            "description",
            "event_types",
            "secret_sealed",
            "previous_secret_sealed",
            "previous_secret_ends_at",
            "disabled_at",
            "disabled_reason",
            "organization_deleted",
            "epoch",
            "position",
            "ordinal",
            "next_attempt_at",
            "claimed_by",
            "first_failure_at",
            "created_at",
            "updated_at",
        ],
    ),
    (
        "join_requests",
        &["reason"],
        &[
            "id",
            "organization_id",
            "account_id",
            "state",
            "invite_id",
            "version",
            "created_at",
            "decided_at",
            "decided_by",
            "ask_again_at",
            "member_id",
        ],
    ),
    (
        "notices",
        &[],
        &[
            "id",
            "organization_id",
            "account_id",
            "kind",
            "subject_id",
            "told_version",
            "due_at",
            "attempts",
            "next_attempt_at",
            "claimed_by",
            "traceparent",
        ],
    ),
    (
        "domains",
        &[],
        &[
            "id",
            "organization_id",
            "domain",
            "challenge",
            "mode",
            "state",
            "created_at",
            "verified_at",
            "checked_at",
            "missing_since",
            "next_check_at",
        ],
    ),
    (
        "webhook_deliveries",
        &[],
        &[
            "id",
            "webhook_id",
            "event_id",
            "event_type",
            "attempts",
            "next_attempt_at",
            "last_attempt_at",
            "status",
            "reason",
            "answer",
            "created_at",
        ],
    ),
];

/// Starts a server that trusts the issuer `ISSUER`.
fn serve(at: &Installation, key: &SigningKey) -> Server {
    let settings = format!(
        "[[issuers]]\nissuer = '{ISSUER}'\naudience = 'guestlist'\nalgorithms = ['EdDSA']\n\
         jwks_file = 'keys.json'\nlogin_provider = 'quetzal'\nverified_email_domains = ['*']\n"
    );
    std::fs::write(at.directory().join("keys.json"), key.jwks()).unwrap();
    std::fs::write(at.directory().join("guestlist.toml"), settings).unwrap();
    at.serve_with(&[("GUESTLIST_CONFIG", "guestlist.toml")])
}

/// The person, with a token of the issuer.
fn signed_in(server: &Server, key: &SigningKey, name: &str) -> Person {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    server.person(&key.token(&json!({
        "iss": ISSUER, "aud": "guestlist", "sub": SUBJECT, "exp": now + 600,
        "email": EMAIL, "email_verified": true, "name": name, "picture": PICTURE,
    })))
}

fn erase(at: &Installation, id: &str) -> CommandOutput {
    at.run(&["accounts", "erase", id])
}

/// The places where a text of the person is still found: in rows, and on SQLite also in the bytes
/// of the files.
async fn traces(at: &Installation) -> Vec<String> {
    let rows = at.database.dump().await;
    let mut places: Vec<(String, Vec<u8>)> = vec![("a row".into(), rows.clone().into_bytes())];
    for entry in std::fs::read_dir(at.directory()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && path.file_name().unwrap().to_string_lossy().contains("guestlist.db") {
            places.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    let mut found = Vec::new();
    for text in [SUBJECT, NAME, OLD_NAME, EMAIL, PICTURE, ISSUER, STORED[0], STORED[1]] {
        for form in [text.to_owned(), text.to_lowercase(), hex::encode(text)] {
            for (place, bytes) in &places {
                if bytes.windows(form.len()).any(|window| window == form.as_bytes()) {
                    found.push(format!("{form} in {place}"));
                }
            }
        }
    }
    found
}

async fn execute(at: &Installation, sql: &str) {
    let connection = at.database.connect().await;
    connection.execute_unprepared(sql).await.unwrap();
    connection.close().await.unwrap();
}

on_both_engines! {
    async fn erasing_removes_the_person_from_rows_files_and_logs(at: Installation) {
        let signing = SigningKey::generate();
        let server = serve(at, &signing);
        let ana = server.person(&at.new_key("ana@acme.com"));
        let before = signed_in(&server, &signing, OLD_NAME);
        let account = before.account().await.to_string();
        let mina = signed_in(&server, &signing, NAME);
        let renamed = mina.get_caller(own::GetCallerRequest {}).await.unwrap().account.unwrap();
        assert_eq!((renamed.id, renamed.name.as_str()), (account.clone(), NAME));

        // Mina joins by an email invitation and creates a link. The ended invitation gets the error
        // text of a mail server below.
        let (acme, _) = ana.new_organization("Acme").await;
        let request = own::InviteByEmailRequest {
            organization_id: acme.clone(),
            invitations: vec![own::EmailInvitation {
                email: EMAIL.into(),
                role: "admin".into(),
                metadata: [("department".to_owned(), STORED[0].to_owned())].into(),
                external_id: STORED[1].into(),
                locale: "de-CH".into(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let invited = ana.invite_by_email(request).await.unwrap().results.remove(0);
        let invited = invited.invite.unwrap();
        let accept = own::AcceptRequest { invitation: invited.id.clone() };
        let member = mina.accept_invitation(accept).await.unwrap().membership.unwrap().member_id;
        let request = own::CreateLinkRequest {
            organization_id: acme.clone(),
            grants: Some(own::create_link_request::Grants::Role("read".into())),
            request_id: format!("by {EMAIL}"),
            ..Default::default()
        };
        let link = mina.create_link(request).await.unwrap().invite.unwrap();
        // Another organization invites her twice: one invitation is revoked, the other stays
        // pending and gets the error text of a mail server below.
        let (other, _) = ana.new_organization("Other").await;
        let revoked = ana.invite_address(&other, EMAIL, "read").await.unwrap().invite.unwrap();
        ana.revoke(&other, &revoked.id).await.unwrap();
        let pending = ana.invite_address(&other, EMAIL, "read").await.unwrap().invite.unwrap();
        // Mina has an organization of her own, and two keys.
        let (own_organization, _) = mina.new_organization("Of her own").await;
        let keys = [0, 1].map(|_| {
            let output = at.run(&["keys", "create", "--account", &account]);
            assert_eq!(output.code, 0, "{}", output.err);
            output.out.trim_end().to_owned()
        });
        let by_key = server.person(&keys[0]);
        assert_eq!(by_key.account().await.to_string(), account);
        until("the mails are sent", async || {
            at.database.count("SELECT count(*) FROM outbox").await == 0
        })
        .await;
        let set_delivery_error = format!("UPDATE invites SET delivery_error = '550 <{EMAIL}>: no' WHERE kind = 'email'");
        execute(at, &set_delivery_error).await;
        assert!(!traces(at).await.is_empty(), "the search finds traces before the erasure");
        let get_membership = || {
            let account = own::get_membership_request::Whose::AccountId(account.clone());
            ana.membership(&acme, Some(account))
        };
        get_membership().await.unwrap();

        let logged = server.logged().len();
        let output = erase(at, &account);
        let erased = Instant::now();
        assert_eq!((output.code, output.err.as_str()), (0, ""), "{}", output.out);
        for line in [
            format!("ended the membership in organization {acme}\n"),
            format!("ended the membership in organization {own_organization}, which has no members now\n"),
            "keys revoked: 2\n".to_owned(),
            "pending invitations ended: 1\n".to_owned(),
            "addresses removed from ended invitations: 3\n".to_owned(),
            format!("erased account {account}\n"),
        ] {
            assert!(output.out.contains(&line), "{line} is not in {}", output.out);
        }

        // P22: a second later her keys, her membership and her invites do not work.
        assert_rejected_within_a_second(erased, async || {
            match by_key.get_caller(own::GetCallerRequest {}).await {
                Ok(_) => Code::Ok,
                Err(failure) => failure.code,
            }
        })
        .await;
        let mut code = Code::Ok;
        while code == Code::Ok {
            let late = erased.elapsed() > std::time::Duration::from_secs(1);
            code = get_membership().await.map_or_else(|failure| failure.code, |_| Code::Ok);
            assert!(!late || code == Code::NotFound, "{code:?}");
        }
        for id in [&link.id, &pending.id] {
            let of = if *id == pending.id { &other } else { &acme };
            let ended = ana.invite_by_id(of, id).await.unwrap();
            assert!(ended.end_time.is_some() && ended.email.is_empty(), "{ended:?}");
        }

        if at.database.engine == Engine::Sqlite {
            execute(at, "VACUUM").await;
            execute(at, "PRAGMA wal_checkpoint(TRUNCATE)").await;
        }
        assert_eq!(traces(at).await, [""; 0]);
        let log = server.logged()[logged..].to_owned();
        for text in [SUBJECT, NAME, EMAIL, PICTURE, keys[0].as_str()] {
            assert!(!log.contains(text), "{log}");
        }
        // The audit trail still refers to her account, and records what happened.
        let actions = format!(
            "SELECT action FROM audit_events WHERE request_id = 'command-line' AND target_id IN \
             ('{account}', '{member}', '{}') AND action <> 'key.created' ORDER BY action",
            pending.id
        );
        assert_eq!(column(at, &actions).await, ["account.erased", "invite.ended", "member.left"]);
        let blank = column(at, "SELECT subject FROM accounts WHERE issuer = 'erased'").await;
        assert_eq!(blank, std::slice::from_ref(&account));

        // When she signs in again, she gets a new account.
        let new = mina.account().await.to_string();
        assert_ne!(new, account);
        assert_eq!(get_membership().await.unwrap_err().code, Code::NotFound);
        let again = erase(at, &account);
        assert_eq!((again.code, again.out), (0, format!("account {account} was erased before\n")));
        for id in [account.as_str(), "0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b"] {
            let key = at.run(&["keys", "create", "--account", id]);
            assert_eq!((key.code, key.out.as_str()), (1, ""), "{}", key.err);
        }
        let add = ana.add(&acme, &account, "read").await.unwrap_err();
        assert_eq!(add.code, Code::NotFound);
        assert_eq!(server.stop().code, Some(0));
    }

    async fn p20_the_last_admin_is_not_erased_and_nothing_changes(at: Installation) {
        let server = at.serve();
        let ana = server.person(&at.new_key("ana@acme.com"));
        let ben = server.person(&at.new_key("ben@acme.com"));
        let account = ana.account().await.to_string();
        let (alone, _) = ana.new_organization("Alone").await;
        let (acme, _) = ana.new_organization("Acme").await;
        let member = ben.join(&ana.invite(&acme).await.unwrap()).await.unwrap().user_id;
        // The server is stopped first, so that it writes nothing after the dump.
        assert_eq!(server.stop().code, Some(0));
        let before = at.database.dump().await;
        let output = erase(at, &account);
        assert_eq!((output.code, output.out.as_str()), (1, ""));
        assert!(output.err.contains(&format!("{acme} (Acme)")), "{}", output.err);
        assert!(!output.err.contains(&alone), "{}", output.err);
        assert_eq!(at.database.dump().await, before);

        let server = at.serve();
        let ana = server.person(&at.new_key("ana@acme.com"));
        ana.grant(&acme, &member, gitpod::OrganizationRole::Admin).await.unwrap();
        let output = erase(at, &account);
        assert_eq!(output.code, 0, "{}", output.err);
        let unknown = erase(at, "0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b");
        assert_eq!((unknown.code, unknown.out.as_str()), (1, ""));
        assert!(unknown.err.contains("there is no account"), "{}", unknown.err);
    }

    async fn erasing_an_account_with_an_unverified_address_ends_no_invitation(at: Installation) {
        let server = at.serve();
        let ana = server.person(&at.new_key("ana@acme.com"));
        let ben = server.person(&at.new_key("ben@acme.com"));
        let account = ben.account().await.to_string();
        execute(at, &format!(
            "UPDATE accounts SET email_verified = {} WHERE email = 'ben@acme.com'",
            if at.database.engine == Engine::Sqlite { "0" } else { "false" },
        )).await;
        let (acme, _) = ana.new_organization("Acme").await;
        let pending = ana.invite_address(&acme, "ben@acme.com", "read").await.unwrap();
        let pending = pending.invite.unwrap().id;
        let output = erase(at, &account);
        assert_eq!(output.code, 0, "{}", output.err);
        assert!(output.out.contains("was not verified"), "{}", output.out);
        let still = ana.invite_by_id(&acme, &pending).await.unwrap();
        assert!(still.end_time.is_none() && still.email == "ben@acme.com", "{still:?}");
    }

    async fn joins_during_an_erasure_leave_no_membership_of_the_account(at: Installation) {
        let signing = SigningKey::generate();
        let server = serve(at, &signing);
        let ana = server.person(&at.new_key("ana@acme.com"));
        let mina = signed_in(&server, &signing, NAME);
        let account = mina.account().await.to_string();
        let mut links = Vec::new();
        for name in ["One", "Two", "Three", "Four", "Five", "Six"] {
            let (organization, _) = ana.new_organization(name).await;
            links.push(ana.invite(&organization).await.unwrap());
        }
        let joins = links.iter().map(|link| mina.join(link));
        let erased = tokio::task::block_in_place(|| {
            let mut command = at.command(&["accounts", "erase", &account], &[]);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            command.spawn().unwrap()
        });
        let joined = futures::future::join_all(joins).await;
        let output = tokio::task::block_in_place(|| erased.wait_with_output().unwrap());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for outcome in joined {
            if let Err(failure) = outcome {
                assert!(
                    [Code::Unauthenticated, Code::Unavailable].contains(&failure.code),
                    "{failure:?}"
                );
            }
        }
        let current = "SELECT count(*) FROM members JOIN accounts ON accounts.id = members.account_id \
             WHERE accounts.issuer = 'erased' AND members.status <> 'left'";
        assert_eq!(at.database.count(current).await, 0);
        let personal_data = "SELECT count(*) FROM members JOIN accounts ON accounts.id = members.account_id \
                    WHERE accounts.issuer = 'erased' AND (members.sort_name <> '' OR members.email IS NOT NULL)";
        assert_eq!(at.database.count(personal_data).await, 0);
        assert_eq!(column(at, "SELECT subject FROM accounts WHERE issuer = 'erased'").await, [account]);
    }

    async fn every_column_is_listed_as_personal_data_or_not(at: Installation) {
        assert_eq!(at.serve().stop().code, Some(0));
        let sql = match at.database.engine {
            Engine::Sqlite => {
                "SELECT m.name || '.' || c.name FROM sqlite_master m, pragma_table_info(m.name) c \
                 WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' AND m.name NOT LIKE 'seaql%'"
            }
            Engine::Postgres => {
                "SELECT (table_name || '.' || column_name)::text FROM information_schema.columns \
                 WHERE table_schema = 'public' AND table_name NOT LIKE 'seaql%'"
            }
        };
        let db = at.database.connect().await;
        let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await;
        let columns: BTreeSet<String> =
            rows.unwrap().iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
        db.close().await.unwrap();
        let known = COLUMNS.iter().flat_map(|(table, personal, others)| {
            personal.iter().chain(*others).map(move |column| format!("{table}.{column}"))
        });
        assert_eq!(columns, known.collect(), "list each new column in COLUMNS: personal data or not");
    }
}
