//! `GetOrganizationInviteSummary` with only its select, through sqlx on PostgreSQL. It checks
//! no API key and counts nothing.

use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::postgres::{PgPool, PgPoolOptions};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::proto::organization_service_server::OrganizationService;
use crate::{Outcome, now, proto};

/// The default of Guestlist's `database.max_connections`.
const CONNECTIONS: u32 = 8;

/// The select of `storage::previews` as SeaORM generates it, without the columns `expires_at`,
/// `continue_url`, `inviter_id` and `next_member_end`.
const PREVIEW: &str = r#"SELECT "invites"."email", "organizations"."id", "organizations"."name",
    "organizations"."member_count" FROM "invites"
    INNER JOIN "organizations" ON "invites"."organization_id" = "organizations"."id"
    WHERE "invites"."token_hash" = $1 AND (state = 'live')
    AND ("invites"."expires_at" IS NULL OR "invites"."expires_at" > $2)
    AND (max_uses IS NULL OR uses < max_uses)"#;

pub struct Service {
    pool: PgPool,
}

impl Service {
    /// Opens a store that the harness has filled.
    pub async fn open(url: &str) -> Outcome<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .test_before_acquire(false)
            .connect(url)
            .await?;
        Ok(Self { pool })
    }

    async fn find(&self, token: Uuid) -> Result<Option<Summary>, sqlx::Error> {
        let hash = Sha256::digest(token.as_bytes()).to_vec();
        let row = sqlx::query(PREVIEW).bind(hash).bind(now()).fetch_optional(&self.pool).await?;
        Ok(row.map(|row| Summary {
            organization_id: row.get::<Uuid, _>("id").to_string(),
            organization_name: row.get("name"),
            organization_member_count: row
                .get::<i64, _>("member_count")
                .try_into()
                .unwrap_or(i32::MAX),
        }))
    }
}

type Summary = proto::GetOrganizationInviteSummaryResponse;

#[tonic::async_trait]
impl OrganizationService for Service {
    async fn get_organization_invite_summary(
        &self,
        request: Request<proto::GetOrganizationInviteSummaryRequest>,
    ) -> Result<Response<Summary>, Status> {
        let token = Uuid::parse_str(&request.into_inner().invite_id)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let found = self.find(token).await;
        let found = found.map_err(|error| Status::internal(error.to_string()))?;
        found.map(Response::new).ok_or_else(|| Status::not_found("no such invite"))
    }
}
