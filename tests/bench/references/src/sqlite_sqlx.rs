//! `CreateOrganizationInvite` as it is usually written: Guestlist's statements through sqlx
//! on SQLite, one transaction for each request, on the only connection that writes. It checks
//! no API key: the harness passes the caller's account. It seals no token.

use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};

use sha2::{Digest, Sha256};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Row, SqliteConnection};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::proto::organization_service_server::OrganizationService;
use crate::{Outcome, now, proto};

const LOCK_ORGANIZATION: &str = "SELECT id, name, invite_domains, tier, creator_id, created_at, \
    updated_at, version, member_count, seat_limit FROM organizations WHERE id = ?";

const MEMBER_AND_LINK: &str = "SELECT members.id, members.role, members.status, \
    invites.id AS join_link_id FROM members LEFT JOIN invites \
    ON members.organization_id = invites.organization_id \
    AND (kind = 'join_link' AND state = 'live') \
    WHERE members.organization_id = ? AND members.account_id = ? AND members.status <> 'left'";

const END_LINK: &str = "UPDATE invites SET state = ?, ended_at = ?, ended_by = ?, end_reason = ? \
    WHERE organization_id = ? AND kind = 'join_link' AND state = 'live'";

const ADVANCE: &str = "UPDATE organizations SET version = ? WHERE id = ?";

const INSERT_INVITE: &str = "INSERT INTO invites (id, organization_id, kind, role, token_hash, \
    token_sealed, inviter_id, state, version, expires_at, max_uses, uses, created_at, ended_at, \
    ended_by, end_reason, email, note, allowed_domains, sso, content_kind, content_id, \
    content_level, member_id, delivery, delivery_error) VALUES \
    (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const INSERT_EVENT: &str = "INSERT INTO audit_events (id, at, action, actor_id, on_behalf_of_id, \
    target_kind, target_id, organization_id, request_id, note, ordinal, \
    organization_version, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// The ordinal of the next event. It rises, as in Guestlist.
static ORDINAL: AtomicI64 = AtomicI64::new(1);

/// The data of an event. It has the length of the data for a replaced link.
const EVENT: [u8; 140] = [7; 140];

/// A sealed token. It has the length of one that Guestlist has sealed.
const SEALED: [u8; 53] = [7; 53];

pub struct Service {
    writer: SqlitePool,
    caller: Uuid,
}

impl Service {
    /// Opens a store that the harness has filled.
    pub async fn open(url: &str) -> Outcome<Self> {
        let options = SqliteConnectOptions::from_str(url)?
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .test_before_acquire(false)
            .connect_with(options)
            .await?;
        let caller = std::env::var("BENCH_ACCOUNT")?.parse()?;
        Ok(Self { writer, caller })
    }

    async fn create(&self, organization: Uuid) -> Result<Option<Uuid>, sqlx::Error> {
        let mut tx = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let token = rotate(&mut tx, organization, self.caller).await?;
        if token.is_some() {
            tx.commit().await?;
        }
        Ok(token)
    }
}

#[tonic::async_trait]
impl OrganizationService for Service {
    async fn create_organization_invite(
        &self,
        request: Request<proto::CreateOrganizationInviteRequest>,
    ) -> Result<Response<proto::CreateOrganizationInviteResponse>, Status> {
        let organization = Uuid::parse_str(&request.into_inner().organization_id)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let token = self.create(organization).await;
        let token = token
            .map_err(|error| Status::internal(error.to_string()))?
            .ok_or_else(|| Status::not_found("no such organization of the caller's"))?;
        let invite = proto::OrganizationInvite { invite_id: token.to_string() };
        Ok(Response::new(proto::CreateOrganizationInviteResponse { invite: Some(invite) }))
    }
}

/// The statements of `src/operations/invites/create_organization_invite.rs`, in the same order.
async fn rotate(
    tx: &mut SqliteConnection,
    organization: Uuid,
    caller: Uuid,
) -> Result<Option<Uuid>, sqlx::Error> {
    let Some(row) =
        sqlx::query(LOCK_ORGANIZATION).bind(organization).fetch_optional(&mut *tx).await?
    else {
        return Ok(None);
    };
    let found = sqlx::query(MEMBER_AND_LINK).bind(organization).bind(caller);
    let found = found.fetch_optional(&mut *tx).await?;
    let Some(found) = found.filter(|member| member.get::<&str, _>("role") == "admin") else {
        return Ok(None);
    };
    let member: Uuid = found.get("id");

    let now = now();
    let mut note = String::new();
    if let Some(before) = found.get::<Option<Uuid>, _>("join_link_id") {
        sqlx::query(END_LINK)
            .bind("replaced")
            .bind(now)
            .bind(member)
            .bind("REPLACED")
            .bind(organization)
            .execute(&mut *tx)
            .await?;
        note = format!("replaces {before}");
    }
    let version = row.get::<i64, _>("version") + 1;
    sqlx::query(ADVANCE).bind(version).bind(organization).execute(&mut *tx).await?;
    let (invite, token) = (Uuid::now_v7(), Uuid::new_v4());
    insert_invite(tx, invite, organization, member, token, version, now).await?;
    insert_event(tx, invite, (organization, version), caller, note, now).await?;
    Ok(Some(token))
}

async fn insert_invite(
    tx: &mut SqliteConnection,
    id: Uuid,
    organization: Uuid,
    inviter: Uuid,
    token: Uuid,
    version: i64,
    now: i64,
) -> Result<(), sqlx::Error> {
    let (no_number, no_text, no_id) = (None::<i64>, None::<&str>, None::<Uuid>);
    sqlx::query(INSERT_INVITE)
        .bind(id)
        .bind(organization)
        .bind("join_link")
        .bind("member")
        .bind(Sha256::digest(token.as_bytes()).to_vec())
        .bind(&SEALED[..])
        .bind(inviter)
        .bind("live")
        .bind(version)
        .bind(no_number)
        .bind(no_number)
        .bind(0_i64)
        .bind(now)
        .bind(no_number)
        .bind(no_id)
        .bind(no_text)
        .bind(no_text)
        .bind("")
        .bind("")
        .bind(false)
        .bind(no_text)
        .bind(no_text)
        .bind(no_text)
        .bind(no_id)
        .bind(no_text)
        .bind(no_text)
        .execute(tx)
        .await?;
    Ok(())
}

async fn insert_event(
    tx: &mut SqliteConnection,
    invite: Uuid,
    (organization, version): (Uuid, i64),
    caller: Uuid,
    note: String,
    now: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(INSERT_EVENT)
        .bind(Uuid::now_v7())
        .bind(now)
        .bind("invite.created")
        .bind(caller)
        .bind(None::<Uuid>)
        .bind("invite")
        .bind(invite.to_string())
        .bind(organization)
        .bind(Uuid::new_v4().to_string())
        .bind(note)
        .bind(ORDINAL.fetch_add(1, Ordering::Relaxed))
        .bind(version)
        .bind(&EVENT[..])
        .execute(tx)
        .await?;
    Ok(())
}
