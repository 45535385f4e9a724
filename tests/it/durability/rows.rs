//! All rows that the callers' changes write, as they are at one moment.

use sea_orm::{ConnectionTrait, QueryResult, Statement};
use uuid::Uuid;

use crate::support::direct_connection::DirectConnection;
use crate::support::{Database, Engine};

pub struct Event {
    pub request: String,
    pub action: String,
    pub target: String,
    pub organization: Option<Uuid>,
    pub note: String,
}

pub struct Organization {
    pub id: Uuid,
    pub name: String,
    pub version: i64,
    pub member_count: i64,
}

pub struct Member {
    pub id: Uuid,
    pub organization: Uuid,
    pub account: Uuid,
    pub role: String,
    pub status: String,
    pub invite: Option<Uuid>,
}

pub struct Invite {
    pub id: Uuid,
    pub organization: Uuid,
    pub kind: String,
    pub state: String,
    pub role: String,
    pub token_hash: Vec<u8>,
    pub max_uses: Option<i64>,
    pub uses: i64,
    pub email: Option<String>,
    pub note: String,
    pub delivery: Option<String>,
}

pub struct Account {
    pub id: Uuid,
    pub subject: String,
}

/// See the top of this file.
pub struct Rows {
    pub events: Vec<Event>,
    pub organizations: Vec<Organization>,
    pub members: Vec<Member>,
    pub invites: Vec<Invite>,
    pub accounts: Vec<Account>,
    /// The invitations that have a mail in the outbox.
    pub waiting: Vec<Uuid>,
    /// The errors that the engine finds in its own files. There must be none.
    pub damage: Vec<String>,
}

impl Rows {
    /// Reads them directly from the database, in one transaction.
    pub async fn read(database: &Database) -> Self {
        let db = database.connect().await;
        let begin = match database.engine {
            Engine::Sqlite => "BEGIN",
            Engine::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ",
        };
        db.execute_unprepared(begin).await.unwrap();
        let rows = Self {
            events: select(&db, "audit_events", event).await,
            organizations: select(&db, "organizations", organization).await,
            members: select(&db, "members", member).await,
            invites: select(&db, "invites", invite).await,
            accounts: select(&db, "accounts", account).await,
            waiting: select(&db, "outbox", |row| get(row, "invite_id")).await,
            damage: damage(&db, database.engine).await,
        };
        db.execute_unprepared("COMMIT").await.unwrap();
        db.close().await.unwrap();
        rows
    }
}

async fn query(db: &DirectConnection, sql: &str) -> Vec<QueryResult> {
    db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap()
}

async fn select<T>(db: &DirectConnection, table: &str, of: impl Fn(&QueryResult) -> T) -> Vec<T> {
    query(db, &format!("SELECT * FROM {table}")).await.iter().map(of).collect()
}

async fn damage(db: &DirectConnection, engine: Engine) -> Vec<String> {
    if engine == Engine::Postgres {
        return Vec::new();
    }
    let mut damage = Vec::new();
    for row in query(db, "PRAGMA integrity_check").await {
        damage.push(row.try_get_by_index(0).unwrap());
    }
    for row in query(db, "PRAGMA foreign_key_check").await {
        let table: String = row.try_get_by_index(0).unwrap();
        damage.push(format!("a row of {table} refers to nothing"));
    }
    damage.retain(|line| line != "ok");
    damage
}

fn get<T: sea_orm::TryGetable>(row: &QueryResult, column: &str) -> T {
    row.try_get("", column).unwrap()
}

fn event(row: &QueryResult) -> Event {
    Event {
        request: get(row, "request_id"),
        action: get(row, "action"),
        target: get(row, "target_id"),
        organization: get(row, "organization_id"),
        note: get(row, "note"),
    }
}

fn organization(row: &QueryResult) -> Organization {
    Organization {
        id: get(row, "id"),
        name: get(row, "name"),
        version: get(row, "version"),
        member_count: get(row, "member_count"),
    }
}

fn member(row: &QueryResult) -> Member {
    Member {
        id: get(row, "id"),
        organization: get(row, "organization_id"),
        account: get(row, "account_id"),
        role: get(row, "role"),
        status: get(row, "status"),
        invite: get(row, "invite_id"),
    }
}

fn invite(row: &QueryResult) -> Invite {
    Invite {
        id: get(row, "id"),
        organization: get(row, "organization_id"),
        kind: get(row, "kind"),
        state: get(row, "state"),
        role: get(row, "role"),
        token_hash: get(row, "token_hash"),
        max_uses: get(row, "max_uses"),
        uses: get(row, "uses"),
        email: get(row, "email"),
        note: get(row, "note"),
        delivery: get(row, "delivery"),
    }
}

fn account(row: &QueryResult) -> Account {
    Account { id: get(row, "id"), subject: get(row, "subject") }
}
