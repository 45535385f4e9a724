//! `GetOrganizationInviteSummary` with nothing but its select, through sqlx on PostgreSQL.
//! No key is checked and nothing is counted.

use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::postgres::{PgPool, PgPoolOptions};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::proto::organization_service_server::OrganizationService;
use crate::{Outcome, proto};

/// As many as Guestlist's `database.max_connections` by default.
const CONNECTIONS: u32 = 8;

/// What SeaORM makes of `storage::invites::find_by_token`.
const FIND_BY_TOKEN: &str = include_str!("find_by_token.sql");

pub struct Service {
    pool: PgPool,
}

impl Service {
    /// On a store that the harness has filled.
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
        let row = sqlx::query(FIND_BY_TOKEN).bind(hash).fetch_optional(&self.pool).await?;
        let Some(row) = row.filter(|row| row.get::<&str, _>("A_state") == "live") else {
            return Ok(None);
        };
        Ok(Some(Summary {
            organization_id: row.get::<Uuid, _>("B_id").to_string(),
            organization_name: row.get("B_name"),
            organization_member_count: row
                .get::<i64, _>("B_member_count")
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
