//! Table `webhooks`: endpoints that events are sent to.

use sea_orm::entity::prelude::*;

use super::stored;
use crate::domain::{Disabling, FeedPlace, Timestamp, Webhook};
use crate::error::{Error, Result};

/// A row of `webhooks`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhooks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub organization_id: Option<Uuid>,
    pub url: String,
    pub description: String,
    /// Separated by spaces.
    pub event_types: String,
    pub secret_sealed: Vec<u8>,
    pub previous_secret_sealed: Option<Vec<u8>>,
    pub previous_secret_ends_at: Option<i64>,
    pub disabled_at: Option<i64>,
    pub disabled_reason: Option<String>,
    /// Whether the organization is deleted. The endpoint is then deleted after the delivery of the
    /// organization's last event.
    pub organization_deleted: bool,
    pub epoch: i64,
    pub position: i64,
    pub ordinal: i64,
    /// When a delivery to it is due; while it is claimed, when the claim ends.
    pub next_attempt_at: i64,
    /// The worker that sends to it now.
    pub claimed_by: Option<Uuid>,
    pub first_failure_at: Option<i64>,
    pub created_at: i64,
    pub updated_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The last event that was sent, or that a row of `webhook_deliveries` will send.
    pub fn cursor(&self) -> FeedPlace {
        FeedPlace { epoch: self.epoch, position: self.position, ordinal: self.ordinal }
    }
}

impl TryFrom<Model> for Webhook {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self> {
        let disabled = match (row.disabled_at, &row.disabled_reason) {
            (Some(at), Some(reason)) => Some(Disabling {
                at: Timestamp::from_micros(at),
                reason: stored("webhooks.disabled_reason", reason)?,
            }),
            _ => None,
        };
        Ok(Self {
            id: row.id.into(),
            organization: row.organization_id.map(Into::into),
            event_types: row.event_types.split_whitespace().map(str::to_owned).collect(),
            url: row.url,
            description: row.description,
            disabled,
            first_failure_at: row.first_failure_at.map(Timestamp::from_micros),
            previous_secret_ends_at: row.previous_secret_ends_at.map(Timestamp::from_micros),
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
        })
    }
}
